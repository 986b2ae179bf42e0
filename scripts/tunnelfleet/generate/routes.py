"""The route DaemonSet of one cluster: host FRR and agent settings, as reflector on gateways, as client elsewhere."""

from __future__ import annotations

import json
from enum import IntEnum, StrEnum
from ipaddress import IPv4Address, IPv4Network
from typing import Any

from tunnelfleet.generate.files import Files, configuration, header, manifest
from tunnelfleet.generate.topology import PlannedGateway, Topology
from tunnelfleet.inventory.model import Bfd
from tunnelfleet.profiles import TCP_IP_HEADERS, VXLAN_OVERHEAD

NODE_BFD = Bfd(interval=300, multiplier=3)
"""BFD between nodes: a dead gateway is noticed within 900 ms."""

MAXIMUM_LISTEN = 65535
"""The largest `bgp listen limit` that FRR takes (FRR manual, BGP, peer groups)."""

INSIDE_ADDRESS = IPv4Address("169.254.100.2")
"""The gateway's FRR in namespace `strongswan`, at the far end of ss0."""
OVERLAY_NEXT_HOP = IPv4Address("169.254.100.5")
"""Stand-in next hop of all routes into VXLAN: the outer destination is part of the route."""
OVERLAY_MAC = "02:54:46:64:00:05"
"""Locally administered address of the stand-in neighbour; Cilium's receiver does not look at it."""
BMP_ADDRESS = IPv4Address("127.0.0.1")
BMP_PORT = 11019


class Mode(StrEnum):
    """Which of the two forms a node runs."""

    CLIENT = "client"
    REFLECTOR = "reflector"


class Metric(IntEnum):
    """Metrics of the agent's routes. zebra reads the distance from the first byte (zebra/rt_netlink.c)."""

    PRIMARY = 0x000001F4
    BACKUP = 0xFE0001F4
    LAST = 0xFE0003E8
    UNREACHABLE = 0xFF0001F4


PROTOCOL = 111
"""The agent's routes and rules are known by it (rtnetlink(7), rtm_protocol); free in iproute2's rt_protos."""
VXLAN_IDENTITY = 2
"""VNI of all packets between nodes here: Cilium's `world` identity."""
NEXTHOPS = (0x74660000, 0x7466FFFF)
"""Identifiers of the agent's nexthop objects, both ends included; the kernel gives out its own from 1."""
FROM_TUNNEL_TABLE = 11100
"""Routes for packets out of a tunnel; more than 252 hides it from zebra (zebra.h, ZEBRA_KERNEL_TABLE_MAX)."""
FROM_TUNNEL_PRIORITY = 111
"""Priority of the rule that leads there: after Cilium's lookup of local addresses at 100, before the main table."""


def reflector_files(topology: Topology, planned: PlannedGateway, key_digest: str) -> Files:
    """Files of the gateway's own node. `key_digest` changes with the session password, never shows it."""
    gateway = planned.gateway
    context = _context(topology) | {
        "gateway": gateway,
        "announced": topology.announced,
        "local_asn": topology.cluster.spec.bgp.local_asn,
        "inside_address": INSIDE_ADDRESS,
        "listen_limit": listen_limit(topology.nodes),
    }
    return {
        "daemonset.yaml": _daemonset(topology, [("In", gateway.node)], key_digest, _turn(topology, planned)),
        "reflector.conf": configuration("reflector.conf.j2", topology.name, **context),
        "agent.json": _agent(topology, Mode.REFLECTOR, planned),
    }


def client_files(topology: Topology, key_digest: str) -> Files:
    """Files of all nodes that are not gateways."""
    elsewhere = [("NotIn", planned.gateway.node) for planned in topology.gateways]
    return {
        "daemonset.yaml": _daemonset(topology, elsewhere, key_digest),
        "frr.conf": configuration("client.conf.j2", topology.name, **_context(topology)),
        "agent.json": _agent(topology, Mode.CLIENT),
    }


