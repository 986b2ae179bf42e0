"""The package list, and dpkg's own records in the installed tree (deb-control(5), dpkg-query(1))."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from .errors import BuildError

_NAME = re.compile(r"-?[a-z0-9][a-z0-9+.-]+")
# Before merged /usr these were folders of their own; some packages still list their files there.
_MERGED = re.compile(r"(?:bin|sbin|lib|lib64|lib32|libx32)(?:/|$)")


@dataclass(frozen=True, slots=True)
class PackageList:
    """The packages to install, and those of the result to leave out of the image."""

    install: tuple[str, ...]
    leave_out: frozenset[str]


@dataclass(frozen=True, slots=True)
class Package:
    """One installed package: its name, its version and its paragraph in dpkg's status file."""

    name: str
    version: str
    paragraph: str


def parse_package_list(text: str, origin: str) -> PackageList:
    """Read a package list: one name a line, `-name` to leave out, `#` starts a comment.

    Raises BuildError with `origin` and the line where a line is not a package name or a name is repeated.
    """
    install: list[str] = []
    leave_out: set[str] = set()
    for number, line in enumerate(text.splitlines(), start=1):
        entry = line.split("#", 1)[0].strip()
        if not entry:
            continue
        if not _NAME.fullmatch(entry):
            raise BuildError(f"{origin}:{number}: found {entry!r}; write one Debian package name, or -name")
        name = entry.removeprefix("-")
        if name in leave_out or name in install:
            raise BuildError(f"{origin}:{number}: {name} is listed twice; remove one")
        if entry.startswith("-"):
            leave_out.add(name)
        else:
            install.append(name)
    return PackageList(tuple(install), frozenset(leave_out))


def parse_status(text: str) -> tuple[Package, ...]:
    """The installed packages of a dpkg status file, sorted by name.

    Raises BuildError where a paragraph has no Package or Version field.
    """
    packages: list[Package] = []
    for paragraph in text.split("\n\n"):
        if not paragraph.strip():
            continue
        fields = dict(
            line.split(": ", 1) for line in paragraph.splitlines() if ": " in line and not line.startswith((" ", "\t"))
        )
        if "Package" not in fields or "Version" not in fields:
            raise BuildError(f"dpkg's status file has a paragraph without name or version: {paragraph[:80]!r}")
        if fields.get("Status", "").endswith(" installed"):
            packages.append(Package(fields["Package"], fields["Version"], paragraph.strip("\n")))
    return tuple(sorted(packages, key=lambda package: package.name))


def format_status(packages: Iterable[Package]) -> str:
    """A dpkg status file of these packages, which image scanners read."""
    return "".join(f"{package.paragraph}\n\n" for package in packages)


def package_of_file_list(path: str) -> str:
    """The package whose files `var/lib/dpkg/info/<package>[:<architecture>].list` names."""
    return Path(path).name.removesuffix(".list").split(":", 1)[0]


def parse_file_list(text: str) -> frozenset[str]:
    """The paths of a dpkg file list, relative to the root and in merged /usr."""
    return frozenset(merged(line.lstrip("/")) for line in text.splitlines() if line not in ("", "/."))


def merged(path: str) -> str:
    """`lib/x` as `usr/lib/x`; other relative paths as they are."""
    return f"usr/{path}" if _MERGED.match(path) else path
