"""Policies of one cluster about what it takes from remote sites."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import IPv4Network

from tunnelfleet.inventory.loading import LoadedCluster
from tunnelfleet.policies.places import accepted, called, cluster_networks, listed, local
from tunnelfleet.policies.registry import Problem, Scope, policy
from tunnelfleet.policies.special import not_routable
from tunnelfleet.prefixes import Lookup, uncovered


@policy(
    "accepted-cidrs-disjoint-from-local",
    Scope.CLUSTER,
    asks="acceptedCidrs share no address with localCidrs or with a range under networks.",
    why=(
        "A remote site could announce a more specific of the pod or node range, and every node would send that"
        " traffic into the tunnel: the longest match wins (RFC 4632, section 5.1)."
    ),
    failing="spec:\n  remotes:\n    - acceptedCidrs: [10.0.0.0/8]\n",
    passing="spec:\n  remotes:\n    - acceptedCidrs: [10.0.0.0/9, 10.128.0.0/10, 10.192.0.0/11]\n",
)
def accepted_cidrs_disjoint_from_local(loaded: LoadedCluster) -> Iterator[Problem]:
    # the default route, on either side, has policies of its own
    own = [each for each in [*local(loaded), *cluster_networks(loaded)] if each.network.prefixlen]
    lookup = Lookup(own)
    for each in accepted(loaded):
        other = lookup.touching(each.network) if each.network.prefixlen else None
        if other is not None:
            place = loaded.locate(*other.owner)
            rest = uncovered([each.network], [mine.network for mine in own])
            yield Problem(
                each.owner,
                f"{each.network} overlaps {called(other.owner)} {other.network} ({place})",
                _instead(each.network, rest),
                (place,),
            )


def _instead(network: IPv4Network, rest: list[IPv4Network]) -> str:
    if not rest:
        return f"remove {network}: all of it is the cluster's own"
    if len(rest) > 8:
        return "write the remote site's own ranges in its place"
    return f"write {listed(rest, 8)} in its place, as far as they are the remote site's"


@policy(
    "accepted-cidrs-not-special",
    Scope.CLUSTER,
    asks="acceptedCidrs hold no default route and no loopback, link-local, multicast or reserved addresses.",
    why=(
        "An accepted default route sends all traffic of every node into the tunnel, the tunnel's own packets and"
        " the way to the Kubernetes API included. RFC 6890 lists the ranges that are never routed."
    ),
    failing="spec:\n  remotes:\n    - acceptedCidrs: [0.0.0.0/0]\n",
    passing="spec:\n  remotes:\n    - acceptedCidrs: [10.0.0.0/16, 192.168.0.0/16]\n",
)
def accepted_cidrs_not_special(loaded: LoadedCluster) -> Iterator[Problem]:
    for each in accepted(loaded):
        special = not_routable(each.network)
        if special is not None:
            default = each.network.prefixlen == 0
            inside_special = each.network.subnet_of(special.network)
            yield Problem(
                each.owner,
                f"{each.network} {'is the default route' if default else special.relation(each.network)}",
                f"remove {each.network}"
                if inside_special and not default
                else "list the ranges that the remote site really has, such as 10.0.0.0/16",
            )
