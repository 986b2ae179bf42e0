"""The commands that people type when something is wrong, word for word, and what they should see."""

from __future__ import annotations

import re

import pytest

from tests.lab.twin import state
from tests.lab.twin.kubelet import Pod
from tests.lab.twin.twin import Twin

pytestmark = pytest.mark.quick


def shell(pod: Pod, container: str, *argv: str) -> str:
    """What `kubectl exec POD -c CONTAINER -- ARGV` prints."""
    done = pod.containers[container].exec(argv)
    assert done.returncode == 0, f"{' '.join(argv)}: exit {done.returncode}: {done.output}"
    return done.output


def test_connections_are_listed(twin: Twin) -> None:
    """`swanctl --list-conns` shows the configuration of every tunnel."""
    for gateway in twin.gateways.values():
        shown = shell(gateway.tunnel, "strongswan", "ip", "netns", "exec", "strongswan", "swanctl", "--list-conns")
        for _, tunnel in state.tunnels(twin.cluster):
            if tunnel.gateway == gateway.gateway.name:
                assert f"{tunnel.connection}: IKEv2" in shown
                assert re.search(rf"^\s+remote:\s+{re.escape(tunnel.peer_address)}$", shown, re.MULTILINE)


def test_associations_are_listed(twin: Twin) -> None:
    """`swanctl --list-sas` shows an established association with its child for every tunnel."""
    for gateway in twin.gateways.values():
        shown = shell(gateway.tunnel, "strongswan", "ip", "netns", "exec", "strongswan", "swanctl", "--list-sas")
        for _, tunnel in state.tunnels(twin.cluster):
            if tunnel.gateway == gateway.gateway.name:
                assert re.search(rf"^{re.escape(tunnel.connection)}: #\d+, ESTABLISHED, IKEv2", shown, re.MULTILINE)
                assert re.search(rf"^\s+{tunnel.interface}: #\d+, reqid \d+, INSTALLED, TUNNEL-in-UDP", shown, re.M)


def test_the_gateway_says_what_it_learnt(twin: Twin) -> None:
    """`show bgp summary` of a gateway shows the sites' sessions, with prefixes received and sent."""
    for gateway in twin.gateways.values():
        shown = shell(gateway.tunnel, "frr", "vtysh", "-c", "show bgp summary")
        for _, tunnel in state.tunnels(twin.cluster):
            if tunnel.gateway == gateway.gateway.name:
                received, sent = _prefixes(shown, tunnel.inside_peer)
                assert received > 0, shown
                assert sent == len(twin.cluster.advertised), shown


def test_every_node_says_what_it_learnt(twin: Twin) -> None:
    """`show bgp summary` of a node shows its sessions with all gateways, and the remote routes."""
    for node in twin.nodes:
        shown = shell(twin.routes_pod(node), "frr", "vtysh", "-c", "show bgp summary")
        for gateway in twin.cluster.gateways:
            if f"node-{gateway.name}" != node:
                assert _prefixes(shown, gateway.internal_ip)[0] > 0, shown


def test_a_gateway_sends_straight_into_the_tunnels(twin: Twin) -> None:
    """`ip route` of a gateway's node shows remote routes without `encap`, straight to `dev ss0`."""
    for name, gateway in twin.gateways.items():
        shown = shell(gateway.routes, "frr", "ip", "route")
        for site in twin.sites.values():
            if name in {tunnel.gateway for tunnel in site.remote.tunnels}:
                for prefix in site.announced:
                    first = _routes(shown, prefix)[0]
                    assert "dev ss0" in first, shown
                    assert "encap" not in first, shown


def test_a_node_sends_to_the_gateways(twin: Twin) -> None:
    """`ip route` of another node shows one next hop with `encap` for each gateway of the site."""
    for node in twin.workers:
        shown = shell(twin.routes_pod(node), "frr", "ip", "route")
        for site in twin.sites.values():
            serving = {tunnel.gateway for tunnel in site.remote.tunnels}
            for prefix in site.announced:
                hops = re.findall(r"encap ip id 2 .*", _routes(shown, prefix)[0])
                for gateway in (g for g in twin.cluster.gateways if g.name in serving):
                    pattern = rf"encap ip id 2 src 0\.0\.0\.0 dst {re.escape(gateway.internal_ip)} ttl 0 tos 0 .*"
                    pattern += r"via 169\.254\.100\.5 dev cilium_vxlan weight 1 onlink"
                    assert [hop for hop in hops if re.match(pattern, hop)], shown


def test_logs_name_the_remote_routes(twin: Twin) -> None:
    """The log of container frr of ipsec-routes-* shows the remote routes."""
    for node in twin.nodes:
        log = twin.routes_pod(node).containers["frr"].logs()
        for site in twin.sites.values():
            assert all(f"{prefix} via " in log for prefix in site.announced), log


def _prefixes(summary: str, peer: str) -> tuple[int, int]:
    """Prefixes received from a neighbour and sent to it, as `show bgp summary` has them."""
    line = re.search(rf"^{re.escape(peer)}\s.*$", summary.replace("*", ""), re.MULTILINE)
    assert line, summary
    fields = line[0].split()
    assert fields[9].isdigit(), summary
    return int(fields[9]), int(fields[10])


def _routes(shown: str, prefix: str) -> list[str]:
    """The routes to a prefix as `ip route` shows them, each with its next hops."""
    found = re.findall(rf"^{re.escape(prefix)} .*(?:\n\t.*)*", shown, re.MULTILINE)
    assert found, shown
    return found
