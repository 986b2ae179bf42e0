"""The generated files of the route DaemonSet and of Cilium: taken by the real FRR and by the agent."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from ipaddress import IPv4Network
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support.daemons import check_frr
from tests.support.fleets import REPOSITORY
from tunnelfleet.generate.cilium import cilium_files, node_config_version, smallest_cover, unmasqueraded
from tunnelfleet.generate.files import Files
from tunnelfleet.generate.routes import client_files, listen_limit, reflector_files
from tunnelfleet.generate.topology import Topology
from tunnelfleet.inventory.model import Cluster

ROUTES = REPOSITORY / "base/routes"
DIGEST = "sha256:0123"


def topology(gateways: str = "ab", **spec: Any) -> Topology:
    """A cluster with these gateways and two remote sites."""
    nodes = [
        {
            "name": name,
            "node": f"np-{name}.example.internal",
            "internalIP": f"172.27.48.{11 + place}",
            "publicIP": f"203.0.113.{11 + place}",
        }
        for place, name in enumerate(gateways)
    ]
    remotes = [
        {
            "name": name,
            "profile": profile,
            "asn": asn,
            "acceptedCidrs": ranges,
            "tunnels": [
                {
                    "gateway": gateway,
                    "peerAddress": f"198.51.100.{10 * third + place}",
                    "inside": {
                        "local": f"169.254.{third}.{4 * place + 2}",
                        "peer": f"169.254.{third}.{4 * place + 1}",
                        "cidr": f"169.254.{third}.{4 * place}/30",
                    },
                    "presharedKey": {"secretName": "ipsec-psk", "key": f"{name}-{gateway}"},
                }
                for place, gateway in enumerate(gateways)
            ],
        }
        for name, profile, asn, ranges, third in (
            ("gcp", "gcp-ha-vpn", 64514, ["10.0.0.0/16"], 20),
            ("aws", "aws-vpn", 64512, ["10.1.0.0/16", "192.0.2.7/32"], 21),
        )
    ]
    data = {
        "apiVersion": "tunnelfleet/v1",
        "kind": "Cluster",
        "metadata": {"name": "demo"},
        "spec": {
            "networks": {"nodes": ["172.27.48.0/20"], "pods": ["10.234.0.0/16"], "services": ["10.233.0.0/16"]},
            "localCidrs": ["172.27.48.0/20", "10.234.0.0/16", "10.233.0.0/16"],
            "gateways": nodes,
            "bgp": {"localASN": 65010, "internalASN": 65020},
            "remotes": remotes,
            **spec,
        },
    }
    return Topology(Cluster.model_validate(data))


def configurations(planned: Topology) -> Iterator[str]:
    for gateway in planned.gateways:
        yield reflector_files(planned, gateway, DIGEST)["reflector.conf"]
    yield client_files(planned, DIGEST)["frr.conf"]


def manifest(files: Files, name: str) -> Any:
    return yaml.safe_load(files[name])


def prefix_list(configuration: str, name: str) -> list[str]:
    return re.findall(rf"^ip prefix-list {name} seq \d+ permit (.*)$", configuration, re.MULTILINE)


@pytest.mark.parametrize("gateways", ["ab", "abc"])
def test_frr_takes_every_configuration(gateways: str) -> None:
    for configuration in configurations(topology(gateways)):
        verdict = check_frr(configuration)

        assert verdict.accepted, verdict.output


@pytest.mark.parametrize("gateways", ["ab", "abc"])
def test_groups_stand_before_what_uses_them(gateways: str) -> None:
    """vtysh -C does not look, bgpd refuses."""
    for configuration in configurations(topology(gateways)):
        known: set[str] = set()
        for line in configuration.splitlines():
            if found := re.fullmatch(r" neighbor ([A-Z]+) peer-group", line):
                known.add(found[1])
            elif found := re.search(r" peer-group ([A-Z]+)$", line):
                assert found[1] in known, line


def test_every_list_and_map_that_is_used_exists() -> None:
    """An undefined one passes vtysh -C and lets nothing, or everything, through."""
    for configuration in configurations(topology()):
        lists = set(re.findall(r"^ip prefix-list (\S+)", configuration, re.MULTILINE))
        maps = set(re.findall(r"^route-map (\S+)", configuration, re.MULTILINE))
        assert set(re.findall(r" prefix-list (\S+)$", configuration, re.MULTILINE)) <= lists
        used = set(re.findall(r"^  neighbor \S+ route-map (\S+) (?:in|out)$", configuration, re.MULTILINE))
        assert used <= maps


def test_each_activated_neighbor_is_filtered_both_ways() -> None:
    for configuration in configurations(topology()):
        for neighbor in re.findall(r"^  neighbor (\S+) activate$", configuration, re.MULTILINE):
            for way in ("in", "out"):
                assert re.search(rf"^  neighbor {neighbor} route-map \S+ {way}$", configuration, re.MULTILINE)


def test_only_accepted_ranges_and_gateways_get_in() -> None:
    for configuration in configurations(topology()):
        assert prefix_list(configuration, "REMOTE") == ["10.0.0.0/16 le 32", "10.1.0.0/16 le 32", "192.0.2.7/32"]
        assert prefix_list(configuration, "GATEWAY") == ["172.27.48.11/32", "172.27.48.12/32"]


def test_a_gateway_announces_what_the_inventory_says() -> None:
    planned = topology(advertisedCidrs=["10.234.0.0/16"])
    configuration = reflector_files(planned, planned.gateways[0], DIGEST)["reflector.conf"]

    assert prefix_list(configuration, "CLUSTER") == ["10.234.0.0/16"]
    assert re.findall(r"^  network (.*)$", configuration, re.MULTILINE) == ["10.234.0.0/16"]


def test_a_gateway_begins_closed_and_believes_nodes_nothing() -> None:
    planned = topology()
    configuration = reflector_files(planned, planned.gateways[0], DIGEST)["reflector.conf"]

    assert "\n bgp shutdown\n" in configuration
    assert "\n  neighbor NODES route-map NOTHING in\n" in configuration
    assert "\nroute-map NOTHING deny 10\n" in configuration
    assert "\n bgp listen range 172.27.48.0/20 peer-group NODES\n" in configuration
    assert "\n neighbor 172.27.48.12 peer-group GATEWAYS\n" in configuration
    assert "neighbor 172.27.48.11 peer-group" not in configuration


@pytest.mark.parametrize(
    ("ranges", "limit"),
    [(["172.27.48.0/20"], 4096), (["172.27.48.0/24", "172.27.50.0/25"], 384), (["10.0.0.0/8"], 65535)],
)
def test_the_listen_limit_holds_every_node(ranges: list[str], limit: int) -> None:
    assert listen_limit(tuple(map(IPv4Network, ranges))) == limit


def test_clients_run_everywhere_but_on_gateways() -> None:
    pod = manifest(client_files(topology("abc"), DIGEST), "daemonset.yaml")["spec"]["template"]["spec"]
    (term,) = pod["affinity"]["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]["nodeSelectorTerms"]

    assert term == {
        "matchFields": [
            {"key": "metadata.name", "operator": "NotIn", "values": [f"np-{name}.example.internal"]} for name in "abc"
        ]
    }


def test_a_reflector_runs_on_its_gateways_node_and_waits_for_its_turn() -> None:
    planned = topology()
    turns = []
    for gateway in planned.gateways:
        pod = manifest(reflector_files(planned, gateway, DIGEST), "daemonset.yaml")["spec"]["template"]["spec"]
        required = pod["affinity"]["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]
        (field,) = required["nodeSelectorTerms"][0]["matchFields"]
        assert field == {"key": "metadata.name", "operator": "In", "values": [gateway.gateway.node]}
        turns.append(pod["containers"][0]["env"])

    assert turns == [[{"name": "TURN", "value": "0"}], [{"name": "TURN", "value": "1"}]]


def test_the_password_comes_from_the_inventorys_secret_and_its_digest_rolls_the_pods() -> None:
    planned = topology(
        bgp={"localASN": 65010, "internalASN": 65020, "password": {"secretName": "sessions", "key": "md5"}}
    )
    template = manifest(client_files(planned, DIGEST), "daemonset.yaml")["spec"]["template"]

    assert template["metadata"]["annotations"] == {"tunnelfleet/keys": DIGEST}
    assert template["spec"]["volumes"] == [
        {"name": "password", "secret": {"secretName": "sessions", "items": [{"key": "md5", "path": "password"}]}}
    ]
    assert not any(re.search(r"^ *neighbor \S+ password", text, re.MULTILINE) for text in configurations(planned))


def test_the_agent_reads_its_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", [str(ROUTES), *sys.path])
    from agent.settings import load

    planned = topology("abc")
    path = tmp_path / "agent.json"
    path.write_text(client_files(planned, DIGEST)["agent.json"])
    client = load(path, "172.27.48.20")
    path.write_text(reflector_files(planned, planned.gateways[1], DIGEST)["agent.json"])
    reflector = load(path, "172.27.48.12")

    assert list(client.gateways.values()) == ["a", "b", "c"]
    assert list(reflector.gateways.values()) == ["a", "c"]
    assert list(map(str, client.accepted)) == ["10.0.0.0/16", "10.1.0.0/16", "192.0.2.7/32"]
    assert (client.mtu, client.mss) == (1398, 1358)


def generated(folder: Path) -> dict[str, list[str]]:
    """The ConfigMaps that a base generates, and the files in each."""
    kustomization = yaml.safe_load((folder / "kustomization.yaml").read_text())
    return {generator["name"]: generator["files"] for generator in kustomization["configMapGenerator"]}


def test_every_module_of_the_agent_is_mounted() -> None:
    modules = sorted(path.name for path in (ROUTES / "agent").glob("*.py"))

    assert generated(ROUTES / "agent") == {"ipsec-routes-agent": modules}


def test_every_script_can_be_run() -> None:
    for script in generated(ROUTES)["ipsec-routes-start"]:
        assert (ROUTES / script).read_text().startswith("#!")


@pytest.mark.parametrize(("cilium", "version"), [("1.16", "v2alpha1"), ("1.17", "v2"), ("1.20", "v2")])
def test_cilium_is_configured_in_the_version_it_serves(cilium: str, version: str) -> None:
    files = cilium_files(topology(cilium={"version": cilium}))
    kustomization = manifest(files, "kustomization.yaml")

    assert node_config_version(cilium) == version
    assert manifest(files, "ciliumnodeconfig.yaml")["apiVersion"] == f"cilium.io/{version}"
    assert [patch for patch in kustomization["patches"] if "target" in patch] == (
        []
        if version == "v2"
        else [
            {
                "target": {"kind": "CiliumNodeConfig"},
                "patch": "- op: replace\n  path: /apiVersion\n  value: cilium.io/v2alpha1\n",
            }
        ]
    )


@pytest.mark.parametrize(
    ("accepted", "masquerade", "setting"),
    [
        (["10.0.0.0/16"], "iptables", {"ipv4-native-routing-cidr": "10.0.0.0/16"}),
        (["10.0.0.0/17", "10.0.128.0/17"], "bpf", {"ipv4-native-routing-cidr": "10.0.0.0/16"}),
        (["10.0.0.0/16", "192.168.0.0/16"], "iptables", {"egress-masquerade-interfaces": "ens3"}),
        (["10.0.0.0/16", "10.3.0.0/16"], "bpf", {"ipv4-native-routing-cidr": "10.0.0.0/14"}),
    ],
)
def test_pods_of_gateways_keep_their_addresses(accepted: list[str], masquerade: str, setting: dict[str, str]) -> None:
    assert unmasqueraded([IPv4Network(text) for text in accepted], "ens3", masquerade) == setting


@pytest.mark.parametrize(
    ("ranges", "cover"),
    [
        (["10.0.0.0/24"], "10.0.0.0/24"),
        (["10.0.1.0/24", "10.0.2.0/24"], "10.0.0.0/22"),
        (["1.0.0.0/8", "192.0.2.0/24"], "0.0.0.0/0"),
        (["192.0.2.1/32"], "192.0.2.1/32"),
    ],
)
def test_the_smallest_cover(ranges: list[str], cover: str) -> None:
    assert str(smallest_cover([IPv4Network(text) for text in ranges])) == cover


def test_a_policy_for_pods_is_made_on_demand() -> None:
    assert "ciliumclusterwidenetworkpolicy.yaml" not in cilium_files(topology())

    files = cilium_files(topology(cilium={"networkPolicies": True}))
    spec = manifest(files, "ciliumclusterwidenetworkpolicy.yaml")["spec"]

    assert "ciliumclusterwidenetworkpolicy.yaml" in manifest(files, "kustomization.yaml")["resources"]
    assert spec["endpointSelector"] == {"matchLabels": {"tunnelfleet/remote-access": "allowed"}}
    assert spec["egress"] == [
        {"toCIDRSet": [{"cidr": "10.0.0.0/16"}, {"cidr": "10.1.0.0/16"}, {"cidr": "192.0.2.7/32"}]}
    ]
