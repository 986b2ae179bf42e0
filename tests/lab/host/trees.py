"""The two trees that a machine is made from, and the RAM disk of both."""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from . import initramfs, tree
from .errors import LabError

IMAGE = "image"
"""Folder of the guest's root with the container image's tree."""
# apart from the trees' own: folders that the guest mounts something over, and what only a boot loader reads
_LEFT_OUT = ("boot", "dev", "proc", "sys", "run", "tmp")


@dataclass(frozen=True, slots=True)
class Trees:
    """The machine's tree and the image's, below one folder."""

    cache: Path

    @property
    def lab(self) -> Path:
        return self.cache / "lab-root"

    @property
    def lab_stamp(self) -> Path:
        """Says which recipe the machine's tree was made from."""
        return self.cache / "lab-root.stamp"

    @property
    def image(self) -> Path:
        return self.cache / "image-root"

    @property
    def image_stamp(self) -> Path:
        return self.cache / "image-root.layer"

    @property
    def disk(self) -> Path:
        """The RAM disk of both trees."""
        return self.cache / "lab-disk.cpio"

    @property
    def kernel(self) -> Path:
        """The machine's kernel. Raises LabError where the tree has none."""
        kernels = sorted((self.lab / "boot").glob("vmlinuz-*"))
        if not kernels:
            raise LabError(f"{self.lab} has no kernel; remove the folder, and run `make lab-root`")
        return kernels[-1]


def prepare(cache: Path) -> Trees:
    """The trees, made where they are missing or old. Raises LabError."""
    trees = Trees(cache)
    if not trees.image_stamp.exists() or not trees.image.is_dir():
        raise LabError(f"{trees.image} is missing: run `make image-root` as root")
    tree.build(trees.lab, trees.lab_stamp)
    return trees


def disk(trees: Trees) -> Path:
    """The RAM disk of both trees, written again where either has changed."""
    stamp = trees.disk.with_suffix(".stamp")
    wanted = _digest(trees)
    if not trees.disk.exists() or not stamp.exists() or stamp.read_text().strip() != wanted:
        # a run beside this one may be reading the old one, or writing too
        descriptor, name = tempfile.mkstemp(prefix=".lab-disk.", dir=trees.cache)
        try:
            with os.fdopen(descriptor, "wb") as archive:
                initramfs.write(archive, _entries(trees))
            os.replace(name, trees.disk)
        except BaseException:
            os.unlink(name)
            raise
        stamp.write_text(f"{wanted}\n")
    return trees.disk


def _digest(trees: Trees) -> str:
    parts = (
        trees.lab_stamp.read_bytes(),
        trees.image_stamp.read_bytes(),
        Path(initramfs.__file__).read_bytes(),
        Path(__file__).read_bytes(),
    )
    return hashlib.sha256(b"\0".join(parts)).hexdigest()


def _entries(trees: Trees) -> Iterator[initramfs.Entry]:
    yield from initramfs.walk(trees.lab, keep=lambda path: path.split("/")[0] not in _LEFT_OUT)
    yield from (initramfs.folder(name) for name in (*_LEFT_OUT, IMAGE))
    yield from initramfs.walk(trees.image, IMAGE)
