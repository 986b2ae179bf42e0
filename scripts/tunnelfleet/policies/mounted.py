"""What the containers of a rendered workload see: the configurations and secrets that are mounted into them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from tunnelfleet.findings import Location
from tunnelfleet.generate.files import OVERLAYS
from tunnelfleet.inventory.document import YamlPath, parse
from tunnelfleet.inventory.model import SecretKey
from tunnelfleet.manifests.origin import KUSTOMIZATION, place_of
from tunnelfleet.manifests.pods import Container, Pod, pods, source_of
from tunnelfleet.manifests.rendered import RenderedCluster, mapping
from tunnelfleet.manifests.routers import Unreadable
from tunnelfleet.policies.expected_ipsec import Deviation
from tunnelfleet.policies.faults import Fault, Said
from tunnelfleet.policies.registry import LocatedProblem

_HASHED = re.compile(r".+-[a-z0-9]{10}")
_HINT = "run `tunnelfleet generate`; if that gives the same, mend base/, where the programs' files are mounted"


class NotMounted(Exception):
    """A container does not see a file that its program reads."""

    def __init__(self, fault: Fault) -> None:
        super().__init__(fault.message)
        self.fault = fault


def guarded(work: Iterator[Said]) -> Iterator[Said]:
    """What `work` says, up to the file that is not mounted."""
    try:
        yield from work
    except NotMounted as error:
        yield error.fault


@dataclass(frozen=True, slots=True)
class MountedFile:
    """A configuration as a container sees it; `folder` is the overlay's one that it was generated into."""

    rendered: RenderedCluster
    folder: str
    key: str
    text: str

    def problems(self, check: Callable[[str], Iterable[Deviation]]) -> Iterator[LocatedProblem]:
        """What `check` has to say of the text, at its place in the overlay."""
        try:
            for deviation in check(self.text):
                yield self.problem(deviation)
        except Unreadable as error:
            yield self.problem(Deviation(error.line, error.message))

    def problem(self, deviation: Deviation) -> LocatedProblem:
        """One deviation, at its place in the overlay."""
        cluster = self.rendered.loaded.folder
        hint = (
            f"run `tunnelfleet generate {cluster}`; if that gives the same, change clusters/{cluster}/cluster.yaml "
            "or mend scripts/tunnelfleet/generate/"
        )
        return LocatedProblem(self._place(deviation.place), deviation.message, hint, cluster=cluster)

    def _place(self, place: int | YamlPath) -> Location:
        """The place in the file that the ConfigMap was made of, which may have another name than its key."""
        path = f"{OVERLAYS}/{self.rendered.loaded.folder}/{self.folder}"
        folder = self.rendered.root / path
        for name in (self.key, *sorted(each.name for each in folder.glob("*"))):
            try:
                same = (folder / name).read_bytes() == self.text.encode()
            except (OSError, ValueError):
                continue
            if same:
                return _located(f"{path}/{name}", self.text, place)
        return Location(f"{path}/{KUSTOMIZATION}")


def _located(file: str, text: str, place: int | YamlPath) -> Location:
    if not isinstance(place, int):
        document, _ = parse(file, text)
        return place_of(document, place) if document else Location(file)
    lines = text.split("\n")
    line = lines[place - 1] if 0 < place <= len(lines) else ""
    start = len(line) - len(line.lstrip()) + 1
    return Location(file, place, start, max(start + 1, len(line.rstrip()) + 1))


@dataclass(frozen=True, slots=True)
class Workload:
    """A rendered workload, and the overlay's folder that configures it."""

    rendered: RenderedCluster
    pod: Pod
    folder: str

    @classmethod
    def named(cls, rendered: RenderedCluster, kind: str, name: str, folder: str) -> list[Workload]:
        """The workload of this name; none where there is none, which another policy says."""
        found = (pod for pod in pods(rendered.manifests) if (pod.manifest.kind, pod.manifest.name) == (kind, name))
        return [cls(rendered, pod, folder) for pod in found][:1]

    def container(self, name: str) -> Container:
        """The container of this name; raises NotMounted where there is none."""
        found = self.pod.container(name)
        if found is None:
            raise NotMounted(self._fault((*self.pod.path, "containers"), f"has no container {name}"))
        return found

    def file(self, container: Container, path: str) -> MountedFile:
        """The configuration at `path` of the container; raises NotMounted where no ConfigMap is there."""
        source = source_of(self.pod, container, path)
        if source is None or source.kind != "ConfigMap":
            message = f"container {container.name} has no {path} from a ConfigMap"
            raise NotMounted(self._fault((*container.path, "volumeMounts"), message))
        if not _HASHED.fullmatch(source.name):
            message = f"ConfigMap {source.name} has no hash in its name: a change would not restart the pods"
            raise NotMounted(self._fault(source.path, message))
        data = self._config_map(source.name)
        if data is None:
            raise NotMounted(self._fault(source.path, f"the overlay has no ConfigMap {source.name}"))
        text = mapping(mapping(data).get("data")).get(source.key)
        if not isinstance(text, str):
            raise NotMounted(self._fault(source.path, f"ConfigMap {source.name} has no {source.key}"))
        return MountedFile(self.rendered, self.folder, source.key, text)

    def secret(self, container: Container, path: str, wanted: SecretKey, about: str) -> Iterator[Fault]:
        """What is wrong with the secret at `path` of the container."""
        source = source_of(self.pod, container, path)
        expected = f"expected {wanted.secret_name}/{wanted.key}"
        if source is None or source.kind != "Secret":
            message = f"{about}: container {container.name} has no {path} from a Secret, {expected}"
            yield self._fault((*container.path, "volumeMounts"), message)
        elif (source.name, source.key) != (wanted.secret_name, wanted.key):
            yield self._fault(source.path, f"{about}: {path} is {source.name}/{source.key}, {expected}")

    def _config_map(self, name: str) -> Any:
        namespace = self.pod.manifest.namespace
        for each in self.rendered.manifests:
            if each.kind == "ConfigMap" and each.name == name and each.namespace == namespace:
                return each.data
        return None

    def _fault(self, path: YamlPath, message: str) -> Fault:
        return Fault(self.pod.manifest, path, message, _HINT)
