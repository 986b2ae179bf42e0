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
from tunnelfleet.policies.expected_ipsec import Fault, tunnels_of
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


def tunnel_router_faults(config: FrrConfiguration, cluster: Cluster, gateway: Gateway) -> Iterator[Fault]:
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


def node_router_faults(config: FrrConfiguration, cluster: Cluster, gateway: Gateway | None) -> Iterator[Fault]:
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


def agent_faults(data: Any, cluster: Cluster, gateway: Gateway | None) -> Iterator[Fault]:
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
) -> Iterator[Fault]:
    if [bgp.asn for bgp in config.routers] != [str(asn)]:
        found = ", ".join(bgp.asn for bgp in config.routers) or "none"
        line = config.routers[0].line if config.routers else 1
        yield Fault(line, f"expected one `router bgp {asn}`, found {found}")
    for bgp in config.routers[:1]:
        for command in bgp.others:
            yield Fault(command.line, f"`{command.text}` announces more than the inventory does")
        yield from _originated(bgp, networks)
        known = dict(peers) | _listening(bgp, listens)
        yield from _listen_faults(bgp, listens)
        for name, peer in known.items():
            if name in bgp.neighbors:
                yield from _session(config, bgp, bgp.neighbors[name], peer)
            else:
                yield Fault(bgp.line, f"{peer.who} ({name}) is no neighbor")
        for name, neighbor in bgp.neighbors.items():
            if name not in known and name not in bgp.groups:
                yield Fault(neighbor.line, f"neighbor {name} is nobody of the inventory")


def _originated(bgp: Bgp, networks: tuple[Prefixes, ...]) -> Iterator[Fault]:
    wanted = {str(prefixes.network) for prefixes in networks}
    for word in bgp.networks:
        if word.text not in wanted:
            yield Fault(word.line, f"network {word.text} is announced, and is not among what the cluster announces")
    for missing in sorted(wanted - {word.text for word in bgp.networks}):
        yield Fault(bgp.line, f"network {missing} is not announced")


def _listening(bgp: Bgp, listens: tuple[list[IPv4Network], Peer] | None) -> dict[str, Peer]:
    return {group: listens[1] for _, group in bgp.listens if group in bgp.groups} if listens else {}


def _listen_faults(bgp: Bgp, listens: tuple[list[IPv4Network], Peer] | None) -> Iterator[Fault]:
    wanted = {str(network) for network in listens[0]} if listens else set()
    for word, _ in bgp.listens:
        if word.text not in wanted:
            yield Fault(
                word.line, f"anyone in {word.text} may connect, expected {', '.join(sorted(wanted)) or 'nobody'}"
            )
    for missing in sorted(wanted - {word.text for word, _ in bgp.listens}):
        yield Fault(bgp.line, f"nodes in {missing} may not connect")


def _session(config: FrrConfiguration, bgp: Bgp, neighbor: Neighbor, peer: Peer) -> Iterator[Fault]:
    about = f"neighbor {neighbor.name} ({peer.who})"

    def line(setting: Word | None) -> int:
        return setting.line if setting else neighbor.line

    asn = bgp.setting(neighbor, "remote-as")
    if asn is None or asn.text != str(peer.asn):
        yield Fault(line(asn), f"{about}: remote-as is {asn.text if asn else 'not set'}, expected {peer.asn}")
    if not bgp.is_active(neighbor):
        yield Fault(neighbor.line, f"{about}: not activated, so it gets and gives no routes")
    for name in _BESIDES:
        if setting := bgp.setting(neighbor, name):
            yield Fault(setting.line, f"{about}: `{name}` decides besides the route maps")
    if peer.maximum is not None:
        limit = bgp.setting(neighbor, "maximum-prefix")
        if limit is None or limit.text.split()[:1] != [str(peer.maximum)]:
            found = limit.text if limit else "not set"
            yield Fault(line(limit), f"{about}: maximum-prefix is {found}, expected {peer.maximum}")
    if peer.timers is not None:
        yield from _timers(config, bgp, neighbor, peer, about)
    for way, passage in (("in", peer.takes), ("out", peer.gives)):
        used = bgp.setting(neighbor, f"route-map {way}")
        if used is None:
            yield Fault(neighbor.line, f"{about}: has no route-map {way}")
            continue
        yield from _passes(config, used.text, passage, f"{about}, {way}", used.line)
        # what takes the map's place while the gateway drains
        if (variant := f"{used.text}{DRAINING}") in config.route_maps:
            yield from _passes(config, variant, passage, f"{about}, {way} while it drains", used.line)


