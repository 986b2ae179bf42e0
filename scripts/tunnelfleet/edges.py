"""Where the commands meet the outside: the repository they work on, what they print, how they give up."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from tunnelfleet.inventory.loading import CLUSTERS, cluster_folders

UNUSABLE = 2
Root = Annotated[
    Path | None,
    typer.Option("--root", metavar="DIR", help="The repository to work on; default: the one around this folder."),
]


class Unusable(Exception):
    """The command or its input cannot be used: what is wrong, and what to do."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint


def errors() -> Console:
    """For what goes to standard error."""
    return Console(stderr=True, highlight=False)


def output() -> Console:
    """For what goes to standard output; wide enough for a table where no terminal says how wide it is."""
    wide = None if sys.stdout.isatty() or "COLUMNS" in os.environ else 160
    return Console(highlight=False, width=wide)


def repository(root: Path | None) -> Path:
    """The repository's root: the given folder, or the nearest one above that has clusters/ and base/."""
    if root is not None:
        if not root.is_dir():
            raise Unusable(f"--root {root}: no such folder")
        return root.resolve()
    here = Path.cwd()
    for folder in (here, *here.parents):
        if (folder / CLUSTERS).is_dir() and (folder / "base").is_dir():
            return folder
    raise Unusable(f"no tunnelfleet repository at or above {here}", "go into one, or name it with --root DIR")


def selection(root: Path, names: list[str] | None) -> list[str]:
    """The named clusters' folders, or all; raises Unusable for a name that is not there."""
    folders = cluster_folders(root)
    for name in names or []:
        if name not in folders:
            raise Unusable(f"no cluster {name}", f"there are: {', '.join(folders) or 'none yet'}")
    return sorted(set(names)) if names else folders
