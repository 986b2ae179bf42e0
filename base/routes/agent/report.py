"""What the agent says about itself: its state as JSON, its routes as text. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from .plan import Hops
from .prefix import Prefix, dotted
from .rib import Rib
from .settings import Settings

_SHOWN = 20
Remote = Mapping[Prefix, tuple[tuple[int, Hops], ...]]


def route_text(settings: Settings, prefix: Prefix, remote: Remote, usable: Iterable[int]) -> str:
    """One route as a line: `10.0.0.0/24 via a b`."""
    wanted = remote.get(prefix)
    if not wanted:
        return f"{prefix} gone"
    alive = set(usable)
    ways = [" ".join(sorted(settings.name(hop) or dotted(hop) for hop in hops & alive)) for _, hops in wanted]
    return f"{prefix} via {', then '.join(filter(None, ways)) or 'nothing that is up'}"


def changed_text(settings: Settings, changed: Iterable[Prefix], remote: Remote, usable: Iterable[int]) -> list[str]:
    """Changed routes as lines, the first of them."""
    ordered = sorted(changed)
    lines = [route_text(settings, prefix, remote, usable) for prefix in ordered[:_SHOWN]]
    return lines + ([f"and {len(ordered) - _SHOWN} more changed"] if len(ordered) > _SHOWN else [])


def summary_text(settings: Settings, remote: Remote, usable: Iterable[int]) -> list[str]:
    """The remote routes as lines, the first of them."""
    ordered = sorted(remote)
    head = f"{len(ordered)} remote routes"
    lines = [route_text(settings, prefix, remote, usable) for prefix in ordered[:_SHOWN]]
    return [head, *lines] + ([f"and {len(ordered) - _SHOWN} more"] if len(ordered) > _SHOWN else [])


def peers(settings: Settings, rib: Rib) -> list[dict[str, Any]]:
    """The BGP peers as JSON has them."""
    return [
        {
            "address": dotted(number),
            "name": settings.name(number),
            "role": peer.role.name.lower(),
            "phase": peer.phase.name.lower(),
            "confirmed": peer.confirmed,
            "lastResort": peer.last_resort,
            "routes": len(peer.paths),
        }
        for number, peer in sorted(rib.peers.items())
    ]


def routes(settings: Settings, remote: Remote, usable: Iterable[int]) -> list[dict[str, Any]]:
    """The remote routes as JSON has them, the best way first."""
    alive = set(usable)
    return [
        {
            "prefix": str(prefix),
            "ways": [
                {"metric": metric, "via": sorted(settings.name(hop) or dotted(hop) for hop in hops & alive)}
                for metric, hops in wanted
            ],
        }
        for prefix, wanted in sorted(remote.items())
    ]
