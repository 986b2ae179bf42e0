"""strongswan.conf, read as data."""

from __future__ import annotations

from tests.support.fleets import REPOSITORY
from tunnelfleet.manifests.swanctl import parse_swanctl
from tunnelfleet.profiles import PROFILES

CHARON = parse_swanctl((REPOSITORY / "base/strongswan/strongswan.conf").read_text()).section("charon")


def test_routes_are_left_to_frr_and_the_agent() -> None:
    assert {CHARON.get(name) for name in ("install_routes", "install_virtual_ip", "process_route")} == {"no"}


def test_charon_does_not_start_without_what_it_needs() -> None:
    assert {"openssl!", "kernel-netlink!", "socket-default!", "vici!"} <= set(CHARON.get("load").split())


def test_a_dead_peer_is_given_up_within_seconds() -> None:
    timeout, base = float(CHARON.get("retransmit_timeout")), float(CHARON.get("retransmit_base"))
    tries = int(CHARON.get("retransmit_tries"))
    # strongswan.conf(5), charon.retransmit_timeout: the sum of all waits
    waited = timeout * (base ** (tries + 1) - 1) / (base - 1)
    assert round(waited, 1) == 7.1
    assert max(profile.dpd_delay for profile in PROFILES.values()) + waited < 13
