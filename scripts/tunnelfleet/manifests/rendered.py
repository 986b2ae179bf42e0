"""A cluster as Flux would apply it: what kustomize prints, parsed, beside what it was made from."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from tunnelfleet.generate.files import Files
from tunnelfleet.generate.topology import Topology
from tunnelfleet.generate.tree import Difference
from tunnelfleet.inventory.document import Document, YamlPath
from tunnelfleet.inventory.loading import LoadedCluster
from tunnelfleet.inventory.secrets import SecretFolder


@dataclass(frozen=True, slots=True)
class Manifest:
    """One Kubernetes object, which may hold anything that YAML can: nothing about its shape is certain."""

    data: Mapping[str, Any]

    @property
    def api_version(self) -> str:
        return _name(self.data.get("apiVersion"))

    @property
    def kind(self) -> str:
        return _name(self.data.get("kind"))

    @property
    def name(self) -> str:
        return _name(mapping(self.data.get("metadata")).get("name"))

    @property
    def namespace(self) -> str | None:
        namespace = mapping(self.data.get("metadata")).get("namespace")
        return namespace if isinstance(namespace, str) else None

    def __str__(self) -> str:
        return f"{self.kind} {self.name}"


@dataclass(frozen=True, slots=True)
class RenderedCluster:
    """All that the policies of the rendered manifests look at.

    `manifests` is the overlay as kustomize builds it from the tree, `flux` the files of clusters/<name> that the
    generator writes there, as they stand in the tree; `expected` is what the generator gives and `differences` how
    the tree differs from it. Where `builds` is false kustomize gave nothing that could be looked at.
    """

    root: Path
    loaded: LoadedCluster
    topology: Topology
    secrets: SecretFolder
    expected: Files
    differences: tuple[Difference, ...]
    manifests: tuple[Manifest, ...]
    flux: tuple[Document, ...]
    builds: bool = True


def mapping(value: Any) -> Mapping[Any, Any]:
    """The value where it is a mapping, else an empty one."""
    return value if isinstance(value, Mapping) else {}


def sequence(value: Any) -> Sequence[Any]:
    """The value where it is a list, else an empty one."""
    return value if isinstance(value, list) else ()


def at(data: Any, path: YamlPath) -> Any:
    """The value at `path`, None where the path leads nowhere."""
    for step in path:
        if isinstance(step, int):
            items = sequence(data)
            data = items[step] if step < len(items) else None
        else:
            data = mapping(data).get(step)
    return data


def _name(value: Any) -> str:
    return value if isinstance(value, str) else ""


class _Loader(yaml.CSafeLoader):
    """Scalars as the JSON that the API server gets: no dates, no numbers to base 60, no merge keys."""

    yaml_implicit_resolvers: dict[str, list[tuple[str, re.Pattern[str]]]] = {}  # noqa: RUF012 (PyYAML's own name)


_SCALARS = {
    "null": (r"~|null|Null|NULL|", "~nN"),
    "bool": (r"true|True|TRUE|false|False|FALSE", "tTfF"),
    "int": (r"[-+]?(?:0[0-7]*|[1-9][0-9]*)", "-+0123456789"),
    "float": (
        r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)",
        "-+.0123456789",
    ),
}
for _tag, (_pattern, _first) in _SCALARS.items():
    _Loader.add_implicit_resolver(f"tag:yaml.org,2002:{_tag}", re.compile(rf"(?:{_pattern})\Z"), [*_first, ""])


def parse_manifests(output: bytes) -> tuple[Manifest, ...]:
    """The objects in a stream of YAML documents; raises yaml.YAMLError where it is not one."""
    try:
        return tuple(Manifest(data) for data in yaml.load_all(output, Loader=_Loader) if isinstance(data, dict))
    except (ValueError, RecursionError) as error:
        raise yaml.YAMLError(str(error) or "nested too deeply") from error
