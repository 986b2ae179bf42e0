"""TCP of full size, whatever becomes of ICMP, and through a failover."""

from __future__ import annotations

import pytest

from tests.lab.report.model import Number
from tests.lab.report.recorder import Recorder
from tests.lab.twin.reachability import Endpoint
from tests.lab.twin.streams import Transfer, transfer
from tests.lab.twin.traffic import Traffic
from tests.lab.twin.twin import Twin
from tests.lab.twin.waiting import until

from .failing import victim

_MEGABYTE = 10**6
_SMALL = 2 * _MEGABYTE
_LARGE = 1000 * _MEGABYTE
_TIMEOUT = 900.0


@pytest.mark.quick
def test_full_size_without_icmp(twin: Twin, recorder: Recorder) -> None:
    """TCP of full size passes in both directions while no router says that a packet is too long."""
    twin.fabric.mute()
    try:
        for site in twin.sites.values():
            remote = Endpoint(site.host.name, site.host, site.host_addresses[0])
            for inside in _ends(twin):
                for source, destination in ((inside, remote), (remote, inside)):
                    done = transfer(source, destination, _SMALL)
                    assert done.problem is None, f"{source.name} -> {destination.name}: {done}"
                    assert done.received == _SMALL, f"{source.name} -> {destination.name}: {done}"
                    assert done.mss <= site.remote.mtu - 40, f"{source.name} -> {destination.name}: {done}"
                    assert done.seen == source.address
                    recorder.number(Number(f"TCP {source.name} to {destination.name}", done.megabits, "Mbit/s"))
    finally:
        twin.fabric.unmute()


def _ends(twin: Twin) -> tuple[Endpoint, ...]:
    """A pod, a pod on a gateway's node, and a node."""
    worker = twin.workers[0].removeprefix("node-")
    wanted = (f"pod-{worker}", f"pod-{victim(twin.cluster)}", f"node-{worker}")
    return tuple(end for end in twin.endpoints() if end.name in wanted)


@pytest.mark.parametrize("direction", ["out", "in"])
def test_gigabyte_through_failover(twin: Twin, traffic: Traffic, direction: str) -> None:
    """A gigabyte arrives intact while the gateway that carries it dies"""
    name = f"node-{victim(twin.cluster)}"
    site = next(s for s in twin.sites.values() if name in {f"node-{t.gateway}" for t in s.remote.tunnels})
    remote = Endpoint(site.host.name, site.host, site.host_addresses[0])
    pod = next(end for end in twin.endpoints() if end.name == twin.workers[0].replace("node", "pod"))
    ends = (pod, remote) if direction == "out" else (remote, pod)
    with Transfer(*ends, _LARGE, timeout=_TIMEOUT) as running:
        until("a tenth of it", lambda: running.so_far().received, lambda done: done > _LARGE / 10, ceiling=300)
        traffic.leave(twin.nodes[name].namespace)
        twin.power_off(name)
        done = running.wait()
    twin.power_on(name)
    assert done.problem is None, str(done)
    assert done.received == _LARGE, str(done)
