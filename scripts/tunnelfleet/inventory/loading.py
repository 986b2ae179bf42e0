"""From a file to a typed cluster, or to all that is wrong with it."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from pathlib import Path

from pydantic import ValidationError

from tunnelfleet.findings import Finding, Location, Severity
from tunnelfleet.inventory.complaints import explain
from tunnelfleet.inventory.document import READING, Document, read
from tunnelfleet.inventory.fields import shown
from tunnelfleet.inventory.model import Cluster

CLUSTERS = "clusters"
INVENTORY = "cluster.yaml"


@dataclass(frozen=True, slots=True)
class LoadedCluster:
    """A cluster with the file it was read from."""

    folder: str
    document: Document
    cluster: Cluster

    @property
    def name(self) -> str:
        return self.cluster.metadata.name

    def locate(self, *path: str | int) -> Location:
        """Where the value at `path` (keys as in the file) stands."""
        return self.document.locate(path)


@dataclass(frozen=True, slots=True)
class Reading:
    """What came of one folder under clusters/: a cluster where it could be read, and the findings."""

    folder: str
    loaded: LoadedCluster | None
    findings: tuple[Finding, ...]


def cluster_folders(root: Path) -> list[str]:
    """The names of the folders under clusters/, sorted; hidden ones are left out.

    A symbolic link counts as a folder wherever it leads, so that one that leads nowhere is found when it is read.
    Raises OSError where clusters/ is there but cannot be listed.
    """
    try:
        with os.scandir(root / CLUSTERS) as entries:
            return sorted(entry.name for entry in entries if _is_folder(entry) and not entry.name.startswith("."))
    except FileNotFoundError:
        return []


def _is_folder(entry: os.DirEntry[str]) -> bool:
    return entry.is_symlink() or entry.is_dir(follow_symlinks=False)


def load(root: Path, folder: str) -> Reading:
    """Reads clusters/<folder>/cluster.yaml."""
    if not folder.isprintable():
        # neither a report nor a terminal could show it as it is
        folder = folder.encode("unicode_escape").decode("ascii")
        message = "the folder's name has characters that cannot be printed"
        hint = "rename it with `git mv` to lower-case letters, digits and dashes"
        return _unread(folder, message, hint)
    path = root / CLUSTERS / folder / INVENTORY
    if not os.path.lexists(path):
        hint = f"write one with `tunnelfleet new {folder}`, or remove the folder"
        return _unread(folder, f"the folder has no {INVENTORY}", hint)
    document, findings = read(root, path)
    loaded: LoadedCluster | None = None
    if document is not None:
        cluster, problems = validate(document)
        findings += problems
        if cluster is not None:
            loaded = LoadedCluster(folder, document, cluster)
    return Reading(folder, loaded, tuple(replace(finding, cluster=folder) for finding in findings))


def _unread(folder: str, message: str, hint: str) -> Reading:
    location = Location(f"{CLUSTERS}/{folder}/{INVENTORY}")
    return Reading(folder, None, (Finding(READING, Severity.ERROR, folder, location, message, hint),))


def validate(document: Document) -> tuple[Cluster | None, list[Finding]]:
    """The typed cluster, or a finding for every value that the model refuses."""
    if not isinstance(document.data, dict):
        message = f"expected a cluster, found {shown(document.data)}"
        location = document.locate(())
        return None, [
            Finding(
                READING,
                Severity.ERROR,
                None,
                location,
                message,
                "start with `tunnelfleet new NAME`",
            )
        ]
    try:
        return Cluster.model_validate(document.data), []
    except ValidationError as error:
        return None, explain(document, error.errors(include_url=False))
