"""What the kernel of a simulated node holds, read with ip(8)."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from .namespace import Namespace

AGENT = "111"
"""The route agent's protocol number."""


@dataclass(frozen=True, slots=True)
class Hop:
    """One next hop: through an interface, and inside VXLAN to a node where `outer` is given."""

    interface: str
    outer: str | None = None


@dataclass(frozen=True, slots=True)
class KernelRoute:
    """A route of the main table."""

    prefix: str
    metric: int
    kind: str
    """unicast, unreachable and the like (ip-route(8))."""
    hops: frozenset[Hop]


def routes(namespace: Namespace, protocol: str = AGENT) -> tuple[KernelRoute, ...]:
    """The routes of the main table that this protocol wrote, the best of a prefix first."""
    listed = json.loads(namespace.ip("-json", "route", "show", "table", "main", "proto", protocol) or "[]")
    return tuple(sorted(map(_route, listed), key=lambda route: (route.prefix, route.metric)))


def ways(namespace: Namespace) -> dict[str, frozenset[Hop]]:
    """The next hops that packets to each remote prefix take: those of its best usable route."""
    found: dict[str, frozenset[Hop]] = {}
    for route in routes(namespace):
        if route.kind == "unicast" and route.hops:
            found.setdefault(route.prefix, route.hops)
    return found


def _route(entry: dict[str, Any]) -> KernelRoute:
    hops = entry.get("nexthops") or [entry]
    return KernelRoute(
        prefix=entry["dst"],
        metric=entry.get("metric", 0),
        kind=entry.get("type", "unicast"),
        hops=frozenset(_hop(hop) for hop in hops if "dev" in hop and not _dead(hop)),
    )


def _hop(entry: dict[str, Any]) -> Hop:
    encapsulation = entry.get("encap")
    return Hop(entry["dev"], encapsulation["dst"] if isinstance(encapsulation, dict) else None)


def _dead(entry: dict[str, Any]) -> bool:
    return bool({"dead", "linkdown"} & set(entry.get("flags", ())))