def listen_limit(nodes: tuple[IPv4Network, ...]) -> int:
    """As many sessions as the node ranges have addresses, within what FRR takes."""
    return min(sum(network.num_addresses for network in nodes), MAXIMUM_LISTEN)


def within(network: IPv4Network) -> str:
    """A prefix-list's term for the range and every part of it."""
    return str(network) if network.prefixlen == network.max_prefixlen else f"{network} le 32"


def _context(topology: Topology) -> dict[str, Any]:
    return {
        "accepted": topology.accepted,
        "nodes": topology.nodes,
        "gateways": [planned.gateway for planned in topology.gateways],
        "internal_asn": topology.cluster.spec.bgp.internal_asn,
        "bfd": NODE_BFD,
        "bmp_address": BMP_ADDRESS,
        "bmp_port": BMP_PORT,
        "within": within,
    }


def _turn(topology: Topology, planned: PlannedGateway) -> int:
    return topology.gateways.index(planned)


def _daemonset(topology: Topology, nodes: list[tuple[str, str]], key_digest: str, turn: int | None = None) -> str:
    # One value each: the API server takes no more for a field selector.
    fields = [{"key": "metadata.name", "operator": operator, "values": [node]} for operator, node in nodes]
    affinity = {"nodeSelectorTerms": [{"matchFields": fields}]}
    password = topology.cluster.spec.bgp.password
    template: dict[str, Any] = {
        "metadata": {"annotations": {"tunnelfleet/keys": key_digest}},
        "spec": {
            "affinity": {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": affinity}},
            "volumes": [
                {
                    "name": "password",
                    "secret": {
                        "secretName": password.secret_name,
                        "items": [{"key": password.key, "path": "password"}],
                    },
                }
            ],
        },
    }
    if turn is not None:
        turns = [{"name": "TURN", "value": str(turn)}]
        template["spec"]["containers"] = [{"name": "frr", "env": turns}]
    data = {
        "apiVersion": "apps/v1",
        "kind": "DaemonSet",
        "metadata": {"name": "ipsec-routes"},
        "spec": {"template": template},
    }
    return manifest(topology.name, data, "../../../schemas/kubernetes/v1.37/daemonset-apps-v1.json")


def _agent(topology: Topology, mode: Mode, own: PlannedGateway | None = None) -> str:
    comment = [line.removeprefix("# ") for line in header(topology.name).splitlines()]
    data: dict[str, Any] = {
        "comment": comment,
        "mode": mode,
        "asn": topology.cluster.spec.bgp.internal_asn,
        "gateways": {planned.name: str(planned.gateway.internal_ip) for planned in topology.gateways},
        "acceptedCidrs": [str(network) for network in topology.accepted],
        "nodeCidrs": [str(network) for network in topology.nodes],
        "mtu": topology.mtu,
        "mss": topology.mtu - TCP_IP_HEADERS,
        "nodeInterface": topology.cluster.spec.node_interface,
        "overlay": {
            "interface": "cilium_vxlan",
            "overhead": VXLAN_OVERHEAD,
            "identity": VXLAN_IDENTITY,
            "nextHop": str(OVERLAY_NEXT_HOP),
            "mac": OVERLAY_MAC,
        },
        "bmp": {"address": str(BMP_ADDRESS), "port": BMP_PORT},
        "kernel": {
            "protocol": PROTOCOL,
            "metrics": {metric.name.lower(): metric.value for metric in Metric},
            "nexthops": list(NEXTHOPS),
        },
    }
    if own is not None:
        data["gateway"] = {
            "name": own.name,
            "interface": "ss0",
            "nextHop": str(INSIDE_ADDRESS),
            "table": FROM_TUNNEL_TABLE,
            "rulePriority": FROM_TUNNEL_PRIORITY,
        }
    return json.dumps(data, indent=2) + "\n"
