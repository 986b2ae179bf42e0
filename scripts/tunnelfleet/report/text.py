"""Findings for a person: where, what, the line itself with a caret, and what to do."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from tunnelfleet.checking import Report
from tunnelfleet.findings import Finding, Location, Severity
from tunnelfleet.inventory.secrets import SECRETS

_STYLE = {Severity.ERROR: "bold red", Severity.WARNING: "bold yellow"}
_WIDEST = 160
PLAINTEXT = "no-plaintext-secrets"
"""Its findings never show the line that they are about."""


def show(console: Console, root: Path, findings: Sequence[Finding]) -> None:
    """Prints every finding with the source line it is about."""
    lines: dict[str, list[str]] = {}
    for finding in findings:
        _show_one(console, root, finding, lines)


def _show_one(console: Console, root: Path, finding: Finding, lines: dict[str, list[str]]) -> None:
    head = Text()
    head.append(f"{finding.location}: ", "bold")
    head.append(f"{finding.severity.value}", _STYLE[finding.severity])
    head.append(f" [{finding.policy}] ", "cyan")
    head.append(_printable(finding.message))
    console.print(head, soft_wrap=True)
    if finding.policy != PLAINTEXT:
        _show_line(console, root, finding.location, lines)
    for place in finding.related:
        console.print(Text(f"  also at {place}", "bold"), soft_wrap=True)
        _show_line(console, root, place, lines)
    if finding.hint:
        console.print(Text.assemble(("  fix: ", "green"), _printable(finding.hint)), soft_wrap=True)
    console.print()


def _show_line(console: Console, root: Path, place: Location, lines: dict[str, list[str]]) -> None:
    if f"/{SECRETS}/" in place.file:
        # Whatever is wrong with it: what was to be encrypted is not repeated in a log.
        return
    if place.file not in lines:
        lines[place.file] = _lines(root / place.file)
    source = lines[place.file]
    if place.line > len(source):
        return
    line = source[place.line - 1].replace("\t", " ")
    start = max(0, place.column - _WIDEST // 2) if len(line) > _WIDEST else 0
    shown = _printable(line[start : start + _WIDEST])
    width = max(1, min(place.end_column or place.column + 1, len(line) + 1) - place.column)
    caret = " " * (place.column - 1 - start) + "^" * min(width, _WIDEST)
    number = str(place.line)
    console.print(Text.assemble((f"  {number} | ", "blue"), shown), soft_wrap=True)
    console.print(Text.assemble((f"  {' ' * len(number)} | ", "blue"), (caret, "bold red")), soft_wrap=True)


def _lines(path: Path) -> list[str]:
    try:
        if not path.is_file():
            return []
        with path.open("rb") as file:
            return file.read(1024 * 1024).decode("utf-8", "replace").split("\n")
    except OSError:
        return []


def _printable(text: str) -> str:
    # The inventory is untrusted: no control character of it may reach the terminal.
    return "".join(c if unicodedata.category(c)[0] != "C" or c == "\n" else "\N{REPLACEMENT CHARACTER}" for c in text)


def table(report: Report) -> Table:
    """The clusters that were looked at: what they are made of and which policies failed."""
    shown = Table(box=None, pad_edge=False, header_style="bold")
    for title in ("CLUSTER", "GATEWAYS", "TUNNELS", "REMOTES", "RESULT"):
        shown.add_column(title, justify="right" if title in ("GATEWAYS", "TUNNELS") else "left", overflow="fold")
    for inspection in report.inspections:
        failed = sorted({finding.policy for finding in report.of(inspection.folder)})
        result = Text("failed: " + ", ".join(failed), "red") if failed else Text("ok", "green")
        if inspection.loaded is None:
            shown.add_row(inspection.folder, "-", "-", "-", result)
            continue
        spec = inspection.loaded.cluster.spec
        tunnels = sum(len(remote.tunnels) for remote in spec.remotes)
        remotes = ", ".join(sorted(remote.name for remote in spec.remotes))
        shown.add_row(Text(inspection.folder), str(len(spec.gateways)), str(tunnels), Text(remotes), result)
    return shown


def summary(report: Report, findings: Sequence[Finding]) -> Text:
    """The last line: how it went."""
    clusters = f"{len(report.inspections)} cluster{'' if len(report.inspections) == 1 else 's'}"
    errors = sum(finding.severity is Severity.ERROR for finding in findings)
    warnings = len(findings) - errors
    counted = f"{errors} error{'' if errors == 1 else 's'}, {warnings} warning{'' if warnings == 1 else 's'}"
    return Text.assemble("\n", (("FAILED", "bold red") if errors else ("OK", "bold green")), f"  {clusters}, {counted}")
