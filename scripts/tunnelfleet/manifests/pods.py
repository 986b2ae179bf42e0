"""The pods that a rendered manifest starts: their containers, and which object a file in a container comes from."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from tunnelfleet.inventory.document import YamlPath
from tunnelfleet.manifests.rendered import Manifest, mapping, sequence
from tunnelfleet.manifests.rendered import at as at_path

_TEMPLATE: YamlPath = ("spec", "template", "spec")
_POD_PATHS: Mapping[str, YamlPath] = {
    "Deployment": _TEMPLATE,
    "DaemonSet": _TEMPLATE,
    "StatefulSet": _TEMPLATE,
    "ReplicaSet": _TEMPLATE,
    "ReplicationController": _TEMPLATE,
    "Job": _TEMPLATE,
    "CronJob": ("spec", "jobTemplate", *_TEMPLATE),
    "PodTemplate": ("template", "spec"),
    "Pod": ("spec",),
}
_FINITE = frozenset({"Job", "CronJob"})
CONTAINERS = ("initContainers", "containers", "ephemeralContainers")


@dataclass(frozen=True, slots=True)
class Container:
    """One container of a pod; `path` leads to it within the manifest."""

    path: YamlPath
    data: Mapping[str, Any]
    stays: bool
    """Whether it runs as long as its pod does: no init container but a sidecar, no container of a Job."""

    @property
    def name(self) -> str:
        name = self.data.get("name")
        return name if isinstance(name, str) else "(without a name)"


@dataclass(frozen=True, slots=True)
class Pod:
    """The pod that a manifest starts; `path` leads to its spec within the manifest."""

    manifest: Manifest
    path: YamlPath
    spec: Mapping[str, Any]

    @property
    def containers(self) -> Iterator[Container]:
        """All containers of every sort."""
        for section in CONTAINERS:
            for number, item in enumerate(sequence(self.spec.get(section))):
                data = mapping(item)
                stays = section == "containers" or data.get("restartPolicy") == "Always"
                path = (*self.path, section, number)
                yield Container(path, data, stays and self.manifest.kind not in _FINITE)

    def container(self, name: str) -> Container | None:
        """The container of this name."""
        return next((one for one in self.containers if one.name == name), None)


def pods(manifests: Iterable[Manifest]) -> Iterator[Pod]:
    """The pods that the manifests start, in their order."""
    for manifest in manifests:
        path = _POD_PATHS.get(manifest.kind)
        if path is not None:
            yield Pod(manifest, path, mapping(at_path(manifest.data, path)))


@dataclass(frozen=True, slots=True)
class Source:
    """Where a mounted file comes from: an entry of a ConfigMap or Secret; `path` leads to its volume."""

    kind: str
    name: str
    key: str
    path: YamlPath


def source_of(pod: Pod, container: Container, file: str) -> Source | None:
    """Which entry is seen as `file` in the container; None where no ConfigMap or Secret is."""
    best: tuple[int, str, str] | None = None
    for item in sequence(container.data.get("volumeMounts")):
        mount = mapping(item)
        where, volume, below = mount.get("mountPath"), mount.get("name"), mount.get("subPath") or ""
        if not (isinstance(where, str) and isinstance(volume, str) and isinstance(below, str)):
            continue
        place = where.rstrip("/")
        # of nested mounts the innermost is seen
        if (file == place or file.startswith(f"{place}/")) and (best is None or len(place) >= best[0]):
            parts = (below.strip("/"), file[len(place) + 1 :])
            best = (len(place), volume, "/".join(part for part in parts if part))
    return None if best is None else _entry(pod, best[1], best[2])


def _entry(pod: Pod, volume: str, file: str) -> Source | None:
    for number, item in enumerate(sequence(pod.spec.get("volumes"))):
        data = mapping(item)
        if data.get("name") != volume:
            continue
        path: YamlPath = (*pod.path, "volumes", number)
        for kind, field, named in (("ConfigMap", "configMap", "name"), ("Secret", "secret", "secretName")):
            if found := _in_source(kind, data.get(field), named, file, path):
                return found
        for source in sequence(mapping(data.get("projected")).get("sources")):
            for kind, field in (("ConfigMap", "configMap"), ("Secret", "secret")):
                if found := _in_source(kind, mapping(source).get(field), "name", file, path):
                    return found
    return None


def _in_source(kind: str, source: Any, named: str, file: str, path: YamlPath) -> Source | None:
    name, items = mapping(source).get(named), mapping(source).get("items")
    if not isinstance(name, str):
        return None
    if items is None:
        # every entry is a file of its own name
        return Source(kind, name, file, path)
    for item in sequence(items):
        key = mapping(item).get("key")
        if mapping(item).get("path") == file and isinstance(key, str):
            return Source(kind, name, key, path)
    return None
