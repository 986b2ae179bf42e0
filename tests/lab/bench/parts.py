"""The parts of the benchmark."""

from __future__ import annotations

from enum import StrEnum


class Part(StrEnum):
    """What can be measured by itself."""

    OUTAGES = "outages"
    AGENT = "agent"
    THROUGHPUT = "throughput"
