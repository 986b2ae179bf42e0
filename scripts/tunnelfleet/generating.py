"""From inventories to the tree: generate every cluster that can be, or say why it cannot."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tunnelfleet.findings import Finding, Location, Severity, has_errors
from tunnelfleet.generate.overlay import generate
from tunnelfleet.generate.tree import Difference, Drift, ForeignFile, apply, differences, orphans
from tunnelfleet.inventory.loading import cluster_folders, load
from tunnelfleet.policies.registry import run_cluster

MATCHES = "overlay-matches-inventory"
DONE = {
    Drift.MISSING: "written",
    Drift.CHANGED: "written",
    Drift.STALE: "removed",
    Drift.FOREIGN: "not ours",
}


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of one cluster: findings where nothing could be done, else what differed."""

    folder: str
    findings: tuple[Finding, ...] = ()
    differences: tuple[Difference, ...] = ()


def generate_all(root: Path, folders: Sequence[str], *, everything: bool, write: bool) -> Iterator[Outcome]:
    """Generates the given clusters and, where that is everything, removes overlays without a cluster.

    With `write` false nothing is written and the differences are only named.
    """
    with _alone(root, write):
        for folder in folders:
            yield _generate_one(root, folder, write)
        if everything:
            for folder in orphans(root, cluster_folders(root)):
                yield _orphan(root, folder, write)


@contextmanager
def _alone(root: Path, write: bool) -> Iterator[None]:
    """Waits until nobody else generates into this repository."""
    descriptor = os.open(root, os.O_RDONLY)
    try:
        if write:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _generate_one(root: Path, folder: str, write: bool) -> Outcome:
    reading = load(root, folder)
    findings = list(reading.findings)
    if reading.loaded is not None:
        findings += run_cluster(reading.loaded)
    if reading.loaded is None or has_errors(findings):
        return Outcome(folder, tuple(findings))
    wanted = generate(root, reading.loaded)
    return _settle(root, folder, wanted, write)


def _orphan(root: Path, folder: str, write: bool) -> Outcome:
    return _settle(root, folder, {}, write)


def _settle(root: Path, folder: str, wanted: dict[str, str], write: bool) -> Outcome:
    if not write:
        return Outcome(folder, differences=tuple(differences(root, folder, wanted)))
    try:
        return Outcome(folder, differences=tuple(apply(root, folder, wanted)))
    except ForeignFile as foreign:
        hint = "move the file away or delete it, then generate again"
        message = "the generator did not write this file and does not touch it"
        return Outcome(
            folder,
            tuple(Finding(MATCHES, Severity.ERROR, folder, Location(path), message, hint) for path in foreign.paths),
        )
