"""Measures the project and a baseline in one run: `python3 -m tests.lab.bench STAGE RESULTS` on the twin's machine.

It writes report.txt, report.json and report.html to the folder RESULTS, and prints the first.
"""

from __future__ import annotations

import argparse
import platform
import sys
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from ..report.model import Number
from ..report.recorder import Recorder
from ..report.text import text
from ..twin.shell import CommandError
from ..twin.sites import Site
from ..twin.sites.daemons import IMAGE
from ..twin.stage import Remote, Stage, load
from ..twin.traffic import TrafficError
from ..twin.twin import Twin
from ..twin.waiting import until
from . import agent, findings, outages, subject, throughput
from .outages import TRIALS, Row, Subject
from .parts import Part
from .throughput import Speeds

_CEILING = 120.0
"""Seconds that an outage is waited for."""
_WHOLE = 240.0


@dataclass(slots=True)
class Bench:
    """What is to be measured, and what has been by now."""

    stage: Stage
    logs: Path
    parts: Collection[Part]
    most: int
    recorder: Recorder
    rows: list[Row] = field(default_factory=list)
    baseline_rows: list[Row] = field(default_factory=list)
    path: Speeds | None = None
    bare: Speeds | None = None
    baseline_path: Speeds | None = None
    failed: bool = False

    @property
    def remote(self) -> Remote:
        """The site that is measured."""
        return findings.measured_remote(self.stage.cluster)

    @property
    def limit(self) -> int | None:
        """How many prefixes the gateways take from the site."""
        return findings.limit(self.stage.objects, self.remote)

    @property
    def trials(self) -> Sequence[outages.Trial]:
        """The failures, with as many routes as may be."""
        return findings.feasible(TRIALS, self.remote, self.limit, self.most)

    def run(self) -> None:
        """Measures all parts."""
        if Part.AGENT in self.parts:
            with self.going_on("route agent"):
                results = agent.measure(self.stage, IMAGE)
                for number in findings.agent_numbers(results):
                    self.recorder.number(number)
        if {Part.OUTAGES, Part.THROUGHPUT} & set(self.parts):
            with self.going_on("tunnelfleet"):
                self.project()
            with self.going_on("baseline"):
                self.baseline()

    def project(self) -> None:
        """The project's outages and throughput."""
        with subject.project(self.stage, self.remote.name, self.logs / "tunnelfleet") as (measured, twin, site):
            self.fail(measured, twin, site, self.rows)
            clear_text = twin.fabric.clear_text().total()
            self.recorder.number(Number("packets that left a node in clear text", clear_text, "packets", goal=0))
            if Part.THROUGHPUT in self.parts:
                _well(measured)
                self.path = throughput.whole_path(twin, site)
                self.bare = throughput.bare_tunnel(twin.gateways[self.remote.tunnels[0].gateway], site)

    def baseline(self) -> None:
        """The baseline's."""
        with subject.baseline(self.stage, self.remote.name, self.logs / "baseline") as (measured, twin, site):
            try:
                self.fail(measured, twin, site, self.baseline_rows)
                if Part.THROUGHPUT in self.parts:
                    _well(measured)
                    self.baseline_path = throughput.whole_path(twin, site)
            except AssertionError as error:
                raise AssertionError(f"{error}\n{measured.logs()}") from error

    def fail(self, measured: Subject, twin: Twin, site: Site, rows: list[Row]) -> None:
        """The rows of all failures, each as soon as it is there."""
        if Part.OUTAGES not in self.parts:
            return
        victim, courses = subject.victim(twin, site), subject.courses(twin, site)
        accepted = self.remote.accepted_cidrs[0]
        for row in outages.outages(measured, victim, courses, site, accepted, self.trials, ceiling=_CEILING):
            print(row, flush=True)
            rows.append(row)

    @contextmanager
    def going_on(self, what: str) -> Iterator[None]:
        """What fails is noted, and the rest measured. ValueError means that this cluster has no such figure."""
        print(f"measuring: {what}", flush=True)
        try:
            yield
        except ValueError as error:
            self.recorder.note(f"{what}, not all measured: {error}")
        except (AssertionError, CommandError, TrafficError, OSError) as error:
            print(f"{what}: {error}", file=sys.stderr, flush=True)
            self.recorder.note(f"{what}, not all measured: {'; '.join(str(error).splitlines()[:2])}")
            self.failed = True

    def conclude(self) -> None:
        """Puts what was found side by side."""
        for trial in findings.trials(self.rows, self.baseline_rows, self.remote):
            self.recorder.trial(trial)
        if self.path and self.bare:
            for number in findings.throughput_numbers(self.path, self.bare, self.baseline_path):
                self.recorder.number(number)
        for note in findings.unfinished(self.baseline_rows):
            self.recorder.note(note)
        if self.rows and (note := findings.left_out(self.trials, self.limit, self.most)):
            self.recorder.note(note)


def _well(measured: Subject) -> None:
    until(f"{measured.name} is well", lambda: measured.problems(()), lambda found: not found, _WHOLE)


def main() -> int:
    """0 where all could be measured, whether or not the goals were reached."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("stage", type=Path)
    parser.add_argument("results", type=Path)
    parser.add_argument("--only", type=Part, choices=list(Part), action="append", help="default: everything")
    parser.add_argument("--routes", type=int, default=10_000, help="the most that a site announces (%(default)s)")
    arguments = parser.parse_args()
    stage = load(arguments.stage)
    recorder = Recorder(stage.cluster.name, f"Linux {platform.release()}")
    parts = arguments.only or list(Part)
    bench = Bench(stage, arguments.results / "logs", parts, arguments.routes, recorder)
    try:
        bench.run()
    finally:
        bench.conclude()
        recorder.write(arguments.results)
        print(text(recorder.report))
    return 1 if bench.failed else 0


if __name__ == "__main__":
    sys.exit(main())
