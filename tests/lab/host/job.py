"""What is to run on the machine that the twin lives on, and how the guest is told."""

from __future__ import annotations

import os
import shlex
import shutil
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

WORKSPACE = "work"
"""Folder of the guest's root that the job's files are in; the command starts there."""
RESULTS = "results"
"""Folder of the guest's root whose files come out."""
SCRIPT = "job"
"""Shell script in the guest's root that the machine runs."""
_WIDTH, _HEIGHT = 120, 40


@dataclass(frozen=True, slots=True)
class Job:
    """A command, the files that it needs, and where its results go."""

    command: tuple[str, ...]
    workspace: Path
    """Folder of the host; the guest gets it as /work."""
    results: Path | None = None
    """Folder of the host that gets what the command leaves in /results; it is made where it is missing."""
    seconds: float = 1500
    """Time until the machine is switched off."""
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
    exports = (f"export {name}={shlex.quote(value)}" for name, value in settings.items())
    screen = f"stty cols {size.columns} rows {size.lines} 2>/dev/null" if job.interactive else ":"
    return "\n".join(("#!/bin/sh", *exports, f"cd /{WORKSPACE}", screen, f"exec {shlex.join(job.command)}", ""))


def colours(terminal: bool, environment: Mapping[str, str]) -> dict[str, str]:
    """How programs are told whether to print in colour: on terminals, unless the person says NO_COLOR."""
    if terminal and not environment.get("NO_COLOR"):
        return {"FORCE_COLOR": "1", "PY_COLORS": "1"}
    return {"NO_COLOR": "1", "PY_COLORS": "0"}
