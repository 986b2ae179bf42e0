"""What this gateway is told: gateway.json, which `tunnelfleet generate` writes into the overlay."""

from __future__ import annotations

import json
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Interface, IPv4Network
from pathlib import Path
from typing import Any

PATH = Path("/opt/tunnelfleet/config/gateway.json")


@dataclass(frozen=True, slots=True)
class Tunnel:
    """One IPsec tunnel and its XFRM interface; `mtu` and `mss` in bytes."""

    connection: str
    interface: str
    interface_id: int
    address: IPv4Interface
    peer: IPv4Address
    local_identity: str
    peer_identity: str
    initiates: bool
    accepted: tuple[IPv4Network, ...]
    mtu: int
    mss: int
    password_file: str | None
    """Name of the file with the password of the BGP session, None where there is none."""


@dataclass(frozen=True, slots=True)
class Gateway:
    """A gateway: its address on the node, the ranges behind it, its tunnels."""

    name: str
    turn: int
    """The gateway's place among all gateways, from 0: they stop one after the other."""
    address: IPv4Address
    node_interface: str
    """The node's way to everything but its own pods, without encapsulation."""
    local: tuple[IPv4Network, ...]
    tunnels: tuple[Tunnel, ...]
    agent_protocol: int
    """Protocol number of the routes that the node's route agent programs."""
    backup_metric: int
    """Metric of those among them that lead through another gateway."""


def read(path: Path = PATH) -> Gateway:
    """The settings in a gateway.json. Raises OSError, ValueError, KeyError where it is not one."""
    return parse(json.loads(path.read_bytes()))


def parse(data: dict[str, Any]) -> Gateway:
    """The settings from the decoded file."""
    return Gateway(
        name=data["name"],
        turn=data["turn"],
        address=IPv4Address(data["address"]),
        node_interface=data["nodeInterface"],
        local=_networks(data["localCidrs"]),
        tunnels=tuple(_tunnel(item) for item in data["tunnels"]),
        agent_protocol=data["agent"]["protocol"],
        backup_metric=data["agent"]["backupMetric"],
    )


def _tunnel(data: dict[str, Any]) -> Tunnel:
    return Tunnel(
        connection=data["connection"],
        interface=data["interface"],
        interface_id=data["interfaceId"],
        address=IPv4Interface(data["address"]),
        peer=IPv4Address(data["peer"]),
        local_identity=data["localIdentity"],
        peer_identity=data["peerIdentity"],
        initiates=data["initiates"],
        accepted=_networks(data["acceptedCidrs"]),
        mtu=data["mtu"],
        mss=data["mss"],
        password_file=data["passwordFile"],
    )


def _networks(texts: list[str]) -> tuple[IPv4Network, ...]:
    return tuple(IPv4Network(text) for text in texts)
