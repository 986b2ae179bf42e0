"""Policies of one cluster about the public addresses of remote sites."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import IPv4Network

from tunnelfleet.inventory.loading import LoadedCluster
from tunnelfleet.policies.places import (
    GATEWAYS,
    accepted,
    called,
    cluster_networks,
    local,
    repeated,
    tunnels,
)
from tunnelfleet.policies.registry import Problem, Scope, policy
from tunnelfleet.policies.special import not_public
from tunnelfleet.prefixes import Lookup


@policy(
    "peer-address-not-routed",
    Scope.CLUSTER,
    asks="The peerAddress of every tunnel is outside of acceptedCidrs, localCidrs and networks.",
    why=(
        "With a route to the tunnel's far end through the tunnel, its own packets are sent into it: a loop, and"
        " the tunnel is down as soon as BGP is up (RFC 2003, section 3.2; submariner issue 1106)."
    ),
    failing="spec:\n  remotes:\n    - acceptedCidrs: [10.0.0.0/16, 198.51.100.0/24]\n",
    passing="spec:\n  remotes:\n    - acceptedCidrs: [10.0.0.0/16, 198.51.100.128/25]\n",
)
def peer_address_not_routed(loaded: LoadedCluster) -> Iterator[Problem]:
    routed = [*accepted(loaded), *local(loaded), *cluster_networks(loaded)]
    # the default route has policies of its own
    lookup = Lookup(each for each in routed if each.network.prefixlen)
    for placed in tunnels(loaded):
        address = placed.tunnel.peer_address
        other = lookup.touching(IPv4Network(address))
        if other is not None:
            place = loaded.locate(*other.owner)
            yield Problem(
                (*placed.path, "peerAddress"),
                f"peerAddress {address} lies in {called(other.owner)} {other.network} ({place}):"
                " the tunnel's own packets would go into it",
                f"leave {address} out of {called(other.owner)}, or write the peer's public address",
                (place,),
            )


@policy(
    "peer-address-public",
    Scope.CLUSTER,
    asks=(
        "The peerAddress of every tunnel is not private, carrier-grade NAT, loopback, link-local, multicast or"
        " otherwise special; documentation ranges pass."
    ),
    why=(
        "Gateways dial the remote site over the Internet, where special ranges are not routed (RFC 6890). A"
        " link-local one is usually the address inside the tunnel, written into the wrong key."
    ),
    failing="spec:\n  remotes:\n    - tunnels: [{peerAddress: 169.254.174.221}]\n",
    passing="spec:\n  remotes:\n    - tunnels: [{peerAddress: 198.51.100.99}]\n",
)
def peer_address_public(loaded: LoadedCluster) -> Iterator[Problem]:
    for placed in tunnels(loaded):
        address = placed.tunnel.peer_address
        special = not_public(IPv4Network(address))
        if special is not None:
            yield Problem(
                (*placed.path, "peerAddress"),
                f"peerAddress {address} lies in {special}",
                f"write the public address of the VPN gateway of `{placed.remote.name}`",
            )


@policy(
    "tunnel-endpoints-distinct",
    Scope.CLUSTER,
    asks="No two tunnels join the same two public addresses, and no tunnel leads back to a gateway of the cluster.",
    why=(
        "IKE tells tunnels apart by their addresses and identities (RFC 7296, section 2.9): of two between the same"
        " ends only one comes up. The chart's publicIP was taken for the gateway's own, which then dialled itself."
    ),
    failing="spec:\n  remotes:\n    - tunnels: [{gateway: a, peerAddress: 203.0.113.12}]\n",
    passing="spec:\n  remotes:\n    - tunnels: [{gateway: a, peerAddress: 198.51.100.35}]\n",
)
def tunnel_endpoints_distinct(loaded: LoadedCluster) -> Iterator[Problem]:
    placed_tunnels = list(tunnels(loaded))
    for first, later in repeated(
        ((placed.tunnel.gateway, placed.tunnel.peer_address), placed) for placed in placed_tunnels
    ):
        place = loaded.locate(*first.path, "peerAddress")
        yield Problem(
            (*later.path, "peerAddress"),
            f"gateway `{later.tunnel.gateway}` has two tunnels to {later.tunnel.peer_address}; the first is at {place}",
            "write the address of another peer, or put the tunnel on another gateway",
            (place,),
        )
    own = {gateway.public_ip: index for index, gateway in enumerate(loaded.cluster.spec.gateways)}
    for placed in placed_tunnels:
        address = placed.tunnel.peer_address
        if address in own:
            index = own[address]
            place = loaded.locate(*GATEWAYS, index, "publicIP")
            yield Problem(
                (*placed.path, "peerAddress"),
                f"peerAddress {address} is the publicIP of gateway"
                f" `{loaded.cluster.spec.gateways[index].name}` ({place})",
                f"write the public address of the VPN gateway of `{placed.remote.name}`",
                (place,),
            )
