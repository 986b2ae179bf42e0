"""Whatever fails, traffic goes on within the time that the goals give, and everything comes back by itself."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.lab.report.recorder import Recorder
from tests.lab.twin import kernel, state
from tests.lab.twin.containers import Container
from tests.lab.twin.traffic import Traffic
from tests.lab.twin.twin import Twin
from tests.lab.twin.waiting import until

from .failing import Lab, victim

_SECOND = 1.0
# Where a flow must lose nothing, or no more than a pause of the machine that the twin lives on.
_NOTHING = 0.0
_GRACE = 10.0
"""Seconds that a peer without BFD may take longer than its hold time, to compute and to send again."""


@pytest.fixture
def lab(twin: Twin, traffic: Traffic, recorder: Recorder) -> Lab:
    """The twin, with a gateway chosen to suffer."""
    return Lab(twin, traffic, recorder, victim(twin.cluster))


def inwards(lab: Lab) -> float:
    """Seconds until sites that must find a dead tunnel by themselves send through another."""
    return _SECOND if all(r.bfd for r in lab.twin.cluster.remotes) else lab.fallback + _GRACE


def kill(container: Container, program: str) -> None:
    """Kills a program of the container with SIGKILL."""
    done = container.exec(("pkill", "-KILL", "-x", program))
    assert done.returncode == 0, f"no {program} to kill: {done.output}"


def left_by(lab: Lab) -> bool:
    """Whether a worker's kernel still sends to the gateway."""
    address = lab.twin.cluster.gateways[[g.name for g in lab.twin.cluster.gateways].index(lab.victim)].internal_ip
    return any(
        hop.outer == address
        for name in lab.twin.workers
        for hops in kernel.ways(lab.twin.nodes[name].namespace).values()
        for hop in hops
    )


def test_node_dies(lab: Lab) -> None:
    """A gateway's node dies and comes back."""
    name = f"node-{lab.victim}"
    with lab.trial("gateway node dies", *lab.goals(_SECOND, inwards(lab))) as watch:
        watch.mark(f"{name} dies")
        lab.traffic.leave(lab.twin.nodes[name].namespace)
        lab.twin.power_off(name)
        until("no worker sends to it", lambda: not left_by(lab))
        lab.traffic.steady(watch.flows, timeout=lab.fallback + 60)
        watch.mark(f"{name} is back")
        lab.twin.power_on(name)


@pytest.mark.quick
def test_charon_killed(lab: Lab) -> None:
    """charon is killed: its tunnels come back before anything needs to go elsewhere."""
    with lab.trial("charon killed", *lab.goals(_SECOND, _SECOND)) as watch:
        watch.mark("charon is killed")
        kill(lab.gateway.tunnel.containers["strongswan"], "charon")


@pytest.mark.parametrize("names", [("strongswan",), ("frr",), ("strongswan", "frr")], ids=" and ".join)
def test_containers_killed(lab: Lab, names: tuple[str, ...]) -> None:
    """Containers of a gateway are killed"""
    with lab.trial(f"container {' and '.join(names)} killed", *lab.goals(_SECOND, inwards(lab))) as watch:
        watch.mark("killed")
        for name in names:
            lab.gateway.tunnel.containers[name].kill()


def test_bgpd_killed(lab: Lab) -> None:
    """bgpd of a gateway is killed."""
    with lab.trial("bgpd killed", *lab.goals(_SECOND, inwards(lab))) as watch:
        watch.mark("bgpd is killed")
        kill(lab.gateway.tunnel.containers["frr"], "bgpd")


def test_namespace_deleted(lab: Lab) -> None:
    """Somebody deletes network namespace strongswan's name and its way to the node."""
    with lab.trial("namespace deleted", *lab.goals(_SECOND, inwards(lab))) as watch:
        watch.mark("deleted")
        lab.gateway.node.namespace.ip("link", "delete", "ss0")
        lab.gateway.tunnel.containers["strongswan"].exec(("ip", "netns", "delete", "strongswan"))


def test_path_blackholed(lab: Lab) -> None:
    """Nothing passes between a gateway and its peers any more, and nobody says so."""
    slowest = inwards(lab)
    with lab.trial("IPsec path blackholed", *lab.goals(slowest, slowest)) as watch:
        watch.mark("blackholed")
        for public, peer in lab.peers:
            lab.twin.fabric.block(public, peer)
        until("no worker sends to it", lambda: not left_by(lab), ceiling=slowest + 30)
        lab.traffic.steady(watch.flows, timeout=slowest + 60)
        watch.mark("open again")
        for public, peer in lab.peers:
            lab.twin.fabric.unblock(public, peer)


def test_session_reset(lab: Lab) -> None:
    """A site resets its BGP sessions with a gateway."""
    with lab.trial("BGP session reset", *lab.goals(_SECOND, _SECOND)) as watch:
        watch.mark("reset")
        for site in lab.twin.sites.values():
            for tunnel in site.remote.tunnels:
                if tunnel.gateway == lab.victim:
                    site.reset_bgp(tunnel)


@pytest.mark.parametrize("where", ["worker", "gateway"])
def test_route_pod_deleted(lab: Lab, where: str) -> None:
    """The pod of the route DaemonSet is deleted"""
    node = lab.twin.workers[0] if where == "worker" else f"node-{lab.victim}"
    pod = lab.twin.routes_pod(node)
    goal = _NOTHING if where == "worker" else _SECOND
    with lab.trial(f"DaemonSet pod deleted, {where}", *lab.goals(goal, goal)) as watch:
        watch.mark("deleted")
        lab.twin.kubelets[node].replace(pod.workload)


