"""Numbers and findings in words, the same for the terminal and the page."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from ..twin.outages import Measured
from .model import Goal, Number, Outcome, Reach, Report, Trial

_DIRECTIONS = {"out": "cluster → remote", "in": "remote → cluster"}


@dataclass(frozen=True, slots=True)
class Fact:
    """One line of the summary."""

    what: str
    value: str
    good: bool | None
    """None where it is neither."""


def direction(name: str) -> str:
    """`out` and `in` spelt out."""
    return _DIRECTIONS.get(name, name)


def duration(milliseconds: float) -> str:
    """Three digits at most: 620 ms, 1.24 s, 24.0 s, 180 s."""
    if milliseconds < 999.5:
        return f"{milliseconds:.0f} ms"
    seconds = milliseconds / 1000
    return f"{seconds:.{2 if seconds < 9.995 else 1 if seconds < 99.95 else 0}f} s"


def running(seconds: float) -> str:
    """How long the whole run took: 45 s, 12 min."""
    return f"{seconds:.0f} s" if seconds < 99.5 else f"{seconds / 60:.0f} min"


def amount(value: float) -> str:
    """With as many digits as help: 0.26, 12.4, 55,000."""
    if value == 0:
        return "0"
    digits = 3 if abs(value) < 0.1 else 2 if abs(value) < 10 else 1 if abs(value) < 100 else 0
    text = f"{value:,.{digits}f}"
    return text.rstrip("0").rstrip(".") if digits else text


def moment(seconds: float) -> str:
    """UTC, to the minute."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%-d %B %Y, %H:%M UTC")


def outage(measured: Measured) -> str:
    """How long nothing arrived."""
    if not measured.sent:
        return "not measured"
    if not measured.outages:
        return "none"
    text = duration(measured.milliseconds)
    return text if measured.outages[-1].ended else f"{text}, not ended"


def packets(measured: Measured) -> str:
    """Packets lost."""
    return f"{measured.lost} of {measured.sent}"


def remarks(measured: Measured) -> str:
    """What one must know to trust the figure; empty where there is nothing."""
    parts = []
    if measured.late:
        parts.append(f"{measured.late} packets came late, the slowest after {duration(measured.slowest)}")
    if len(measured.outages) > 1:
        parts.append(f"{len(measured.outages)} outages, the longest {duration(measured.longest)}")
    if measured.stalled:
        inside = max((run.stalled for run in measured.outages), default=0.0)
        where = "during the outage" if inside else "outside the outage" if measured.outages else "once"
        parts.append(f"the sender stalled {duration(inside or measured.stalled)} {where}")
    return "; ".join(parts)


def goal(wanted: Goal) -> str:
    """The ceiling."""
    return f"≤ {duration(wanted.milliseconds)}" if wanted.milliseconds else "none lost"


def number_goal(number: Number) -> str:
    """The ceiling or floor of a number, in its unit; empty where there is none."""
    return "" if number.goal is None else f"{'≥' if number.more_is_better else '≤'} {amount(number.goal)}"


def ratio(number: Number) -> str:
    """How it compares with the baseline; empty where that was not measured."""
    return "" if number.ratio is None else f"{amount(number.ratio)} times"


def verdict(met: bool | None) -> str:
    """Of a goal."""
    return {True: "met", False: "missed", None: ""}[met]


@dataclass(frozen=True, slots=True)
class Cell:
    """One cell of the reachability matrix."""

    code: str
    """Short: ok, none, UDP or TCP (which fails), src (another source address)."""
    good: bool
    says: str
    """A sentence."""


def cell(source: str, destination: str, found: Iterable[Reach]) -> Cell | None:
    """What the probes between two places found; None where there were none."""
    reach = [one for one in found if (one.source, one.destination) == (source, destination)]
    if not reach:
        return None
    where = f"{source} → {destination}"
    bad = [one for one in reach if one.problem is not None]
    if not bad:
        protocols = " and ".join(one.protocol for one in reach)
        return Cell("ok", True, f"{where}: {protocols}, seen as {reach[0].seen}")
    problems = dict.fromkeys(one.problem for one in bad)
    says = f"{where}, " + "; ".join(
        f"{' and '.join(one.protocol for one in bad if one.problem == problem)}: {problem}" for problem in problems
    )
    if all(one.seen is not None for one in reach):
        return Cell("src", False, says)
    return Cell("none" if len(bad) == len(reach) else bad[0].protocol, False, says)


@dataclass(frozen=True, slots=True)
class Block:
    """A part of the matrix that has few holes: sources that were asked about the same destinations."""

    sources: tuple[str, ...]
    destinations: tuple[str, ...]

    @property
    def turned(self) -> bool:
        """Whether the destinations are the rows: the longer side is."""
        return len(self.destinations) > len(self.sources)

    @property
    def down(self) -> tuple[str, ...]:
        """Names of the rows."""
        return self.destinations if self.turned else self.sources

    @property
    def across(self) -> tuple[str, ...]:
        """Names of the columns."""
        return self.sources if self.turned else self.destinations

    @property
    def corner(self) -> str:
        """What rows and columns are."""
        return "to ↓ from →" if self.turned else "from ↓ to →"

    def cell(self, row: str, column: str, found: Iterable[Reach]) -> Cell | None:
        """What the probes found; None where there were none."""
        return cell(column, row, found) if self.turned else cell(row, column, found)


def blocks(found: Iterable[Reach]) -> tuple[Block, ...]:
    """The matrix in parts, names in the order of the probes."""
    asked: dict[str, dict[str, None]] = {}
    for one in found:
        asked.setdefault(one.source, {})[one.destination] = None
    groups: list[list[str]] = []
    for source in asked:
        group = next((group for group in groups if _alike(source, group[0], asked)), None)
        if group is None:
            groups.append([source])
        else:
            group.append(source)
    return tuple(
        Block(tuple(group), tuple(dict.fromkeys(name for source in group for name in asked[source])))
        for group in groups
    )


def _alike(one: str, other: str, asked: Mapping[str, Collection[str]]) -> bool:
    """Whether both were asked about the same places; nobody is asked about itself."""
    both = {one, other}
    same = set(asked[one]) - both == set(asked[other]) - both
    return same and (other in asked[one]) == (one in asked[other])


def summary(report: Report) -> tuple[Fact, ...]:
    """What a reader wants to know first."""
    facts = []
    if report.proofs:
        outcomes = report.outcomes
        counted = ", ".join(f"{outcomes[outcome]} {outcome}" for outcome in Outcome if outcomes[outcome])
        facts.append(Fact("Proofs", counted, not outcomes[Outcome.FAILED]))
    if report.reach:
        reached = sum(one.problem is None for one in report.reach)
        facts.append(Fact("Reachability", f"{reached} of {len(report.reach)} probes", reached == len(report.reach)))
    if answers := report.goals_met:
        facts.append(Fact("Goals", f"{sum(answers)} of {len(answers)} met", all(answers)))
    if (packets_seen := report.clear_text) is not None:
        facts.append(Fact("Clear text", f"{packets_seen} packets" if packets_seen else "no packet", not packets_seen))
    return tuple(facts)


def measured_rows(trials: Iterable[Trial]) -> tuple[tuple[Trial, str], ...]:
    """Each direction of each trial."""
    return tuple((trial, name) for trial in trials for name in trial.directions)
