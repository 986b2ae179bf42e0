"""The cluster and its remote sites reach each other, in every direction, with their own addresses."""

from __future__ import annotations

from ipaddress import IPv4Address

import pytest

from tests.lab.report.recorder import Recorder
from tests.lab.twin import kernel, state
from tests.lab.twin.kernel import Hop
from tests.lab.twin.reachability import Answer, Probe, matrix, probe
from tests.lab.twin.traffic import Traffic
from tests.lab.twin.twin import Twin
from tests.lab.twin.waiting import equal, until

pytestmark = pytest.mark.quick
_SHARED = 12
"""Pairs of addresses that share the tunnels: that all of 12 take one of two has a chance of 1 in 2,048."""


def test_reachability(twin: Twin, recorder: Recorder) -> None:
    """Remote sites reach every pod, node and Service, and are reached, with the callers' addresses."""
    inside, remote = twin.endpoints(), twin.remote_endpoints()
    nodes = frozenset(node.spec.router for node in twin.nodes.values()) | {n.address for n in twin.nodes.values()}
    # Cilium hides the caller of a Service behind the gateway's address where the pod is on another node
    services = tuple(
        Probe(source, service, nodes | {source.address}) for source in remote for service in twin.service_endpoints()
    )
    answers = probe((*matrix(inside, remote), *matrix(remote, inside), *services), timeout=10)
    recorder.reach(answers)
    assert _wrong(answers) == []


def test_routes_come_and_go(twin: Twin) -> None:
    """A route that a site announces appears on every node, and disappears when it is withdrawn."""
    site = next(iter(twin.sites.values()))
    prefix = site.remote.accepted_cidrs[0].split("/")[0].rsplit(".", 2)[0] + ".77.0/24"
    serving = {tunnel.gateway for tunnel in site.remote.tunnels}
    wanted: dict[str, frozenset[Hop] | None] = {
        name: frozenset({Hop("ss0")}) if name.removeprefix("node-") in serving else state.through(serving, twin)
        for name in twin.nodes
    }

    def found() -> dict[str, frozenset[Hop] | None]:
        return {name: kernel.ways(node.namespace).get(prefix) for name, node in twin.nodes.items()}

    site.announce([prefix])
    for gateway in twin.gateways.values():
        if gateway.gateway.name in serving:
            until(f"{prefix} in the tunnel's FRR", gateway.inner.routes, lambda routes: prefix in routes)
            until(f"{prefix} in the node's FRR", gateway.host.routes, lambda routes: prefix in routes)
    equal(f"{prefix} in every kernel", found, wanted)
    site.withdraw([prefix])
    until(f"{prefix} in no kernel", found, lambda found: not any(found.values()), ceiling=30)


def test_tunnels_share_the_load(twin: Twin, traffic: Traffic) -> None:
    """All tunnels of a site carry traffic, in both directions."""
    worker = twin.workloads[f"pod-{twin.workers[0].removeprefix('node-')}"]
    for site in twin.sites.values():
        # the host answers on every address; nodes share the load by pairs of addresses, not by connections
        first = IPv4Address(site.host_addresses[0])
        ends = [(site.host, str(first + number), worker.namespace, worker.address) for number in range(_SHARED)]
        before = _bytes(twin)
        flows = (
            *(traffic.flow(f"in {n}", *end, direction="in") for n, end in enumerate(ends)),
            *(traffic.flow(f"out {n}", *end[2:], *end[:2], direction="out") for n, end in enumerate(ends)),
        )
        gateways = {tunnel.gateway for tunnel in site.remote.tunnels}

        def idle(gateways: set[str] = gateways, before: dict[tuple[str, str], int] = before) -> list[str]:
            now = _bytes(twin)
            return [f"{way} of {g}" for g in gateways for way in ("rx", "tx") if now[g, way] < before[g, way] + 20_000]

        until(f"every gateway of {site.remote.name} carries traffic both ways", idle, lambda found: not found)
        traffic.remove(*flows)


def _bytes(twin: Twin) -> dict[tuple[str, str], int]:
    """What each gateway's veth has carried: `rx` came out of the tunnels, `tx` went in."""
    counted = {}
    for name, gateway in twin.gateways.items():
        for way in ("rx", "tx"):
            path = f"/sys/class/net/ss0/statistics/{way}_bytes"
            counted[name, way] = int(gateway.node.namespace.run(("cat", path)))
    return counted


def _wrong(answers: tuple[Answer, ...]) -> list[str]:
    return [str(answer) for answer in answers if answer.problem]
