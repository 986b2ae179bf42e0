"""What the readers of routers' configuration have in common."""

from __future__ import annotations


class Unreadable(Exception):
    """A configuration cannot be read: what is wrong, and on which line, from 1."""

    def __init__(self, message: str, line: int) -> None:
        super().__init__(message)
        self.message, self.line = message, line
