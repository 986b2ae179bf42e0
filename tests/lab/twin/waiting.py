"""Waiting for a state with a ceiling, never for a time."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

Found = TypeVar("Found")
_BETWEEN = 0.2


def until(what: str, look: Callable[[], Found], good: Callable[[Found], bool] = bool, ceiling: float = 60) -> Found:
    """Looks again and again until what is found is good, and returns it.

    Raises AssertionError with what was found last where it takes longer than `ceiling` seconds.
    """
    start = time.monotonic()
    while True:
        found = look()
        if good(found):
            return found
        waited = time.monotonic() - start
        if waited > ceiling:
            raise AssertionError(f"wanted: {what}\nfound after {waited:.0f} s: {found}")
        time.sleep(_BETWEEN)


def equal(what: str, look: Callable[[], Found], wanted: Found, ceiling: float = 60) -> None:
    """Looks until what is found is what is wanted. Raises AssertionError that shows both."""
    until(f"{what}: {wanted}", look, lambda found: found == wanted, ceiling)
