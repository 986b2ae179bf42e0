"""Collects what the proofs find, and writes the report."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from types import TracebackType

from ..twin.reachability import Answer
from ..twin.traffic import Flow, Traffic
from .model import Goal, Mark, Number, Outcome, Proof, Reach, Report, Seen, Topology, Trial, dump
from .page import page
from .text import text


class Watch:
    """A trial while it runs: flows are watched from entering until leaving it.

    Once it is left, `trial` holds what the flows saw; leaving waits for packets in flight (traffic.PATIENCE).
    """

    def __init__(
        self,
        keep: Callable[[Trial], None],
        name: str,
        traffic: Traffic,
        flows: Sequence[Flow],
        goals: Iterable[Goal],
        clear_text: Callable[[], int] | None,
    ) -> None:
        self._keep = keep
        self._name = name
        self._traffic = traffic
        self.flows = flows
        self._goals = tuple(goals)
        self._clear_text = clear_text
        self._clear_text_before = 0
        self._marks: list[Mark] = []
        self._since = 0.0
        self._trial: Trial | None = None

    @property
    def trial(self) -> Trial:
        """What was seen. Raises ValueError before the end."""
        if self._trial is None:
            raise ValueError(f"{self._name} has not ended")
        return self._trial

    def mark(self, what: str) -> float:
        """Notes that something happens now, and returns when that is."""
        at = self._traffic.now()
        self._marks.append(Mark(at, what))
        return at

    def __enter__(self) -> Watch:
        self._clear_text_before = self._clear_text() if self._clear_text else 0
        self._since = self._traffic.now()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        until = self._traffic.now()
        self._trial = Trial(
            name=self._name,
            marks=tuple(self._marks),
            seen=tuple(
                Seen(flow.name, flow.direction, self._traffic.measure(flow, self._since, until)) for flow in self.flows
            ),
            goals=self._goals,
            clear_text=self._clear_text() - self._clear_text_before if self._clear_text else None,
        )
        self._keep(self._trial)


class Recorder:
    """The report in the making. Safe to use from several threads."""

    def __init__(self, cluster: str, machine: str) -> None:
        self._lock = threading.Lock()
        self._began = time.monotonic()
        self._report = Report(cluster=cluster, machine=machine, when=time.time())

    @property
    def report(self) -> Report:
        """What there is by now."""
        with self._lock:
            return replace(self._report, seconds=time.monotonic() - self._began)

    def topology(self, topology: Topology) -> None:
        """Who is there; the last call counts."""
        with self._lock:
            self._report = replace(self._report, topology=topology)

    def reach(self, answers: Iterable[Answer]) -> None:
        """Adds what probes found; a later answer to the same question replaces the earlier one."""
        found = {
            (answer.probe.source.name, answer.probe.destination.name, answer.protocol): Reach(
                source=answer.probe.source.name,
                destination=answer.probe.destination.name,
                protocol=answer.protocol,
                seen=answer.seen,
                problem=answer.problem,
            )
            for answer in answers
        }
        with self._lock:
            before = {(one.source, one.destination, one.protocol): one for one in self._report.reach}
            self._report = replace(self._report, reach=tuple((before | found).values()))

    def watch(
        self,
        name: str,
        traffic: Traffic,
        flows: Sequence[Flow],
        *,
        goals: Iterable[Goal] = (),
        clear_text: Callable[[], int] | None = None,
    ) -> Watch:
        """A trial: `with recorder.watch(...) as watch: watch.mark("gateway a dies"); ...`, then `watch.trial`.

        `clear_text` counts the packets that left a node in clear text so far.
        """
        return Watch(self.trial, name, traffic, flows, goals, clear_text)

    def trial(self, trial: Trial) -> None:
        """Adds a trial."""
        with self._lock:
            self._report = replace(self._report, trials=(*self._report.trials, trial))

    def number(self, number: Number) -> None:
        """Adds a figure of the benchmark."""
        with self._lock:
            self._report = replace(self._report, numbers=(*self._report.numbers, number))

    def proof(self, name: str, outcome: Outcome, seconds: float, reason: str = "") -> None:
        """Adds how a proof ended."""
        with self._lock:
            proof = Proof(name, outcome, seconds, reason)
            self._report = replace(self._report, proofs=(*self._report.proofs, proof))

    def note(self, note: str) -> None:
        """Adds something that a reader must know."""
        with self._lock:
            self._report = replace(self._report, notes=(*self._report.notes, note))

    def write(self, folder: Path) -> None:
        """Writes report.txt, report.json and report.html. Raises OSError where it cannot."""
        write(self.report, folder)


def write(report: Report, folder: Path) -> None:
    """Writes report.txt, report.json and report.html. Raises OSError where it cannot."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in (("report.txt", text(report)), ("report.json", dump(report)), ("report.html", page(report))):
        (folder / name).write_text(content, encoding="utf-8")
