"""Policies of one cluster about its gateways."""

from __future__ import annotations

from collections.abc import Iterator
from difflib import get_close_matches
from ipaddress import IPv4Network

from tunnelfleet.findings import Severity
from tunnelfleet.inventory.loading import LoadedCluster
from tunnelfleet.policies.places import (
    GATEWAYS,
    NODES,
    REMOTES,
    accepted,
    announced,
    called,
    listed,
    ranges,
    remotes,
    repeated,
    tunnels,
)
from tunnelfleet.policies.registry import Problem, Scope, policy
from tunnelfleet.policies.special import not_public
from tunnelfleet.prefixes import Lookup


@policy(
    "names-distinct",
    Scope.CLUSTER,
    asks="The gateways of a cluster have names of their own, and so have its remote sites.",
    why=(
        "Names become Deployments, folders and BGP peer groups: of two gateways called `a`, one would silently"
        " replace the other."
    ),
    failing="""\
spec:
  gateways:
    - name: a
    - name: b
    - {name: a, node: node-3, internalIP: 172.27.48.13, publicIP: 203.0.113.13}
""",
    passing="""\
spec:
  gateways:
    - name: a
    - name: b
""",
)
def names_distinct(loaded: LoadedCluster) -> Iterator[Problem]:
    spec = loaded.cluster.spec
    for kind, root, names in (
        ("gateways", GATEWAYS, [gateway.name for gateway in spec.gateways]),
        ("remotes", REMOTES, [remote.name for remote in spec.remotes]),
    ):
        for first, later in repeated((name, (*root, index, "name")) for index, name in enumerate(names)):
            place = loaded.locate(*first)
            yield Problem(
                later,
                f"two {kind} are called `{names[int(later[-2])]}`; the first is at {place}",
                "give each a name of its own",
                (place,),
            )


@policy(
    "gateway-nodes-distinct",
    Scope.CLUSTER,
    asks="Every gateway is on a node of its own.",
    why="Two gateways on one node are lost with that node, and the cluster with them: there is no failover.",
    failing="spec:\n  gateways:\n    - node: node-1\n    - node: node-1\n",
    passing="spec:\n  gateways:\n    - node: node-1\n    - node: node-2\n",
)
def gateway_nodes_distinct(loaded: LoadedCluster) -> Iterator[Problem]:
    gateways = loaded.cluster.spec.gateways
    for first, later in repeated((gateway.node, index) for index, gateway in enumerate(gateways)):
        place = loaded.locate(*GATEWAYS, first, "node")
        yield Problem(
            (*GATEWAYS, later, "node"),
            f"gateway `{gateways[later].name}` is on the same node as gateway `{gateways[first].name}` ({place})",
            "put it on another node of `kubectl get nodes`",
            (place,),
        )


@policy(
    "gateway-addresses-distinct",
    Scope.CLUSTER,
    asks="No two gateways share an internal or a public address.",
    why=(
        "The remote site knows a gateway by its public address (RFC 7296, section 3.5) and nodes by its internal"
        " one: with a shared address one of the two gateways gets no traffic."
    ),
    failing="spec:\n  gateways:\n    - publicIP: 203.0.113.11\n    - publicIP: 203.0.113.11\n",
    passing="spec:\n  gateways:\n    - publicIP: 203.0.113.11\n    - publicIP: 203.0.113.13\n",
)
def gateway_addresses_distinct(loaded: LoadedCluster) -> Iterator[Problem]:
    gateways = loaded.cluster.spec.gateways
    addresses = [
        (address, (index, key))
        for index, gateway in enumerate(gateways)
        for key, address in (("internalIP", gateway.internal_ip), ("publicIP", gateway.public_ip))
    ]
    for (first, first_key), (later, later_key) in repeated(addresses):
        # a node without NAT has one address for both
        if first != later:
            place = loaded.locate(*GATEWAYS, first, first_key)
            yield Problem(
                (*GATEWAYS, later, later_key),
                f"the {later_key} of gateway `{gateways[later].name}` is the {first_key} of gateway"
                f" `{gateways[first].name}` too ({place})",
                f"write the {'public' if later_key == 'publicIP' else 'internal'} address of node"
                f" {gateways[later].node}",
                (place,),
            )


