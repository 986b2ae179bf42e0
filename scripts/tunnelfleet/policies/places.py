"""The values of an inventory that policies ask about, each with the way to it through the keys of the file."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Interface
from typing import TypeVar

from tunnelfleet.inventory.document import YamlPath
from tunnelfleet.inventory.loading import LoadedCluster
from tunnelfleet.inventory.model import Remote, Tunnel
from tunnelfleet.prefixes import Tagged

Item = TypeVar("Item")
Range = Tagged[YamlPath]
"""A range without its host bits, and where it stands."""

NODES = ("spec", "networks", "nodes")
PODS = ("spec", "networks", "pods")
SERVICES = ("spec", "networks", "services")
LOCAL = ("spec", "localCidrs")
ADVERTISED = ("spec", "advertisedCidrs")
GATEWAYS = ("spec", "gateways")
REMOTES = ("spec", "remotes")
BGP = ("spec", "bgp")


@dataclass(frozen=True, slots=True)
class PlacedRemote:
    """A remote site and where it stands."""

    path: YamlPath
    remote: Remote


@dataclass(frozen=True, slots=True)
class PlacedTunnel:
    """A tunnel, its remote site, and where it stands."""

    path: YamlPath
    remote: Remote
    tunnel: Tunnel


def remotes(loaded: LoadedCluster) -> Iterator[PlacedRemote]:
    """The remote sites in the order of the file."""
    for index, remote in enumerate(loaded.cluster.spec.remotes):
        yield PlacedRemote((*REMOTES, index), remote)


def tunnels(loaded: LoadedCluster) -> Iterator[PlacedTunnel]:
    """The tunnels of all remote sites in the order of the file."""
    for placed in remotes(loaded):
        for index, tunnel in enumerate(placed.remote.tunnels):
            yield PlacedTunnel((*placed.path, "tunnels", index), placed.remote, tunnel)


def ranges(path: YamlPath, cidrs: Iterable[IPv4Interface]) -> list[Range]:
    """A list of ranges that stands at `path`."""
    return [Tagged(cidr.network, (*path, index)) for index, cidr in enumerate(cidrs)]


def cluster_networks(loaded: LoadedCluster) -> list[Range]:
    """The ranges of nodes, pods and services."""
    networks = loaded.cluster.spec.networks
    return [
        *ranges(NODES, networks.nodes),
        *ranges(PODS, networks.pods),
        *ranges(SERVICES, networks.services),
    ]


def local(loaded: LoadedCluster) -> list[Range]:
    """What may talk to the remote sites."""
    return ranges(LOCAL, loaded.cluster.spec.local_cidrs)


def announced(loaded: LoadedCluster) -> list[Range]:
    """What BGP announces: advertisedCidrs, or localCidrs where there are none."""
    spec = loaded.cluster.spec
    return ranges(ADVERTISED if spec.advertised_cidrs else LOCAL, spec.announced)


def accepted(loaded: LoadedCluster) -> list[Range]:
    """What any of the remote sites may announce."""
    return [
        each
        for placed in remotes(loaded)
        for each in ranges((*placed.path, "acceptedCidrs"), placed.remote.accepted_cidrs)
    ]


def inside(loaded: LoadedCluster) -> list[Range]:
    """The ranges inside the tunnels."""
    return [Tagged(placed.tunnel.inside.cidr.network, (*placed.path, "inside", "cidr")) for placed in tunnels(loaded)]


def repeated(items: Iterable[tuple[Hashable, Item]]) -> Iterator[tuple[Item, Item]]:
    """Each item whose key an earlier one has, after that earlier one: ``(first, later)``."""
    first: dict[Hashable, Item] = {}
    for key, item in items:
        before = first.setdefault(key, item)
        if before is not item:
            yield before, item


def called(path: YamlPath) -> str:
    """How a message calls the list that a value stands in, such as networks.pods or localCidrs."""
    return ".".join(str(part) for part in path if isinstance(part, str) and part not in ("spec", "remotes"))


def listed(items: Sequence[object], most: int = 4, last: str = "and") -> str:
    """Items as a message lists them: a few of them, and how many more there are."""
    texts = [str(item) for item in items[:most]]
    if len(items) > most:
        texts.append(f"{len(items) - most} more")
    return f" {last} ".join([", ".join(texts[:-1]), texts[-1]] if len(texts) > 1 else texts)
