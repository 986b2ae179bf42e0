"""The outages of one list of failures, measured on whatever connects the cluster: the project, and a baseline."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from ipaddress import IPv4Network
from itertools import islice
from operator import le
from typing import Protocol

from ..twin.namespace import Namespace
from ..twin.outages import Measured
from ..twin.traffic import Flow, Traffic, TrafficError
from ..twin.waiting import until

VETH = "ss0"
_PROBES = 50
_HEALTHY_CEILING = 240.0
_ROUTES_CEILING = 900.0
_MORE_SPECIFIC = 30


class Blow(StrEnum):
    """A failure of one gateway."""

    NODE_DIES = "gateway node dies"
    PATH_BLACKHOLED = "IPsec path blackholed"
    CHARON_KILLED = "charon killed"
    DRAINED = "gateway drained on purpose"


@dataclass(frozen=True, slots=True)
class Trial:
    """A failure while the site announces so many prefixes."""

    blow: Blow
    routes: int = 1


TRIALS = (
    *(Trial(blow) for blow in Blow),
    *(Trial(blow, routes) for routes in (1_000, 10_000) for blow in (Blow.NODE_DIES, Blow.PATH_BLACKHOLED)),
)
"""The table's rows: all failures with one route, and those that change routes with many."""


@dataclass(frozen=True, slots=True)
class Victim:
    """The gateway that the failures happen to, and its node."""

    name: str
    node: Namespace


@dataclass(frozen=True, slots=True)
class Course:
    """Where packets of a flow go from and to."""

    direction: str
    """`out` from the cluster to the site, `in` the other way."""
    source: Namespace
    source_address: str
    destination: Namespace
    address: str


@dataclass(frozen=True, slots=True)
class Row:
    """What a failure did to a flow of one direction."""

    subject: str
    blow: Blow
    routes: int
    direction: str
    struck: float
    """When the failure happened, in seconds since 1970."""
    interval: float
    """Milliseconds between two packets: the figures are no finer."""
    measured: Measured
    """From just before the failure until traffic had flowed again for some seconds, or until the ceiling."""

    @property
    def ended(self) -> bool:
        """Whether traffic flowed again before the ceiling."""
        return not self.measured.outages or self.measured.outages[-1].ended

    def __str__(self) -> str:
        return f"{self.subject}: {self.blow}, {self.routes} routes, {self.direction}: {self.measured}"


class Subject(Protocol):
    """What connects the cluster to the site."""

    @property
    def name(self) -> str:
        """As the table calls it."""

    def strike(self, blow: Blow, gateway: str) -> None:
        """Lets the failure happen."""

    def mend(self, blow: Blow, gateway: str) -> None:
        """Undoes it; what heals by itself needs nothing."""

    def problems(self, prefixes: Collection[str]) -> list[str]:
        """What does not work yet, on any node: tunnels, sessions, and routes through all gateways, for these prefixes
        beside what the site announces from its start. Empty where the next failure may come.
        """


class Announcer(Protocol):
    """A site, as far as it announces."""

    def announce(self, prefixes: Sequence[str], /) -> None: ...

    def withdraw(self, prefixes: Sequence[str], /) -> None: ...


def more_specifics(accepted: str, number: int) -> tuple[str, ...]:
    """So many prefixes in the range: /30s behind its first /24, which the site announces anyway.

    Raises ValueError where the range is too small.
    """
    network = IPv4Network(accepted)
    first = IPv4Network((network.network_address, max(24, network.prefixlen)))
    parts = (str(part) for part in network.subnets(new_prefix=_MORE_SPECIFIC) if not part.subnet_of(first))
    found = tuple(islice(parts, number))
    if len(found) < number:
        raise ValueError(f"{accepted} has {len(found)} prefixes of length {_MORE_SPECIFIC} to announce, not {number}")
    return found


