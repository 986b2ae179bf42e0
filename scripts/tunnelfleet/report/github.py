"""Findings as workflow commands, which GitHub shows as annotations on the changed lines."""

from __future__ import annotations

from collections.abc import Sequence

from tunnelfleet.findings import Finding


def render(findings: Sequence[Finding]) -> str:
    """One `::error` or `::warning` command a line (GitHub Actions: workflow commands)."""
    return "".join(f"{_command(finding)}\n" for finding in findings)


def _command(finding: Finding) -> str:
    place = finding.location
    properties = {"file": place.file, "line": place.line, "col": place.column, "title": finding.policy}
    if place.end_column:
        properties["endColumn"] = place.end_column
    listed = ",".join(f"{key}={_property(str(value))}" for key, value in properties.items())
    text = f"{finding.message}\n{finding.hint}" if finding.hint else finding.message
    return f"::{finding.severity.value} {listed}::{_data(text)}"


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
