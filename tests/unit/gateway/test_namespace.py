"""Network namespace `strongswan`: what is made where something is missing, and nothing where all is there."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from gateway.namespace import Link, creation, guard, is_named, parse_links, ruleset, setting, switch

from tests.unit.gateway.world import FIRST, GATEWAY

HOST = {"ss0": Link("ss0", "veth", 0, True)}
INSIDE = {
    "ss0-peer": Link("ss0-peer", "veth", 0, True),
    "ipsec0": Link("ipsec0", "xfrm", 1, True),
    "ipsec1": Link("ipsec1", "xfrm", 2, False),
}


def made(host: dict[str, Link], inside: dict[str, Link]) -> list[str]:
    return [" ".join(command) for command in creation(GATEWAY, host, inside)]


def test_a_namespace_without_its_name_is_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    held = tmp_path / "held"
    held.touch()
    monkeypatch.setattr("gateway.namespace.PATH", tmp_path / "name")
    with held.open() as file:
        assert not is_named(file.fileno())
        (tmp_path / "name").touch()
        assert not is_named(file.fileno())
        (tmp_path / "name").unlink()
        (tmp_path / "name").hardlink_to(held)
        assert is_named(file.fileno())


def test_nothing_is_made_where_all_is_there() -> None:
    assert made(HOST, INSIDE) == []


def test_all_is_made_in_a_new_namespace() -> None:
    assert made({}, {}) == [
        "ip link add ss0 type veth peer name ss0-peer netns strongswan",
        "ip link add ipsec0 type xfrm if_id 1",
        "ip link set ipsec0 netns strongswan",
        "ip link add ipsec1 type xfrm if_id 2",
        "ip link set ipsec1 netns strongswan",
    ]


def test_the_pair_of_an_older_namespace_is_replaced() -> None:
    assert made(HOST, {})[:2] == [
        "ip link delete ss0",
        "ip link add ss0 type veth peer name ss0-peer netns strongswan",
    ]


def test_an_interface_that_was_never_moved_is_made_again() -> None:
    host = HOST | {"ipsec1": Link("ipsec1", "xfrm", 2, False)}
    inside = {name: link for name, link in INSIDE.items() if name != "ipsec1"}
    assert made(host, inside)[0] == "ip link delete ipsec1"


def test_an_interface_with_another_id_is_made_again() -> None:
    wrong = INSIDE | {"ipsec1": Link("ipsec1", "xfrm", 7, True)}
    assert made(HOST, wrong)[0] == "ip -n strongswan link delete ipsec1"


def test_interfaces_of_tunnels_get_settings_but_are_not_set_up() -> None:
    commands = [" ".join(command) for command in setting(GATEWAY)]
    assert "ip -n strongswan address replace 169.254.60.2/30 dev ipsec1" in commands
    assert "ip -n strongswan link set ipsec1 mtu 1398" in commands
    assert "ip -n strongswan route replace 172.27.48.0/20 via 169.254.100.1 dev ss0-peer" in commands
    assert [command for command in commands if "ipsec" in command and command.endswith(" up")] == []
    assert " ".join(switch(FIRST, up=True)) == "ip -n strongswan link set ipsec0 up"


def test_all_commands_of_setting_can_be_repeated() -> None:
    adding = [command for command in setting(GATEWAY) if "add" in command]
    assert adding == []


def test_links_are_read_from_iproute2() -> None:
    shown = [
        {"ifname": "lo", "flags": ["LOOPBACK", "UP"]},
        {"ifname": "ipsec0", "flags": ["NOARP"], "linkinfo": {"info_kind": "xfrm", "info_data": {"if_id": "0x1f"}}},
    ]
    assert parse_links(json.dumps(shown)) == {
        "lo": Link("lo", "", 0, True),
        "ipsec0": Link("ipsec0", "xfrm", 31, False),
    }
    assert parse_links("") == {}


def test_the_filter_forwards_what_the_inventory_says_and_drops_the_rest() -> None:
    text = ruleset(GATEWAY)
    assert text.count("policy drop") == 2
    assert "elements = { 10.64.0.0/16, 192.168.40.0/22 }" in text
    forwarding = text.split("chain forward")[1]
    accepting = [line for line in forwarding.splitlines() if line.endswith("accept")]
    assert all('"ss0-peer"' in line and ("@ipsec" in line or "@local" in line) for line in accepting)
    assert not [line for line in accepting if 'iifname "ipsec' in line and 'oifname "ipsec' in line]


def test_nothing_out_of_the_tunnels_leaves_the_node_in_clear_text() -> None:
    assert '    iifname "ss0" oifname "ens3" counter drop' in guard(GATEWAY).splitlines()


def test_segments_are_clamped_in_both_directions_of_each_tunnel() -> None:
    text = ruleset(GATEWAY)
    for way in ("iifname", "oifname"):
        for name in ("ipsec0", "ipsec1"):
            assert f'{way} "{name}" tcp flags syn tcp option maxseg size set 1358' in text


def test_only_neighbours_reach_bgp_and_bfd() -> None:
    receiving = ruleset(GATEWAY).split("chain input")[1].split("chain forward")[0]
    ports = [line for line in receiving.splitlines() if "port" in line]
    assert len(ports) == 9
    assert all("ip saddr" in line and "iifname" in line for line in ports)
