"""Policies on the tree as a whole."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from stat import S_ISREG

from tunnelfleet.findings import Location
from tunnelfleet.generate.files import MARK, OVERLAYS
from tunnelfleet.generate.tree import orphans
from tunnelfleet.inventory.loading import CLUSTERS
from tunnelfleet.policies.leaks import ALLOWED, leaks
from tunnelfleet.policies.registry import LocatedProblem, Scope, policy

MAXIMUM_BYTES = 16 * 1024 * 1024
"""Larger files are no text that anyone wrote."""
# Made for the examples, protects nothing, and is needed to show that their secrets decrypt.
ALLOWED_KEY_FILES = frozenset({"tests/example.agekey"})
# Fixtures, one defect each.
BROKEN_ON_PURPOSE = "tests/policies/invalid/"
# Where this is no Git checkout: the hidden folders that are part of a tree, and the folders that never are.
_HIDDEN = frozenset({".github", ".gitlab", ".ci", ".forgejo", ".circleci"})
_NEVER = frozenset({"node_modules", "__pycache__"})
_HEAD = 512


@dataclass(frozen=True)
class Tree:
    """The repository: its clusters' folders, and which of them this run looks at closely."""

    root: Path
    folders: tuple[str, ...]
    chosen: frozenset[str]

    @cached_property
    def files(self) -> tuple[str, ...]:
        """Paths of the files that Git tracks or would add; where this is no Git checkout, of all but hidden ones."""
        return tuple(sorted(self._listed_by_git() or self._found()))

    def _listed_by_git(self) -> set[str]:
        """Empty also where the root is no checkout but lies in an ignored folder of one."""
        command = ["git", "-C", os.fspath(self.root), "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
        try:
            listed = subprocess.run(command, capture_output=True, check=True, timeout=60).stdout
        except (OSError, subprocess.SubprocessError):
            return set()
        return {os.fsdecode(name) for name in listed.split(b"\0") if name}

    def _found(self) -> Iterator[str]:
        for parent, folders, files in os.walk(self.root):
            folders[:] = [name for name in folders if name in _HIDDEN or not (name.startswith(".") or name in _NEVER)]
            for name in files:
                yield Path(parent, name).relative_to(self.root).as_posix()

    def looked_at_elsewhere(self, path: str) -> bool:
        """Whether the file belongs to a cluster that this run leaves alone: nothing of it has changed."""
        cluster = _cluster_of(path)
        return cluster is not None and cluster in self.folders and cluster not in self.chosen


@policy(
    "orphan-overlays",
    Scope.TREE,
    asks="Every folder under overlays/ belongs to a cluster under clusters/.",
    why="An overlay without a cluster is nobody's intent and is kept by nobody; a cluster that was removed or renamed "
    "leaves one behind.",
    failing="# overlays/iceland-old/kustomization.yaml, and no clusters/iceland-old/cluster.yaml\nkind: Kustomization",
    passing="# overlays/iceland-gcp/kustomization.yaml, beside clusters/iceland-gcp/cluster.yaml\nkind: Kustomization",
)
def orphan_overlays(tree: Tree) -> Iterator[LocatedProblem]:
    for name in orphans(tree.root, tree.folders):
        yield LocatedProblem(
            Location(_first_file(tree.root, f"{OVERLAYS}/{name}")),
            f"{OVERLAYS}/{name} has no cluster",
            f"run `tunnelfleet generate` to remove it, or bring {CLUSTERS}/{name}/cluster.yaml back",
            cluster=name,
        )


def _first_file(root: Path, folder: str) -> str:
    """A file to point at: the folder's kustomization.yaml, else its first file, else the folder itself."""
    if (root / folder / "kustomization.yaml").is_file():
        return f"{folder}/kustomization.yaml"
    for parent, folders, files in os.walk(root / folder):
        folders.sort()
        if files:
            return Path(parent, min(files)).relative_to(root).as_posix()
    return folder


@policy(
    "no-plaintext-secrets",
    Scope.TREE,
    asks="No file of the repository holds a key, a password or an unencrypted Secret.",
    why="What was once pushed to Git is known to everyone who ever clones it.",
    failing="kind: Secret\nmetadata: {name: ipsec-psk}\nstringData:\n  site-a: correct-horse-battery-staple",
    passing="kind: Secret\nmetadata: {name: ipsec-psk}\nstringData:\n  site-a: ENC[AES256_GCM,data:...]\n"
    "sops: {mac: 'ENC[AES256_GCM,data:...]', age: [...]}",
)
def no_plaintext_secrets(tree: Tree) -> Iterator[LocatedProblem]:
    for path in tree.files:
        if path in ALLOWED_KEY_FILES or path.startswith(BROKEN_ON_PURPOSE) or tree.looked_at_elsewhere(path):
            continue
        content = _read(os.path.join(tree.root, path))
        for leak in leaks(path, content):
            # The generator never sees a secret, and whatever else is there fails overlay-matches-inventory.
            if leak.by_name and path.startswith(f"{OVERLAYS}/") and MARK.encode() in content[:_HEAD]:
                continue
            yield LocatedProblem(
                Location(_printable(path), leak.line, leak.column),
                f"{leak.what} in plain text",
                "take it out, replace it wherever it is used (it is no secret any more), and keep the new one "
                f"encrypted by sops in {CLUSTERS}/<name>/secrets/; on a line that only looks like one say `{ALLOWED}` "
                "and why",
                cluster=_cluster_of(path),
            )


def _cluster_of(path: str) -> str | None:
    parts = path.split("/")
    return parts[1] if parts[0] in (CLUSTERS, OVERLAYS) and len(parts) > 2 else None


def _printable(path: str) -> str:
    """The path as a report can show it: a name in Git may be any bytes."""
    text = os.fsencode(path).decode("utf-8", "replace")
    return text if text.isprintable() else text.encode("unicode_escape").decode("ascii")


def _read(path: str) -> bytes:
    """The bytes of a regular file; nothing of links, which Git keeps as such, and of what cannot be read."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except (OSError, ValueError):
        return b""
    try:
        status = os.fstat(descriptor)
        if not S_ISREG(status.st_mode) or status.st_size > MAXIMUM_BYTES:
            return b""
        return os.read(descriptor, status.st_size)
    except OSError:
        return b""
    finally:
        os.close(descriptor)
