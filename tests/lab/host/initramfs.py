"""Initial RAM disks: trees as cpio archives of the kind that the kernel unpacks (newc, see the kernel's
Documentation/driver-api/early-userspace/buffer-format.rst)."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import BinaryIO

_MAGIC = "070701"
_TRAILER = "TRAILER!!!"
_ALIGNMENT = 4


@dataclass(frozen=True, slots=True)
class Entry:
    """One file, folder or symbolic link of an archive; `content` is a link's target or where a file's bytes are."""

    name: str
    mode: int
    content: bytes | Path = b""
    owner: int = 0
    group: int = 0
    modified: int = 0
    """Seconds since 1970: Python's compiled modules are valid only beside a source of the time that they know."""


def walk(tree: Path, prefix: str = "", *, keep: Callable[[str], bool] = lambda path: True) -> Iterator[Entry]:
    """The entries of a tree, sorted, parents first, named below `prefix`.

    `keep` says of each path, relative to the tree, whether it (and what is below it) goes in. Device nodes, sockets
    and pipes are left out: the kernel and the daemons make them.
    """
    for name in sorted(os.listdir(tree)):
        if not keep(name):
            continue
        path = tree / name
        entry = _entry(path, str(PurePosixPath(prefix, name)))
        if entry is None:
            continue
        yield entry
        if stat.S_ISDIR(entry.mode):
            yield from walk(path, entry.name, keep=_below(name, keep))


def _below(folder: str, keep: Callable[[str], bool]) -> Callable[[str], bool]:
    return lambda path: keep(f"{folder}/{path}")


def _entry(path: Path, name: str) -> Entry | None:
    status = path.lstat()
    content: bytes | Path = b""
    if stat.S_ISLNK(status.st_mode):
        content = os.fsencode(path.readlink())
    elif stat.S_ISREG(status.st_mode):
        content = path
    elif not stat.S_ISDIR(status.st_mode):
        return None
    return Entry(name, status.st_mode, content, status.st_uid, status.st_gid, int(status.st_mtime))


def folder(name: str) -> Entry:
    """A folder that only root writes to."""
    return Entry(name, stat.S_IFDIR | 0o755)


def file(name: str, content: bytes, permissions: int = 0o644) -> Entry:
    """A file of root's."""
    return Entry(name, stat.S_IFREG | permissions, content)


def write(archive: BinaryIO, entries: Iterable[Entry]) -> None:
    """Writes one whole archive; the same entries give the same bytes. Archives may follow each other in a file."""
    for number, entry in enumerate(entries, start=1):
        _write(archive, entry, number)
    _write(archive, Entry(_TRAILER, 0), 0)


def _write(archive: BinaryIO, entry: Entry, number: int) -> None:
    content = entry.content.read_bytes() if isinstance(entry.content, Path) else entry.content
    name = os.fsencode(entry.name) + b"\0"
    fields = (
        number,
        entry.mode,
        entry.owner,
        entry.group,
        1,  # links: a hard link is written as a file of its own
        entry.modified,
        len(content),
        *(0, 0, 0, 0),  # devices
        len(name),
        0,  # checksum, not used by this format
    )
    header = _MAGIC.encode() + b"".join(b"%08X" % field for field in fields) + name
    archive.write(_padded(header))
    archive.write(content)
    archive.write(bytes(-len(content) % _ALIGNMENT))


def _padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % _ALIGNMENT)
