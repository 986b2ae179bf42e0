"""Which proposals can be used: those of the profiles, and those that lack nothing."""

from __future__ import annotations

import pytest

from tunnelfleet.profiles import PROFILES
from tunnelfleet.proposals import faults


@pytest.mark.parametrize("profile", PROFILES.values(), ids=PROFILES.keys())
def test_the_profiles_propose_what_can_be_used(profile: object) -> None:
    for ike, proposals in ((True, profile.ike_proposals), (False, profile.esp_proposals)):  # type: ignore[attr-defined]
        assert [faults(proposal, ike=ike) for proposal in proposals] == [[]] * len(proposals)


@pytest.mark.parametrize(
    ("proposal", "ike", "words"),
    [
        ("aes256-sha256-modp2048", True, ""),
        ("aes256gcm16", False, ""),
        ("aes128-sha256", False, ""),
        ("aes256gcm16-ecp384-esn", False, ""),
        ("null-sha256", False, "`null`"),
        ("sha256", False, "a cipher"),
        ("aes256", False, "an integrity algorithm"),
        ("des-md5-modp768", True, "`des`"),
        ("aes256-sha256", True, "a key exchange group"),
        ("aes256gcm16-ecp384", True, "a PRF"),
        ("aes256gcm16-prfsha384-ecp384-ke1_mlkem768", True, "`ke1_mlkem768`"),
    ],
)
def test_a_proposal_lacks(proposal: str, ike: bool, words: str) -> None:
    found = "; ".join(faults(proposal, ike=ike))
    assert words in found if words else found == ""
