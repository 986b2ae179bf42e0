"""What Cilium does to packets on a node, as nft(8) rules and ip(8) commands. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from .nodes import OVERLAY, OVERLAY_PORT, NodeSpec

PROTOCOL = 119
"""The routes of this stand-in are known by it; nobody else's are."""
ROUTE_MTU = 1450
"""What fits into VXLAN."""

_POD_IDENTITY = 4097
_HOST_IDENTITY = 1
# not the route agent's: that its own is missing must show
_NEXT_HOP = "169.254.42.1"
_NEXT_HOP_MAC = "02:00:a9:fe:2a:01"


@dataclass(frozen=True, slots=True)
class Settings:
    """What cilium-config says, with the CiliumNodeConfig applied."""

    devices: tuple[str, ...]
    """Where Services are reached from outside."""
    masquerade_on: tuple[str, ...]
    """Where pods leave under the node's address; none: wherever they leave, but for Cilium's own devices."""
    native_routing: str | None
    """Range that pods reach under their own address."""
    legacy_host_routing: bool
    """Pods' packets pass the kernel's routing; otherwise BPF looks up routes, and knows no `encap`."""
    external_cluster_ip: bool
    """ClusterIPs are reached from outside too."""


def settings(objects: Iterable[Mapping[str, Any]], node_interface: str) -> Settings:
    """Cilium's defaults and what the CiliumNodeConfigs among the objects ask for."""
    values: dict[str, str] = {}
    for found in objects:
        if found["kind"] == "CiliumNodeConfig":
            values |= found["spec"]["defaults"]
    return Settings(
        devices=tuple(values.get("devices", node_interface).replace(",", " ").split()),
        masquerade_on=tuple(values.get("egress-masquerade-interfaces", "").replace(",", " ").split()),
        native_routing=values.get("ipv4-native-routing-cidr"),
        legacy_host_routing=values.get("enable-host-legacy-routing") == "true",
        external_cluster_ip=values.get("bpf-lb-external-clusterip") == "true",
    )


def devices(node: NodeSpec) -> Iterator[str]:
    """`ip` commands for what Cilium makes on a node: its devices, and room for rules before that of local addresses."""
    yield f"rule add preference 100 lookup local proto {PROTOCOL}"
    yield "rule delete preference 0"
    yield "link add cilium_host type veth peer name cilium_net"
    yield f"address add {node.router}/32 dev cilium_host"
    yield "link set cilium_net up"
    yield "link set cilium_host up"
    # BPF drops what goes to an address that no pod has
    yield f"route replace blackhole {node.pods} proto {PROTOCOL}"


def next_hop() -> str:
    """The `ip` command for the neighbour behind which all other nodes are."""
    return f"neighbour replace {_NEXT_HOP} lladdr {_NEXT_HOP_MAC} dev {OVERLAY} nud permanent"


def route(node: NodeSpec, other: NodeSpec) -> str:
    """The `ip` command for a node's way to the pods of another."""
    return (
        f"route replace {other.pods} encap ip id {_POD_IDENTITY} dst {other.address} via {_NEXT_HOP} dev {OVERLAY}"
        f" onlink proto {PROTOCOL} src {node.router} mtu {ROUTE_MTU}"
    )


def ruleset(node: NodeSpec, pods: Sequence[str], chosen: Settings, services: Mapping[str, str]) -> str:
    """The rules of a node: Services by their ClusterIP, and masquerading of pods that leave the cluster.

    Nothing here drops what conntrack calls invalid: packets and their answers may take different gateways.
    """
    ranges = f"{{ {', '.join(pods)} }}"
    return f"""
table netdev cilium {{
  chain overlay {{
    type filter hook ingress device "{OVERLAY}" priority filter
    meta pkttype set host
  }}
}}
table ip cilium {{
  map services {{ type ipv4_addr : ipv4_addr; {_elements(services)} }}
  chain overlay {{
    type filter hook input priority filter
    udp dport {OVERLAY_PORT} @th,96,24 {_HOST_IDENTITY} drop
  }}
  chain services {{
    meta l4proto {{ tcp, udp }} dnat to ip daddr map @services
  }}
  chain prerouting {{
    type nat hook prerouting priority dstnat
    iifname "lxc*" jump services
{_lines(f'iifname "{device}" jump services' for device in chosen.devices if chosen.external_cluster_ip)}
  }}
  chain output {{
    type nat hook output priority dstnat
    jump services
  }}
  chain postrouting {{
    type nat hook postrouting priority srcnat
    oifname "{OVERLAY}" ct status dnat ip saddr != {ranges} snat to {node.router}
{_lines(_masquerade(node, chosen))}
  }}
  chain forward {{
    type filter hook forward priority filter
{_lines(_host_routing(ranges, chosen))}
  }}
}}
"""


def _masquerade(node: NodeSpec, chosen: Settings) -> Iterator[str]:
    packets = f"ip saddr {node.pods} ip daddr != {chosen.native_routing or node.pods} masquerade"
    if chosen.masquerade_on:
        for interface in chosen.masquerade_on:
            yield f'oifname "{interface}" {packets}'
    else:
        yield f'oifname != "cilium_*" oifname != "lxc*" {packets}'


def _host_routing(ranges: str, chosen: Settings) -> Iterator[str]:
    if not chosen.legacy_host_routing:
        yield f'iifname "lxc*" oifname "{OVERLAY}" ip daddr != {ranges} drop'


def _elements(services: Mapping[str, str]) -> str:
    if not services:
        return ""
    return f"elements = {{ {', '.join(f'{address} : {backend}' for address, backend in services.items())} }};"


def _lines(rules: Iterable[str]) -> str:
    return "\n".join(f"    {rule}" for rule in rules)
