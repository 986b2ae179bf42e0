"""Where a value of a rendered manifest comes from: the nearest place in base/ or in the overlay."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from tunnelfleet.findings import Location
from tunnelfleet.generate.files import OVERLAYS
from tunnelfleet.inventory.document import Document, YamlPath, read
from tunnelfleet.manifests.rendered import Manifest


def origin(root: Path, cluster: str, manifest: Manifest, path: YamlPath) -> Location:
    """The place in the source that leads furthest along `path`; the overlay's kustomization where none does.

    kustomize merges list items by name, so items are looked for by name and not by number.
    """
    best, depth = Location(f"{OVERLAYS}/{cluster}/kustomization.yaml"), 0
    folders = [root / "base", *_overlay_folders(root, cluster, manifest)]
    for folder in folders:
        for document in _documents(root, folder):
            if _describes(document, manifest):
                place, reached = _follow(document, manifest.data, path)
                if reached >= depth:
                    best, depth = place, reached
    return best


def _overlay_folders(root: Path, cluster: str, manifest: Manifest) -> list[Path]:
    overlay = root / OVERLAYS / cluster
    if not overlay.is_dir():
        return []
    endings = {folder.name.removeprefix("gateway-"): folder for folder in overlay.iterdir() if folder.is_dir()}
    endings["nodes"] = endings.get("routes", overlay)
    return [folder for ending, folder in endings.items() if manifest.name.endswith(f"-{ending}")]


@cache
def _documents(root: Path, folder: Path) -> tuple[Document, ...]:
    found = []
    for path in sorted(folder.rglob("*.yaml")):
        document, _ = read(root, path)
        if document is not None and isinstance(document.data, dict):
            found.append(document)
    return tuple(found)


def _describes(document: Document, manifest: Manifest) -> bool:
    metadata = document.data.get("metadata")
    name = metadata.get("name") if isinstance(metadata, dict) else None
    same_kind = document.data.get("kind") == manifest.kind
    return same_kind and isinstance(name, str) and (manifest.name == name or manifest.name.startswith(f"{name}-"))


def _follow(document: Document, rendered: Any, path: YamlPath) -> tuple[Location, int]:
    here: YamlPath = ()
    source = document.data
    for depth, step in enumerate(path):
        rendered = _child(rendered, step)
        step_there: str | int | None = step
        if isinstance(step, int):
            step_there = _same_item(source, rendered)
        if step_there is None or _child(source, step_there) is None:
            return document.locate(here), depth
        source = _child(source, step_there)
        here = (*here, step_there)
    return document.locate(here), len(path)


def _child(value: Any, step: str | int) -> Any:
    if isinstance(value, Mapping):
        return value.get(step)
    if isinstance(value, list) and isinstance(step, int) and step < len(value):
        return value[step]
    return None


def _same_item(items: Any, wanted: Any) -> int | None:
    if not isinstance(items, list):
        return None
    name = wanted.get("name") if isinstance(wanted, Mapping) else None
    for number, item in enumerate(items):
        if item == wanted or (name is not None and isinstance(item, Mapping) and item.get("name") == name):
            return number
    return None
