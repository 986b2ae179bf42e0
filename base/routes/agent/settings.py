"""The agent's settings: agent.json, written by the generator, and this node's own address."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from .prefix import Prefix, address, within


class SettingsError(Exception):
    """The settings cannot be used; the text says which and why."""


class Mode(StrEnum):
    """Which of the two forms this node runs."""

    CLIENT = "client"
    REFLECTOR = "reflector"


@dataclass(frozen=True, slots=True)
class Overlay:
    """The VXLAN device between nodes."""

    interface: str
    overhead: int
    """Bytes that it adds to a packet."""
    identity: int
    """VNI of every packet."""
    next_hop: int
    mac: bytes


@dataclass(frozen=True, slots=True)
class Tunnels:
    """A gateway's way into namespace `strongswan`."""

    interface: str
    next_hop: int
    table: int
    """Table for packets that come out of the tunnels."""
    rule_priority: int


@dataclass(frozen=True, slots=True)
class Metrics:
    """Metrics of the agent's routes, the best first."""

    primary: int
    backup: int
    last: int
    unreachable: int

    @property
    def all(self) -> frozenset[int]:
        """Every metric that a route of the agent can have."""
        return frozenset({self.primary, self.backup, self.last, self.unreachable})


@dataclass(frozen=True, slots=True)
class Settings:
    """All that the agent is told."""

    mode: Mode
    asn: int
    """AS of this node's FRR."""
    node: int
    """This node's address, the source of what it sends itself."""
    gateways: Mapping[int, str]
    """Gateways but for this node: address to name."""
    accepted: tuple[Prefix, ...]
    nodes: tuple[Prefix, ...]
    mtu: int
    mss: int
    node_interface: str
    overlay: Overlay
    tunnels: Tunnels | None
    """None on a client."""
    bmp: tuple[str, int]
    protocol: int
    metrics: Metrics
    nexthops: tuple[int, int]
    """First and last identifier of the agent's nexthop objects."""

    @property
    def tunnel_peer(self) -> int | None:
        """The FRR of this gateway's tunnels."""
        return self.tunnels.next_hop if self.tunnels else None

    def name(self, peer: int) -> str | None:
        """What a next hop is called in logs; None where it is none."""
        return "tunnel" if peer == self.tunnel_peer else self.gateways.get(peer)


def load(path: Path, node: str) -> Settings:
    """Reads agent.json for the node with this address. Raises SettingsError."""
    try:
        return _settings(json.loads(path.read_text(encoding="utf-8")), address(node))
    except KeyError as error:
        raise SettingsError(f"{path}: {error} is missing") from error
    except (OSError, ValueError, TypeError) as error:
        raise SettingsError(f"{path}: {error}") from error


def _settings(data: dict[str, Any], node: int) -> Settings:
    ranges = tuple(map(Prefix.parse, data["nodeCidrs"]))
    gateways = {address(text): name for name, text in data["gateways"].items()}
    mode = Mode(data["mode"])
    if not within(Prefix(node, 32), ranges):
        raise ValueError("this node's address is in none of nodeCidrs")
    if (node in gateways) != (mode is Mode.REFLECTOR):
        raise ValueError(f"this node's address does not fit mode {mode}: gateways are {data['gateways']}")
    overlay = data["overlay"]
    kernel = data["kernel"]
    first, last = kernel["nexthops"]
    return Settings(
        mode=mode,
        asn=data["asn"],
        node=node,
        gateways={peer: name for peer, name in gateways.items() if peer != node},
        accepted=tuple(map(Prefix.parse, data["acceptedCidrs"])),
        nodes=ranges,
        mtu=data["mtu"],
        mss=data["mss"],
        node_interface=data["nodeInterface"],
        overlay=Overlay(
            interface=overlay["interface"],
            overhead=overlay["overhead"],
            identity=overlay["identity"],
            next_hop=address(overlay["nextHop"]),
            mac=bytes.fromhex(overlay["mac"].replace(":", "")),
        ),
        tunnels=_tunnels(data["gateway"]) if mode is Mode.REFLECTOR else None,
        bmp=(data["bmp"]["address"], data["bmp"]["port"]),
        protocol=kernel["protocol"],
        metrics=Metrics(**kernel["metrics"]),
        nexthops=(first, last),
    )


def _tunnels(data: dict[str, Any]) -> Tunnels:
    return Tunnels(
        interface=data["interface"],
        next_hop=address(data["nextHop"]),
        table=data["table"],
        rule_priority=data["rulePriority"],
    )
