"""What each frr.conf and agent.json must say, straight from the inventory.

Lists and route maps are known by what uses them and judged by what they do, so that their names mean nothing and
nothing of the generator is used: its mistakes are found too.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from ipaddress import IPv4Interface, IPv4Network
from typing import Any

from tunnelfleet.inventory.model import Bfd, Cluster, Gateway, Remote
from tunnelfleet.manifests.frr import Bgp, Entry, FrrConfiguration, Neighbor, Prefixes, Word
from tunnelfleet.policies.expected_ipsec import Deviation, tunnels_of
from tunnelfleet.policies.expected_ipsec import values as value_faults
from tunnelfleet.profiles import LINK_LOCAL, TCP_IP_HEADERS, effective

NODE_END, GATEWAY_END = "169.254.100.1", "169.254.100.2"
"""The two ends of ss0, between which a gateway's two FRRs speak BGP."""

DRAINING = "-DRAINING"
"""The end of the name of a route map that replaces another while the gateway drains (base/frr/router/drain.py)."""

_BY_ADDRESS = "ip address prefix-list"
_BY_NEXT_HOP = "ip next-hop prefix-list"
_BESIDES = (
    "prefix-list",
    "distribute-list",
    "filter-list",
    "unsuppress-map",
    "advertise-map",
    "default-originate",
    "allowas-in",
    "as-override",
    "shutdown",
)
"""Settings of a neighbour by which its route maps are not all that decides."""


@dataclass(frozen=True, slots=True)
class Passage:
    """What a route map must let through, and what it must refuse before."""

    prefixes: tuple[Prefixes, ...]
    refused: tuple[Prefixes, ...] = ()
    next_hops: tuple[Prefixes, ...] | None = None
    """The only next hops that routes may have, None where any will do."""
    hides: int | None = None
    """The AS that no route may show."""
    at_most: bool = False
    """Whether less than `prefixes` will do too."""


@dataclass(frozen=True, slots=True)
class Peer:
    """A BGP session that there must be."""

    who: str
    asn: int
    takes: Passage
    gives: Passage
    maximum: int | None = None
    timers: tuple[int, int] | None = None
    bfd: Bfd | None = None


@dataclass(frozen=True, slots=True)
class _Remark:
    """A deviation and whom it concerns: several that share one list or map are told together."""

    line: int
    about: str
    message: str


NOTHING = Passage(())


def within(ranges: Iterable[IPv4Interface | IPv4Network]) -> tuple[Prefixes, ...]:
    """The ranges and every part of them."""
    return tuple(Prefixes(network, network.prefixlen, 32) for network in _networks(ranges))


def exactly(ranges: Iterable[IPv4Interface | IPv4Network]) -> tuple[Prefixes, ...]:
    """The ranges and no part of them."""
    return tuple(Prefixes(network, network.prefixlen, network.prefixlen) for network in _networks(ranges))


def _networks(ranges: Iterable[IPv4Interface | IPv4Network]) -> list[IPv4Network]:
    return sorted({each.network if isinstance(each, IPv4Interface) else each for each in ranges})


def _accepted(remotes: Iterable[Remote]) -> tuple[Prefixes, ...]:
    return within(cidr for remote in remotes for cidr in remote.accepted_cidrs)


def tunnel_router_faults(config: FrrConfiguration, cluster: Cluster, gateway: Gateway) -> Iterator[Deviation]:
    """What the FRR of the gateway's tunnels does differently from the inventory."""
    spec = cluster.spec
    announced = exactly(spec.announced)
    refused = (
        *exactly([IPv4Network("0.0.0.0/0")]),
        *within([LINK_LOCAL, *spec.local_cidrs]),
    )
    gives = Passage(announced, hides=spec.bgp.internal_asn)
    peers = {
        str(one.tunnel.inside.peer): Peer(
            one.remote.name,
            one.remote.asn,
            Passage(_accepted([one.remote]), refused),
            gives,
            one.profile.maximum_prefixes,
            (one.profile.keepalive, one.profile.hold),
            one.profile.bfd,
        )
        for one in tunnels_of(cluster, gateway)
    }
    taken = _accepted(one.remote for one in tunnels_of(cluster, gateway))
    peers[NODE_END] = Peer("the node", spec.bgp.internal_asn, Passage(announced), Passage(taken))
    yield from _router(config, spec.bgp.local_asn, peers, listens=None, networks=())


