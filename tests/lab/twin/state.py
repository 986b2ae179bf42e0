"""Whether a running twin is as its inventory says, hop by hop: BGP, BFD, the kernels' routes, the sites' routes."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import IPv4Network

from . import kernel
from .kernel import Hop
from .sites import Site
from .stage import Cluster, Remote, Tunnel
from .twin import GatewayNode, Twin

INNER = "169.254.100.2"
"""The FRR in namespace strongswan, as the node sees it."""
HOST = "169.254.100.1"
"""The node's FRR, as the one in the namespace sees it."""
_OVERLAY = "cilium_vxlan"
_VETH = "ss0"


def problems(twin: Twin) -> list[str]:
    """What is not as it should be, the earliest hop first; empty where all is well."""
    return [
        *(line for site in twin.sites.values() for line in site_problems(site, twin.cluster)),
        *(line for gateway in twin.gateways.values() for line in gateway_problems(gateway, twin)),
        *(line for name in twin.nodes for line in node_problems(name, twin)),
        *(f"{name} has not started" for name, pod in twin.pods.items() if not pod.started),
    ]


def site_problems(site: Site, cluster: Cluster) -> Iterator[str]:
    """BGP as the site sees it, and whether it sends to the cluster through every tunnel."""
    sessions = site.sessions()
    for tunnel, session in sessions.items():
        if not session.up:
            yield f"{site.remote.name}: BGP with gateway {tunnel.gateway} ({tunnel.inside_local}) is {session.bgp}"
        elif site.remote.bfd and session.bfd != "Up":
            yield f"{site.remote.name}: BFD with gateway {tunnel.gateway} is {session.bfd}"
    routes = site.routes()
    for prefix in cluster.advertised:
        missing = set(site.remote.tunnels) - routes.get(prefix, frozenset())
        for tunnel in sorted(missing, key=lambda tunnel: tunnel.connection):
            yield f"{site.remote.name}: no route to {prefix} through gateway {tunnel.gateway} ({tunnel.interface})"


def gateway_problems(gateway: GatewayNode, twin: Twin) -> Iterator[str]:
    """BGP of both FRRs of a gateway: with the sites, with each other, with all nodes."""
    name = gateway.gateway.name
    yield from _sessions(f"gateway {name}, namespace", gateway.inner.established(), inner_peers(name, twin.cluster))
    others = {node.address for node in twin.nodes.values()} - {gateway.gateway.internal_ip}
    yield from _sessions(f"gateway {name}, node", gateway.host.established(), {INNER, *others})


def inner_peers(gateway: str, cluster: Cluster) -> set[str]:
    """Whom the FRR in a gateway's namespace should have sessions with."""
    return {HOST, *(tunnel.inside_peer for _, tunnel in tunnels(cluster) if tunnel.gateway == gateway)}


def node_problems(name: str, twin: Twin) -> Iterator[str]:
    """The kernel's routes of one node."""
    found, wanted = kernel.ways(twin.nodes[name].namespace), ways(name, twin)
    for prefix in sorted(found.keys() | wanted.keys()):
        if found.get(prefix) != wanted.get(prefix):
            yield f"{name}: {prefix} goes to {_hops(found.get(prefix))}, not to {_hops(wanted.get(prefix))}"


def ways(name: str, twin: Twin) -> dict[str, frozenset[Hop]]:
    """The next hops that a node's kernel should have for each prefix announced, with all tunnels up."""
    gateway = next((g.gateway.name for g in twin.gateways.values() if g.node.name == name), None)
    wanted: dict[str, frozenset[Hop]] = {}
    for site in twin.sites.values():
        serving = {tunnel.gateway for tunnel in site.remote.tunnels}
        hops = through(serving, twin) if gateway not in serving else frozenset({Hop(_VETH)})
        wanted |= dict.fromkeys(site.announced, hops)
    return wanted


def through(gateways: set[str], twin: Twin) -> frozenset[Hop]:
    """Next hops inside VXLAN to these gateways."""
    return frozenset(Hop(_OVERLAY, twin.gateways[name].gateway.internal_ip) for name in gateways)


def tunnels(cluster: Cluster) -> Iterator[tuple[Remote, Tunnel]]:
    """All tunnels of the cluster."""
    return ((remote, tunnel) for remote in cluster.remotes for tunnel in remote.tunnels)


def overlaps(prefix: str, ranges: tuple[str, ...]) -> bool:
    """Whether the prefix shares an address with one of the ranges."""
    network = IPv4Network(prefix)
    return any(network.overlaps(IPv4Network(other)) for other in ranges)


def _sessions(where: str, found: set[str], wanted: set[str]) -> Iterator[str]:
    for peer in sorted(wanted - found):
        yield f"{where}: no BGP session with {peer}"


def _hops(hops: frozenset[Hop] | None) -> str:
    return ", ".join(sorted(hop.outer or hop.interface for hop in hops)) if hops else "nothing"
