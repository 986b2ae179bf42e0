"""What the build reports to the person who started it."""

from __future__ import annotations


class BuildError(Exception):
    """The image could not be built; the text says what was found and what to do."""