def outages(
    subject: Subject,
    victim: Victim,
    courses: Sequence[Course],
    site: Announcer,
    accepted: str,
    trials: Sequence[Trial] = TRIALS,
    *,
    ceiling: float = 120.0,
) -> Iterator[Row]:
    """The rows of all trials, each as soon as it is measured; the subject runs and is mended after each.

    `courses` are candidates in both directions, between different addresses: of each direction the first that the
    victim carries is measured. `accepted` is the range that more prefixes are announced of; with more than one the
    subject gets 15 minutes to learn them. `ceiling` is in seconds, how long an outage is waited for at most.

    Raises AssertionError where the subject does not become well, or the victim carries none of a direction's courses.
    """
    announced: tuple[str, ...] = ()
    try:
        for trial in sorted(trials, key=lambda trial: trial.routes):
            prefixes = more_specifics(accepted, trial.routes - 1)
            if prefixes != announced:
                site.announce(prefixes[len(announced) :])
                announced = prefixes
            _well(subject, prefixes)
            yield from _trial(subject, victim, courses, trial, ceiling)
            subject.mend(trial.blow, victim.name)
        _well(subject, announced)
    finally:
        if announced:
            site.withdraw(announced)


def _well(subject: Subject, prefixes: Sequence[str]) -> None:
    ceiling = _ROUTES_CEILING if len(prefixes) > 1 else _HEALTHY_CEILING
    until(f"{subject.name} is well", lambda: subject.problems(prefixes), lambda found: not found, ceiling)


def _trial(subject: Subject, victim: Victim, courses: Sequence[Course], trial: Trial, ceiling: float) -> Iterator[Row]:
    with Traffic() as traffic:
        outward = carried(traffic, victim, courses, "out")
        flows = [outward, carried(traffic, victim, courses, "in", outward)]
        since = traffic.steady(flows, timeout=60)
        struck = traffic.now()
        subject.strike(trial.blow, victim.name)
        try:
            # an outage that has not begun yet is none that has ended: what the failure hurts shows at once
            end = traffic.steady(flows, seconds=3.0, timeout=ceiling) + 3.0
        except TrafficError:
            end = traffic.now()
        for flow in flows:
            yield Row(
                subject=subject.name,
                blow=trial.blow,
                routes=trial.routes,
                direction=flow.direction,
                struck=struck,
                interval=flow.interval * 1000,
                measured=traffic.measure(flow, max(since, struck - 0.5), end),
            )


def carried(
    traffic: Traffic, victim: Victim, courses: Sequence[Course], direction: str, other: Flow | None = None
) -> Flow:
    """A flow of the direction that passes the victim, by the counters of its veth pair.

    `other` is what flows already: where charon is behind the veth pair, its packets are counted in both directions.
    """
    for number, course in enumerate(course for course in courses if course.direction == direction):
        before = _passing(victim.node, direction, other) if other else 0
        flow = traffic.flow(
            f"{direction} {number}",
            course.source,
            course.source_address,
            course.destination,
            course.address,
            direction=direction,
        )
        if _passing(victim.node, direction, flow) - before > _PROBES // 2:
            return flow
        traffic.remove(flow)
    raise AssertionError(f"wanted: a course {direction} that gateway {victim.name} carries\nfound: none of those given")


def _passing(node: Namespace, direction: str, flow: Flow) -> int:
    """Packets through the node's veth pair while the flow sends _PROBES of its own."""
    before, sent = _packets(node, direction), flow.sent
    until(f"{_PROBES} packets of {flow.name} sent", partial(getattr, flow, "sent"), partial(le, sent + _PROBES))
    return _packets(node, direction) - before


def _packets(node: Namespace, direction: str) -> int:
    """Packets on their way through the gateway: what leaves the cluster goes into ss0, the rest comes out of it."""
    listed = json.loads(node.ip("-json", "-statistics", "link", "show", VETH))
    return int(listed[0]["stats64"]["tx" if direction == "out" else "rx"]["packets"])
