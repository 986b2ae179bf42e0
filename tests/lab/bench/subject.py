"""What is measured: the twin with the rendered manifests, and the baseline on a twin that has none of our pods."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path

from ..baseline.baseline import Baseline, usual
from ..twin import kernel, state
from ..twin.namespace import Namespace
from ..twin.sites import Site
from ..twin.stage import Stage
from ..twin.twin import Twin
from .outages import Blow, Course, Victim

_NAMES = Path("/run/netns")
_ADDRESSES = 8


class Project:
    """The twin as the rendered manifests make it, with the site that is measured."""

    name = "tunnelfleet"

    def __init__(self, twin: Twin, site: Site) -> None:
        self._twin, self._site = twin, site

    def strike(self, blow: Blow, gateway: str) -> None:
        """Lets a failure happen to a gateway."""
        actions = {
            Blow.NODE_DIES: self._power_off,
            Blow.PATH_BLACKHOLED: self._blackhole,
            Blow.CHARON_KILLED: self._kill_charon,
            Blow.DRAINED: self._drain,
        }
        actions[blow](gateway)

    def mend(self, blow: Blow, gateway: str) -> None:
        """Undoes it; containers and pods come back by themselves."""
        if blow is Blow.NODE_DIES:
            self._twin.power_on(f"node-{gateway}")
        elif blow is Blow.PATH_BLACKHOLED:
            for pair in self._ends(gateway):
                self._twin.fabric.unblock(*pair)

    def problems(self, prefixes: Collection[str] = ()) -> list[str]:
        """What is not as it should be on any node, with these prefixes beside those that the site announces."""
        if not prefixes:
            return state.problems(self._twin)
        twin = self._twin
        found = [line for site in twin.sites.values() for line in state.site_problems(site, twin.cluster)]
        found += [line for gateway in twin.gateways.values() for line in state.gateway_problems(gateway, twin)]
        found += [f"{name} has not started" for name, pod in twin.pods.items() if not pod.started]
        # ten thousand routes take the kernel's reader a while
        return found or [line for name in twin.nodes for line in self._route_problems(name, prefixes)]

    def _route_problems(self, node: str, prefixes: Collection[str]) -> Iterator[str]:
        wanted = state.ways(node, self._twin)
        wanted |= dict.fromkeys(prefixes, wanted[self._site.announced[0]])
        found = kernel.ways(self._twin.nodes[node].namespace)
        wrong = [prefix for prefix in wanted.keys() | found.keys() if found.get(prefix) != wanted.get(prefix)]
        if wrong:
            yield f"{node}: {len(wrong)} prefixes, {min(wrong)} among them, do not go where {len(wanted)} should"

    def _power_off(self, gateway: str) -> None:
        # first: a process that is killed closes its connections, and the other end hears of it
        self._twin.fabric.cut(f"node-{gateway}")
        self._twin.power_off(f"node-{gateway}")

    def _blackhole(self, gateway: str) -> None:
        for pair in self._ends(gateway):
            self._twin.fabric.block(*pair)

    def _kill_charon(self, gateway: str) -> None:
        done = self._twin.gateways[gateway].tunnel.containers["strongswan"].exec(("pkill", "-KILL", "-x", "charon"))
        assert done.returncode == 0, f"no charon to kill on gateway {gateway}: {done.output}"

    def _drain(self, gateway: str) -> None:
        pod = self._twin.gateways[gateway].tunnel
        self._twin.kubelets[f"node-{gateway}"].replace(pod.workload)

    def _ends(self, gateway: str) -> list[tuple[str, str]]:
        public = next(one.public_ip for one in self._twin.cluster.gateways if one.name == gateway)
        peers = dict.fromkeys(t.peer_address for t in self._site.remote.tunnels if t.gateway == gateway)
        return [(public, peer) for peer in peers]


@contextmanager
def project(stage: Stage, remote: str, logs: Path) -> Iterator[tuple[Project, Twin, Site]]:
    """The project's, as long as the block runs."""
    try:
        with Twin(stage, logs) as twin:
            site = twin.sites[remote]
            yield Project(twin, site), twin, site
    finally:
        _clear()


@contextmanager
def baseline(stage: Stage, remote: str, logs: Path) -> Iterator[tuple[Baseline, Twin, Site]]:
    """The baseline's. Raises ValueError where it cannot connect to the site."""
    with ExitStack() as stack:
        stack.callback(_clear)
        twin = Twin(replace(stage, cluster=usual(stage.cluster)), logs)
        stack.push(twin)
        twin.lay()
        site = twin.sites[remote]
        subject = Baseline(twin.cluster, twin.fabric, twin.nodes.values(), [site])
        site.start()
        stack.callback(subject.stop)
        subject.start()
        yield subject, twin, site


def victim(twin: Twin, site: Site) -> Victim:
    """The gateway with the site's first tunnel."""
    name = site.remote.tunnels[0].gateway
    return Victim(name, twin.nodes[f"node-{name}"].namespace)


def courses(twin: Twin, site: Site) -> tuple[Course, ...]:
    """Between the pods of all workers and some of the host's addresses: enough for each gateway to carry one."""
    pods = [twin.workloads[name.replace("node", "pod", 1)] for name in twin.workers]
    hosts = addresses(site.host_addresses[0])
    return tuple(
        course
        for host in hosts
        for pod in pods
        for course in (
            Course("out", pod.namespace, pod.address, site.host, host),
            Course("in", site.host, host, pod.namespace, pod.address),
        )
    )


def addresses(first: str) -> tuple[str, ...]:
    """Of the host behind a site, which answers on every address of its ranges: this one and the next."""
    network, _, host = first.rpartition(".")
    return tuple(f"{network}.{int(host) + number}" for number in range(_ADDRESSES))


def _clear() -> None:
    """Takes every namespace away, so that the next twin can have their names."""
    for path in sorted(_NAMES.iterdir()):
        Namespace(path.name).delete()
