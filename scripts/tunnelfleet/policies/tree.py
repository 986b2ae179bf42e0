"""Policies on the tree as a whole."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from tunnelfleet.findings import Location
from tunnelfleet.generate.overlay import OVERLAYS
from tunnelfleet.generate.tree import orphans
from tunnelfleet.inventory.loading import CLUSTERS
from tunnelfleet.policies.leaks import ALLOWED, leaks
from tunnelfleet.policies.registry import LocatedProblem, Scope, policy

MAXIMUM_BYTES = 1024 * 1024
# Made for the examples, protects nothing, and is needed to show that their secrets decrypt.
ALLOWED_KEY_FILES = frozenset({"tests/example.agekey"})
# Fixtures, one defect each.
BROKEN_ON_PURPOSE = "tests/policies/invalid/"


@dataclass(frozen=True)
class Tree:
    """The repository: its clusters' folders, and which of them this run looks at closely."""

    root: Path
    folders: tuple[str, ...]
    chosen: frozenset[str]

    @cached_property
    def files(self) -> tuple[str, ...]:
        """Paths of the files that Git tracks or would add; of all files where this is no Git checkout."""
        command = [
            "git",
            "-C",
            str(self.root),
            "ls-files",
            "-z",
            "--cached",
            "--others",
            "--exclude-standard",
        ]
        try:
            listed = subprocess.run(command, capture_output=True, check=True, timeout=60).stdout
        except (OSError, subprocess.SubprocessError):
            found = (path for path in self.root.rglob("*") if path.is_file() and ".git" not in path.parts)
            return tuple(sorted(path.relative_to(self.root).as_posix() for path in found))
        return tuple(
            sorted({name.decode("utf-8", "surrogateescape") for name in listed.split(b"\0") if name})
        )

    def looked_at_elsewhere(self, path: str) -> bool:
        """Whether the file belongs to a cluster that this run leaves alone: nothing of it has changed."""
        cluster = _cluster_of(path)
        return cluster is not None and cluster in self.folders and cluster not in self.chosen


@policy(
    "orphan-overlays",
    Scope.TREE,
    asks="Every folder under overlays/ belongs to a cluster under clusters/.",
    why="An overlay without a cluster is nobody's intent and is kept by nobody; a cluster that was "
    "removed or "
    "renamed leaves one behind.",
    failing="overlays/iceland-old/   # and no clusters/iceland-old/cluster.yaml",
    passing="overlays/iceland-prod/  # beside clusters/iceland-prod/cluster.yaml",
)
def orphan_overlays(tree: Tree) -> Iterator[LocatedProblem]:
    for name in orphans(tree.root, tree.folders):
        yield LocatedProblem(
            Location(f"{OVERLAYS}/{name}/kustomization.yaml"),
            f"{OVERLAYS}/{name} has no cluster",
            f"run `tunnelfleet generate` to remove it, or bring clusters/{name}/cluster.yaml back",
            cluster=name,
        )


@policy(
    "no-plaintext-secrets",
    Scope.TREE,
    asks="No file of the repository holds a key, a password or an unencrypted Secret.",
    why="What was once pushed to Git is known to everyone who ever clones it.",
    failing="kind: Secret\nmetadata: {name: ipsec-psk}\nstringData:\n  site-a: correct-horse-battery-staple",
    passing="kind: Secret\nmetadata: {name: ipsec-psk}\nstringData:\n  site-a: "
    "ENC[AES256_GCM,data:...]\nsops: {}",
)
def no_plaintext_secrets(tree: Tree) -> Iterator[LocatedProblem]:
    for path in tree.files:
        if path in ALLOWED_KEY_FILES or path.startswith(BROKEN_ON_PURPOSE) or tree.looked_at_elsewhere(path):
            continue
        for leak in leaks(path, _read(tree.root / path)):
            yield LocatedProblem(
                Location(path, leak.line, leak.column),
                f"{leak.what} in plain text",
                "take it out, replace it wherever it is used (it is no secret any more), and keep "
                "the new one "
                f"encrypted by sops in clusters/<name>/secrets/; what only looks like one says `{ALLOWED}`",
                cluster=_cluster_of(path),
            )


def _cluster_of(path: str) -> str | None:
    parts = path.split("/")
    return parts[1] if parts[0] in (CLUSTERS, OVERLAYS) and len(parts) > 2 else None


def _read(path: Path) -> bytes:
    try:
        if path.is_symlink() or not path.is_file() or path.stat().st_size > MAXIMUM_BYTES:
            return b""
        return path.read_bytes()
    except OSError:
        return b""
