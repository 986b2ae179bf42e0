"""The fabric's names, addresses and rules."""

from __future__ import annotations

import json
from ipaddress import IPv4Network

import pytest

from tests.lab.twin.fabric import containing, mac, port_name, router
from tests.lab.twin.fabric_rules import block_changes, node_changes, packets, ruleset
from tests.unit.lab.clusters import CLUSTER


def test_a_port_is_named_for_its_namespace_as_far_as_the_kernel_lets_it() -> None:
    assert port_name("node-a") == "node-a"
    long = [port_name(f"site-reykjavik-datacenter-{number}") for number in range(50)]
    assert len(set(long)) == 50
    assert all(len(name) <= 15 for name in long)


def test_a_mac_belongs_to_its_address_and_to_nobodys_hardware() -> None:
    assert mac("172.27.0.11") == "02:00:ac:1b:00:0b"


def test_the_router_has_the_first_address_of_a_range() -> None:
    assert router(IPv4Network("172.27.32.0/24")) == "172.27.32.1"


def test_a_node_outside_the_ranges_is_refused() -> None:
    ranges = [IPv4Network(network) for network in CLUSTER.nodes]
    assert str(containing(ranges, "172.27.32.9")) == "172.27.32.0/24"
    with pytest.raises(ValueError, match=r"192\.0\.2\.1 is in none of .* 172\.27\.0\.0/20, 172\.27\.32\.0/24"):
        containing(ranges, "192.0.2.1")


def test_clear_text_is_counted_before_anything_is_dropped() -> None:
    rules = ruleset(CLUSTER)
    chain = rules[rules.index("chain prerouting") : rules.index("chain forward")]
    counted = [line for line in chain.splitlines() if "@clear" in line]
    assert len(counted) == 2
    assert chain.index(counted[-1]) < chain.index("drop")
    assert "elements = { 10.0.0.0/16, 192.168.40.0/22 }" in rules


def test_a_node_without_a_public_address_is_not_translated() -> None:
    assert [str(change) for change in node_changes("add", "node-1", "172.27.0.102", None)] == [
        'add element bridge fabric own { "node-1" . 172.27.0.102 }\n'
    ]


def test_a_public_address_is_translated_both_ways() -> None:
    changes = "".join(map(str, node_changes("delete", "node-a", "172.27.0.11", "203.0.113.11")))
    assert "delete element ip fabric inside { 203.0.113.11 : 172.27.0.11 }\n" in changes
    assert "delete element ip fabric outside { 172.27.0.11 : 203.0.113.11 }\n" in changes


def test_ports_are_blocked_by_pair_in_bridge_and_router() -> None:
    changes = block_changes("add", [("192.0.2.1", "172.27.0.11"), ("172.27.0.11", "192.0.2.1")], (500, 4500))
    assert [(change.family, change.name, len(change.elements)) for change in changes] == [
        ("bridge", "blocked", 4),
        ("ip", "blocked", 4),
    ]
    assert changes[0].elements[0] == "192.0.2.1 . 172.27.0.11 . 500"


def test_without_ports_everything_between_two_is_blocked() -> None:
    assert {(change.name, change.elements) for change in block_changes("add", [("192.0.2.1", "192.0.2.2")], ())} == {
        ("parted", ("192.0.2.1 . 192.0.2.2",))
    }


def test_counts_are_read_by_element() -> None:
    element = {"elem": {"val": "node-a", "counter": {"packets": 7, "bytes": 644}}}
    listed = {"nftables": [{"metainfo": {}}, {"set": {"name": "clear", "elem": [element]}}]}
    assert packets(json.dumps(listed)) == {"node-a": 7}


def test_a_set_that_counted_nothing_is_empty() -> None:
    assert packets(json.dumps({"nftables": [{"set": {"name": "clear"}}]})) == {}
