"""The report for a terminal, 100 columns wide."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Sequence

from . import words
from .model import Outcome, Reach, Report, Trial

WIDTH = 100
_GAP = "  "


def text(report: Report) -> str:
    """The whole report."""
    sections = (
        _head(report),
        _section("Reachability", matrix(report.reach)),
        _section("Outages", outages(report.trials)),
        _section("Numbers", numbers(report)),
        _section("Proofs", proofs(report)),
        _section("Notes", [line for note in report.notes for line in _wrapped(note)]),
    )
    return "\n\n".join("\n".join(section) for section in sections if section) + "\n"


def _head(report: Report) -> list[str]:
    lines = [
        f"Twin of {report.cluster}",
        f"{words.moment(report.when)}, {words.running(report.seconds)}, {report.machine}",
        "",
    ]
    for fact in words.summary(report):
        mark = {True: "ok ", False: "BAD", None: "   "}[fact.good]
        lines.append(f"{mark}{_GAP}{fact.what:<13}{_GAP}{fact.value}")
    return lines


def matrix(reach: Sequence[Reach]) -> list[str]:
    """One table for each part of the matrix; what failed is spelt out below."""
    lines: list[str] = []
    problems = []
    for block in words.blocks(reach):
        cells = [[block.cell(row, column, reach) for column in block.across] for row in block.down]
        codes = [
            [
                "." if row == column else "" if cell is None else cell.code
                for column, cell in zip(block.across, line, strict=True)
            ]
            for row, line in zip(block.down, cells, strict=True)
        ]
        problems += [cell.says for line in cells for cell in line if cell is not None and not cell.good]
        lines += ["", *_grid(block, codes)]
    if problems:
        lines += ["", *(line for problem in problems for line in _wrapped(problem))]
    return lines[1:]


def _grid(block: words.Block, codes: Sequence[Sequence[str]]) -> list[str]:
    """Columns carry their names where there is room, else numbers."""
    label = max(len(name) for name in (block.corner, *block.down))
    names = list(block.across)
    key: list[str] = []
    if label + sum(len(_GAP) + max(4, len(name)) for name in names) > WIDTH:
        names = [str(number) for number in range(1, len(names) + 1)]
        key = _wrapped(", ".join(f"{number} {name}" for number, name in zip(names, block.across, strict=True)))
    widths = [max(4, len(name)) for name in names]
    rows = [(block.corner, names), *zip(block.down, codes, strict=True)]
    return key + [
        _GAP.join((name.ljust(label), *(code.rjust(width) for code, width in zip(cells, widths, strict=True)))).rstrip()
        for name, cells in rows
    ]


def outages(trials: Iterable[Trial]) -> list[str]:
    """The worst flow of each direction of each trial."""
    rows = [("", "direction", "outage", "packets lost", "goal", "baseline", "")]
    notes: list[str] = []
    for trial, direction in words.measured_rows(trials):
        worst = trial.worst(direction)
        goal = trial.goal(direction)
        remark = words.remarks(worst.measured)
        if remark:
            notes.append(f"{trial.name}, {direction}: {remark}")
        rows.append(
            (
                trial.name if direction == trial.directions[0] else "",
                direction,
                words.outage(worst.measured),
                words.packets(worst.measured),
                words.goal(goal) if goal else "",
                words.duration(goal.baseline) if goal and goal.baseline is not None else "",
                words.verdict(trial.met(direction)).upper() if trial.met(direction) is False else "",
            )
        )
    for trial in trials:
        if trial.clear_text:
            notes.append(f"{trial.name}: {trial.clear_text} packets left a node in clear text")
    if len(rows) == 1:
        return []
    lines = _table(rows, right=(2, 3, 4, 5))
    return lines + (["", *(line for note in notes for line in _wrapped(note))] if notes else [])


def numbers(report: Report) -> list[str]:
    """The benchmark's figures."""
    if not report.numbers:
        return []
    rows = [("", "measured", "goal", "baseline", "better", "")]
    notes = []
    for number in report.numbers:
        if number.note:
            notes.append(f"{number.name}: {number.note}")
        rows.append(
            (
                number.name,
                f"{words.amount(number.value)} {number.unit}",
                words.number_goal(number),
                words.amount(number.baseline) if number.baseline is not None else "",
                words.ratio(number),
                words.verdict(number.met).upper() if number.met is False else "",
            )
        )
    lines = _table(rows, right=(1, 2, 3, 4))
    return lines + (["", *(line for note in notes for line in _wrapped(note))] if notes else [])


def proofs(report: Report) -> list[str]:
    """Those that did not pass, with the reason."""
    lines = []
    for outcome in (Outcome.FAILED, Outcome.SKIPPED):
        for proof in report.proofs:
            if proof.outcome is outcome:
                lines.append(f"{outcome.upper():<7}{_GAP}{proof.name}")
                lines += [line for part in proof.reason.splitlines() for line in _wrapped(part, indent=9)]
    return lines


def _section(title: str, lines: list[str]) -> list[str]:
    return [title, "-" * len(title), *lines] if lines else []


def _wrapped(line: str, *, indent: int = 0) -> list[str]:
    return textwrap.wrap(line, WIDTH, initial_indent=" " * indent, subsequent_indent=" " * (indent + 2))


def _table(rows: Sequence[tuple[str, ...]], *, right: tuple[int, ...]) -> list[str]:
    """Columns as wide as they need to be; the first gives way, and is wrapped."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    widths[0] = max(12, min(widths[0], WIDTH - sum(widths[1:]) - len(_GAP) * (len(widths) - 1)))
    lines = []
    for row in rows:
        first, *more = textwrap.wrap(row[0], widths[0], subsequent_indent="  ") or [""]
        cells = [
            cell.rjust(width) if column in right else cell.ljust(width)
            for column, (cell, width) in enumerate(zip((first, *row[1:]), widths, strict=True))
        ]
        lines += [_GAP.join(cells).rstrip(), *more]
    return lines
