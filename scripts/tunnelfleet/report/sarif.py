"""Findings as SARIF 2.1.0 (OASIS), which code hosts keep and compare between runs."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from typing import Any
from urllib.parse import quote

from tunnelfleet import __version__
from tunnelfleet.findings import Finding, Location
from tunnelfleet.policies.registry import policies

SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"


def render(findings: Sequence[Finding]) -> str:
    """One SARIF log with one run: every policy as a rule, every finding as a result."""
    names = [policy.name for policy in policies()]
    rules = [
        {
            "id": policy.name,
            "shortDescription": {"text": policy.asks},
            "fullDescription": {"text": policy.why},
            "defaultConfiguration": {"level": policy.severity.value},
        }
        for policy in policies()
    ]
    driver = {"name": "tunnelfleet", "version": __version__, "rules": rules}
    run = {
        "tool": {"driver": driver},
        "columnKind": "unicodeCodePoints",
        "results": [_result(finding, names) for finding in findings],
    }
    return json.dumps({"$schema": SCHEMA, "version": "2.1.0", "runs": [run]}, indent=2, ensure_ascii=False) + "\n"


def _result(finding: Finding, names: list[str]) -> dict[str, Any]:
    text = f"{finding.message}. Fix: {finding.hint}" if finding.hint else finding.message
    identity = "\n".join((finding.policy, finding.location.file, finding.message))
    result: dict[str, Any] = {
        "ruleId": finding.policy,
        "ruleIndex": names.index(finding.policy),
        "level": finding.severity.value,
        "message": {"text": text},
        "locations": [_location(finding.location)],
        "partialFingerprints": {"finding/v1": hashlib.sha256(identity.encode()).hexdigest()},
    }
    if finding.related:
        result["relatedLocations"] = [
            {**_location(place), "id": number, "message": {"text": "the other one"}}
            for number, place in enumerate(finding.related)
        ]
    return result


def _location(place: Location) -> dict[str, Any]:
    region = {"startLine": place.line, "startColumn": place.column}
    if place.end_column:
        region["endColumn"] = place.end_column
    return {"physicalLocation": {"artifactLocation": {"uri": quote(place.file)}, "region": region}}
