"""Policies between the clusters of the fleet. All are O(n log n) in the number of values."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from tunnelfleet.findings import Location
from tunnelfleet.inventory.document import YamlPath
from tunnelfleet.inventory.loading import LoadedCluster
from tunnelfleet.policies.cluster_inside import another_range
from tunnelfleet.policies.places import GATEWAYS, Range, announced, inside, listed, remotes, tunnels
from tunnelfleet.policies.registry import FleetProblem, Scope, policy
from tunnelfleet.prefixes import Tagged, overlaps

Fleet = Sequence[LoadedCluster]


@dataclass(frozen=True, slots=True)
class Place:
    """A value's place in the fleet."""

    loaded: LoadedCluster
    path: YamlPath

    @property
    def location(self) -> Location:
        return self.loaded.locate(*self.path)

    @property
    def key(self) -> tuple[str, YamlPath]:
        return self.loaded.folder, self.path


def _same_elsewhere(values: Iterable[tuple[Hashable, Place]]) -> Iterator[tuple[Place, Place]]:
    """Each value that a cluster before has too: ``(first, later)``; repeats within a cluster are its own."""
    first: dict[Hashable, Place] = {}
    for value, place in values:
        before = first.setdefault(value, place)
        if before.loaded is not place.loaded:
            yield before, place


@policy(
    "cluster-names-unique",
    Scope.FLEET,
    asks="No two clusters have the same name.",
    why="Overlays and Flux objects are named after clusters: one would replace the other.",
    failing="metadata:\n  name: iceland-prod\n",
    passing="metadata:\n  name: texas-prod\n",
)
def cluster_names_unique(fleet: Fleet) -> Iterator[FleetProblem]:
    names = ((loaded.name, Place(loaded, ("metadata", "name"))) for loaded in fleet)
    for first, later in _same_elsewhere(names):
        yield FleetProblem(
            later.loaded,
            later.path,
            f"two clusters are called `{later.loaded.name}`; the other is at {first.location}",
            f"write name: {later.loaded.folder}, as the folder is called",
            (first.location,),
        )


@policy(
    "advertised-cidrs-unique-per-remote",
    Scope.FLEET,
    asks="Two clusters that reach the same remote site never announce overlapping ranges to it.",
    why=(
        "The site sends to the longest prefix, or to either cluster where they are equal (RFC 4271, section 9.1):"
        " packets for one cluster arrive in the other."
    ),
    failing="spec:\n  localCidrs: [172.27.64.0/20, 10.234.0.0/15, 10.236.0.0/15]\n",
    passing="spec:\n  localCidrs: [172.27.64.0/20, 10.236.0.0/15]\n",
)
def advertised_cidrs_unique_per_remote(fleet: Fleet) -> Iterator[FleetProblem]:
    for outer, inner, sites in _clashes(fleet, lambda loaded: _to_each_remote(loaded, announced(loaded))):
        other = outer.owner
        place = f"cluster `{other.loaded.folder}`"
        clash = (
            f"by {place} too ({other.location})"
            if outer.network == inner.network
            else f"and {outer.network} around it by {place} ({other.location})"
        )
        yield FleetProblem(
            inner.owner.loaded,
            inner.owner.path,
            f"{inner.network} is announced to {_sites(sites)}, {clash}",
            f"renumber one of the two clusters, or leave {inner.network} out of its advertisedCidrs",
            (other.location,),
        )


def _to_each_remote(loaded: LoadedCluster, prefixes: Sequence[Range]) -> Iterator[tuple[str, Range]]:
    for name in {remote.name: None for remote in loaded.cluster.spec.remotes}:
        for each in prefixes:
            yield name, each


