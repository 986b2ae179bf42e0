"""What a site calls its tunnels."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Network

from ..stage import Cluster, Remote, Tunnel


@dataclass(frozen=True, slots=True)
class Link:
    """A tunnel as the site sees it; `name` is its XFRM interface, its IKE connection and its BGP session."""

    name: str
    interface_id: int
    tunnel: Tunnel
    gateway_address: str
    """Public address of the gateway."""
    gateway_asn: int

    @property
    def interface_address(self) -> str:
        """The site's address inside the tunnel, with its prefix length."""
        return f"{self.tunnel.inside_peer}/{IPv4Network(self.tunnel.inside_cidr).prefixlen}"


def links(remote: Remote, cluster: Cluster) -> tuple[Link, ...]:
    """The site's tunnels in the inventory's order. Raises KeyError where a tunnel's gateway does not exist."""
    addresses = {gateway.name: gateway.public_ip for gateway in cluster.gateways}
    return tuple(
        Link(f"ipsec{index}", index + 1, tunnel, addresses[tunnel.gateway], cluster.local_asn)
        for index, tunnel in enumerate(remote.tunnels)
    )
