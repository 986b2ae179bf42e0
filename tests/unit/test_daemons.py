"""The real daemons' verdict: what the test support must accept, and what it must refuse."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.daemons import Charon, algorithms_of, check_frr, running_charon
from tunnelfleet.profiles import PROFILES, Profile

FRR = """\
router bgp 65010
 neighbor 169.254.174.221 remote-as 64514
 neighbor 169.254.174.221 timers 10 30
 bmp targets agent
  bmp monitor ipv4 unicast post-policy
 exit
exit
"""

SWANCTL = """\
connections {
    gcp {
        version = 2
        remote_addrs = 198.51.100.34
        proposals = aes256gcm16-prfsha384-ecp384
        if_id_in = 1
        if_id_out = 1
        local { auth = psk }
        remote { auth = psk }
        children {
            gcp {
                esp_proposals = aes256gcm16-ecp384
                replay_window = 1024
            }
        }
    }
}
"""


@pytest.fixture(scope="module")
def charon() -> Iterator[Charon]:
    with running_charon() as running:
        yield running


def test_vtysh_accepts_a_good_frr_conf() -> None:
    verdict = check_frr(FRR)

    assert verdict.accepted, verdict.output


def test_vtysh_names_the_line_of_a_bad_frr_conf() -> None:
    verdict = check_frr(FRR.replace("remote-as 64514", "remote-as many"))

    assert not verdict.accepted
    assert "line 2: % Unknown command" in verdict.output


def test_charon_loads_a_good_swanctl_conf(charon: Charon) -> None:
    verdict = charon.load(SWANCTL)

    assert verdict.accepted, verdict.output
    assert charon.connections() == {"gcp"}


def test_a_later_load_replaces_an_earlier_one(charon: Charon) -> None:
    charon.load(SWANCTL)

    charon.load(SWANCTL.replace("gcp {", "aws {"))

    assert charon.connections() == {"aws"}


def test_charon_reads_the_files_that_a_swanctl_conf_includes(charon: Charon) -> None:
    verdict = charon.load("include gcp.conf\n", files={"gcp.conf": SWANCTL})

    assert verdict.accepted, verdict.output
    assert charon.connections() == {"gcp"}


@pytest.mark.parametrize(
    ("good", "bad", "words"),
    [
        ("version = 2", "versoin = 2", "unknown option: versoin"),
        ("prfsha384-ecp384", "prfsha384-ecp999", "invalid value for: proposals"),
        ("aes256gcm16-ecp384", "aes256gcm17", "invalid value for: esp_proposals"),
        # swanctl itself calls this a success
        ("children {", "children", "syntax error"),
    ],
)
def test_charon_refuses_a_bad_swanctl_conf(charon: Charon, good: str, bad: str, words: str) -> None:
    verdict = charon.load(SWANCTL.replace(good, bad))

    assert not verdict.accepted
    assert words in verdict.output


@pytest.mark.parametrize("profile", PROFILES.values(), ids=PROFILES.keys())
def test_charon_implements_what_a_profile_proposes(charon: Charon, profile: Profile) -> None:
    proposals = (*profile.ike_proposals, *profile.esp_proposals)

    needed = {name for proposal in proposals for name in algorithms_of(proposal)}

    assert needed <= charon.algorithms()


def test_loading_a_proposal_does_not_prove_that_charon_implements_it(charon: Charon) -> None:
    """Debian 13 has no ML-KEM for strongSwan. Should this fail, it has, and profiles may propose it."""
    proposal = "aes256gcm16-prfsha384-ecp384-ke1_mlkem768"

    verdict = charon.load(SWANCTL.replace("aes256gcm16-prfsha384-ecp384", proposal))

    assert verdict.accepted, verdict.output
    assert "ML_KEM_768" in algorithms_of(proposal) - charon.algorithms()
