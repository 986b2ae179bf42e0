"""What the stand-in for Cilium makes of Cilium's settings."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tests.lab.twin.cilium_rules import PROTOCOL, Settings, route, ruleset, settings
from tests.lab.twin.nodes import gateway_specs
from tests.unit.lab.clusters import CLUSTER

A, B = gateway_specs(CLUSTER)
PODS = CLUSTER.pods
ASKED = Settings(("ens3", "ss0"), ("ens3",), None, legacy_host_routing=True, external_cluster_ip=True)


def node_config(**defaults: str) -> dict[str, Any]:
    return {
        "kind": "CiliumNodeConfig",
        "spec": {"defaults": {name.replace("_", "-"): v for name, v in defaults.items()}},
    }


def test_without_a_node_config_ciliums_own_defaults_hold() -> None:
    assert settings([{"kind": "ConfigMap"}], "ens3") == Settings(("ens3",), (), None, False, False)


def test_node_configs_override_single_keys() -> None:
    first = node_config(enable_host_legacy_routing="true", bpf_lb_external_clusterip="true")
    second = node_config(devices="ens3 ss0", egress_masquerade_interfaces="ens3")
    assert settings([first, second], "ens3") == ASKED


def test_a_native_routing_range_is_read() -> None:
    assert settings([node_config(ipv4_native_routing_cidr="10.0.0.0/16")], "ens3").native_routing == "10.0.0.0/16"


@pytest.mark.parametrize(
    ("chosen", "rule"),
    [
        (ASKED, 'oifname "ens3" ip saddr 10.130.0.0/24 ip daddr != 10.130.0.0/24 masquerade'),
        (
            replace(ASKED, masquerade_on=(), native_routing="10.0.0.0/16"),
            'oifname != "cilium_*" oifname != "lxc*" ip saddr 10.130.0.0/24 ip daddr != 10.0.0.0/16 masquerade',
        ),
    ],
)
def test_pods_leave_under_the_nodes_address_where_the_settings_say_so(chosen: Settings, rule: str) -> None:
    masquerading = [line.strip() for line in ruleset(A, PODS, chosen, {}).splitlines() if "masquerade" in line]
    assert masquerading == [rule]


def test_services_are_reached_through_the_devices_only_if_external_cluster_ip_is_on() -> None:
    assert 'iifname "ss0" jump services' in ruleset(A, PODS, ASKED, {})
    assert "ss0" not in ruleset(A, PODS, replace(ASKED, external_cluster_ip=False), {})


def test_bpf_host_routing_loses_what_encapsulating_routes_should_carry() -> None:
    lost = 'iifname "lxc*" oifname "cilium_vxlan" ip daddr != { 10.130.0.0/16 } drop'
    assert lost in ruleset(A, PODS, replace(ASKED, legacy_host_routing=False), {})
    assert lost not in ruleset(A, PODS, ASKED, {})


def test_nothing_is_dropped_for_its_connection_state() -> None:
    assert "invalid" not in ruleset(A, PODS, ASKED, {"10.131.0.10": "10.130.0.10"})


def test_services_known_at_the_start_are_in_the_rules() -> None:
    assert "elements = { 10.131.0.10 : 10.130.0.10 };" in ruleset(A, PODS, ASKED, {"10.131.0.10": "10.130.0.10"})


def test_the_way_to_another_nodes_pods_is_inside_vxlan_and_not_the_agents() -> None:
    command = route(A, B)
    assert command.startswith("route replace 10.130.1.0/24 encap ip id 4097 dst 172.27.0.101 ")
    assert f"proto {PROTOCOL} src 10.130.0.1 mtu 1450" in command
    assert "169.254.100.5" not in command
    assert PROTOCOL != 111
