"""Where a value of a rendered manifest comes from: the place in base/ or in the overlay to be changed.

kustomize does not say, so its way is gone again: from the overlay's kustomization.yaml through resources, components
and patches, in the order in which they are applied. Only looked up when there is something to say about a value.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from tunnelfleet.findings import Location
from tunnelfleet.generate.files import OVERLAYS
from tunnelfleet.inventory.document import Document, YamlPath, parse, read
from tunnelfleet.manifests.rendered import Manifest, at, mapping, sequence

KUSTOMIZATION = "kustomization.yaml"
_MERGED_BY = ("name", "mountPath", "containerPort", "key")
"""By which of their keys kustomize merges the items of lists, tried in this order."""


def origin(root: Path, cluster: str, manifest: Manifest, path: YamlPath) -> Location:
    """The place that leads furthest along `path`; the overlay's kustomization.yaml where none does.

    Of several that lead to the end the last counts that has the rendered value, else the last: patches win over what
    they patch. Of several that do not, the first: what is missing belongs into the object itself.
    """
    overlay = Path(OVERLAYS, cluster)
    best, score = Location(f"{overlay.as_posix()}/{KUSTOMIZATION}"), (-1, False)
    image = at(manifest.data, path) if path and path[-1] == "image" else None
    for source in _sources(root, overlay, "", ""):
        if isinstance(image, str) and (named := source.image(image)):
            return named
        if source.describes(manifest):
            reached, same, place = source.follow(manifest.data, path)
            if (reached, same) > score or ((reached, same) == score and reached == len(path)):
                best, score = place, (reached, same)
    return best


def place_of(document: Document, path: YamlPath) -> Location:
    """Where a value stands: a scalar itself, the key of what has items of its own; else the nearest of those."""
    while path and path not in document.values:
        path = path[:-1]
    value = at(document.data, path)
    return document.locate_key(path) if isinstance(value, dict | list) else document.locate(path)


def written(root: Path, cluster: str, manifest: Manifest, path: YamlPath) -> Location | None:
    """The place of the value itself, None where it is written nowhere but made by a transformer."""
    found = None
    for source in _sources(root, Path(OVERLAYS, cluster), "", ""):
        if source.describes(manifest) and at(source.data, path) is not None:
            found = source.follow(manifest.data, path)[2]
    return found


@dataclass(frozen=True, slots=True)
class _Source:
    """An object, a patch or a kustomization, with what its names become; `place` where its lines are not a file's."""

    document: Document
    prefix: str
    suffix: str
    place: Location | None = None

    @property
    def data(self) -> Mapping[str, Any]:
        return mapping(self.document.data)

    def describes(self, manifest: Manifest) -> bool:
        name = mapping(self.data.get("metadata")).get("name")
        return self.data.get("kind") == manifest.kind and f"{self.prefix}{name}{self.suffix}" == manifest.name

    def image(self, image: str) -> Location | None:
        """The entry of `images` that gives containers this image."""
        if self.data.get("kind") not in ("Kustomization", "Component"):
            return None
        for number, entry in enumerate(sequence(self.data.get("images"))):
            name = mapping(entry).get("newName", mapping(entry).get("name"))
            if isinstance(name, str) and image.startswith((f"{name}:", f"{name}@")):
                return self.document.locate(("images", number))
        return None

    def follow(self, rendered: Any, path: YamlPath) -> tuple[int, bool, Location]:
        """How many steps of `path` there are here, whether they lead to the rendered value, and where they end."""
        here: YamlPath = ()
        source: Any = self.data
        for step in path:
            rendered = at(rendered, (step,))
            there = _same_item(source, rendered) if isinstance(step, int) else step
            if there is None or at(source, (there,)) is None:
                return len(here), False, self._locate(here)
            source, here = at(source, (there,)), (*here, there)
        return len(here), source == rendered, self._locate(here)

    def _locate(self, path: YamlPath) -> Location:
        return self.place or place_of(self.document, path)


def _same_item(items: Any, wanted: Any) -> int | None:
    """The item that became `wanted`: the same one, or the one that was merged into it."""
    for number, item in enumerate(sequence(items)):
        if item == wanted:
            return number
    for key in _MERGED_BY:
        value = mapping(wanted).get(key)
        for number, item in enumerate(sequence(items)):
            if value is not None and mapping(item).get(key) == value:
                return number
    return None


def _sources(root: Path, folder: Path, prefix: str, suffix: str, *above: Path) -> Iterator[_Source]:
    """All that the kustomization in `folder`, relative to the root, is made of; `above` are those it is part of."""
    kustomization = _document(root, folder / KUSTOMIZATION)
    if kustomization is None or folder in above:
        return
    data = mapping(kustomization.data)
    prefix, suffix = prefix + _text(data.get("namePrefix")), _text(data.get("nameSuffix")) + suffix
    for entry in (*sequence(data.get("resources")), *sequence(data.get("components"))):
        path = _below(root, folder, entry)
        if path is not None and (root / path).is_dir():
            yield from _sources(root, path, prefix, suffix, *above, folder)
        elif path is not None and (document := _document(root, path)):
            yield _Source(document, prefix, suffix)
    for number, entry in enumerate(sequence(data.get("patches"))):
        inline, path = mapping(entry).get("patch"), _below(root, folder, mapping(entry).get("path"))
        if isinstance(inline, str):
            document, _ = parse(kustomization.file, inline)
            if document is not None:
                yield _Source(document, prefix, suffix, kustomization.locate(("patches", number, "patch")))
        elif path is not None and (patch := _document(root, path)):
            yield _Source(patch, prefix, suffix)
    yield _Source(kustomization, prefix, suffix)


def _below(root: Path, folder: Path, entry: Any) -> Path | None:
    """The path that an entry names, relative to the root; None for one that is elsewhere."""
    if not isinstance(entry, str) or "\0" in entry or "://" in entry:
        return None
    parts: list[str] = []
    for part in (*folder.parts, *Path(entry).parts):
        if part == ".." and parts:
            parts.pop()
        elif part == ".." or part == "/":
            return None
        else:
            parts.append(part)
    path = Path(*parts)
    return path if (root / path).exists() else None


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _document(root: Path, path: Path) -> Document | None:
    try:
        status = (root / path).stat()
    except OSError:
        return None
    return _read(root, path, status.st_mtime_ns, status.st_size)


@lru_cache(maxsize=256)
def _read(root: Path, path: Path, _changed: int, _size: int) -> Document | None:
    """Reads a file once for as long as it stays as it is."""
    document, _ = read(root, root / path)
    return document
