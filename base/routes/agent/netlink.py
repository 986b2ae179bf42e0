"""rtnetlink messages (rtnetlink(7), linux/{rtnetlink,nexthop,neighbour,fib_rules,lwtunnel}.h) as bytes. Pure.

Made here and not with a library: none that Debian 13 carries can read routes that lead to nexthop objects.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass

from .plan import Link, Neighbour, Nexthop, Route, RouteKey, Rule
from .prefix import Prefix
from .reconcile import (
    DeleteNeighbour,
    DeleteObject,
    DeleteRoute,
    DeleteRule,
    PutGroup,
    PutNeighbour,
    PutNexthop,
    PutRoute,
    PutRule,
    Step,
)

NLMSG_ERROR, NLMSG_DONE = 2, 3
NEWLINK, DELLINK, GETLINK = 16, 17, 18
NEWADDR, DELADDR = 20, 21
NEWROUTE, DELROUTE, GETROUTE = 24, 25, 26
NEWNEIGH, DELNEIGH, GETNEIGH = 28, 29, 30
NEWRULE, DELRULE, GETRULE = 32, 33, 34
NEWNEXTHOP, DELNEXTHOP, GETNEXTHOP = 104, 105, 106
GROUPS = (1, 3, 5, 7, 8, 32)
"""Multicast groups: links, neighbours, IPv4 addresses, IPv4 routes, IPv4 rules, nexthops."""

REQUEST, ACK, DUMP, REPLACE, EXCLUSIVE, CREATE = 1, 4, 0x300, 0x100, 0x200, 0x400
INET = 2
HEADER = struct.Struct("=IHHII")
_ATTRIBUTE = struct.Struct("=HH")
_ROUTE = struct.Struct("=BBBBBBBBI")
_NEXTHOP = struct.Struct("=BBBBI")
_NEIGHBOUR = struct.Struct("=BBHiHBB")
_RULE = struct.Struct("=BBBBBBBBI")
_LINK = struct.Struct("=BBHiII")
_ADDRESS = struct.Struct("=BBBBi")
_MEMBER = struct.Struct("=IBBH")

_UNICAST, _UNREACHABLE = 1, 7
_UNIVERSE = 0
_ONLINK = 4
_UP = 1
_LWTUNNEL_IP = 2
_PERMANENT = 0x80
_TO_TABLE = 1

_RTA_DST, _RTA_OIF, _RTA_GATEWAY, _RTA_PRIORITY, _RTA_PREFSRC, _RTA_METRICS, _RTA_TABLE = 1, 4, 5, 6, 7, 8, 15
_RTA_ENCAP_TYPE, _RTA_ENCAP, _RTA_NH_ID = 21, 22, 30
_RTAX_MTU, _RTAX_ADVMSS = 2, 8
_NHA_ID, _NHA_GROUP, _NHA_OIF, _NHA_GATEWAY, _NHA_ENCAP_TYPE, _NHA_ENCAP = 1, 2, 5, 6, 7, 8
_LWTUNNEL_ID, _LWTUNNEL_DST = 1, 2
_NDA_DST, _NDA_LLADDR = 1, 2
_FRA_IIFNAME, _FRA_PRIORITY, _FRA_TABLE, _FRA_PROTOCOL = 3, 6, 15, 21
_IFLA_IFNAME, _IFLA_MTU = 3, 4
_NESTED = 0x8000
_TYPE = 0x3FFF


@dataclass(frozen=True, slots=True)
class Packet:
    """One netlink message."""

    kind: int
    sequence: int
    sender: int
    """The socket that asked for it, 0 for the kernel."""
    body: bytes


def packets(data: bytes) -> Iterator[Packet]:
    """The messages of one datagram."""
    position = 0
    while position + HEADER.size <= len(data):
        length, kind, _, sequence, sender = HEADER.unpack_from(data, position)
        if length < HEADER.size:
            return
        yield Packet(kind, sequence, sender, data[position + HEADER.size : position + length])
        position += _aligned(length)


def message(kind: int, flags: int, sequence: int, body: bytes) -> bytes:
    """A request."""
    return HEADER.pack(HEADER.size + len(body), kind, REQUEST | flags, sequence, 0) + body


def dump(kind: int, sequence: int, protocol: int) -> bytes:
    """Asks for all objects of the kind; of routes only those of the protocol (NETLINK_GET_STRICT_CHK)."""
    bodies = {
        GETLINK: _LINK.pack(0, 0, 0, 0, 0, 0),
        GETNEIGH: _NEIGHBOUR.pack(INET, 0, 0, 0, 0, 0, 0),
        GETRULE: _RULE.pack(INET, 0, 0, 0, 0, 0, 0, 0, 0),
        GETNEXTHOP: _NEXTHOP.pack(0, 0, 0, 0, 0),
        GETROUTE: _ROUTE.pack(INET, 0, 0, 0, 0, protocol, 0, 0, 0),
    }
    return message(kind, DUMP, sequence, bodies[kind])


def request(step: Step, protocol: int, sequence: int, answer: bool) -> bytes:
    """The request that takes this step; the kernel answers on failure, and on success where `answer` asks for it."""
    kind, flags, body = _content(step, protocol)
    return message(kind, flags | (ACK if answer else 0), sequence, body)


def _content(step: Step, protocol: int) -> tuple[int, int, bytes]:
    match step:
        case PutNexthop():
            body = _NEXTHOP.pack(INET, 0, protocol, 0, _ONLINK if step.nexthop.onlink else 0)
            body += _u32(_NHA_ID, step.number) + _hop(step.nexthop, _NHA_OIF, _NHA_GATEWAY, _NHA_ENCAP_TYPE, _NHA_ENCAP)
            return NEWNEXTHOP, CREATE | REPLACE, body
        case PutGroup():
            members = b"".join(_MEMBER.pack(member, 0, 0, 0) for member in step.members)
            body = _NEXTHOP.pack(0, 0, protocol, 0, 0) + _u32(_NHA_ID, step.number) + _attribute(_NHA_GROUP, members)
            return NEWNEXTHOP, CREATE | REPLACE, body
        case DeleteObject():
            return DELNEXTHOP, 0, _NEXTHOP.pack(0, 0, 0, 0, 0) + _u32(_NHA_ID, step.number)
        case PutRoute():
            return NEWROUTE, CREATE | (REPLACE if step.replace else EXCLUSIVE), _route(step, protocol)
        case DeleteRoute():
            kind = _UNREACHABLE if step.unreachable else _UNICAST
            return DELROUTE, 0, _route_key(step.key, protocol, kind, 0)
        case PutRule():
            return NEWRULE, CREATE | EXCLUSIVE, _rule(step.rule, protocol)
        case DeleteRule():
            return DELRULE, 0, _rule(step.rule, protocol)
        case PutNeighbour():
            return NEWNEIGH, CREATE | REPLACE, _neighbour(step.neighbour)
        case DeleteNeighbour():
            return DELNEIGH, 0, _neighbour(step.neighbour)


def _aligned(length: int) -> int:
    return length + 3 & ~3


def _attribute(kind: int, value: bytes) -> bytes:
    length = _ATTRIBUTE.size + len(value)
    return _ATTRIBUTE.pack(length, kind) + value + bytes(_aligned(length) - length)


def _u32(kind: int, value: int) -> bytes:
    return _ATTRIBUTE.pack(8, kind) + value.to_bytes(4, "little" if struct.pack("=H", 1)[0] else "big")


def _ip(kind: int, value: int) -> bytes:
    return _ATTRIBUTE.pack(8, kind) + value.to_bytes(4, "big")


def _hop(nexthop: Nexthop, oif: int, gateway: int, encap_type: int, encap: int) -> bytes:
    body = _u32(oif, nexthop.link) + _ip(gateway, nexthop.gateway)
    if nexthop.destination:
        identity = _attribute(_LWTUNNEL_ID, nexthop.identity.to_bytes(8, "big"))
        inner = identity + _ip(_LWTUNNEL_DST, nexthop.destination)
        body += _attribute(encap_type, struct.pack("=H", _LWTUNNEL_IP)) + _attribute(encap | _NESTED, inner)
    return body


def _route_key(key: RouteKey, protocol: int, kind: int, flags: int) -> bytes:
    table = key.table if key.table < 256 else 0
    body = _ROUTE.pack(INET, key.prefix.length, 0, 0, table, protocol, _UNIVERSE, kind, flags)
    return body + _ip(_RTA_DST, key.prefix.address) + _u32(_RTA_TABLE, key.table) + _u32(_RTA_PRIORITY, key.metric)


def _route(step: PutRoute, protocol: int) -> bytes:
    route = step.route
    if route.nexthop:
        flags = _ONLINK if route.nexthop.onlink else 0
        body = _route_key(step.key, protocol, _UNICAST, flags)
        body += _hop(route.nexthop, _RTA_OIF, _RTA_GATEWAY, _RTA_ENCAP_TYPE, _RTA_ENCAP)
    elif route.object:
        body = _route_key(step.key, protocol, _UNICAST, 0) + _u32(_RTA_NH_ID, route.object)
    else:
        return _route_key(step.key, protocol, _UNREACHABLE, 0)
    if route.source:
        body += _ip(_RTA_PREFSRC, route.source)
    if route.mtu:
        metrics = _u32(_RTAX_MTU, route.mtu) + (_u32(_RTAX_ADVMSS, route.mss) if route.mss else b"")
        body += _attribute(_RTA_METRICS | _NESTED, metrics)
    return body


def _rule(rule: Rule, protocol: int) -> bytes:
    table = rule.table if rule.table < 256 else 0
    body = _RULE.pack(INET, 0, 0, 0, table, 0, 0, _TO_TABLE, 0)
    body += _attribute(_FRA_IIFNAME, rule.interface.encode() + b"\0")
    body += _u32(_FRA_PRIORITY, rule.priority) + _u32(_FRA_TABLE, rule.table)
    return body + _attribute(_FRA_PROTOCOL, bytes([protocol]))


def _neighbour(neighbour: Neighbour) -> bytes:
    body = _NEIGHBOUR.pack(INET, 0, 0, neighbour.link, _PERMANENT, 0, 0)
    return body + _ip(_NDA_DST, neighbour.address) + _attribute(_NDA_LLADDR, neighbour.mac)


def attributes(body: bytes, start: int) -> dict[int, bytes]:
    """The attributes from `start` on, the last of each kind."""
    found: dict[int, bytes] = {}
    while start + _ATTRIBUTE.size <= len(body):
        length, kind = _ATTRIBUTE.unpack_from(body, start)
        if length < _ATTRIBUTE.size:
            break
        found[kind & _TYPE] = body[start + _ATTRIBUTE.size : start + length]
        start += _aligned(length)
    return found


def _host(value: bytes | None) -> int:
    return struct.unpack("=I", value)[0] if value else 0


def _network(value: bytes | None) -> int:
    return int.from_bytes(value or b"", "big")


def read_link(body: bytes) -> tuple[str, Link]:
    """A link and its name."""
    _, _, _, index, flags, _ = _LINK.unpack_from(body)
    found = attributes(body, _LINK.size)
    name = found.get(_IFLA_IFNAME, b"").rstrip(b"\0").decode()
    return name, Link(index, bool(flags & _UP), _host(found.get(_IFLA_MTU)))


def address_link(body: bytes) -> int:
    """The index of the interface that an address is on."""
    return int(_ADDRESS.unpack_from(body)[-1])


def route_protocol(body: bytes) -> int:
    """Whose route it is."""
    return body[5]


def read_route(body: bytes) -> tuple[RouteKey, Route]:
    """A route. Its flags hold no more than the agent ever sets."""
    _, length, _, _, table, _, _, kind, flags = _ROUTE.unpack_from(body)
    found = attributes(body, _ROUTE.size)
    key = RouteKey(
        _host(found.get(_RTA_TABLE)) or table,
        Prefix(_network(found.get(_RTA_DST)), length),
        _host(found.get(_RTA_PRIORITY)),
    )
    if kind != _UNICAST:
        return key, Route()
    number = _host(found.get(_RTA_NH_ID))
    nexthop = None if number else _read_hop(found, flags, _RTA_OIF, _RTA_GATEWAY, _RTA_ENCAP)
    metrics = attributes(found.get(_RTA_METRICS, b""), 0)
    source = _network(found.get(_RTA_PREFSRC))
    return key, Route(number, nexthop, source, _host(metrics.get(_RTAX_MTU)), _host(metrics.get(_RTAX_ADVMSS)))


def _read_hop(found: dict[int, bytes], flags: int, oif: int, gateway: int, encap: int) -> Nexthop:
    inner = attributes(found.get(encap, b""), 0)
    return Nexthop(
        _host(found.get(oif)),
        _network(found.get(gateway)),
        bool(flags & _ONLINK),
        _network(inner.get(_LWTUNNEL_DST)),
        _network(inner.get(_LWTUNNEL_ID)),
    )


def nexthop_number(body: bytes) -> int:
    """The identifier of a nexthop object."""
    return _host(attributes(body, _NEXTHOP.size).get(_NHA_ID))


def read_nexthop(body: bytes) -> tuple[int, Nexthop | tuple[int, ...]]:
    """A nexthop object: one next hop, or the members of a group."""
    *_, flags = _NEXTHOP.unpack_from(body)
    found = attributes(body, _NEXTHOP.size)
    number = _host(found.get(_NHA_ID))
    if _NHA_GROUP in found:
        return number, tuple(sorted(member for member, *_ in _MEMBER.iter_unpack(found[_NHA_GROUP])))
    return number, _read_hop(found, flags, _NHA_OIF, _NHA_GATEWAY, _NHA_ENCAP)


def read_rule(body: bytes) -> tuple[int, Rule]:
    """A rule and whose it is."""
    table = body[4]
    found = attributes(body, _RULE.size)
    name = found.get(_FRA_IIFNAME, b"").rstrip(b"\0").decode()
    rule = Rule(name, _host(found.get(_FRA_TABLE)) or table, _host(found.get(_FRA_PRIORITY)))
    return _network(found.get(_FRA_PROTOCOL)), rule


def read_neighbour(body: bytes) -> tuple[Neighbour, bool]:
    """A neighbour entry, and whether it is permanent."""
    _, _, _, link, state, _, _ = _NEIGHBOUR.unpack_from(body)
    found = attributes(body, _NEIGHBOUR.size)
    entry = Neighbour(link, _network(found.get(_NDA_DST)), found.get(_NDA_LLADDR, b""))
    return entry, bool(state & _PERMANENT)


def read_error(body: bytes) -> int:
    """The error number of an acknowledgement, 0 for success."""
    return -int(struct.unpack_from("=i", body)[0])
