"""What the fabric passes, drops and counts, as nft(8) rules, and how its counts are read. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from .stage import Cluster

BRIDGE = "nodes"
"""The bridge that all nodes are connected to, in namespace `fabric`."""


@dataclass(frozen=True, slots=True)
class Change:
    """Elements to add to a set or map of the fabric's table in a family of nft, or to delete."""

    action: str
    family: str
    name: str
    elements: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.action} element {self.family} fabric {self.name} {{ {', '.join(self.elements)} }}\n"


def node_changes(action: str, port: str, address: str, public: str | None) -> list[Change]:
    """What the rules know of a node: its own address, and the public one in front of it."""
    changes = [Change(action, "bridge", "own", (f"{quoted(port)} . {address}",))]
    if public:
        changes.append(Change(action, "ip", "inside", (f"{public} : {address}",)))
        changes.append(Change(action, "ip", "outside", (f"{address} : {public}",)))
    return changes


def block_changes(action: str, pairs: Iterable[tuple[str, str]], ports: Iterable[int]) -> list[Change]:
    """Packets from one address to another, with one of the ports at either end; without ports, all of them."""
    pairs, ports = tuple(pairs), tuple(ports)
    if ports:
        name, elements = "blocked", tuple(f"{one} . {other} . {port}" for one, other in pairs for port in ports)
    else:
        name, elements = "parted", tuple(f"{one} . {other}" for one, other in pairs)
    return [Change(action, family, name, elements) for family in ("bridge", "ip")]


def quoted(interface: str) -> str:
    """The name of an interface as nft reads it."""
    return f'"{interface}"'


def packets(listed: str) -> Mapping[str, int]:
    """Packets by element in what `nft -j list set` prints of a set with counters."""
    sets = (entry["set"] for entry in json.loads(listed)["nftables"] if "set" in entry)
    elements = (element["elem"] for found in sets for element in found.get("elem", ()))
    return {element["val"]: element["counter"]["packets"] for element in elements}


def ruleset(cluster: Cluster) -> str:
    """The fabric's rules, before any node or site is connected.

    The bridge sees what nodes send, and counts clear text before anything drops it. The router sees what enters and
    leaves the cloud: addresses are translated 1:1, and from the internet only IKE and answers get in.
    """
    return f"""
table bridge fabric {{
  set remote {{ {_ranges(cluster.accepted)} }}
  set own {{ type ifname . ipv4_addr; }}
  set clear {{ {_counted("ifname")} }}
  set refused {{ {_counted("ifname")} }}
{_DROPPED_SETS}
  chain prerouting {{
    type filter hook prerouting priority -300
    ether type ip ip saddr @remote update @clear {{ iifname }}
    ether type ip ip saddr != @remote ip daddr @remote update @clear {{ iifname }}
    iifname @cut drop
    ether type ip iifname . ip saddr != @own update @refused {{ iifname }} drop
    ether type arp iifname . arp saddr ip != @own update @refused {{ iifname }} drop
    ether type arp accept
    ether type ip ip protocol {{ tcp, udp }} accept
    drop
  }}
  chain forward {{
    type filter hook forward priority 0
{_DROPPED_RULES}
  }}
  chain postrouting {{
    type filter hook postrouting priority 0
    oifname @cut drop
  }}
}}
table ip fabric {{
  set nodes {{ {_ranges(cluster.nodes)} }}
  set own {{ type ifname . ipv4_addr; }}
  set refused {{ {_counted("ifname")} }}
  set internet {{ {_counted("ipv4_addr")} }}
  set mute {{ type inet_proto; }}
  map inside {{ type ipv4_addr : ipv4_addr; }}
  map outside {{ type ipv4_addr : ipv4_addr; }}
{_DROPPED_SETS}
  chain arriving {{
    type filter hook prerouting priority raw
    iifname "{BRIDGE}" accept
    iifname @cut drop
    iifname . ip saddr != @own update @refused {{ iifname }} drop
    ip daddr @nodes drop
  }}
  chain to_inside {{
    type nat hook prerouting priority dstnat
    iifname != "{BRIDGE}" dnat to ip daddr map @inside
  }}
  chain to_outside {{
    type nat hook postrouting priority srcnat
    oifname != "{BRIDGE}" snat to ip saddr map @outside
  }}
  chain forward {{
    type filter hook forward priority filter; policy drop
    meta l4proto != {{ tcp, udp }} drop
    oifname @cut drop
{_DROPPED_RULES}
    iifname "{BRIDGE}" oifname != "{BRIDGE}" udp dport != {{ 500, 4500 }} update @internet {{ ip saddr }}
    iifname "{BRIDGE}" oifname != "{BRIDGE}" meta l4proto tcp update @internet {{ ip saddr }}
    iifname "{BRIDGE}" accept
    ct state established accept
    oifname "{BRIDGE}" udp dport {{ 500, 4500 }} accept
    oifname != "{BRIDGE}" accept
  }}
  chain output {{
    type filter hook output priority filter
    meta l4proto @mute drop
    oifname @cut drop
  }}
}}
"""


_DROPPED_SETS = """\
  set cut { type ifname; }
  set blocked { type ipv4_addr . ipv4_addr . inet_service; }
  set parted { type ipv4_addr . ipv4_addr; }"""

_DROPPED_RULES = """\
    ip saddr . ip daddr @parted drop
    ip saddr . ip daddr . th dport @blocked drop
    ip saddr . ip daddr . th sport @blocked drop"""


def _ranges(networks: Iterable[str]) -> str:
    return f"type ipv4_addr; flags interval; auto-merge; elements = {{ {', '.join(networks)} }};"


def _counted(kind: str) -> str:
    return f"type {kind}; size 65535; flags dynamic; counter;"
