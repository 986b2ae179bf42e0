"""Where the schemas come from: pinned packages, fetched with their own clients, checksums verified."""

from __future__ import annotations

import base64
import hashlib
import json
import subprocess
import tarfile
import tempfile
import zipfile
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path


class VendorError(Exception):
    """A source could not be fetched, or is not what its checksum says."""


@dataclass(frozen=True)
class Source:
    """A package that definitions are taken from; `checksum` is in the notation of its package manager."""

    name: str
    version: str
    licence: str
    checksum: str
    used_for: str


@dataclass(frozen=True)
class GoModule(Source):
    """A module of the Go module proxy, read from its archive; `checksum` is the h1 hash of go.sum."""

    @cached_property
    def _archive(self) -> zipfile.ZipFile:
        with tempfile.TemporaryDirectory() as folder:
            # go fails on a module that asks for a newer Go, though it has fetched the archive
            answer = _run(["go", "mod", "download", "-json", f"{self.name}@{self.version}"], Path(folder))
        module = json.loads(answer.stdout or "{}")
        if "Zip" not in module:
            raise VendorError(f"go could not fetch {self.name}@{self.version}: {answer.stderr.strip()}")
        _expect(self, module.get("Sum", ""))
        return zipfile.ZipFile(module["Zip"])

    def text(self, path: str) -> str:
        """A file of the module. Raises VendorError where there is none."""
        try:
            return self._archive.read(f"{self.name}@{self.version}/{path}").decode()
        except KeyError:
            raise VendorError(f"{self.name}@{self.version} has no file {path}") from None

    def go_files(self, folder: str) -> list[str]:
        """The Go files of one folder, tests left out, in the order of their names."""
        prefix = f"{self.name}@{self.version}/{folder}/"
        return [
            self._archive.read(name).decode()
            for name in sorted(self._archive.namelist())
            if name.startswith(prefix)
            and "/" not in name.removeprefix(prefix)
            and name.endswith(".go")
            and not name.endswith("_test.go")
        ]


@dataclass(frozen=True)
class NodePackage(Source):
    """An npm package, fetched with `npm pack`; `checksum` is its subresource integrity."""

    def text(self, path: str) -> str:
        """A file of the package."""
        with tempfile.TemporaryDirectory() as folder:
            wanted = f"{self.name}@{self.version}"
            answer = _run(["npm", "pack", "--silent", wanted], Path(folder))
            archives = list(Path(folder).glob("*.tgz"))
            if not archives:
                raise VendorError(f"npm could not fetch {wanted}: {answer.stderr.strip()}")
            digest = hashlib.sha512(archives[0].read_bytes()).digest()
            _expect(self, "sha512-" + base64.b64encode(digest).decode())
            with tarfile.open(archives[0]) as archive:
                member = archive.extractfile(f"package/{path}")
                if member is None:
                    raise VendorError(f"{wanted} has no file {path}")
                return member.read().decode()


def _run(command: list[str], folder: Path) -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        raise VendorError(f"{command[0]} is not installed; it is needed to fetch {command[-1]}") from None


def _expect(source: Source, checksum: str) -> None:
    if checksum != source.checksum:
        raise VendorError(
            f"{source.name} {source.version} has checksum {checksum}, expected {source.checksum}; "
            "where the version was changed on purpose, write the new checksum into catalogue.py"
        )