@pytest.mark.parametrize("where", ["worker", "gateway"])
def test_agent_killed(lab: Lab, where: str) -> None:
    """The route agent is killed: the kernel's routes stay"""
    node = lab.twin.workers[0] if where == "worker" else f"node-{lab.victim}"
    with lab.trial(f"agent killed, {where}", *lab.goals(_NOTHING, _NOTHING)) as watch:
        watch.mark("killed")
        lab.twin.routes_pod(node).containers["agent"].kill()


@pytest.mark.parametrize("where", ["worker", "gateway"])
def test_host_router_killed(lab: Lab, where: str) -> None:
    """The FRR of a node is killed"""
    node = lab.twin.workers[0] if where == "worker" else f"node-{lab.victim}"
    goal = _NOTHING if where == "worker" else _SECOND
    with lab.trial(f"host FRR restarted, {where}", *lab.goals(goal, goal)) as watch:
        watch.mark("killed")
        lab.twin.routes_pod(node).containers["frr"].kill()


@pytest.mark.parametrize("where", ["worker", "gateway"])
def test_overlay_flaps(lab: Lab, where: str) -> None:
    """cilium_vxlan goes down and up: routes, next hops and the neighbour are put back"""
    name = lab.twin.workers[0] if where == "worker" else f"node-{lab.victim}"
    node = lab.twin.nodes[name]
    with lab.trial(f"cilium_vxlan down and up, {where}") as watch:
        watch.mark("down and up")
        node.namespace.ip("link", "set", "cilium_vxlan", "down")
        node.namespace.ip("link", "set", "cilium_vxlan", "up")
        lab.twin.cilium.restore(node)


def test_routes_deleted_by_hand(lab: Lab) -> None:
    """Somebody deletes all of the agent's routes: they are put back."""
    node = lab.twin.nodes[lab.twin.workers[0]]
    with lab.trial("kernel routes deleted by hand", *lab.goals(_SECOND, _SECOND)) as watch:
        watch.mark("deleted")
        # `ip route flush` cannot delete routes that refer to nexthop objects
        node.namespace.batch(
            *(
                f"route delete {route.kind} {route.prefix} metric {route.metric}"
                for route in kernel.routes(node.namespace)
            )
        )


def test_both_gateways_down(lab: Lab) -> None:
    """All gateways die: nothing leaves in clear text, and they come back."""
    names = [f"node-{gateway.name}" for gateway in lab.twin.cluster.gateways]
    with lab.trial("all gateways down and back") as watch:
        watch.mark("all die")
        for name in names:
            lab.traffic.leave(lab.twin.nodes[name].namespace)
            lab.twin.power_off(name)
        until("no worker sends anywhere", lambda: not _ways(lab))
        watch.mark("all are back")
        for name in names:
            lab.twin.power_on(name)


def _ways(lab: Lab) -> list[str]:
    return [prefix for name in lab.twin.workers for prefix in kernel.ways(lab.twin.nodes[name].namespace)]


def _restart(lab: Lab) -> None:
    for site in lab.twin.sites.values():
        site.stop()
        site.start()


def _reboot(lab: Lab) -> None:
    for site in lab.twin.sites.values():
        site.reboot()


@pytest.mark.parametrize("happens", [_restart, _reboot], ids=["restarts", "reboots, with old SAs here"])
def test_peer_restarts(lab: Lab, happens: Callable[[Lab], None]) -> None:
    """Remote sites go and come back"""
    with lab.trial(f"peers: {happens.__name__.strip('_')}") as watch:
        watch.mark("now")
        happens(lab)


def test_key_mismatch(lab: Lab) -> None:
    """A key does not fit any more: traffic takes other tunnels, and returns when the key is mended."""
    site = next(s for s in lab.twin.sites.values() if lab.victim in {t.gateway for t in s.remote.tunnels})
    tunnels = [tunnel for tunnel in site.remote.tunnels if tunnel.gateway == lab.victim]
    with lab.trial("pre-shared key wrong, then mended", *lab.goals(_SECOND, inwards(lab))) as watch:
        watch.mark("wrong")
        for tunnel in tunnels:
            site.set_key(tunnel, "not-the-key-that-is-meant")
        until("no session", lambda: [t for t in tunnels if site.sessions()[t].up], lambda up: not up, ceiling=90)
        lab.traffic.steady(watch.flows, timeout=lab.fallback + 60)
        watch.mark("mended")
        for tunnel in tunnels:
            site.set_key(tunnel, tunnel.key)


def test_node_joins_and_leaves(lab: Lab) -> None:
    """A node is added and gets its routes, and is removed again; the others notice nothing."""
    with lab.trial("node added, then removed", *lab.goals(_NOTHING, _NOTHING)) as watch:
        watch.mark("added")
        name = lab.twin.add_worker()
        until("its routes", lambda: list(state.node_problems(name, lab.twin)), lambda found: not found, ceiling=120)
        watch.mark("removed")
        lab.twin.remove_worker(name)


@pytest.mark.quick
def test_drain(lab: Lab) -> None:
    """A gateway's pod is deleted on purpose: no packet is lost."""
    with lab.trial("gateway drained on purpose", *lab.goals(_NOTHING, _NOTHING)) as watch:
        watch.mark("deleted")
        lab.twin.kubelets[f"node-{lab.victim}"].replace(lab.gateway.tunnel.workload)
