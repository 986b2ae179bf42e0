"""What the baseline configures: swanctl.conf, frr.conf, packet filter rules. Pure text."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Network

from ..twin.stage import Cluster, Gateway, Remote, Tunnel

OUTER, INNER = "169.254.100.1", "169.254.100.2"
"""Ends of the veth pair: ss0 on the node, and eth0 in the namespace."""
VETH = "ss0"
OVERLAY = "cilium_vxlan"
OVERLAY_HOP = "169.254.100.5"
OVERLAY_MAC = "02:54:46:64:00:05"
XFRM_ID = 1
KEEPALIVE, HOLD = 10, 30


@dataclass(frozen=True, slots=True)
class Way:
    """A gateway with its only tunnel: this design knows one site, and one tunnel for each gateway."""

    gateway: Gateway
    tunnel: Tunnel
    remote: Remote

    @property
    def interface_address(self) -> str:
        """The gateway's address inside the tunnel, with its prefix length."""
        return f"{self.tunnel.inside_local}/{IPv4Network(self.tunnel.inside_cidr).prefixlen}"


def ways(cluster: Cluster, remote: Remote) -> tuple[Way, ...]:
    """The first tunnel of each gateway to one of the cluster's sites.

    Raises ValueError where the design cannot carry traffic to it: Azure's hold time is 180 s, and no other will do.
    """
    if remote.profile == "azure-vpn":
        raise ValueError(
            f"the baseline cannot connect to {remote.name}: profile azure-vpn takes timers 60 180 alone, the baseline "
            f"has {KEEPALIVE} {HOLD}; choose another site"
        )
    first = {tunnel.gateway: tunnel for tunnel in reversed(remote.tunnels)}
    return tuple(Way(gateway, first[gateway.name], remote) for gateway in cluster.gateways if gateway.name in first)


def swanctl(way: Way) -> str:
    """swanctl.conf with the key: no DPD, one attempt, nothing done when an SA ends.

    Mended: explicit identities, proposals that the site takes, forced UDP encapsulation, selectors that hold all that
    is announced, a key that may hold any character.
    """
    key = base64.b64encode(way.tunnel.key.encode()).decode()
    return f"""\
connections {{
  tunnel {{
    local_addrs = {INNER}
    remote_addrs = {way.tunnel.peer_address}
    proposals = {", ".join(way.remote.ike_proposals)}
    encap = yes
    keyingtries = 1
    local {{
      auth = psk
      id = "{way.tunnel.local_identity}"
    }}
    remote {{
      auth = psk
      id = "{way.tunnel.peer_identity}"
    }}
    children {{
      tunnel {{
        esp_proposals = {", ".join(way.remote.esp_proposals)}
        local_ts = 0.0.0.0/0
        remote_ts = 0.0.0.0/0
        if_id_in = {XFRM_ID}
        if_id_out = {XFRM_ID}
        replay_window = 32
        start_action = start
        close_action = none
        dpd_action = clear
      }}
    }}
  }}
}}
secrets {{
  ike-tunnel {{
    id-local = "{way.tunnel.local_identity}"
    id-peer = "{way.tunnel.peer_identity}"
    secret = 0s{key}
  }}
}}
"""


def border_router(way: Way, cluster: Cluster) -> str:
    """frr.conf in a gateway's namespace: takes whatever the site announces, announces whether or not it can deliver.

    The networks are there as static routes of the kernel. Mended: the nodes do not get these, whose own routes they
    would replace; and the password of the session, where the site asks for one.
    """
    peer = way.tunnel.inside_peer
    password = f" neighbor {peer} password {way.remote.bgp_password}\n" if way.remote.bgp_password else ""
    return f"""\
frr defaults traditional
log stdout informational
{_lines(f"ip prefix-list SITE deny {network} le 32" for network in cluster.advertised)}
ip prefix-list SITE permit 0.0.0.0/0 le 32
router bgp {cluster.local_asn}
 bgp router-id {way.gateway.internal_ip}
 no bgp ebgp-requires-policy
 neighbor {peer} remote-as {way.remote.asn}
 neighbor {peer} ebgp-multihop 5
 neighbor {peer} timers {KEEPALIVE} {HOLD}
{password}\
 neighbor {OUTER} remote-as {cluster.internal_asn}
 neighbor {OUTER} timers {KEEPALIVE} {HOLD}
 neighbor {OUTER} bfd
 address-family ipv4 unicast
{_lines(f"  network {network}" for network in cluster.advertised)}
  neighbor {OUTER} prefix-list SITE out
 exit-address-family
exit
"""


def reflector(way: Way, cluster: Cluster) -> str:
    """frr.conf on a gateway's node: reflects the site's routes to all nodes; reflectors do not know each other.

    Mended: it listens in the cluster's own ranges, to more than 100 nodes.
    """
    return f"""\
frr defaults traditional
log stdout informational
router bgp {cluster.internal_asn}
 bgp router-id {way.gateway.internal_ip}
 no bgp ebgp-requires-policy
 bgp listen limit 5000
 neighbor NODES peer-group
 neighbor NODES remote-as {cluster.internal_asn}
 neighbor NODES timers {KEEPALIVE} {HOLD}
 neighbor NODES bfd
{_lines(f" bgp listen range {network} peer-group NODES" for network in cluster.nodes)}
 neighbor {INNER} remote-as {cluster.local_asn}
 neighbor {INNER} timers {KEEPALIVE} {HOLD}
 neighbor {INNER} bfd
 address-family ipv4 unicast
  neighbor NODES route-reflector-client
  neighbor NODES next-hop-self
 exit-address-family
exit
"""


def client(address: str, ways: Sequence[Way], cluster: Cluster) -> str:
    """frr.conf on any other node."""
    neighbours = [way.gateway.internal_ip for way in ways]
    return f"""\
frr defaults traditional
log stdout informational
router bgp {cluster.internal_asn}
 bgp router-id {address}
{_lines(_neighbour(neighbour, cluster.internal_asn) for neighbour in neighbours)}
exit
"""


def _neighbour(address: str, asn: int) -> str:
    return f"""\
 neighbor {address} remote-as {asn}
 neighbor {address} timers {KEEPALIVE} {HOLD}
 neighbor {address} bfd"""


def translation(interface: str) -> str:
    """Rules of nft(8) on a gateway's node: IKE goes to the namespace, all that leaves has the node's address."""
    return f"""\
table ip baseline
delete table ip baseline
table ip baseline {{
  chain prerouting {{
    type nat hook prerouting priority dstnat
    iifname "{interface}" udp dport {{ 500, 4500 }} dnat to {INNER}
  }}
  chain postrouting {{
    type nat hook postrouting priority srcnat
    oifname "{interface}" masquerade
  }}
}}
"""


def _lines(lines: Iterable[str]) -> str:
    return "\n".join(lines)
