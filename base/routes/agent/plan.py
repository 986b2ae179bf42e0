"""What the kernel should hold: pure functions of settings, RIB and network interfaces."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from .prefix import Prefix, host
from .rib import Peer, Rank, Rib
from .settings import Settings

MAIN = 254
"""The main routing table (linux/rtnetlink.h)."""

Hops = frozenset[int]
"""Next hops of a route by their addresses: gateways, or the tunnels of this node. Those that are down count too."""


@dataclass(frozen=True, slots=True)
class Link:
    """A network interface."""

    index: int
    up: bool
    mtu: int


@dataclass(frozen=True, slots=True)
class Nexthop:
    """Where packets go."""

    link: int
    gateway: int
    onlink: bool = False
    destination: int = 0
    """Outer destination in VXLAN, 0 for none."""
    identity: int = 0


@dataclass(frozen=True, slots=True)
class RouteKey:
    """What makes a route one of its own."""

    table: int
    prefix: Prefix
    metric: int


@dataclass(frozen=True, slots=True)
class Route:
    """Where a route leads: an object (a nexthop or a group), a next hop of its own, or nowhere (unreachable)."""

    object: int = 0
    nexthop: Nexthop | None = None
    source: int = 0
    """Source address of what the node itself sends."""
    mtu: int = 0
    mss: int = 0


@dataclass(frozen=True, slots=True)
class Rule:
    """Packets that come in by this interface look into this table."""

    interface: str
    table: int
    priority: int


@dataclass(frozen=True, slots=True)
class Neighbour:
    """The stand-in next hop of all routes into VXLAN."""

    link: int
    address: int
    mac: bytes


def targets(rib: Rib, prefix: Prefix) -> tuple[tuple[int, Hops], ...]:
    """The routes to one remote prefix: metric and next hops, the best first."""
    metrics = rib.settings.metrics
    through, best = choose(rib.gateways, prefix)
    tunnel = rib.settings.tunnel_peer
    if tunnel is None:
        return ((metrics.primary, through),) if through else ()
    others = ((metrics.backup, through),) if through else ()
    own = rib.peers.get(tunnel)
    path = own.paths.get(prefix) if own and own.usable else None
    if path is None:
        return others
    if best is None or _urgency(path) <= _urgency(best):
        return ((metrics.primary, frozenset({tunnel})), *others)
    return (*others, (metrics.last, frozenset({tunnel})))


def _urgency(path: Rank) -> tuple[int, int]:
    """What drives traffic away: the gateway, or by MED the site's tunnel, is about to stop.

    AS paths of different kinds of peers cannot be compared: Route Monitoring shows one AS more for some.
    """
    stopping, _, _, med = path
    return stopping, med


def choose(gateways: Mapping[int, Peer], prefix: Prefix) -> tuple[Hops, Rank | None]:
    """The gateways with the best path, and its rank.

    Gateways that are down but were as good stay part of the answer: then a gateway that comes and goes changes the
    membership of a group, and no route.
    """
    paths = {number: path for number, peer in gateways.items() if (path := peer.paths.get(prefix)) is not None}
    best = min((path for number, path in paths.items() if gateways[number].usable), default=None)
    if best is None:
        return frozenset(), None
    return frozenset(number for number, path in paths.items() if path == best), best


def nexthops(rib: Rib, links: Mapping[str, Link]) -> dict[int, Nexthop]:
    """The next hops that can be used now."""
    settings = rib.settings
    usable: dict[int, Nexthop] = {}
    overlay = links.get(settings.overlay.interface)
    if overlay and overlay.up:
        for number, peer in rib.gateways.items():
            if peer.usable:
                usable[number] = encapsulated(settings, overlay, number)
    if settings.tunnels:
        inside = links.get(settings.tunnels.interface)
        tunnel = rib.peers.get(settings.tunnels.next_hop)
        if inside and inside.up and tunnel and tunnel.usable:
            number = settings.tunnels.next_hop
            usable[number] = Nexthop(inside.index, number)
    return usable


def encapsulated(settings: Settings, overlay: Link, destination: int) -> Nexthop:
    """The next hop inside VXLAN to another node."""
    return Nexthop(overlay.index, settings.overlay.next_hop, True, destination, settings.overlay.identity)


def remote_route(settings: Settings, links: Mapping[str, Link], hops: Hops, number: int) -> Route:
    """A route to a remote prefix through object `number`. Through VXLAN the packet must fit with its new header."""
    mtu, mss = settings.mtu, settings.mss
    if settings.tunnel_peer not in hops and (link := links.get(settings.node_interface)):
        shorter = max(0, mtu - (link.mtu - settings.overlay.overhead))
        mtu, mss = mtu - shorter, mss - shorter
    return Route(object=number, source=settings.node, mtu=mtu, mss=mss)


def fixed_routes(rib: Rib, links: Mapping[str, Link]) -> Iterator[tuple[RouteKey, Route]]:
    """Routes that stand whatever remote sites announce.

    Remote ranges are unreachable where no better route is: they never take the default route in clear text. On a
    gateway, packets out of a tunnel reach each node inside VXLAN: the fabric drops foreign source addresses.
    """
    settings = rib.settings
    for prefix in settings.accepted:
        yield RouteKey(MAIN, prefix, settings.metrics.unreachable), Route()
    overlay = links.get(settings.overlay.interface)
    if settings.tunnels and overlay and overlay.up:
        for node in rib.nodes():
            nexthop = encapsulated(settings, overlay, node)
            yield RouteKey(settings.tunnels.table, host(node), settings.metrics.primary), Route(nexthop=nexthop)


def rule(settings: Settings) -> Rule | None:
    """The rule for packets out of the tunnels; None on a client."""
    tunnels = settings.tunnels
    return Rule(tunnels.interface, tunnels.table, tunnels.rule_priority) if tunnels else None


def neighbour(settings: Settings, links: Mapping[str, Link]) -> Neighbour | None:
    """The neighbour entry that should be there; None while its interface is down."""
    overlay = links.get(settings.overlay.interface)
    if not overlay or not overlay.up:
        return None
    return Neighbour(overlay.index, settings.overlay.next_hop, settings.overlay.mac)
