"""Runs a command while the twin is up: `python3 -m tests.lab.guest STAGE LOGS COMMAND...`, on the twin's machine."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from .twin.stage import load
from .twin.twin import Twin


def main(stage: str, logs: str, *command: str) -> int:
    """The command's exit code."""
    print("bringing the twin up", file=sys.stderr)
    with Twin(load(Path(stage)), Path(logs)):
        print("the twin is up: `ip netns` lists its nodes, pods and sites", file=sys.stderr)
        return subprocess.run(command, check=False).returncode


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