def _timers(config: FrrConfiguration, bgp: Bgp, neighbor: Neighbor, peer: Peer, about: str) -> Iterator[Fault]:
    timers, bfd = bgp.setting(neighbor, "timers"), bgp.setting(neighbor, "bfd")
    expected = " ".join(map(str, peer.timers or ()))
    if timers is None or timers.text != expected:
        place = timers.line if timers else neighbor.line
        yield Fault(place, f"{about}: timers are {timers.text if timers else 'not set'}, expected {expected}")
    if (bfd is None) is not (peer.bfd is None):
        place = bfd.line if bfd else neighbor.line
        yield Fault(place, f"{about}: {'has no BFD' if bfd is None else 'has BFD, which the site does not speak'}")
    elif bfd and peer.bfd:
        profile = config.bfd_profiles.get(bfd.text, {})
        interval, multiplier = str(peer.bfd.interval), str(peer.bfd.multiplier)
        for key, value in (
            ("receive-interval", interval),
            ("transmit-interval", interval),
            ("detect-multiplier", multiplier),
        ):
            word = profile.get(key)
            if word is None or word.text != value:
                found = word.text if word else "not set"
                place = word.line if word else bfd.line
                yield Fault(place, f"{about}: BFD's {key} is {found}, expected {value}")


def _passes(config: FrrConfiguration, name: str, passage: Passage, about: str, line: int) -> Iterator[Fault]:
    """What route map `name` lets through differently from `passage`."""
    if name not in config.route_maps:
        yield Fault(line, f"{about}: there is no route-map {name}")
        return
    entries = config.entries(name)
    let_through: set[Prefixes] = set()
    refused: set[Prefixes] = set()
    for entry in entries:
        here = f"{about}: route-map {name} {entry.sequence}"
        if entry.goes_on:
            yield Fault(entry.goes_on.line, f"{here}: `{entry.goes_on.text}` leads elsewhere")
        matched = entry.matches.get(_BY_ADDRESS)
        if not entry.permit:
            refused |= _refused(config, entry, matched)
            continue
        first = not any(other.permit for other in entries[: entries.index(entry)])
        missing = [each for each in passage.refused if first and not _all_covered((each,), refused)]
        if missing:
            yield Fault(entry.line, f"{here}: {', '.join(map(str, missing))} must be refused before")
        if matched is None:
            yield Fault(entry.line, f"{here} permits every prefix: it matches no prefix-list")
            continue
        permitted, faults = _permitted(config, matched, here)
        yield from faults
        yield from _too_much(config, matched, passage, here)
        yield from _conditions(config, entry, passage, here)
        if _always(entry):
            let_through |= {each for each in permitted if not any(each.touches(other) for other in refused)}
    if not passage.at_most:
        for wanted in passage.prefixes:
            if not _all_covered((wanted,), let_through):
                yield Fault(entries[-1].line, f"{about}: route-map {name} does not let {wanted} through")


def _always(entry: Entry) -> bool:
    """Whether the entry lets its prefixes through whatever else a route carries."""
    return set(entry.matches) <= {_BY_ADDRESS, _BY_NEXT_HOP}


def _refused(config: FrrConfiguration, entry: Entry, matched: Word | None) -> set[Prefixes]:
    if not entry.matches:
        return {Prefixes(IPv4Network("0.0.0.0/0"), 0, 32)}
    if matched is None or len(entry.matches) > 1:
        # only some routes of any prefix
        return set()
    return {rule.prefixes for rule in config.rules(matched.text) if rule.permit}


def _permitted(config: FrrConfiguration, matched: Word, here: str) -> tuple[set[Prefixes], list[Fault]]:
    rules = config.rules(matched.text)
    faults = [Fault(matched.line, f"{here}: there is no prefix-list {matched.text}")] if not rules else []
    faults += [
        Fault(rule.line, f"{here}: prefix-list {matched.text} denies {rule.prefixes}, where it should only permit")
        for rule in rules
        if not rule.permit
    ]
    return {rule.prefixes for rule in rules if rule.permit}, faults


def _too_much(config: FrrConfiguration, matched: Word, passage: Passage, here: str) -> Iterator[Fault]:
    wanted = set(passage.prefixes)
    for rule in config.rules(matched.text):
        if rule.permit and not _all_covered((rule.prefixes,), wanted):
            yield Fault(rule.line, f"{here}: prefix-list {matched.text} permits {rule.prefixes}, {_expected(passage)}")


def _expected(passage: Passage) -> str:
    shown = [str(each) for each in passage.prefixes[:4]]
    return f"expected {', '.join(shown) or 'nothing'}{' and so on' if len(passage.prefixes) > len(shown) else ''}"


def _conditions(config: FrrConfiguration, entry: Entry, passage: Passage, here: str) -> Iterator[Fault]:
    if passage.next_hops is not None:
        matched = entry.matches.get(_BY_NEXT_HOP)
        hops = {rule.prefixes for rule in config.rules(matched.text) if rule.permit} if matched else set()
        if hops != set(passage.next_hops):
            found = ", ".join(sorted(map(str, hops))) or "anything"
            place = matched.line if matched else entry.line
            yield Fault(place, f"{here}: next hop may be {found}, expected {', '.join(map(str, passage.next_hops))}")
    if passage.hides is not None:
        hidden = entry.sets.get("as-path exclude")
        if hidden is None or str(passage.hides) not in hidden.text.split():
            yield Fault(hidden.line if hidden else entry.line, f"{here} shows AS {passage.hides} to the site")


def _all_covered(wanted: Iterable[Prefixes], held: set[Prefixes]) -> bool:
    return all(each in held or any(other.covers(each) for other in held) for each in wanted)