@policy(
    "inside-ranges-unique-per-remote",
    Scope.FLEET,
    asks="No two clusters use the same addresses inside the tunnels to one remote site.",
    why=(
        "The site's routers know BGP neighbours by these addresses: Google Cloud wants them unique in the VPC network"
        " (Cloud Router, BGP peering addresses), AWS on the gateway (tunnel options)."
    ),
    failing="""\
spec:
  remotes:
    - tunnels:
        - inside: {local: 169.254.174.222, peer: 169.254.174.221, cidr: 169.254.174.220/30}
""",
    passing="""\
spec:
  remotes:
    - tunnels:
        - inside: {local: 169.254.174.230, peer: 169.254.174.229, cidr: 169.254.174.228/30}
""",
)
def inside_ranges_unique_per_remote(fleet: Fleet) -> Iterator[FleetProblem]:
    advice: dict[str, str] = {}
    for outer, inner, sites in _clashes(fleet, _inside_by_remote):
        other = outer.owner
        remote = inner.owner.loaded.cluster.spec.remotes[int(inner.owner.path[2])]
        if remote.name not in advice:
            advice[remote.name] = another_range(remote, [each.network for other in fleet for each in inside(other)])
        yield FleetProblem(
            inner.owner.loaded,
            inner.owner.path,
            f"inside.cidr {inner.network} to {_sites(sites)} overlaps {outer.network} of cluster"
            f" `{other.loaded.folder}` ({other.location})",
            advice[remote.name],
            (other.location,),
        )


def _inside_by_remote(loaded: LoadedCluster) -> Iterator[tuple[str, Range]]:
    return ((placed.remote.name, each) for placed, each in zip(tunnels(loaded), inside(loaded), strict=True))


Clash = tuple[Tagged[Place], Tagged[Place], list[str]]


def _clashes(fleet: Fleet, ranges: Callable[[LoadedCluster], Iterable[tuple[str, Range]]]) -> Iterator[Clash]:
    """Ranges of different clusters that overlap towards the same remote sites, with the sites' names."""
    by_site: dict[str, list[Tagged[Place]]] = {}
    for loaded in fleet:
        for site, each in ranges(loaded):
            by_site.setdefault(site, []).append(Tagged(each.network, Place(loaded, each.owner)))
    found: dict[Hashable, Clash] = {}
    for site in sorted(by_site):
        for outer, inner in overlaps(by_site[site], party=lambda place: id(place.loaded)):
            found.setdefault((inner.owner.key, outer.owner.key), (outer, inner, []))[2].append(site)
    yield from found.values()


def _sites(names: Sequence[str]) -> str:
    return listed([f"`{name}`" for name in names])


@policy(
    "public-addresses-unique",
    Scope.FLEET,
    asks="No two gateways of the fleet have the same public address.",
    why=(
        "A public address leads to one machine. A copied one makes the remote site's tunnels end at the wrong cluster,"
        " or nowhere."
    ),
    failing="spec:\n  gateways:\n    - publicIP: 203.0.113.11\n",
    passing="spec:\n  gateways:\n    - publicIP: 203.0.113.61\n",
)
def public_addresses_unique(fleet: Fleet) -> Iterator[FleetProblem]:
    addresses = (
        (gateway.public_ip, Place(loaded, (*GATEWAYS, index, "publicIP")))
        for loaded in fleet
        for index, gateway in enumerate(loaded.cluster.spec.gateways)
    )
    for first, later in _same_elsewhere(addresses):
        gateway = later.loaded.cluster.spec.gateways[int(later.path[2])]
        yield FleetProblem(
            later.loaded,
            later.path,
            f"publicIP {gateway.public_ip} is a gateway's of cluster `{first.loaded.folder}` too ({first.location})",
            f"write the public address of node {gateway.node}",
            (first.location,),
        )


@policy(
    "gateway-nodes-unique",
    Scope.FLEET,
    asks="No node is a gateway of two clusters.",
    why="A node belongs to one cluster; a copied name means that the gateway of the other never starts.",
    failing="spec:\n  gateways:\n    - node: np-aaaaaaaa-1.eu-iceland1-a.compute.internal\n",
    passing="spec:\n  gateways:\n    - node: np-cccccccc-1.us-southcentral1-a.compute.internal\n",
)
def gateway_nodes_unique(fleet: Fleet) -> Iterator[FleetProblem]:
    nodes = (
        (gateway.node, Place(loaded, (*GATEWAYS, index, "node")))
        for loaded in fleet
        for index, gateway in enumerate(loaded.cluster.spec.gateways)
    )
    for first, later in _same_elsewhere(nodes):
        node = later.loaded.cluster.spec.gateways[int(later.path[2])].node
        yield FleetProblem(
            later.loaded,
            later.path,
            f"node {node} is a gateway of cluster `{first.loaded.folder}` too ({first.location})",
            "write a node that `kubectl get nodes` shows in this cluster",
            (first.location,),
        )