def node_router_faults(config: FrrConfiguration, cluster: Cluster, gateway: Gateway | None) -> Iterator[Deviation]:
    """What a node's own FRR does differently from the inventory: a gateway's, or with None any other node's."""
    spec = cluster.spec
    asn = spec.bgp.internal_asn
    accepted = _accepted(spec.remotes)
    addresses = {each.name: IPv4Network(each.internal_ip) for each in spec.gateways}
    from_gateways = Passage(accepted, next_hops=exactly(addresses.values()))
    to_gateways = NOTHING if gateway is None else Passage(accepted)
    peers = {
        str(each.internal_ip): Peer(f"gateway {each.name}", asn, from_gateways, to_gateways)
        for each in spec.gateways
        if gateway is None or each.name != gateway.name
    }
    if gateway is None:
        yield from _router(config, asn, peers, listens=None, networks=())
        return
    announced = exactly(spec.announced)
    peers[GATEWAY_END] = Peer("the tunnels", spec.bgp.local_asn, Passage(accepted), Passage(announced))
    hosts = tuple(Prefixes(network, 32, 32) for network in _networks(spec.networks.nodes))
    node = Peer("every node", asn, Passage(hosts, at_most=True), Passage(accepted))
    yield from _router(config, asn, peers, listens=(_networks(spec.networks.nodes), node), networks=announced)


def agent_faults(data: Any, cluster: Cluster, gateway: Gateway | None) -> Iterator[Deviation]:
    """What agent.json says differently from the inventory."""
    spec = cluster.spec
    mtu = min(effective(remote).mtu for remote in spec.remotes)
    expected = {
        "mode": "client" if gateway is None else "reflector",
        "gateways": {each.name: str(each.internal_ip) for each in spec.gateways},
        "acceptedCidrs": [str(each.network) for each in _accepted(spec.remotes)],
        "nodeCidrs": [str(network) for network in _networks(spec.networks.nodes)],
        "mtu": mtu,
        "mss": mtu - TCP_IP_HEADERS,
        "nodeInterface": spec.node_interface,
    }
    yield from value_faults(data, (), "", expected)


def _router(
    config: FrrConfiguration,
    asn: int,
    peers: dict[str, Peer],
    listens: tuple[list[IPv4Network], Peer] | None,
    networks: tuple[Prefixes, ...],
) -> Iterator[Deviation]:
    if [bgp.asn for bgp in config.routers] != [str(asn)]:
        found = ", ".join(bgp.asn for bgp in config.routers) or "none"
        line = config.routers[0].line if config.routers else 1
        yield Deviation(line, f"expected one `router bgp {asn}`, found {found}")
    for bgp in config.routers[:1]:
        for command in bgp.others:
            yield Deviation(command.line, f"`{command.text}` announces more than the inventory does")
        yield from _originated(bgp, networks)
        known = dict(peers) | _listening(bgp, listens)
        yield from _listen_faults(bgp, listens)
        yield from _together(_sessions(config, bgp, known))
        for name, neighbor in bgp.neighbors.items():
            if name not in known and name not in bgp.groups:
                yield Deviation(neighbor.line, f"neighbor {name} is nobody of the inventory")


def _sessions(config: FrrConfiguration, bgp: Bgp, peers: dict[str, Peer]) -> Iterator[_Remark]:
    for name, peer in peers.items():
        if name in bgp.neighbors:
            yield from _session(config, bgp, bgp.neighbors[name], peer)
        else:
            yield _Remark(bgp.line, f"{peer.who} ({name})", "is no neighbor")


def _together(remarks: Iterable[_Remark]) -> Iterator[Deviation]:
    concerned: dict[tuple[int, str], dict[str, None]] = {}
    for remark in remarks:
        concerned.setdefault((remark.line, remark.message), {})[remark.about] = None
    for (line, message), abouts in concerned.items():
        yield Deviation(line, f"{', '.join(abouts)}: {message}")


