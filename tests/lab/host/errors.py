"""What the host side reports to the person who started it."""

from __future__ import annotations


class LabError(Exception):
    """The twin cannot be run; the text says what was found and what to do."""
