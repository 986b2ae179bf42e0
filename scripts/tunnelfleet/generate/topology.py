"""The cluster as the generator sees it: sorted, numbered, with every default filled in.

The order of lists in the inventory means nothing, so everything is put into one order here and nowhere else.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from ipaddress import IPv4Interface, IPv4Network

from tunnelfleet.inventory.model import Cluster, Gateway, Remote, SecretKey, Tunnel
from tunnelfleet.profiles import Profile, effective


@dataclass(frozen=True, slots=True)
class PlannedTunnel:
    """A tunnel with its place on the gateway: XFRM interface `ipsec<n>` and that interface's id, from 1."""

    remote: Remote
    tunnel: Tunnel
    profile: Profile
    index: int

    @property
    def interface(self) -> str:
        return f"ipsec{self.index}"

    @property
    def interface_id(self) -> int:
        return self.index + 1

    @property
    def connection(self) -> str:
        """Name of the IKE connection: unique on the gateway, readable in `swanctl --list-sas`."""
        return f"{self.remote.name}-{self.interface}"


@dataclass(frozen=True, slots=True)
class PlannedGateway:
    """A gateway with its tunnels in the order of their interfaces."""

    gateway: Gateway
    tunnels: tuple[PlannedTunnel, ...]

    @property
    def name(self) -> str:
        return self.gateway.name

    @property
    def secret_keys(self) -> tuple[SecretKey, ...]:
        """The Secret entries that the gateway's pod reads, without repeats."""
        keys = {planned.tunnel.preshared_key for planned in self.tunnels}
        keys |= {planned.remote.bgp_password for planned in self.tunnels if planned.remote.bgp_password}
        return tuple(sorted(keys, key=lambda key: (key.secret_name, key.key)))


@dataclass(frozen=True)
class Topology:
    """A whole cluster, sorted; ranges are without host bits and without repeats, ascending."""

    cluster: Cluster

    @property
    def name(self) -> str:
        return self.cluster.metadata.name

    @cached_property
    def gateways(self) -> tuple[PlannedGateway, ...]:
        """All gateways by name, those without a tunnel too."""
        ordered = sorted(self.cluster.spec.gateways, key=lambda gateway: gateway.name)
        return tuple(PlannedGateway(gateway, self._tunnels(gateway)) for gateway in ordered)

    def _tunnels(self, gateway: Gateway) -> tuple[PlannedTunnel, ...]:
        pairs = [
            (remote, tunnel)
            for remote in self.cluster.spec.remotes
            for tunnel in remote.tunnels
            if tunnel.gateway == gateway.name
        ]
        pairs.sort(key=lambda pair: (pair[0].name, pair[1].inside.local))
        return tuple(PlannedTunnel(remote, tunnel, effective(remote), i) for i, (remote, tunnel) in enumerate(pairs))

    @cached_property
    def remotes(self) -> tuple[Remote, ...]:
        return tuple(sorted(self.cluster.spec.remotes, key=lambda remote: remote.name))

    @cached_property
    def nodes(self) -> tuple[IPv4Network, ...]:
        return networks(self.cluster.spec.networks.nodes)

    @cached_property
    def local(self) -> tuple[IPv4Network, ...]:
        return networks(self.cluster.spec.local_cidrs)

    @cached_property
    def announced(self) -> tuple[IPv4Network, ...]:
        return networks(self.cluster.spec.announced)

    @cached_property
    def accepted(self) -> tuple[IPv4Network, ...]:
        """What any remote site may announce."""
        return networks(cidr for remote in self.remotes for cidr in remote.accepted_cidrs)

    @property
    def mtu(self) -> int:
        """Bytes of the largest packet that every tunnel of the cluster carries."""
        return min(effective(remote).mtu for remote in self.remotes)


def networks(cidrs: Iterable[IPv4Interface]) -> tuple[IPv4Network, ...]:
    """The ranges without host bits and without repeats, ascending."""
    return tuple(sorted({cidr.network for cidr in cidrs}))