def _originated(bgp: Bgp, networks: tuple[Prefixes, ...]) -> Iterator[Deviation]:
    wanted = {str(prefixes.network) for prefixes in networks}
    for word in bgp.networks:
        if word.text not in wanted:
            yield Deviation(word.line, f"network {word.text} is announced, and is not among what the cluster announces")
    for missing in sorted(wanted - {word.text for word in bgp.networks}):
        yield Deviation(bgp.line, f"network {missing} is not announced")


def _listening(bgp: Bgp, listens: tuple[list[IPv4Network], Peer] | None) -> dict[str, Peer]:
    return {group: listens[1] for _, group in bgp.listens if group in bgp.groups} if listens else {}


def _listen_faults(bgp: Bgp, listens: tuple[list[IPv4Network], Peer] | None) -> Iterator[Deviation]:
    wanted = {str(network) for network in listens[0]} if listens else set()
    for word, _ in bgp.listens:
        if word.text not in wanted:
            yield Deviation(
                word.line, f"anyone in {word.text} may connect, expected {', '.join(sorted(wanted)) or 'nobody'}"
            )
    for missing in sorted(wanted - {word.text for word, _ in bgp.listens}):
        yield Deviation(bgp.line, f"nodes in {missing} may not connect")


def _session(config: FrrConfiguration, bgp: Bgp, neighbor: Neighbor, peer: Peer) -> Iterator[_Remark]:
    about = f"neighbor {neighbor.name} ({peer.who})"

    def differs(name: str, expected: str, found: str | None) -> Iterator[_Remark]:
        setting = bgp.setting(neighbor, name)
        if found != expected:
            line = setting.line if setting else neighbor.line
            yield _Remark(line, about, f"expected {name} {expected}, found {found or 'none'}")

    def text(name: str) -> str | None:
        setting = bgp.setting(neighbor, name)
        return setting.text if setting else None

    yield from differs("remote-as", str(peer.asn), text("remote-as"))
    if not bgp.is_active(neighbor):
        yield _Remark(neighbor.line, about, "not activated, so it gets and gives no routes")
    for name in _BESIDES:
        if setting := bgp.setting(neighbor, name):
            yield _Remark(setting.line, about, f"`{name}` decides besides the route maps")
    if peer.maximum is not None:
        yield from differs("maximum-prefix", str(peer.maximum), (text("maximum-prefix") or "").split(" ")[0])
    if peer.timers is not None:
        yield from differs("timers", " ".join(map(str, peer.timers)), text("timers"))
        yield from _bfd(config, bgp, neighbor, peer, about)
    for way, passage in (("in", peer.takes), ("out", peer.gives)):
        used = bgp.setting(neighbor, f"route-map {way}")
        if used is None:
            yield _Remark(neighbor.line, about, f"has no route-map {way}")
            continue
        yield from _passes(config, used.text, passage, f"{about} {way}", used.line)
        # what takes the map's place while the gateway drains
        if (variant := f"{used.text}{DRAINING}") in config.route_maps:
            yield from _passes(config, variant, passage, f"{about} {way} while draining", used.line)


def _bfd(config: FrrConfiguration, bgp: Bgp, neighbor: Neighbor, peer: Peer, about: str) -> Iterator[_Remark]:
    used = bgp.setting(neighbor, "bfd")
    if used is None or peer.bfd is None:
        if used:
            yield _Remark(used.line, about, "has BFD, which the site does not speak")
        elif peer.bfd:
            yield _Remark(neighbor.line, about, "has no BFD")
        return
    profile = config.bfd_profiles.get(used.text, {})
    interval, multiplier = str(peer.bfd.interval), str(peer.bfd.multiplier)
    for key, value in (
        ("receive-interval", interval),
        ("transmit-interval", interval),
        ("detect-multiplier", multiplier),
    ):
        word = profile.get(key)
        if word is None or word.text != value:
            found = word.text if word else "none"
            yield _Remark(word.line if word else used.line, about, f"expected {key} {value} of BFD, found {found}")


