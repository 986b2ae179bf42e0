"""Repositories to try things on, and the real command to try them with."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from tests.support.fleets import REPOSITORY

COMMAND = Path(sys.executable).parent / "tunnelfleet"
PARTS = ("base", "clusters", "overlays", "schemas")


@dataclass(frozen=True, slots=True)
class Run:
    """What a command did."""

    code: int
    out: str
    err: str

    @property
    def text(self) -> str:
        return self.out + self.err


def copy_of_this(target: Path, *clusters: str) -> Path:
    """A copy of what this repository holds for its clusters: for the named ones, or for all."""

    def unwanted(folder: str, names: list[str]) -> set[str]:
        of_clusters = Path(folder).parent == REPOSITORY and Path(folder).name in ("clusters", "overlays")
        return set(names) - set(clusters) if clusters and of_clusters else set()

    for part in PARTS:
        shutil.copytree(REPOSITORY / part, target / part, ignore=unwanted)
    return target


def tunnelfleet(
    *arguments: str, root: Path | None = None, cwd: Path | None = None, env: dict[str, str] | None = None
) -> Run:
    """Runs the console script as a user does, without a terminal."""
    command = [str(COMMAND), *arguments, *(["--root", str(root)] if root else [])]
    done = subprocess.run(
        command,
        cwd=cwd,
        env={**os.environ, "COLUMNS": "160", **(env or {})},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert "Traceback" not in done.stderr, done.stderr
    assert "a defect of tunnelfleet" not in done.stderr, done.stderr
    return Run(done.returncode, done.stdout, done.stderr)


def contents(root: Path) -> dict[str, bytes]:
    """Every file below `root`, so that two states can be compared."""
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in root.rglob("*") if path.is_file()}
