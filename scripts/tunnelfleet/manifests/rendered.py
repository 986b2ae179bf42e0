"""A cluster as Flux would apply it: what kustomize prints, parsed, beside what it was made from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from tunnelfleet.generate.files import Files
from tunnelfleet.generate.topology import Topology
from tunnelfleet.generate.tree import Difference
from tunnelfleet.inventory.document import Document
from tunnelfleet.inventory.loading import LoadedCluster
from tunnelfleet.inventory.secrets import SecretFolder


@dataclass(frozen=True, slots=True)
class Manifest:
    """One Kubernetes object."""

    data: Mapping[str, Any]

    @property
    def api_version(self) -> str:
        return str(self.data.get("apiVersion", ""))

    @property
    def kind(self) -> str:
        return str(self.data.get("kind", ""))

    @property
    def name(self) -> str:
        return str(self._metadata.get("name", ""))

    @property
    def namespace(self) -> str | None:
        namespace = self._metadata.get("namespace")
        return namespace if isinstance(namespace, str) else None

    @property
    def _metadata(self) -> Mapping[str, Any]:
        metadata = self.data.get("metadata")
        return metadata if isinstance(metadata, Mapping) else {}


@dataclass(frozen=True, slots=True)
class RenderedCluster:
    """All that the policies of the rendered manifests look at.

    `manifests` is the overlay as kustomize builds it from the tree, `flux` the files of clusters/<name> that the
    generator writes there, as they stand in the tree; `expected` is what the generator gives and `differences` how
    the tree differs from it.
    """

    root: Path
    loaded: LoadedCluster
    topology: Topology
    secrets: SecretFolder
    expected: Files
    differences: tuple[Difference, ...]
    manifests: tuple[Manifest, ...]
    flux: tuple[Document, ...]


def parse_manifests(output: bytes) -> tuple[Manifest, ...]:
    """The objects in a stream of YAML documents; raises yaml.YAMLError where it is not one."""
    return tuple(
        Manifest(data) for data in yaml.load_all(output, Loader=yaml.CSafeLoader) if isinstance(data, dict)
    )