@policy(
    "gateway-address-in-node-range",
    Scope.CLUSTER,
    asks="The internalIP of every gateway lies in one of networks.nodes.",
    why=(
        "Nodes take routes from, and reflectors take sessions of, addresses in the node ranges only; with another"
        " address the gateway gets none. The sample values of the chart that tunnelfleet succeeds had this mistake."
    ),
    failing="spec:\n  gateways:\n    - internalIP: 172.27.0.1\n",
    passing="spec:\n  gateways:\n    - internalIP: 172.27.48.1\n",
)
def gateway_address_in_node_range(loaded: LoadedCluster) -> Iterator[Problem]:
    nodes = ranges(NODES, loaded.cluster.spec.networks.nodes)
    lookup = Lookup(nodes)
    for index, gateway in enumerate(loaded.cluster.spec.gateways):
        if lookup.touching(IPv4Network(gateway.internal_ip)) is None:
            place = loaded.locate(*NODES)
            yield Problem(
                (*GATEWAYS, index, "internalIP"),
                f"internalIP {gateway.internal_ip} of gateway `{gateway.name}` is outside networks.nodes"
                f" {listed([each.network for each in nodes])} ({place})",
                "write the INTERNAL-IP that `kubectl get nodes -o wide` shows, or add its range to networks.nodes",
                (place,),
            )


@policy(
    "gateway-reference-exists",
    Scope.CLUSTER,
    asks="The gateway of every tunnel is one of the cluster's gateways.",
    why="A tunnel on a gateway that does not exist would run nowhere.",
    failing="spec:\n  remotes:\n    - tunnels: [{gateway: a}, {gateway: c}]\n",
    passing="spec:\n  remotes:\n    - tunnels: [{gateway: a}, {gateway: b}]\n",
)
def gateway_reference_exists(loaded: LoadedCluster) -> Iterator[Problem]:
    known = sorted({gateway.name for gateway in loaded.cluster.spec.gateways})
    for placed in tunnels(loaded):
        name = placed.tunnel.gateway
        if name not in known:
            close = [other for other in known if other == name.lower()] or get_close_matches(name, known, n=1)
            place = loaded.locate(*GATEWAYS)
            yield Problem(
                (*placed.path, "gateway"),
                f"there is no gateway `{name}`; the cluster has {listed(known, 8)} ({place})",
                f"did you mean `{close[0]}`?" if close else f"write {' or '.join(known[:4])}, or add the gateway",
                (place,),
            )


@policy(
    "remote-uses-two-gateways",
    Scope.CLUSTER,
    asks="Every remote site has tunnels on at least two gateways.",
    why=(
        "With all tunnels on one gateway the site is cut off when that node goes. Clouds promise their uptime for"
        " two gateways only, such as Google Cloud: HA VPN topologies, 99.99 %."
    ),
    failing="spec:\n  remotes:\n    - tunnels: [{gateway: a}, {gateway: a}]\n",
    passing="spec:\n  remotes:\n    - tunnels: [{gateway: a}, {gateway: b}]\n",
)
def remote_uses_two_gateways(loaded: LoadedCluster) -> Iterator[Problem]:
    for placed in remotes(loaded):
        # a gateway that does not exist is for gateway-reference-exists
        used = {tunnel.gateway for tunnel in placed.remote.tunnels}
        if len(used) == 1:
            only = used.pop()
            others = [gateway.name for gateway in loaded.cluster.spec.gateways if gateway.name != only]
            yield Problem(
                (*placed.path, "tunnels"),
                f"remote `{placed.remote.name}` has tunnels on gateway `{only}` only",
                f"add a tunnel on gateway {' or '.join(f'`{name}`' for name in others[:4])}",
                at_key=True,
            )


