"""What the agent's tests share: a cluster of two gateways and some nodes, as settings."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from agent.plan import Link
from agent.prefix import Prefix, address
from agent.settings import Metrics, Mode, Overlay, Settings, Tunnels

A, B, TUNNEL = address("172.27.48.11"), address("172.27.48.12"), address("169.254.100.2")
NODE, OTHER_NODE = address("172.27.48.20"), address("172.27.48.21")
REMOTE = Prefix.parse("10.0.0.0/16")
FIRST, SECOND, THIRD = (Prefix.parse(f"10.0.{third}.0/24") for third in (1, 2, 3))
METRICS = Metrics(primary=500, backup=0xFE0001F4, last=0xFE0003E8, unreachable=0xFF0001F4)
LINKS = {
    "ens3": Link(2, True, 1500),
    "cilium_vxlan": Link(3, True, 1500),
    "ss0": Link(4, True, 1500),
}


def settings(mode: Mode) -> Settings:
    """A client, or the node of gateway a."""
    is_gateway = mode is Mode.REFLECTOR
    return Settings(
        mode=mode,
        asn=65020,
        node=A if is_gateway else NODE,
        gateways={B: "b"} if is_gateway else {A: "a", B: "b"},
        accepted=(REMOTE,),
        nodes=(Prefix.parse("172.27.48.0/20"),),
        mtu=1398,
        mss=1358,
        node_interface="ens3",
        overlay=Overlay("cilium_vxlan", 50, 2, address("169.254.100.5"), bytes.fromhex("025446640005")),
        tunnels=Tunnels("ss0", TUNNEL, 11100, 111) if is_gateway else None,
        bmp=("127.0.0.1", 11019),
        protocol=111,
        metrics=METRICS,
        nexthops=(0x74660000, 0x7466FFFF),
    )


CLIENT, GATEWAY = settings(Mode.CLIENT), settings(Mode.REFLECTOR)

AGENT_JSON: dict[str, Any] = {
    "mode": "client",
    "asn": 65020,
    "gateways": {"a": "172.27.48.11", "b": "172.27.48.12"},
    "acceptedCidrs": ["10.0.0.0/16"],
    "nodeCidrs": ["172.27.48.0/20"],
    "mtu": 1398,
    "mss": 1358,
    "nodeInterface": "ens3",
    "overlay": {
        "interface": "cilium_vxlan",
        "overhead": 50,
        "identity": 2,
        "nextHop": "169.254.100.5",
        "mac": "02:54:46:64:00:05",
    },
    "bmp": {"address": "127.0.0.1", "port": 11019},
    "kernel": {
        "protocol": 111,
        "metrics": asdict(METRICS),
        "nexthops": [1952841728, 1952907263],
    },
}
"""agent.json of a client."""
