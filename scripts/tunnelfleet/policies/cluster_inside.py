"""Policies of one cluster about the addresses inside its tunnels."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from ipaddress import IPv4Network

from tunnelfleet.inventory.loading import LoadedCluster
from tunnelfleet.inventory.model import Inside, Remote
from tunnelfleet.policies.places import PlacedTunnel, inside, listed, tunnels
from tunnelfleet.policies.registry import Problem, Scope, policy
from tunnelfleet.prefixes import overlaps, uncovered
from tunnelfleet.profiles import LINK_LOCAL, RESERVED_INSIDE, effective

LENGTH = 30
# the first and the last /24 of 169.254.0.0/16 are reserved (RFC 3927, section 2.1)
_RESERVED_ENDS = (IPv4Network("169.254.0.0/24"), IPv4Network("169.254.255.0/24"))


@policy(
    "inside-addresses-valid",
    Scope.CLUSTER,
    asks="inside.cidr is a /30 of 169.254.0.0/16, and local and peer are its two hosts.",
    why=(
        "Google Cloud, AWS and Azure take a /30 of link-local addresses for each tunnel (Google Cloud Router: BGP"
        " sessions; AWS Site-to-Site VPN: tunnel options), and BGP runs between its only two hosts."
    ),
    failing="spec:\n  remotes:\n    - tunnels: [{inside: {local: 169.254.174.223}}]\n",
    passing="spec:\n  remotes:\n    - tunnels: [{inside: {local: 169.254.174.222}}]\n",
)
def inside_addresses_valid(loaded: LoadedCluster) -> Iterator[Problem]:
    for placed in tunnels(loaded):
        problem = _range_problem(placed)
        if problem is not None:
            yield problem
        else:
            yield from _host_problems(loaded, placed)


def _range_problem(placed: PlacedTunnel) -> Problem | None:
    """What is wrong with the range itself, in which case the hosts cannot be judged."""
    values = placed.tunnel.inside
    cidr = values.cidr.network
    meant = _meant(values)
    if not cidr.subnet_of(LINK_LOCAL):
        message = f"inside.cidr {cidr} is not in {LINK_LOCAL}"
        hint = f"write {meant}" if meant else f"write a /{LENGTH} of {LINK_LOCAL}, and its hosts as local and peer"
    elif cidr.prefixlen != LENGTH:
        message = f"inside.cidr {cidr} is a /{cidr.prefixlen}, expected a /{LENGTH}"
        hint = f"write {meant}" if meant else f"write the /{LENGTH} that holds local and peer"
    elif meant is not None and meant != cidr:
        message = f"inside.cidr {cidr} holds neither local {values.local} nor peer {values.peer}"
        hint = f"write {meant}, or correct the two addresses"
    else:
        return None
    return Problem((*placed.path, "inside", "cidr"), message, hint)


def _meant(values: Inside) -> IPv4Network | None:
    """The link-local /30 whose two hosts local and peer are, if there is one."""
    around = IPv4Network((values.local, LENGTH), strict=False)
    fits = {values.local, values.peer} == set(around.hosts())
    return around if fits and around.subnet_of(LINK_LOCAL) else None


def _host_problems(loaded: LoadedCluster, placed: PlacedTunnel) -> Iterator[Problem]:
    values = placed.tunnel.inside
    cidr = values.cidr.network
    hosts = list(cidr.hosts())
    path = (*placed.path, "inside")
    roles = {cidr.network_address: "the network address of", cidr.broadcast_address: "the broadcast address of"}
    for key, address, other in (("local", values.local, values.peer), ("peer", values.peer, values.local)):
        if address not in hosts:
            yield Problem(
                (*path, key),
                f"inside.{key} {address} is {roles.get(address, 'not in')} {cidr}",
                f"write {' or '.join(str(host) for host in hosts if host != other)}",
            )
    if values.local == values.peer and values.local in hosts:
        place = loaded.locate(*path, "local")
        yield Problem(
            (*path, "peer"),
            f"inside.peer {values.peer} is inside.local too ({place})",
            f"write {next(host for host in hosts if host != values.local)} for one of the two",
            (place,),
        )


@policy(
    "inside-range-reserved",
    Scope.CLUSTER,
    asks=(
        "inside.cidr is none of the ranges that the nodes use themselves or that the remote site's cloud refuses,"
        " and one that the cloud takes."
    ),
    why=(
        "169.254.100.0/29 and 169.254.179.179 join the nodes to the tunnels; the metadata server is"
        " 169.254.169.254. AWS reserves 169.254.0.0/30 to 169.254.5.0/30, and Azure takes 169.254.21.0 to"
        " 169.254.22.255 only (docs/profiles.md has the sources)."
    ),
    failing="""\
