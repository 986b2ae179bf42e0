"""The generated files of a gateway, read back as data: each says what the inventory and the profile say."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support.daemons import Charon, algorithms_of, check_frr, running_charon
from tests.support.fleets import REPOSITORY
from tunnelfleet.generate.gateway import gateway_files, rekey_time
from tunnelfleet.generate.topology import PlannedGateway, PlannedTunnel, Topology
from tunnelfleet.inventory.loading import load
from tunnelfleet.inventory.model import Cluster
from tunnelfleet.manifests.swanctl import Section, parse_swanctl

EXAMPLES = sorted(path.parent.name for path in REPOSITORY.glob("clusters/*/cluster.yaml"))


def example(name: str) -> Topology:
    loaded = load(REPOSITORY, name).loaded
    assert loaded
    return Topology(loaded.cluster)


def changed(name: str, **of_remote: Any) -> Topology:
    """An example whose first remote differs."""
    data = yaml.safe_load(Path(REPOSITORY / "clusters" / name / "cluster.yaml").read_text())
    data["spec"]["remotes"][0] |= of_remote
    return Topology(Cluster.model_validate(data))


def everything() -> Iterator[Any]:
    for name in EXAMPLES:
        topology = example(name)
        for planned in topology.gateways:
            yield pytest.param(topology, planned, id=f"{name}-{planned.name}")


every_gateway = pytest.mark.parametrize(("topology", "planned"), list(everything()))


def files(topology: Topology, planned: PlannedGateway) -> dict[str, str]:
    return gateway_files(topology, planned, "digest-of-keys")


def connections(topology: Topology, planned: PlannedGateway) -> dict[str, Section]:
    return parse_swanctl(files(topology, planned)["swanctl.conf"]).section("connections").sections


def seconds(section: Section, name: str) -> int:
    return int(section.get(name).removesuffix("s"))


def child(connection: Section) -> Section:
    [only] = connection.section("children").sections.values()
    return only


@every_gateway
def test_every_tunnel_is_a_connection_with_its_own_interface(topology: Topology, planned: PlannedGateway) -> None:
    found = connections(topology, planned)
    assert list(found) == [tunnel.connection for tunnel in planned.tunnels]
    numbers = [child(connection).get("if_id_in") for connection in found.values()]
    assert numbers == [str(number) for number in range(1, len(found) + 1)]
    for connection, tunnel in zip(found.values(), planned.tunnels, strict=True):
        assert connection.get("local_addrs") == str(planned.gateway.internal_ip)
        assert connection.get("remote_addrs") == str(tunnel.tunnel.peer_address)
        assert connection.section("local").get("id") == str(planned.gateway.public_ip)
        assert connection.section("remote").get("id") == str(tunnel.tunnel.peer_address)
        assert child(connection).name == tunnel.interface
        assert child(connection).get("if_id_out") == child(connection).get("if_id_in")


@every_gateway
def test_what_keeps_tunnels_alive_is_set_in_each(topology: Topology, planned: PlannedGateway) -> None:
    expected = {"version": "2", "keyingtries": "0", "mobike": "no", "encap": "yes", "unique": "never"}
    for connection in connections(topology, planned).values():
        assert {name: connection.get(name) for name in expected} == expected
        assert child(connection).get("local_ts") == child(connection).get("remote_ts") == "0.0.0.0/0"
        assert int(child(connection).get("replay_window")) >= 1024
        assert child(connection).get("updown") == ""


@every_gateway
def test_no_security_association_outlives_the_profile(topology: Topology, planned: PlannedGateway) -> None:
    for connection, tunnel in zip(connections(topology, planned).values(), planned.tunnels, strict=True):
        profile = tunnel.profile
        assert seconds(connection, "rekey_time") + seconds(connection, "over_time") == profile.ike_lifetime
        assert seconds(child(connection), "life_time") == profile.esp_lifetime
        assert seconds(child(connection), "rekey_time") == rekey_time(profile.esp_lifetime)
        assert 1.09 < profile.esp_lifetime / rekey_time(profile.esp_lifetime) < 1.11


@pytest.mark.parametrize(
    ("initiator", "start"), [("local", "trap|start"), ("either", "trap|start"), ("remote", "none")]
)
def test_who_starts_follows_the_initiator(initiator: str, start: str) -> None:
    topology = changed("iceland-gcp", overrides={"initiator": initiator})
    planned = topology.gateways[0]
    [connection] = connections(topology, planned).values()
    assert child(connection).get("start_action") == start
    [tunnel] = json.loads(files(topology, planned)["gateway.json"])["tunnels"]
    assert tunnel["initiates"] is (initiator != "remote")


def test_identities_can_be_others_than_the_addresses() -> None:
    remote = yaml.safe_load((REPOSITORY / "clusters/iceland-gcp/cluster.yaml").read_text())["spec"]["remotes"][0]
    for tunnel in remote["tunnels"]:
        tunnel["identities"] = {"local": "gw@example.com", "peer": "site.example.com"}
    topology = changed("iceland-gcp", tunnels=remote["tunnels"])
    [connection] = connections(topology, topology.gateways[0]).values()
    assert connection.section("local").get("id") == "gw@example.com"
    assert connection.section("remote").get("id") == "site.example.com"


@every_gateway
def test_no_secret_is_in_any_file(topology: Topology, planned: PlannedGateway) -> None:
    for text in files(topology, planned).values():
        assert "secret =" not in text
        assert " password " not in text
    [include] = parse_swanctl(files(topology, planned)["swanctl.conf"]).includes
    assert include.value == "/run/swanctl/secrets.conf"


@every_gateway
def test_every_neighbour_is_filtered_both_ways_and_limited(topology: Topology, planned: PlannedGateway) -> None:
    lines = files(topology, planned)["frr.conf"].splitlines()
    assert "  neighbor REMOTES route-map TO-REMOTE out" in lines
    for tunnel in planned.tunnels:
        neighbor = f"neighbor {tunnel.tunnel.inside.peer}"
        assert f" {neighbor} peer-group REMOTES" in lines
        assert f" {neighbor} remote-as {tunnel.remote.asn}" in lines
        assert f" {neighbor} timers {tunnel.profile.keepalive} {tunnel.profile.hold}" in lines
        assert f"  {neighbor} route-map FROM-{tunnel.remote.name} in" in lines
        assert f"  {neighbor} maximum-prefix {tunnel.profile.maximum_prefixes} 80 restart 5" in lines
        assert (f" {neighbor} bfd profile {tunnel.remote.name}" in lines) is (tunnel.profile.bfd is not None)


@every_gateway
def test_the_default_route_link_local_and_local_ranges_are_refused_first(
    topology: Topology, planned: PlannedGateway
) -> None:
    text = files(topology, planned)["frr.conf"]
    refused = [line.split(" permit ")[1] for line in text.splitlines() if "prefix-list REFUSED seq" in line]
    assert refused == ["0.0.0.0/0", "169.254.0.0/16 le 32", *(f"{network} le 32" for network in topology.local)]
    for remote in {tunnel.remote.name for tunnel in planned.tunnels}:
        entries = [line for line in text.splitlines() if line.startswith(f"route-map FROM-{remote} ")]
        assert entries[0] == f"route-map FROM-{remote} deny 10"


@every_gateway
def test_programs_get_each_tunnel_as_it_is_configured(topology: Topology, planned: PlannedGateway) -> None:
    data = json.loads(files(topology, planned)["gateway.json"])
    assert data["address"] == str(planned.gateway.internal_ip)
    assert [tunnel["connection"] for tunnel in data["tunnels"]] == list(connections(topology, planned))
    for found, tunnel in zip(data["tunnels"], planned.tunnels, strict=True):
        assert found["mss"] == found["mtu"] - 40 == tunnel.profile.mss
        assert found["interfaceId"] == tunnel.interface_id


@every_gateway
def test_the_pod_is_held_to_its_node_and_rolled_by_its_keys(topology: Topology, planned: PlannedGateway) -> None:
    template = yaml.safe_load(files(topology, planned)["deployment.yaml"])["spec"]["template"]
    affinity = template["spec"]["affinity"]["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]
    assert affinity == {
        "nodeSelectorTerms": [
            {"matchFields": [{"key": "metadata.name", "operator": "In", "values": [planned.gateway.node]}]}
        ]
    }
    assert template["metadata"]["annotations"] == {"tunnelfleet/keys": "digest-of-keys"}
    mounted = {
        (source["secret"]["name"], item["key"]): item["path"]
        for volume in template["spec"]["volumes"]
        for source in volume["projected"]["sources"]
        for item in source["secret"]["items"]
    }
    assert mounted == {(key.secret_name, key.key): path for key, path in _secrets(planned.tunnels)}


def _secrets(tunnels: tuple[PlannedTunnel, ...]) -> Iterator[tuple[Any, str]]:
    for tunnel in tunnels:
        yield tunnel.tunnel.preshared_key, tunnel.connection
        if tunnel.remote.bgp_password:
            yield tunnel.remote.bgp_password, tunnel.remote.name


@pytest.fixture(scope="module")
def charon() -> Iterator[Charon]:
    with running_charon() as running:
        yield running


@every_gateway
def test_charon_takes_every_connection_and_can_negotiate_it(
    topology: Topology, planned: PlannedGateway, charon: Charon
) -> None:
    verdict = charon.load(files(topology, planned)["swanctl.conf"])
    assert verdict.accepted, verdict.output
    assert charon.connections() == {tunnel.connection for tunnel in planned.tunnels}
    proposals = {name for tunnel in planned.tunnels for name in tunnel.profile.ike_proposals}
    proposals |= {name for tunnel in planned.tunnels for name in tunnel.profile.esp_proposals}
    assert {name for proposal in proposals for name in algorithms_of(proposal)} <= charon.algorithms()


@every_gateway
def test_frr_takes_every_line(topology: Topology, planned: PlannedGateway) -> None:
    verdict = check_frr(files(topology, planned)["frr.conf"])
    assert verdict.accepted, verdict.output