@policy(
    "peer-endpoints-unique",
    Scope.FLEET,
    asks="A peer's public address belongs to one remote site: wherever it is written, the remote has the same name.",
    why=(
        "Several clusters may well dial one address of a site. But under two names it is either copied from another"
        " site, or one site under two names, and then nothing is compared between its clusters: announced and inside"
        " ranges are compared per name."
    ),
    failing="""\
spec:
  remotes:
    - name: gcp-europe-west4
      tunnels:
        - peerAddress: 198.51.100.34
""",
    passing="""\
spec:
  remotes:
    - name: gcp-us-central1
      tunnels:
        - peerAddress: 198.51.100.34
""",
)
def peer_endpoints_unique(fleet: Fleet) -> Iterator[FleetProblem]:
    stated = (
        Statement(placed.tunnel.peer_address, placed.remote.name, Place(loaded, (*placed.path, "peerAddress")))
        for loaded in fleet
        for placed in tunnels(loaded)
    )
    for usual, different in _dissenting(stated):
        yield FleetProblem(
            different.place.loaded,
            different.place.path,
            f"peerAddress {different.subject} is of remote `{different.value}` here, and of remote `{usual.value}` at"
            f" {usual.place.location}",
            f"if it is the same site, call the remote {usual.value} here too; if not, correct the address",
            (usual.place.location,),
        )


@policy(
    "remotes-agree",
    Scope.FLEET,
    asks="Remotes of one name have the same asn and the same profile in all clusters.",
    why=(
        "A remote site is the same wherever its name is the same: it has one AS number (a session with another ends in"
        " Bad Peer AS, RFC 4271, section 6.2) and one kind of VPN gateway."
    ),
    failing="spec:\n  remotes:\n    - asn: 64999\n",
    passing="spec:\n  remotes:\n    - asn: 64514\n",
)
def remotes_agree(fleet: Fleet) -> Iterator[FleetProblem]:
    everywhere = [(loaded, placed) for loaded in fleet for placed in remotes(loaded)]
    stated = [
        Statement((placed.remote.name, "asn"), placed.remote.asn, Place(loaded, (*placed.path, "asn")))
        for loaded, placed in everywhere
    ]
    stated += [
        Statement((placed.remote.name, "profile"), placed.remote.profile, Place(loaded, (*placed.path, "profile")))
        for loaded, placed in everywhere
    ]
    for usual, different in _dissenting(stated):
        # within a cluster, two remotes of one name are for names-distinct
        if usual.place.loaded is not different.place.loaded:
            key = different.place.path[-1]
            name = different.place.loaded.cluster.spec.remotes[int(different.place.path[2])].name
            yield FleetProblem(
                different.place.loaded,
                different.place.path,
                f"remote `{name}` has {key} {different.value} here, and {key} {usual.value} at {usual.place.location}",
                f"write {key}: {usual.value}, or give the remote a name of its own",
                (usual.place.location,),
            )


@dataclass(frozen=True, slots=True)
class Statement:
    """What one place in the fleet says about a subject."""

    subject: Hashable
    value: Hashable
    place: Place


def _dissenting(statements: Iterable[Statement]) -> Iterator[tuple[Statement, Statement]]:
    """Each statement that differs from what most say of its subject, after the first of those: ``(usual, different)``.

    Where as many say the one as the other, what is said first counts.
    """
    by_subject: dict[Hashable, list[Statement]] = {}
    for statement in statements:
        by_subject.setdefault(statement.subject, []).append(statement)
    for group in by_subject.values():
        [(most, _)] = Counter(statement.value for statement in group).most_common(1)
        usual = next(statement for statement in group if statement.value == most)
        for statement in group:
            if statement.value != most:
                yield usual, statement
