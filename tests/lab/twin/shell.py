"""Running programs of the machine that the twin lives on."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence


class CommandError(Exception):
    """A command failed: what was run, what it gave back and what it said."""


def run(argv: Sequence[str], *, text: str | None = None, check: bool = True, timeout: float = 60) -> str:
    """What the command prints on standard output.

    `text` is its standard input. Raises CommandError where it fails and `check` is set, and where it takes longer
    than `timeout` seconds.
    """
    try:
        done = subprocess.run(argv, input=text, capture_output=True, text=True, timeout=timeout, check=False)
    except subprocess.TimeoutExpired as error:
        raise CommandError(f"{' '.join(argv)}: not done within {timeout:g} s") from error
    if check and done.returncode != 0:
        raise CommandError(f"{' '.join(argv)}: exit {done.returncode}: {done.stderr.strip() or done.stdout.strip()}")
    return done.stdout
