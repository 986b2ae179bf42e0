"""Failures: what is done to the twin, what it should do about it, and what flows of packets see of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from tests.lab.report.model import Goal, Trial
from tests.lab.report.recorder import Recorder, Watch
from tests.lab.twin import state
from tests.lab.twin.stage import Cluster
from tests.lab.twin.traffic import Flow, Traffic
from tests.lab.twin.twin import GatewayNode, Twin
from tests.lab.twin.waiting import until

_INTERVAL = 0.02
_WHOLE = 180


@dataclass(frozen=True, slots=True)
class Lab:
    """What a proof of a failure needs."""

    twin: Twin
    traffic: Traffic
    recorder: Recorder
    victim: str
    """Name of the gateway that suffers: one with the most tunnels."""

    @property
    def gateway(self) -> GatewayNode:
        """The gateway that suffers."""
        return self.twin.gateways[self.victim]

    @property
    def peers(self) -> tuple[tuple[str, str], ...]:
        """The gateway's own public address with each of its peers'."""
        public = self.gateway.gateway.public_ip
        return tuple((public, t.peer_address) for _, t in state.tunnels(self.twin.cluster) if t.gateway == self.victim)

    @property
    def fallback(self) -> float:
        """Seconds in which the site without BFD that takes longest finds a dead tunnel: BGP's hold time."""
        return max(remote.hold for remote in self.twin.cluster.remotes)

    def goals(self, out: float, inwards: float) -> tuple[Goal, ...]:
        """Goals in seconds, for packets to remote sites and from them."""
        return Goal("out", out * 1000), Goal("in", inwards * 1000)

    @contextmanager
    def flows(self) -> Iterator[tuple[Flow, ...]]:
        """Steady flows in both directions between every site of the victim and pods and nodes that survive it."""
        found: list[Flow] = []
        for site in self.twin.sites.values():
            if self.victim not in {tunnel.gateway for tunnel in site.remote.tunnels}:
                continue
            host, address = site.host, site.host_addresses[0]
            for name in self.twin.workers:
                pod = self.twin.workloads[name.replace("node", "pod")]
                node = self.twin.nodes[name]
                for place, where, own in ((pod.name, pod.namespace, pod.address), (name, node.namespace, node.address)):
                    label = f"{place} - {site.remote.name}"
                    found += (
                        self.traffic.flow(label, where, own, host, address, direction="out", interval=_INTERVAL),
                        self.traffic.flow(label, host, address, where, own, direction="in", interval=_INTERVAL),
                    )
        try:
            self.traffic.steady(found, timeout=60)
            yield tuple(found)
        finally:
            self.traffic.remove(*found)

    @contextmanager
    def trial(self, name: str, *goals: Goal) -> Iterator[Watch]:
        """Watches the flows during a failure; at its end everything is whole again and nothing is lost."""
        with self.flows() as flows:
            count = self.twin.fabric.clear_text
            with self.recorder.watch(
                name, self.traffic, flows, goals=goals, clear_text=lambda: count().total()
            ) as watch:
                yield watch
                until("nothing wrong", lambda: state.problems(self.twin), lambda found: not found, ceiling=_WHOLE)
                watch.mark("everything is up")
                self.traffic.steady(flows, timeout=60)
        check(watch.trial)


def check(trial: Trial) -> None:
    """The goals were reached, nothing went in clear text, and every packet came from where it should."""
    assert trial.clear_text == 0, f"{trial.clear_text} packets left a node in clear text"
    for goal in trial.goals:
        worst = trial.worst(goal.direction)
        wanted = f"{goal.direction}: at most {goal.milliseconds:.0f} ms without delivery"
        assert trial.met(goal.direction), f"{wanted}; found {worst.flow}: {worst.measured}"


def victim(cluster: Cluster) -> str:
    """The gateway with the most tunnels to different sites."""
    serving = {
        gateway.name: sum(gateway.name in {t.gateway for t in remote.tunnels} for remote in cluster.remotes)
        for gateway in cluster.gateways
    }
    return max(sorted(serving), key=lambda name: serving[name])


def gone(what: str, look: Callable[[], bool], ceiling: float = 60) -> None:
    """Waits until something is no more."""
    until(what, look, lambda there: not there, ceiling)
