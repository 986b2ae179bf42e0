"""Policies on the routers' configuration that will run: what the pods mount, read back, against the inventory."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from tunnelfleet.inventory.model import Cluster, Gateway
from tunnelfleet.manifests.frr import parse_frr
from tunnelfleet.manifests.rendered import RenderedCluster, mapping, sequence
from tunnelfleet.manifests.routers import Unreadable
from tunnelfleet.manifests.swanctl import parse_swanctl
from tunnelfleet.policies.expected_bgp import agent_faults, node_router_faults, tunnel_router_faults
from tunnelfleet.policies.expected_ipsec import Deviation, connection_faults, pairs, settings_faults, tunnels_of
from tunnelfleet.policies.faults import Said, said
from tunnelfleet.policies.mounted import Workload, guarded
from tunnelfleet.policies.registry import LocatedProblem, Scope, policy

SWANCTL = "/etc/swanctl/swanctl.conf"
GATEWAY = "/opt/tunnelfleet/config/gateway.json"
FRR = "/opt/tunnelfleet/config/frr.conf"
AGENT = "/opt/tunnelfleet/config/agent.json"
KEYS = "/opt/tunnelfleet/keys"
PASSWORDS = "/opt/tunnelfleet/passwords"
NODE_PASSWORD = "/opt/tunnelfleet/password/password"
"""Where the programs in the containers read what they are told (base/strongswan, base/frr, base/routes)."""


@policy(
    "rendered-selectors-match",
    Scope.RENDERED,
    asks="The swanctl.conf that each gateway mounts has one connection for each of its tunnels and no other, with the "
    "addresses, identities, proposals, lifetimes and interface ids of the inventory, selectors 0.0.0.0/0, and "
    "the tunnel's own key.",
    why="It is read back from the rendered ConfigMap without the generator's help: a tunnel that negotiates the wrong "
    "thing comes up and carries nothing, and nobody sees why.",
    failing="# overlays/iceland-gcp/gateway-a/swanctl.conf\nremote_ts = 10.0.0.0/16",
    passing="# overlays/iceland-gcp/gateway-a/swanctl.conf\nremote_ts = 0.0.0.0/0",
)
def rendered_selectors_match(rendered: RenderedCluster) -> Iterator[LocatedProblem]:
    cluster = rendered.loaded.cluster
    yield from said(
        rendered,
        (
            each
            for gateway in cluster.spec.gateways
            for workload in Workload.named(
                rendered, "Deployment", f"ipsec-tunnel-{gateway.name}", f"gateway-{gateway.name}"
            )
            for each in guarded(_tunnels(workload, cluster, gateway))
        ),
    )


def _tunnels(workload: Workload, cluster: Cluster, gateway: Gateway) -> Iterator[Said]:
    container = workload.container("strongswan")
    file = workload.file(container, SWANCTL)
    try:
        config = parse_swanctl(file.text)
    except Unreadable as error:
        yield file.problem(Deviation(error.line, error.message))
        return
    for deviation in connection_faults(config, cluster, gateway):
        yield file.problem(deviation)
    settings = workload.file(container, GATEWAY)
    yield from settings.problems(lambda text: settings_faults(_json(text), config, cluster, gateway))
    for name, wanted in pairs(config, tunnels_of(cluster, gateway)).items():
        yield from workload.secret(container, f"{KEYS}/{name}", wanted.tunnel.preshared_key, str(wanted))


@policy(
    "rendered-prefix-lists-match",
    Scope.RENDERED,
    asks="The frr.conf that each container mounts has the sessions of the inventory and no other; each takes and "
    "announces exactly the prefixes that the inventory allows it, from sites nothing local and no default route, "
    "up to the profile's limit.",
    why="It is read back from the rendered ConfigMap without the generator's help: one prefix too many attracts the "
    "traffic of others, one too few cuts off a network, and BGP says nothing of either.",
    failing="# overlays/iceland-gcp/gateway-a/frr.conf\nip prefix-list CLUSTER seq 5 permit 10.0.0.0/8",
    passing="# overlays/iceland-gcp/gateway-a/frr.conf\nip prefix-list CLUSTER seq 5 permit 10.130.0.0/16",
)
def rendered_prefix_lists_match(rendered: RenderedCluster) -> Iterator[LocatedProblem]:
    yield from said(rendered, _routers(rendered))


def _routers(rendered: RenderedCluster) -> Iterator[Said]:
    cluster = rendered.loaded.cluster
    for gateway in cluster.spec.gateways:
        folder = f"gateway-{gateway.name}"
        for workload in Workload.named(rendered, "Deployment", f"ipsec-tunnel-{gateway.name}", folder):
            yield from guarded(_tunnel_router(workload, cluster, gateway))
            yield from guarded(_passwords(workload, cluster, gateway))
        for workload in Workload.named(rendered, "DaemonSet", f"ipsec-routes-{gateway.name}", folder):
            yield from guarded(_node_router(workload, cluster, gateway))
            yield from guarded(_agent(workload, cluster, gateway))
    for workload in Workload.named(rendered, "DaemonSet", "ipsec-routes-nodes", "routes"):
        yield from guarded(_node_router(workload, cluster, None))
        yield from guarded(_agent(workload, cluster, None))


def _tunnel_router(workload: Workload, cluster: Cluster, gateway: Gateway) -> Iterator[Said]:
    file = workload.file(workload.container("frr"), FRR)
    yield from file.problems(lambda text: tunnel_router_faults(parse_frr(text), cluster, gateway))


def _passwords(workload: Workload, cluster: Cluster, gateway: Gateway) -> Iterator[Said]:
    """The passwords of BGP with sites, which container frr adds to its configuration."""
    container = workload.container("frr")
    file = workload.file(container, GATEWAY)
    files = _password_files(file.text)
    for wanted in tunnels_of(cluster, gateway):
        password, about = wanted.remote.bgp_password, f"BGP with {wanted.remote.name}"
        name = files.get(str(wanted.tunnel.inside.peer))
        if password is not None and name is not None:
            yield from workload.secret(container, f"{PASSWORDS}/{name}", password, about)
        elif name is not None:
            yield file.problem(Deviation(("tunnels",), f"{about} has a password, expected none"))
        elif password is not None:
            expected = f"{password.secret_name}/{password.key}"
            yield file.problem(Deviation(("tunnels",), f"{about} has no passwordFile, expected one for {expected}"))


def _password_files(text: str) -> dict[str, str]:
    """The names of the password files in gateway.json: BGP peer -> name."""
    try:
        tunnels = [mapping(each) for each in sequence(mapping(_json(text)).get("tunnels"))]
    except Unreadable:
        return {}
    return {str(each.get("peer")): file for each in tunnels if isinstance(file := each.get("passwordFile"), str)}


def _node_router(workload: Workload, cluster: Cluster, gateway: Gateway | None) -> Iterator[Said]:
    container = workload.container("frr")
    yield from workload.secret(container, NODE_PASSWORD, cluster.spec.bgp.password, "BGP between the nodes")
    file = workload.file(container, FRR)
    yield from file.problems(lambda text: node_router_faults(parse_frr(text), cluster, gateway))


def _agent(workload: Workload, cluster: Cluster, gateway: Gateway | None) -> Iterator[Said]:
    file = workload.file(workload.container("agent"), AGENT)
    yield from file.problems(lambda text: agent_faults(_json(text), cluster, gateway))


def _json(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise Unreadable("not JSON from here on", getattr(error, "lineno", 1)) from error
