"""The report: what was looked at, what was found, what was wanted. Times are seconds since 1970."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from enum import StrEnum

from ..records import from_data
from ..twin.outages import Measured


class Outcome(StrEnum):
    """How a proof ended."""

    PASSED = "passed"
    FAILED = "failed"
    SKIPPED = "skipped"


@dataclass(frozen=True, slots=True)
class Tunnel:
    """A tunnel, by the gateway node that holds it."""

    node: str
    interface: str
    peer_address: str
    """The site's public address."""


@dataclass(frozen=True, slots=True)
class Site:
    """A remote site."""

    name: str
    profile: str
    asn: int
    networks: tuple[str, ...]
    """What it announces."""
    host: str
    """Address of the host behind it."""
    tunnels: tuple[Tunnel, ...]


@dataclass(frozen=True, slots=True)
class Node:
    """A node of the cluster, with one pod."""

    name: str
    address: str
    pod: str
    """Address of its pod."""
    gateway: str | None = None
    """Name of the gateway that runs on it."""
    public: str | None = None
    """The gateway's public address."""


@dataclass(frozen=True, slots=True)
class Topology:
    """Who is there."""

    sites: tuple[Site, ...] = ()
    nodes: tuple[Node, ...] = ()


@dataclass(frozen=True, slots=True)
class Reach:
    """Whether one place reaches another over one protocol."""

    source: str
    destination: str
    protocol: str
    """UDP or TCP."""
    seen: str | None
    """The source address that the destination saw; None where no answer came back."""
    problem: str | None
    """None where the answer came and the address was the caller's own."""


@dataclass(frozen=True, slots=True)
class Mark:
    """Something that happened during a trial."""

    at: float
    what: str


@dataclass(frozen=True, slots=True)
class Goal:
    """What is wanted of a trial, for the flows of one direction."""

    direction: str
    milliseconds: float
    """The longest that nothing may arrive; 0 where no packet may be lost."""
    baseline: float | None = None
    """What the baseline needs, in milliseconds."""


@dataclass(frozen=True, slots=True)
class Seen:
    """What one flow saw of a trial."""

    flow: str
    direction: str
    measured: Measured


@dataclass(frozen=True, slots=True)
class Trial:
    """Something was done to the twin while flows ran."""

    name: str
    marks: tuple[Mark, ...]
    seen: tuple[Seen, ...]
    goals: tuple[Goal, ...] = ()
    clear_text: int | None = None
    """Packets for or from a remote range that left a node in clear text; None where nobody watched."""

    @property
    def directions(self) -> tuple[str, ...]:
        """In the order of the flows."""
        return tuple(dict.fromkeys(seen.direction for seen in self.seen))

    def worst(self, direction: str) -> Seen:
        """The flow of the direction that was without delivery longest. Raises ValueError where there is none."""
        return max(
            (seen for seen in self.seen if seen.direction == direction),
            key=lambda seen: (not seen.measured.sent, seen.measured.milliseconds, seen.measured.lost),
        )

    def goal(self, direction: str) -> Goal | None:
        """What is wanted of the direction."""
        return next((goal for goal in self.goals if goal.direction == direction), None)

    def met(self, direction: str) -> bool | None:
        """Whether every flow of the direction reached the goal; None where there is none."""
        goal = self.goal(direction)
        if goal is None:
            return None
        return all(_within(goal, seen.measured) for seen in self.seen if seen.direction == direction)


@dataclass(frozen=True, slots=True)
class Number:
    """One figure of the benchmark."""

    name: str
    value: float
    unit: str
    goal: float | None = None
    """In the same unit."""
    baseline: float | None = None
    """The baseline's, in the same unit."""
    more_is_better: bool = False
    note: str = ""

    @property
    def met(self) -> bool | None:
        """None where there is no goal."""
        if self.goal is None:
            return None
        return self.value >= self.goal if self.more_is_better else self.value <= self.goal

    @property
    def ratio(self) -> float | None:
        """How many times better than the baseline."""
        better, worse = (self.value, self.baseline) if self.more_is_better else (self.baseline, self.value)
        return better / worse if better is not None and worse else None


@dataclass(frozen=True, slots=True)
class Proof:
    """One test of the twin."""

    name: str
    outcome: Outcome
    seconds: float
    reason: str = ""
    """Why it failed or was skipped."""


@dataclass(frozen=True, slots=True)
class Report:
    """Everything."""

    cluster: str
    machine: str
    """Where it ran: a virtual machine or not, which kernel."""
    when: float
    seconds: float = 0.0
    topology: Topology = Topology()
    reach: tuple[Reach, ...] = ()
    trials: tuple[Trial, ...] = ()
    numbers: tuple[Number, ...] = ()
    proofs: tuple[Proof, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def outcomes(self) -> Counter[Outcome]:
        """How many proofs ended how."""
        return Counter(proof.outcome for proof in self.proofs)

    @property
    def goals_met(self) -> tuple[bool, ...]:
        """One answer for each goal of a trial or number."""
        answers: Iterable[bool | None] = (
            *(trial.met(direction) for trial in self.trials for direction in trial.directions),
            *(number.met for number in self.numbers),
        )
        return tuple(answer for answer in answers if answer is not None)

    @property
    def clear_text(self) -> int | None:
        """Packets in clear text during all trials; None where nobody watched any."""
        counts = [trial.clear_text for trial in self.trials if trial.clear_text is not None]
        return sum(counts) if counts else None


def _within(goal: Goal, measured: Measured) -> bool:
    if not measured.sent or not all(outage.ended for outage in measured.outages):
        return False
    return measured.milliseconds <= goal.milliseconds if goal.milliseconds else not measured.lost


def dump(report: Report) -> str:
    """As JSON, for load()."""
    return json.dumps(asdict(report), indent=2, ensure_ascii=False) + "\n"


def load(text: str) -> Report:
    """Reads what dump() wrote. Raises ValueError or KeyError where it is something else."""
    return from_data(Report, json.loads(text))
