"""Generated files on disk: how the tree differs from what it should be, and how it is made right.

A cluster's files are written whole or not at all: every new file is prepared beside its place before the
first is moved, and what was moved is put back when anything fails.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from tunnelfleet.generate.files import MARK, OVERLAYS, Files
from tunnelfleet.inventory.loading import CLUSTERS
from tunnelfleet.inventory.secrets import SECRETS

_HEAD = 512
TEMPORARY = ".tunnelfleet-"
"""Part of the name of a file that is being prepared; one that was left behind may be removed."""
FLUX_FILES = ("kustomization.yaml", "namespace.yaml", "flux-secrets.yaml", "flux-tunnel.yaml")


class Drift(StrEnum):
    """How a file differs from what the inventory gives."""

    MISSING = "missing"
    CHANGED = "changed"
    STALE = "stale"
    FOREIGN = "foreign"


@dataclass(frozen=True, slots=True)
class Difference:
    """A file that is not what it should be; `line` is the first that differs, from 1."""

    path: str
    drift: Drift
    line: int = 1


class ForeignFile(Exception):
    """The generator would have to touch a file that it did not write."""

    def __init__(self, paths: list[str]) -> None:
        super().__init__(", ".join(paths))
        self.paths = paths


def differences(root: Path, folder: str, wanted: Files) -> list[Difference]:
    """How the generated files of clusters/<folder> differ from `wanted`; empty where nothing does."""
    found = []
    for path, text in sorted(wanted.items()):
        difference = _compare(root / path, path, text.encode())
        if difference is not None:
            found.append(difference)
    found += [
        Difference(path, Drift.STALE if _is_generated(root / path) else Drift.FOREIGN)
        for path in sorted(_present(root, folder) - set(wanted))
    ]
    return found


def _compare(place: Path, path: str, wanted: bytes) -> Difference | None:
    try:
        if place.is_symlink() or not place.is_file():
            return Difference(path, Drift.FOREIGN if os.path.lexists(place) else Drift.MISSING)
        present = place.read_bytes()
    except OSError:
        return Difference(path, Drift.FOREIGN)
    if present == wanted:
        return None
    pairs = zip(present.split(b"\n"), wanted.split(b"\n"), strict=False)
    same = next((i for i, (a, b) in enumerate(pairs) if a != b), min(present.count(b"\n"), wanted.count(b"\n")))
    drift = Drift.CHANGED if MARK.encode() in present[:_HEAD] else Drift.FOREIGN
    return Difference(path, drift, same + 1)


def _present(root: Path, folder: str) -> set[str]:
    """The files that are there in places where generated files belong."""
    paths = set(_walk(root / OVERLAYS / folder))
    cluster = root / CLUSTERS / folder
    paths |= {cluster / name for name in (*FLUX_FILES, f"{SECRETS}/kustomization.yaml")}
    return {path.relative_to(root).as_posix() for path in paths if os.path.lexists(path)}


def _walk(directory: Path) -> Iterator[Path]:
    for parent, folders, files in os.walk(directory):
        for name in (*files, *(folder for folder in folders if Path(parent, folder).is_symlink())):
            yield Path(parent, name)


def _is_generated(path: Path) -> bool:
    if path.is_symlink() or not path.is_file():
        return False
    if path.name.startswith(".") and TEMPORARY in path.name:
        return True
    with path.open("rb") as file:
        return MARK.encode() in file.read(_HEAD)


def orphans(root: Path, folders: Iterable[str]) -> list[str]:
    """Names of overlays whose cluster is not among `folders`."""
    overlays = root / OVERLAYS
    if not overlays.is_dir():
        return []
    known = set(folders)
    return sorted(entry.name for entry in overlays.iterdir() if entry.is_dir() and entry.name not in known)


def apply(root: Path, folder: str, wanted: Files) -> list[Difference]:
    """Makes the tree what it should be and says what was done.

    Raises ForeignFile, and changes nothing, where that would touch a file that the generator did not write;
    OSError, with everything put back, where a file cannot be written.
    """
    todo = differences(root, folder, wanted)
    foreign = [difference.path for difference in todo if difference.drift is Drift.FOREIGN]
    foreign += [str(parent) for parent in _linked_parents(root, wanted)]
    if foreign:
        raise ForeignFile(sorted(set(foreign)))
    written = {difference.path: wanted[difference.path] for difference in todo if difference.path in wanted}
    stale = [difference.path for difference in todo if difference.path not in wanted]
    _replace(root, written, stale)
    _remove_empty(root / OVERLAYS / folder)
    return todo


def _linked_parents(root: Path, wanted: Files) -> set[str]:
    parents = {parent for path in wanted for parent in Path(path).parents}
    return {parent.as_posix() for parent in parents if (root / parent).is_symlink()}


def _replace(root: Path, written: Files, stale: list[str]) -> None:
    prepared: dict[Path, Path] = {}
    undo: dict[Path, bytes | None] = {}
    try:
        for path, text in written.items():
            prepared[root / path] = _prepare(root / path, text)
        for place in [*prepared, *(root / path for path in stale)]:
            undo[place] = place.read_bytes() if place.exists() else None
            if place in prepared:
                os.replace(prepared[place], place)
            else:
                place.unlink()
    except BaseException:
        for place, before in undo.items():
            if before is None:
                place.unlink(missing_ok=True)
            else:
                place.write_bytes(before)
        raise
    finally:
        for temporary in prepared.values():
            temporary.unlink(missing_ok=True)


def _prepare(place: Path, text: str) -> Path:
    place.parent.mkdir(parents=True, exist_ok=True)
    descriptor, name = tempfile.mkstemp(prefix=f".{place.name}{TEMPORARY}", dir=place.parent)
    with os.fdopen(descriptor, "wb") as file:
        file.write(text.encode())
    os.chmod(name, 0o644)
    return Path(name)


def _remove_empty(directory: Path) -> None:
    for parent, _, _ in os.walk(directory, topdown=False):
        if not os.listdir(parent):
            os.rmdir(parent)