spec:
  remotes:
    - tunnels:
        - inside: {local: 169.254.100.1, peer: 169.254.100.2, cidr: 169.254.100.0/30}
""",
    passing="""\
spec:
  remotes:
    - tunnels:
        - inside: {local: 169.254.101.1, peer: 169.254.101.2, cidr: 169.254.101.0/30}
""",
)
def inside_range_reserved(loaded: LoadedCluster) -> Iterator[Problem]:
    for placed in tunnels(loaded):
        cidr = placed.tunnel.inside.cidr.network
        # elsewhere is for inside-addresses-valid
        defect = _refusal(placed.remote, cidr) if cidr.subnet_of(LINK_LOCAL) else None
        if defect is not None:
            yield Problem(
                (*placed.path, "inside", "cidr"),
                f"inside.cidr {cidr} {defect}",
                another_range(placed.remote, _used(loaded)),
            )


def _refusal(remote: Remote, cidr: IPv4Network) -> str | None:
    profile = effective(remote)
    for reserved in RESERVED_INSIDE:
        if reserved.overlaps(cidr):
            return f"overlaps {reserved}, which the nodes use themselves"
    for refused in profile.inside_refused:
        if refused.overlaps(cidr):
            return f"overlaps {refused}, which {profile.title} refuses"
    if not any(cidr.subnet_of(allowed) for allowed in profile.inside_allowed):
        return f"is outside of what {profile.title} takes: {listed(profile.inside_allowed)}"
    return None


def _used(loaded: LoadedCluster) -> list[IPv4Network]:
    return [each.network for each in inside(loaded)]


def another_range(remote: Remote, used: Iterable[IPv4Network]) -> str:
    """What to do about a range that cannot stay, with the first /30 that the remote site takes and nothing uses."""
    profile = effective(remote)
    taken = [*_RESERVED_ENDS, *RESERVED_INSIDE, *profile.inside_refused, *used]
    free = uncovered([each for each in profile.inside_allowed if each.subnet_of(LINK_LOCAL)], taken)
    candidates = (IPv4Network((each.network_address, LENGTH)) for each in free if each.prefixlen <= LENGTH)
    first = next(candidates, None)
    return f"use another /30{f', such as {first},' if first else ''} at both ends"


@policy(
    "inside-ranges-disjoint",
    Scope.CLUSTER,
    asks="No two tunnels of a cluster share an address inside.",
    why=(
        "Both ends of a BGP session are known by these addresses: with one address on two tunnels a gateway, or the"
        " remote router, keeps one of the two sessions only (RFC 4271, section 6.8)."
    ),
    failing="""\
spec:
  remotes:
    - tunnels:
        - {}
        - inside: {local: 169.254.174.221, peer: 169.254.174.222, cidr: 169.254.174.220/30}
""",
    passing="""\
spec:
  remotes:
    - tunnels:
        - {}
        - inside: {local: 169.254.174.225, peer: 169.254.174.226, cidr: 169.254.174.224/30}
""",
)
def inside_ranges_disjoint(loaded: LoadedCluster) -> Iterator[Problem]:
    # elsewhere is for inside-addresses-valid
    placed_ranges = [each for each in inside(loaded) if each.network.subnet_of(LINK_LOCAL)]
    for outer, inner in overlaps(placed_ranges):
        place = loaded.locate(*outer.owner)
        remote = loaded.cluster.spec.remotes[int(inner.owner[2])]
        yield Problem(
            inner.owner,
            f"inside.cidr {inner.network} overlaps {outer.network} of another tunnel ({place})",
            another_range(remote, _used(loaded)),
            (place,),
        )
