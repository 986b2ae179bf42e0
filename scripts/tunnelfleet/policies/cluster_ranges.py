"""Policies of one cluster about its own address ranges."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from ipaddress import IPv4Interface

from tunnelfleet.inventory.document import YamlPath
from tunnelfleet.inventory.loading import LoadedCluster
from tunnelfleet.policies.places import (
    ADVERTISED,
    LOCAL,
    NODES,
    PODS,
    SERVICES,
    called,
    cluster_networks,
    listed,
    local,
    ranges,
    remotes,
    tunnels,
)
from tunnelfleet.policies.registry import Problem, Scope, policy
from tunnelfleet.policies.special import not_routable
from tunnelfleet.prefixes import overlaps, uncovered


@policy(
    "local-cidrs-cover-cluster",
    Scope.CLUSTER,
    asks="localCidrs cover every range under networks, one by one or together.",
    why=(
        "Only what localCidrs hold passes the tunnels: nodes, pods or Services outside them could not be reached"
        " and would get no answer. README of the chart that tunnelfleet succeeds, step 3."
    ),
    failing="spec:\n  localCidrs: [172.27.48.0/20, 10.234.0.0/16]\n",
    passing="spec:\n  localCidrs: [172.27.48.0/20, 10.232.0.0/14]\n",
)
def local_cidrs_cover_cluster(loaded: LoadedCluster) -> Iterator[Problem]:
    cover = [each.network for each in local(loaded)]
    for each in cluster_networks(loaded):
        missing = uncovered([each.network], cover)
        if missing:
            place = loaded.locate(*each.owner)
            whole = missing == [each.network]
            yield Problem(
                LOCAL,
                f"localCidrs leave out {listed(missing)} of {called(each.owner)}"
                f"{'' if whole else f' {each.network}'} ({place})",
                f"add {listed(missing) if len(missing) <= 4 else each.network} to localCidrs",
                (place,),
            )


@policy(
    "advertised-within-local",
    Scope.CLUSTER,
    asks="advertisedCidrs hold nothing that localCidrs do not hold.",
    why=(
        "A remote site sends here whatever is announced to it. What localCidrs leave out is dropped at the gateway,"
        " also where the site had another way to it before."
    ),
    failing="spec:\n  advertisedCidrs: [10.0.0.0/8]\n",
    passing="spec:\n  advertisedCidrs: [172.27.48.0/20, 10.234.0.0/17]\n",
)
def advertised_within_local(loaded: LoadedCluster) -> Iterator[Problem]:
    cover = [each.network for each in local(loaded)]
    for each in ranges(ADVERTISED, loaded.cluster.spec.advertised_cidrs):
        missing = uncovered([each.network], cover)
        if missing:
            place = loaded.locate(*LOCAL)
            whole = missing == [each.network]
            yield Problem(
                each.owner,
                f"{each.network} is announced, but {'none' if whole else 'not all'} of it is in localCidrs"
                f" ({place}){'' if whole else f': {listed(missing)}'}",
                f"announce only what localCidrs hold, or add {each.network} to localCidrs",
                (place,),
            )


@policy(
    "networks-disjoint",
    Scope.CLUSTER,
    asks="No two ranges under networks share an address.",
    why=(
        "An address that is a node's and a pod's has two owners: packets reach one of them. Kubernetes asks for"
        " ranges that do not overlap (Kubernetes documentation, Cluster Networking)."
    ),
    failing="spec:\n  networks:\n    services: [10.234.128.0/17]\n",
    passing="spec:\n  networks:\n    services: [10.233.128.0/17]\n",
)
def networks_disjoint(loaded: LoadedCluster) -> Iterator[Problem]:
    for outer, inner in overlaps(cluster_networks(loaded)):
        place = loaded.locate(*outer.owner)
        one_list = called(outer.owner) == called(inner.owner)
        yield Problem(
            inner.owner,
            f"{called(inner.owner)} {inner.network} overlaps {called(outer.owner)} {outer.network} ({place})",
            f"remove {inner.network}: the other holds it"
            if one_list
            else "nodes, pods and Services have ranges of their own: correct one of the two",
            (place,),
        )


def _written(loaded: LoadedCluster) -> Iterator[tuple[YamlPath, IPv4Interface]]:
    """Every range in the file, host bits and all."""
    spec = loaded.cluster.spec
    lists: list[tuple[YamlPath, Iterable[IPv4Interface]]] = [
        (NODES, spec.networks.nodes),
        (PODS, spec.networks.pods),
        (SERVICES, spec.networks.services),
        (LOCAL, spec.local_cidrs),
        (ADVERTISED, spec.advertised_cidrs),
        *(((*placed.path, "acceptedCidrs"), placed.remote.accepted_cidrs) for placed in remotes(loaded)),
    ]
    lists += [
        ((*placed.path, "overrides", "insideAllowed"), placed.remote.overrides.inside_allowed or [])
        for placed in remotes(loaded)
    ]
    for path, cidrs in lists:
        for index, cidr in enumerate(cidrs):
            yield (*path, index), cidr
    for placed in tunnels(loaded):
        yield (*placed.path, "inside", "cidr"), placed.tunnel.inside.cidr


@policy(
    "cidr-host-bits",
    Scope.CLUSTER,
    asks="Ranges are written with their first address: no bit is set beyond the prefix length.",
    why=(
        "10.0.0.5/16 is either the host 10.0.0.5 or the range 10.0.0.0/16; routers silently take the range"
        " (RFC 4632, section 3.1)."
    ),
    failing="spec:\n  remotes:\n    - acceptedCidrs: [10.0.0.5/16]\n",
    passing="spec:\n  remotes:\n    - acceptedCidrs: [10.0.0.0/16]\n",
)
def cidr_host_bits(loaded: LoadedCluster) -> Iterator[Problem]:
    for path, cidr in _written(loaded):
        if cidr.ip != cidr.network.network_address:
            yield Problem(
                path,
                f"{cidr} has bits set beyond its length of {cidr.network.prefixlen}",
                f"write {cidr.network}, or {cidr.ip}/32 for the one address",
            )


@policy(
    "local-cidrs-not-special",
    Scope.CLUSTER,
    asks=(
        "No range of the cluster (networks, localCidrs, advertisedCidrs) holds the default route, loopback,"
        " link-local, multicast or reserved addresses."
    ),
    why=(
        "localCidrs: [0.0.0.0/0] would announce a default route and draw all traffic of the remote site into"
        " the cluster. RFC 6890 lists the ranges that are never routed."
    ),
    failing="spec:\n  localCidrs: [0.0.0.0/0]\n",
    passing="spec:\n  localCidrs: [10.128.0.0/9, 172.16.0.0/12]\n",
)
def local_cidrs_not_special(loaded: LoadedCluster) -> Iterator[Problem]:
    advertised = ranges(ADVERTISED, loaded.cluster.spec.advertised_cidrs)
    for each in [*cluster_networks(loaded), *local(loaded), *advertised]:
        special = not_routable(each.network)
        if special is not None:
            what = special.relation(each.network) if each.network.prefixlen else "is the default route"
            yield Problem(
                each.owner,
                f"{called(each.owner)} {each.network} {what}",
                "write the ranges that the cluster really has",
            )
