"""What is to run on the machine that the twin lives on, and how the guest is told."""

from __future__ import annotations

import os
import shlex
import shutil
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from math import isinf
from pathlib import Path

from .errors import LabError

WORKSPACE = "work"
"""Folder of the guest's root that the job's files are in; the command starts there."""
RESULTS = "results"
"""Folder of the guest's root whose files come out."""
SCRIPT = "job"
"""Shell script in the guest's root that the machine runs."""
_WIDTH, _HEIGHT = 120, 40
GRACE = 60.0
"""Seconds that a job which is out of time gets to end well, and its results to come out."""
_OUT_OF_TIME, _KILLED = 124, 137


@dataclass(frozen=True, slots=True)
class Job:
    """A command, the files that it needs, and where its results go."""

    command: tuple[str, ...]
    workspace: Path
    """Folder of the host; the guest gets it as /work."""
    results: Path | None = None
    """Folder of the host that gets what the command leaves in /results; it is made where it is missing."""
    seconds: float = 1500
    """Time until the command is interrupted; GRACE later the machine is switched off."""
    interactive: bool = False
    """The command talks with the terminal."""
    environment: Mapping[str, str] = field(default_factory=dict)


def script(job: Job) -> str:
    """The shell script that runs the job's command in the guest, in place of itself."""
    size = shutil.get_terminal_size((_WIDTH, _HEIGHT))
    settings = {
        "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
        "HOME": "/root",
        "LANG": "C.UTF-8",
        "TERM": os.environ.get("TERM", "linux") if job.interactive else "linux",
        "COLUMNS": str(size.columns),
        "LINES": str(size.lines),
        "PYTHONUNBUFFERED": "1",
        **colours(sys.stdout.isatty(), os.environ),
        **job.environment,
    }
    limit = () if isinf(job.seconds) else ("timeout", "--signal=INT", f"--kill-after={GRACE / 2:g}", f"{job.seconds:g}")
    exports = (f"export {name}={shlex.quote(value)}" for name, value in settings.items())
    screen = f"stty cols {size.columns} rows {size.lines} 2>/dev/null" if job.interactive else ":"
    return "\n".join(
        ("#!/bin/sh", *exports, f"cd /{WORKSPACE}", screen, f"exec {shlex.join((*limit, *job.command))}", "")
    )


def checked(code: int, job: Job) -> int:
    """The exit code. Raises LabError where it says that the job was out of time (timeout(1))."""
    if code == _OUT_OF_TIME:
        raise LabError(f"the job was not done within {job.seconds:g} s{_kept(job)}")
    if code == _KILLED:
        raise LabError(f"the job was killed: its {job.seconds:g} s were over, or no memory was left{_kept(job)}")
    return code


def _kept(job: Job) -> str:
    return f"; what it left is in {job.results}" if job.results else ""


def colours(terminal: bool, environment: Mapping[str, str]) -> dict[str, str]:
    """How programs are told whether to print in colour: on terminals, unless the person says NO_COLOR."""
    if terminal and not environment.get("NO_COLOR"):
        return {"FORCE_COLOR": "1", "PY_COLORS": "1"}
    return {"NO_COLOR": "1", "PY_COLORS": "0"}
