"""The image's root tree as a tar archive: packages and files left out, everything else normalised."""

from __future__ import annotations

import io
import re
import tarfile
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from fnmatch import translate
from pathlib import Path, PurePosixPath

from .errors import BuildError
from .packages import (
    Package,
    PackageList,
    format_status,
    package_of_file_list,
    parse_file_list,
    parse_status,
)

STATUS = "var/lib/dpkg/status"
_FILE_LISTS = re.compile(r"var/lib/dpkg/info/[^/]+\.list")
# The container runtime mounts its own over these; they must not carry the builder's.
EMPTY_FILES = ("etc/hostname", "etc/hosts", "etc/machine-id", "etc/resolv.conf")


@dataclass(frozen=True, slots=True)
class Rule:
    """Whether paths that match the pattern are kept."""

    keep: bool
    pattern: re.Pattern[str]


@dataclass(frozen=True, slots=True)
class Installed:
    """What dpkg recorded about a tree: its packages and the paths of each."""

    packages: tuple[Package, ...]
    files: Mapping[str, frozenset[str]]


def parse_rules(text: str, origin: str) -> tuple[Rule, ...]:
    """Read file rules: `- pattern` or `+ pattern` a line, shell patterns whose `*` matches `/` too.

    Raises BuildError with `origin` and the line where a line is neither.
    """
    rules: list[Rule] = []
    for number, line in enumerate(text.splitlines(), start=1):
        entry = line.strip()
        if not entry or entry.startswith("#"):
            continue
        sign, _, pattern = entry.partition(" ")
        if sign not in ("-", "+") or not pattern or pattern.startswith("/"):
            raise BuildError(f"{origin}:{number}: found {entry!r}; write '- path' or '+ path' without leading /")
        rules.append(Rule(sign == "+", re.compile(translate(pattern.strip()))))
    return tuple(rules)


def kept(path: str, rules: Iterable[Rule]) -> bool:
    """Whether the last rule that matches the path keeps it; a path that no rule matches is kept."""
    verdict = True
    for rule in rules:
        if rule.keep != verdict and rule.pattern.match(path):
            verdict = rule.keep
    return verdict


def read_installed(archive: Path) -> Installed:
    """What dpkg recorded in the tree of this tar archive. Raises BuildError where it has no dpkg status."""
    packages: tuple[Package, ...] = ()
    files: dict[str, frozenset[str]] = {}
    with tarfile.open(archive) as tar:
        for member in tar:
            path = _relative(member.name)
            if path == STATUS:
                packages = parse_status(_text(tar, member))
            elif _FILE_LISTS.fullmatch(path):
                files[package_of_file_list(path)] = parse_file_list(_text(tar, member))
    if not packages:
        raise BuildError(f"{archive} has no {STATUS}: mmdebstrap did not finish")
    return Installed(packages, files)


def packages_to_keep(installed: Installed, wanted: PackageList) -> tuple[Package, ...]:
    """The packages that stay. Raises BuildError where one to leave out is not installed at all."""
    names = {package.name for package in installed.packages}
    unknown = sorted(wanted.leave_out - names)
    if unknown:
        raise BuildError(f"packages.list leaves out what is not installed: {', '.join(unknown)}; remove the lines")
    return tuple(package for package in installed.packages if package.name not in wanted.leave_out)


def paths_left_out(installed: Installed, keep: Iterable[Package]) -> frozenset[str]:
    """The paths that belong only to packages that do not stay."""
    staying = {package.name for package in keep}
    owned: set[str] = set()
    dropped: set[str] = set()
    for name, files in installed.files.items():
        (owned if name in staying else dropped).update(files)
    return frozenset(dropped - owned)


def added_files(folder: Path, keep: Iterable[Package]) -> dict[str, bytes]:
    """The files that no package brings, by path: those of the folder, empty ones, and dpkg's new status."""
    own = {file.relative_to(folder).as_posix(): file.read_bytes() for file in folder.rglob("*") if file.is_file()}
    return own | {path: b"" for path in EMPTY_FILES} | {STATUS: format_status(keep).encode()}


def write_layer(
    source: Path, target: Path, *, staying: Callable[[str], bool], added: Mapping[str, bytes], epoch: int
) -> None:
    """Write the image's tree as a deterministic tar archive.

    Members sorted by path; times no later than `epoch` (seconds since 1970); owners by number only; no
    device nodes, no setuid or setgid bits, no extended attributes. `added` files, by path, replace others.

    Raises BuildError where a kept hard link points to a file that was left out.
    """
    with tarfile.open(source) as tar, tarfile.open(target, "w", format=tarfile.PAX_FORMAT) as layer:
        everything = {path: member for member in tar if (path := _relative(member.name))}
        chosen = {path for path, member in everything.items() if staying(path) and _is_plain(member)}
        for path in sorted(chosen | parents(chosen) | parents(added) | added.keys()):
            if path in added:
                layer.addfile(_file(path, len(added[path]), epoch), io.BytesIO(added[path]))
                continue
            member = everything[path]
            if member.islnk() and _relative(member.linkname) not in chosen:
                raise BuildError(f"{path} is a hard link to {member.linkname}, which files.list leaves out")
            content = tar.extractfile(member) if member.isreg() else None
            layer.addfile(normalised(member, path, epoch), content)


def normalised(member: tarfile.TarInfo, path: str, epoch: int) -> tarfile.TarInfo:
    """The member as it is written: only what a file system needs, and nothing that depends on the builder."""
    result = tarfile.TarInfo(path)
    result.type = tarfile.REGTYPE if member.isreg() else member.type
    result.mode = member.mode & 0o1777
    result.uid, result.gid = member.uid, member.gid
    result.size = member.size if member.isreg() else 0
    result.mtime = min(int(member.mtime), epoch)
    result.linkname = _relative(member.linkname) if member.islnk() else member.linkname
    return result


def parents(paths: Iterable[str]) -> frozenset[str]:
    """Every folder that one of these paths is in."""
    return frozenset(str(folder) for path in paths for folder in PurePosixPath(path).parents if str(folder) != ".")


def _is_plain(member: tarfile.TarInfo) -> bool:
    return member.isreg() or member.isdir() or member.issym() or member.islnk()


def _file(path: str, size: int, epoch: int) -> tarfile.TarInfo:
    result = tarfile.TarInfo(path)
    result.size, result.mode, result.mtime = size, 0o644, epoch
    return result


def _relative(name: str) -> str:
    return "" if name in (".", "./") else name.removeprefix("./").strip("/")


def _text(tar: tarfile.TarFile, member: tarfile.TarInfo) -> str:
    file = tar.extractfile(member)
    if file is None:
        raise BuildError(f"{member.name} in the tree is no file")
    with file:
        return file.read().decode()
