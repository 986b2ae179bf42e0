"""Which clusters a change touches, by what Git says has changed since a revision."""

from __future__ import annotations

import subprocess
from collections.abc import Iterable
from pathlib import Path

from tunnelfleet.generate.files import OVERLAYS
from tunnelfleet.inventory.loading import CLUSTERS

# What every overlay is made with: a change here concerns every cluster.
SHARED = ("base", "schemas", "scripts")


class GitFailed(Exception):
    """Git could not say what has changed."""


def changed_clusters(root: Path, revision: str) -> set[str] | None:
    """Folders of the clusters that differ from where `revision` and the current commit part.

    Uncommitted and untracked files count; None where something changed that every cluster is made with.
    """
    return clusters_of(changed_paths(root, revision))


def changed_paths(root: Path, revision: str) -> list[str]:
    """Paths, relative to `root`, that differ; raises GitFailed."""
    if revision.startswith("-"):
        raise GitFailed(f"`{revision}` is not a revision")
    commit = _git(root, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{revision}^{{commit}}")
    if not commit:
        raise GitFailed(f"Git knows no revision `{revision}`")
    parting = _git(root, "merge-base", commit[0], "HEAD") or commit
    tracked = _git(root, "diff", "--name-only", "--no-renames", "--relative", "-z", parting[0], "--", check=True)
    untracked = _git(root, "ls-files", "--others", "--exclude-standard", "-z", check=True)
    return sorted({*tracked, *untracked})


def clusters_of(paths: Iterable[str]) -> set[str] | None:
    """The clusters that these paths belong to, None for all."""
    clusters = set()
    for path in paths:
        parts = path.split("/")
        if parts[0] in SHARED:
            return None
        if parts[0] in (CLUSTERS, OVERLAYS) and len(parts) > 2:
            clusters.add(parts[1])
    return clusters


def _git(root: Path, *arguments: str, check: bool = False) -> list[str]:
    try:
        done = subprocess.run(["git", "-C", str(root), *arguments], capture_output=True, check=False, timeout=60)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise GitFailed(f"git could not be run: {error}") from error
    if done.returncode != 0:
        if check:
            raise GitFailed(done.stderr.decode("utf-8", "replace").strip())
        return []
    text = done.stdout.decode("utf-8", "surrogateescape")
    return [part for part in (text.split("\0") if "\0" in text else text.splitlines()) if part]
