"""Findings as one JSON object, for programs."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from tunnelfleet.findings import Finding, Location


def render(findings: Sequence[Finding], clusters: int) -> str:
    """One object: the findings, and how many clusters were looked at."""
    data = {"findings": [_finding(finding) for finding in findings], "clusters": clusters}
    return json.dumps(data, indent=2, ensure_ascii=False) + "\n"


def _finding(finding: Finding) -> dict[str, Any]:
    place = finding.location
    return {
        "policy": finding.policy,
        "severity": finding.severity.value,
        "cluster": finding.cluster,
        "file": place.file,
        "line": place.line,
        "column": place.column,
        "message": finding.message,
        "hint": finding.hint,
        "related": [_place(related) for related in finding.related],
    }


def _place(location: Location) -> dict[str, Any]:
    return {"file": location.file, "line": location.line, "column": location.column}
