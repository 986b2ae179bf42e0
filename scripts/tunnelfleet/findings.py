"""What a check has to say: a finding, where it is, and what to do about it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum


class Severity(StrEnum):
    """How much a finding weighs: an error makes the gate fail, a warning does not."""

    ERROR = "error"
    WARNING = "warning"


@dataclass(frozen=True, slots=True, order=True)
class Location:
    """A place in a file: lines and columns count from 1, `end_column` is exclusive, 0 where unknown."""

    file: str
    line: int = 1
    column: int = 1
    end_column: int = 0

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that does not hold, with the place of the offending value and the likely fix."""

    policy: str
    severity: Severity
    cluster: str | None
    location: Location
    message: str
    hint: str = ""
    related: tuple[Location, ...] = ()

    @property
    def order(self) -> tuple[Location, str, str]:
        """The order in which findings are shown: by place, then by policy."""
        return (self.location, self.policy, self.message)


def has_errors(findings: Iterable[Finding]) -> bool:
    """Whether any of the findings makes the gate fail."""
    return any(finding.severity is Severity.ERROR for finding in findings)