@policy(
    "gateways-used",
    Scope.CLUSTER,
    asks="Every gateway has a tunnel.",
    why=(
        "A gateway without tunnels occupies a node and looks like redundancy that is not there. It is well while"
        " a gateway node is being replaced."
    ),
    severity=Severity.WARNING,
    failing="""\
spec:
  gateways:
    - name: a
    - name: b
    - {name: c, node: node-3, internalIP: 172.27.48.13, publicIP: 203.0.113.13}
""",
    passing="""\
spec:
  gateways:
    - name: a
    - name: b
""",
)
def gateways_used(loaded: LoadedCluster) -> Iterator[Problem]:
    gateways = loaded.cluster.spec.gateways
    by_remote = [{tunnel.gateway for tunnel in placed.remote.tunnels} for placed in remotes(loaded)]
    used = set().union(*by_remote)
    # a tunnel on the wrong gateway is for gateway-reference-exists and remote-uses-two-gateways
    if not used <= {gateway.name for gateway in gateways} or any(len(names) < 2 for names in by_remote):
        return
    for index, gateway in enumerate(gateways):
        if gateway.name not in used:
            yield Problem(
                (*GATEWAYS, index, "name"),
                f"gateway `{gateway.name}` has no tunnel",
                "give it a tunnel to one of the remotes, or remove it",
            )


@policy(
    "gateway-address-public",
    Scope.CLUSTER,
    asks="The publicIP of every gateway is reachable over the Internet; documentation ranges pass.",
    why=(
        "The remote site dials this address and expects it as the IKE identity. A private one is usually the"
        " node's internal address, written into the wrong key (RFC 1918, RFC 6598)."
    ),
    failing="spec:\n  gateways:\n    - publicIP: 192.168.1.11\n",
    passing="spec:\n  gateways:\n    - publicIP: 203.0.113.99\n",
)
def gateway_address_public(loaded: LoadedCluster) -> Iterator[Problem]:
    for index, gateway in enumerate(loaded.cluster.spec.gateways):
        special = not_public(IPv4Network(gateway.public_ip))
        if special is not None:
            yield Problem(
                (*GATEWAYS, index, "publicIP"),
                f"publicIP {gateway.public_ip} of gateway `{gateway.name}` lies in {special}",
                f"write the public address that node {gateway.node} is seen as from outside",
            )


@policy(
    "gateway-address-not-routed",
    Scope.CLUSTER,
    asks="The publicIP of every gateway is outside of what is announced to and accepted from remote sites.",
    why=(
        "A remote router that learns a route to the tunnel's far end through the tunnel sends the tunnel's own"
        " packets into it: a loop, and the tunnel is down (RFC 2003, section 3.2; submariner issue 1106)."
    ),
    failing="spec:\n  localCidrs: [172.27.48.0/20, 10.232.0.0/14, 203.0.113.0/24]\n",
    passing="spec:\n  localCidrs: [172.27.48.0/20, 10.232.0.0/14, 203.0.113.128/25]\n",
)
def gateway_address_not_routed(loaded: LoadedCluster) -> Iterator[Problem]:
    # the default route has policies of its own
    lookup = Lookup(each for each in [*announced(loaded), *accepted(loaded)] if each.network.prefixlen)
    for index, gateway in enumerate(loaded.cluster.spec.gateways):
        other = lookup.touching(IPv4Network(gateway.public_ip))
        if other is not None:
            place = loaded.locate(*other.owner)
            yield Problem(
                (*GATEWAYS, index, "publicIP"),
                f"publicIP {gateway.public_ip} of gateway `{gateway.name}` lies in {called(other.owner)}"
                f" {other.network} ({place})",
                f"leave {gateway.public_ip} out of {called(other.owner)}, or correct the address",
                (place,),
            )
