"""Flows and probes between two real namespaces."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from tests.lab.twin.reachability import Endpoint, Probe, matrix, probe, reaches
from tests.lab.twin.traffic import Traffic, TrafficError
from tests.lab.twin.waiting import until
from tests.unit.lab.world import World


@pytest.fixture(scope="module")
def traffic(world: World) -> Iterator[Traffic]:
    with Traffic() as made:
        yield made


def test_a_cut_cable_is_an_outage_both_ways(world: World, traffic: Traffic) -> None:
    pod, host = world.pod, world.host
    flows = [
        *traffic.several(2, "pod to host", pod.namespace, pod.address, host.namespace, host.address),
        traffic.flow("host to pod", host.namespace, host.address, pod.namespace, pod.address, direction="in"),
    ]
    since = traffic.steady(flows)
    sent = flows[0].sent
    world.cut()
    until("30 packets are sent", lambda: flows[0].sent >= sent + 30)
    world.mend()
    traffic.steady(flows)
    end = traffic.now()
    for flow in flows:
        measured = traffic.measure(flow, since, end)
        (outage,) = measured.outages
        assert outage.ended
        assert outage.lost >= 20
        assert outage.milliseconds >= 200
        assert (flow.strangers, flow.refused, flow.duplicates) == (0, 0, 0)
    traffic.remove(*flows)


def test_another_source_address_is_noticed(world: World, traffic: Traffic) -> None:
    pod, host = world.pod, world.host
    flow = traffic.flow("as it is", pod.namespace, pod.address, host.namespace, host.address)
    other = traffic.flow("snat", pod.namespace, pod.address, host.namespace, host.address, seen=["192.0.2.7"])
    until("packets arrive", lambda: min(flow.received, other.received) > 3)
    assert (flow.strangers, flow.stranger) == (0, None)
    assert (other.strangers > 0, other.stranger) == (True, pod.address)
    traffic.remove(flow, other)


def test_a_sender_without_a_route_loses_and_says_why(world: World, traffic: Traffic) -> None:
    pod, host = world.pod, world.host
    pod.namespace.ip("route", "add", "unreachable", "192.0.2.1")
    flow = traffic.flow(
        "no route", pod.namespace, pod.address, host.namespace, host.address, service=("192.0.2.1", 7, 7)
    )
    until("packets are refused", lambda: flow.refused > 3)
    assert flow.refusal == "No route to host"
    with pytest.raises(TrafficError, match=r"not steady for 1 s within 1 s: no route: .* packets lost, not ended"):
        traffic.steady([flow], timeout=1)
    traffic.remove(flow)
    pod.namespace.ip("route", "del", "unreachable", "192.0.2.1")


def test_a_flow_that_stopped_sends_no_more(world: World, traffic: Traffic) -> None:
    pod, host = world.pod, world.host
    flow = traffic.flow("stops", pod.namespace, pod.address, host.namespace, host.address, interval=0.02)
    until("10 packets are sent", lambda: flow.sent >= 10)
    traffic.stop(flow)
    sent = flow.sent
    until("all arrive", lambda: flow.received == sent)
    assert flow.sent == sent
    traffic.remove(flow)


def test_a_namespace_that_is_left_holds_no_socket(world: World, traffic: Traffic) -> None:
    pod, host = world.pod, world.host
    away = traffic.flow("out", pod.namespace, pod.address, host.namespace, host.address)
    home = traffic.flow("in", host.namespace, host.address, pod.namespace, pod.address)
    until("packets arrive both ways", lambda: min(away.received, home.received) > 3)
    assert len(pod.namespace.run(("ss", "-Hanu")).splitlines()) == 2
    traffic.leave(pod.namespace)
    assert pod.namespace.run(("ss", "-Hanu")) == ""
    sent, received, away_sent = home.sent, home.received, away.sent
    until("the other end sends on", lambda: home.sent > sent + 3)
    assert (away.sent, home.received) == (away_sent, received)
    traffic.remove(away, home)


def test_a_dead_sender_is_an_error_and_no_outage(world: World) -> None:
    pod, host = world.pod, world.host
    with Traffic() as traffic:
        flow = traffic.flow("dies", pod.namespace, pod.address, host.namespace, host.address)
        since = traffic.now()
        os.kill(traffic.pid, 9)
        with pytest.raises(TrafficError, match="the sending process ended with -9"):
            traffic.outages(flow, since)


def test_probes_tell_the_address_seen(world: World) -> None:
    pod, host = world.pod, world.host
    answers = probe(matrix([pod, host], [pod, host]))
    assert [str(answer) for answer in answers] == [
        "pod -> host UDP: reached",
        "pod -> host TCP: reached",
        "host -> pod UDP: reached",
        "host -> pod TCP: reached",
    ]
    assert [answer.seen for answer in answers] == [pod.address] * 2 + [host.address] * 2
    (udp, tcp) = probe([Probe(pod, host, seen=frozenset({"192.0.2.7"}))])
    assert udp.problem == tcp.problem == "seen as 10.234.0.10, not as 192.0.2.7"


def test_probes_tell_what_is_wrong(world: World) -> None:
    pod, host = world.pod, world.host
    world.cut()
    try:
        answers = probe([Probe(pod, host)], timeout=0.3)
    finally:
        world.mend()
    assert [answer.problem for answer in answers] == ["no answer within 0.3 s"] * 2
    assert reaches(pod, host)
    elsewhere = Endpoint("service", host.namespace, host.address, service=("10.0.0.10", 9))
    assert [answer.problem for answer in probe([Probe(pod, elsewhere)])] == ["Connection refused"] * 2
