"""A pod's volumes on its node, as kubelet makes them."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .fields import ManifestError
from .podspec import EmptyDir, Files, HostPath, PodSpec, Source, Volume
from .shell import run

# the kernel's and the machine's own; every other path is in the node's own folder
_MACHINE = ("/proc", "/sys", "/dev", "/lib/modules")


@dataclass(frozen=True, slots=True)
class Data:
    """What ConfigMaps and Secrets hold, by their name and key."""

    maps: Mapping[str, Mapping[str, str]]
    secrets: Mapping[str, Mapping[str, str]]

    @classmethod
    def of(cls, objects: Iterable[Mapping[str, Any]], secrets: Mapping[str, Mapping[str, str]]) -> Data:
        """The ConfigMaps among the objects, and the Secrets."""
        maps = {item["metadata"]["name"]: item.get("data") or {} for item in objects if item["kind"] == "ConfigMap"}
        return cls(maps, secrets)


@dataclass(frozen=True, slots=True)
class File:
    """A file of a volume."""

    path: str
    text: str
    mode: int


def files(volume: Files, data: Data) -> tuple[File, ...]:
    """What kubelet writes into the volume. Raises ManifestError where an object or a key is not there."""
    return tuple(file for source in volume.sources for file in _files(source, volume.mode, data))


def _files(source: Source, mode: int, data: Data) -> Iterable[File]:
    held = (data.maps if source.kind == "ConfigMap" else data.secrets).get(source.name)
    if held is None:
        raise ManifestError(f"{source.kind} {source.name} is not there: the pod would never start")
    for key, path, own_mode in source.items or [(key, key, None) for key in held]:
        if key not in held:
            raise ManifestError(f"{source.kind} {source.name} has no key {key}: the pod would never start")
        yield File(path, held[key], mode if own_mode is None else own_mode)


class Volumes:
    """The volumes of one pod, in a folder of their own."""

    def __init__(self, spec: PodSpec, data: Data, folder: Path, node: Path) -> None:
        """`folder` is the pod's, `node` holds the paths of the node."""
        self._folder = folder
        self._mounted: list[Path] = []
        folder.mkdir(parents=True)
        self._paths = {name: self._make(name, volume, spec, data, node) for name, volume in spec.volumes.items()}
        self._read_only = {name for name, volume in spec.volumes.items() if isinstance(volume, Files)}

    def source(self, name: str, sub_path: str) -> Path:
        """What to bind for a mount of the volume. Raises ManifestError where the sub-path is not there."""
        path = self._paths[name] / sub_path
        if not path.exists():
            raise ManifestError(f"volume {name} has no {sub_path}")
        return path.resolve()

    def read_only(self, name: str) -> bool:
        """Whether kubelet lets nobody write to it (configMap, secret, projected)."""
        return name in self._read_only

    def remove(self) -> None:
        """Takes everything away, with what the pod wrote."""
        for path in self._mounted:
            run(("umount", "--lazy", str(path)))
        run(("rm", "-rf", "--one-file-system", str(self._folder)))

    def _make(self, name: str, volume: Volume, spec: PodSpec, data: Data, node: Path) -> Path:
        if isinstance(volume, HostPath):
            return _host_path(volume, node)
        path = self._folder / name
        path.mkdir()
        if isinstance(volume, Files):
            _write(path, files(volume, data))
        else:
            self._empty(path, volume)
        if spec.fs_group is not None:
            _give(path, spec.fs_group, writable=isinstance(volume, EmptyDir))
        return path

    def _empty(self, path: Path, volume: EmptyDir) -> None:
        if volume.memory:
            size = () if volume.size is None else ("-o", f"size={volume.size}")
            run(("mount", "-t", "tmpfs", *size, "tmpfs", str(path)))
            self._mounted.append(path)
        path.chmod(0o777)


def _write(folder: Path, content: Iterable[File]) -> None:
    """Files behind two symbolic links, by which kubelet changes all of them at once (AtomicWriter)."""
    version = folder / "..version"
    version.mkdir()
    for file in content:
        path = version / file.path
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(file.text, encoding="utf-8")
        path.chmod(file.mode)
    (folder / "..data").symlink_to(version.name)
    for entry in version.iterdir():
        (folder / entry.name).symlink_to(f"..data/{entry.name}")


def _give(folder: Path, group: int, *, writable: bool) -> None:
    """Makes the volume a group's, as fsGroup asks: files rw or r, folders with the set-group-ID bit too."""
    for parent, _, names in os.walk(folder):
        os.chown(parent, -1, group)
        os.chmod(parent, os.stat(parent).st_mode | 0o2050 | (0o020 if writable else 0))
        for name in names:
            path = os.path.join(parent, name)
            if not os.path.islink(path):
                os.chown(path, -1, group)
                os.chmod(path, os.stat(path).st_mode | (0o060 if writable else 0o040))


def _host_path(volume: HostPath, node: Path) -> Path:
    machine = any(volume.path == path or volume.path.startswith(f"{path}/") for path in _MACHINE)
    path = Path(volume.path) if machine else node / volume.path.lstrip("/")
    if volume.kind in ("", "DirectoryOrCreate") and not machine:
        path.mkdir(parents=True, exist_ok=True)
    if not path.exists():
        raise ManifestError(f"hostPath {volume.path} (type {volume.kind or 'none'}) is not there")
    return path
