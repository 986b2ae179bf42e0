"""What follows from the state of the tunnels; data/ holds listings of Linux 6.1 and iproute2 6.15."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from gateway.tunnels import Change, State, changes, policies_removal, states, states_removal, to_start

from tests.unit.gateway.world import FIRST, GATEWAY, SECOND

UP, DOWN, STARTING = State(carrying=True), State(), State(pending=True)

DATA = Path(__file__).parent / "data"
KERNEL_STATES = (DATA / "xfrm-state.txt").read_text()

KERNEL_POLICIES = (DATA / "xfrm-policy.txt").read_text()


def association(connection: str, state: str, *children: str, **more: Any) -> dict[str, Any]:
    """One answer of list-sas."""
    sections = {f"{connection}-{number}": {"state": child} for number, child in enumerate(children)}
    return {connection: {"state": state, "child-sas": sections, **more}}


@pytest.mark.parametrize("child", ["INSTALLED", "REKEYING", "REKEYED", "UPDATING"])
def test_a_tunnel_carries_with_any_child_that_is_in_the_kernel(child: str) -> None:
    assert states([association("gcp-ipsec0", "ESTABLISHED", child)]) == {"gcp-ipsec0": UP}


def test_a_tunnel_with_an_ike_sa_alone_is_down() -> None:
    assert states([association("gcp-ipsec0", "ESTABLISHED", "DELETING")]) == {"gcp-ipsec0": DOWN}


def test_a_tunnel_that_ike_is_at_work_on_is_pending() -> None:
    assert states([association("gcp-ipsec0", "CONNECTING")]) == {"gcp-ipsec0": STARTING}
    working = association("gcp-ipsec0", "ESTABLISHED", **{"tasks-active": ["CHILD_CREATE"]})
    assert states([working]) == {"gcp-ipsec0": STARTING}


def test_of_two_ike_sas_of_one_connection_the_better_counts() -> None:
    both = [association("gcp-ipsec0", "ESTABLISHED", "INSTALLED"), association("gcp-ipsec0", "DELETING")]
    assert states(both)["gcp-ipsec0"].carrying
    assert states(both[::-1])["gcp-ipsec0"].carrying


def test_only_tunnels_that_are_down_and_ours_to_start_are_started() -> None:
    assert to_start(GATEWAY.tunnels, {}) == [FIRST]
    assert to_start(GATEWAY.tunnels, {FIRST.connection: STARTING}) == []
    assert to_start(GATEWAY.tunnels, {FIRST.connection: UP, SECOND.connection: DOWN}) == []


def test_interfaces_follow_their_tunnels() -> None:
    now = {FIRST.connection: UP, SECOND.connection: DOWN}
    assert changes(GATEWAY.tunnels, now, {"ipsec1"}, settled=True) == [Change(FIRST, True), Change(SECOND, False)]
    assert changes(GATEWAY.tunnels, now, {"ipsec0"}, settled=True) == []


def test_no_interface_is_set_down_while_charon_comes_back() -> None:
    assert changes(GATEWAY.tunnels, {}, {"ipsec0", "ipsec1"}, settled=False) == []
    assert changes(GATEWAY.tunnels, {FIRST.connection: UP}, set(), settled=False) == [Change(FIRST, True)]


def test_left_over_states_are_those_of_xfrm_interfaces_with_our_address() -> None:
    assert [" ".join(command) for command in states_removal(KERNEL_STATES, GATEWAY.address)] == [
        "ip xfrm state delete src 172.27.48.11 dst 198.51.100.34 proto esp spi 0xc0531f7e",
        "ip xfrm state delete src 198.51.100.34 dst 172.27.48.11 proto esp spi 0xcb36ea85",
    ]


def test_left_over_policies_are_those_of_xfrm_interfaces_with_our_address() -> None:
    assert [" ".join(command) for command in policies_removal(KERNEL_POLICIES, GATEWAY.address)] == [
        "ip xfrm policy delete src 0.0.0.0/0 dst 0.0.0.0/0 dir out if_id 0x1",
        "ip xfrm policy delete src 0.0.0.0/0 dst 0.0.0.0/0 dir fwd if_id 0x1",
    ]


def test_an_empty_kernel_has_nothing_left_over() -> None:
    assert states_removal("", GATEWAY.address) == policies_removal("", GATEWAY.address) == []