def _passes(config: FrrConfiguration, name: str, passage: Passage, about: str, line: int) -> Iterator[_Remark]:
    """What route map `name` lets through differently from `passage`."""
    entries = config.entries(name)
    if not entries:
        yield _Remark(line, about, f"there is no route-map {name}")
        return
    let_through: set[Prefixes] = set()
    refused: set[Prefixes] = set()
    is_clear = True
    for number, entry in enumerate(entries):
        here = f"route-map {name} {entry.sequence}"
        if entry.goes_on:
            yield _Remark(entry.goes_on.line, about, f"{here}: `{entry.goes_on.text}` leads elsewhere")
        matched = entry.matches.get(_BY_ADDRESS)
        if not entry.permit:
            refused |= _refused(config, entry, matched)
            continue
        is_first = not any(other.permit for other in entries[:number])
        late = [str(each) for each in passage.refused if is_first and not _is_covered(each, refused)]
        if late:
            yield _Remark(entry.line, about, f"{here}: {', '.join(late)} must be refused before")
        # a list that is not there holds nothing (bgpd/bgp_routemap.c), which is as much as some may pass
        if matched is None or (passage.prefixes and not config.rules(matched.text)):
            is_clear = False
            reason = f"there is no prefix-list {matched.text}" if matched else "every prefix passes, it matches no list"
            yield _Remark(matched.line if matched else entry.line, about, f"{here}: {reason}")
            continue
        yield from _list(config, matched.text, passage, about)
        yield from _conditions(config, entry, passage, about, here)
        if set(entry.matches) <= {_BY_ADDRESS, _BY_NEXT_HOP}:
            permitted = (rule.prefixes for rule in config.rules(matched.text) if rule.permit)
            let_through |= {each for each in permitted if not any(each.touches(other) for other in refused)}
    missing = [str(each) for each in passage.prefixes if not _is_covered(each, let_through)]
    if missing and is_clear and not passage.at_most:
        yield _Remark(entries[-1].line, about, f"route-map {name} does not let {', '.join(missing)} through")


def _refused(config: FrrConfiguration, entry: Entry, matched: Word | None) -> set[Prefixes]:
    """What a denying entry keeps out whatever else a route carries."""
    if not entry.matches:
        return {Prefixes(IPv4Network("0.0.0.0/0"), 0, 32)}
    if matched is None or len(entry.matches) > 1:
        return set()
    return {rule.prefixes for rule in config.rules(matched.text) if rule.permit}


def _list(config: FrrConfiguration, name: str, passage: Passage, about: str) -> Iterator[_Remark]:
    """What a prefix list that permits says differently from what may pass."""
    wanted = set(passage.prefixes)
    for rule in config.rules(name):
        if not rule.permit:
            message = f"prefix-list {name} denies {rule.prefixes}, where it should only permit"
            yield _Remark(rule.line, about, message)
        elif not _is_covered(rule.prefixes, wanted):
            yield _Remark(rule.line, about, f"prefix-list {name} permits {rule.prefixes}, {_expected(passage)}")


def _expected(passage: Passage) -> str:
    shown = [str(each) for each in passage.prefixes[:4]]
    return f"expected {', '.join(shown) or 'nothing'}{' and so on' if len(passage.prefixes) > len(shown) else ''}"


def _conditions(config: FrrConfiguration, entry: Entry, passage: Passage, about: str, here: str) -> Iterator[_Remark]:
    if passage.next_hops is not None:
        matched = entry.matches.get(_BY_NEXT_HOP)
        hops = {rule.prefixes for rule in config.rules(matched.text) if rule.permit} if matched else set()
        if hops != set(passage.next_hops):
            found = ", ".join(sorted(map(str, hops))) or "any"
            line = matched.line if matched else entry.line
            expected = ", ".join(map(str, passage.next_hops))
            yield _Remark(line, about, f"{here}: expected next hop {expected}, found {found}")
    if passage.hides is not None:
        hidden = entry.sets.get("as-path exclude")
        if hidden is None or str(passage.hides) not in hidden.text.split():
            yield _Remark(hidden.line if hidden else entry.line, about, f"{here} shows AS {passage.hides} to the site")


def _is_covered(wanted: Prefixes, held: set[Prefixes]) -> bool:
    return wanted in held or any(other.covers(wanted) for other in held)
