"""Puts a finished folder in its place: never over what this build did not write, never half."""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from .errors import BuildError


@contextmanager
def replacing(target: Path, mark: Path) -> Iterator[Path]:
    """An empty folder that takes the place of `target` when the block ends well; see `refuse_foreign`."""
    target = target.absolute()
    refuse_foreign(target, mark)
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{target.name}.", dir=target.parent) as scratch:
        fresh = Path(scratch) / "fresh"
        fresh.mkdir(mode=0o755)
        yield fresh
        if target.exists():
            target.rename(Path(scratch) / "old")
        fresh.rename(target)


def refuse_foreign(target: Path, mark: Path) -> None:
    """Raise BuildError where the folder is not ours to remove: `mark`, which every build leaves, is missing.

    An empty folder may be taken; nothing may be mounted below.
    """
    target = target.absolute()
    if target.exists() and not (target.is_dir() and (mark.exists() or not any(target.iterdir()))):
        raise BuildError(f"{target} was not written by images/build; remove it or name another folder")
    refuse_mounts(target, Path("/proc/self/mounts"))


def refuse_mounts(target: Path, mounts: Path) -> None:
    """Raise BuildError where something is mounted below the folder: removing would reach into it."""
    if not mounts.exists():
        return
    below = [
        point
        for line in mounts.read_text().splitlines()
        if (point := line.split()[1].encode().decode("unicode_escape")).startswith(f"{target}/")
    ]
    if below:
        raise BuildError(f"{below[0]} is mounted inside {target}; unmount it first")


def require_root() -> None:
    """Raise BuildError for whoever cannot give files an owner."""
    if os.geteuid() != 0:
        raise BuildError("--root needs root, because the tree's files have owners; without root use --oci")


def unpack(layer: Path, folder: Path) -> None:
    """Unpack the tree with its owners and permissions, as root. Raises BuildError with what tar said."""
    command = ["tar", "--extract", "--numeric-owner", "--same-owner", "--same-permissions"]
    result = subprocess.run(
        [*command, f"--file={layer}", f"--directory={folder}"], check=False, capture_output=True, text=True
    )
    if result.returncode != 0:
        raise BuildError(f"tar could not unpack the tree: {result.stderr.strip()}")
