"""A small kubelet for one node of the twin: it runs the rendered pods themselves."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Coroutine, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar

from .apparmor import profile
from .bundles import Place
from .containers import Container, Folders, adopt, has_cgroups
from .lifecycle import Pace
from .namespace import Namespace
from .pods import Event, Lifecycle
from .podspec import pod_spec
from .shell import run
from .volumes import Data, Volumes

_IMAGE = Path("/image")
_STATE = Path("/run/twin")
Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class Machine:
    """The node that a kubelet serves."""

    name: str
    """Kubernetes' name, as in the inventory."""
    address: str
    namespace: Namespace


class Pod:
    """A pod on its node; every method may be called from any thread."""

    def __init__(self, name: str, workload: Mapping[str, Any], machine: Machine, data: Data, kubelet: Kubelet) -> None:
        self.name = name
        self.workload = workload
        self.deleted = False
        self._kubelet = kubelet
        self._spec = pod_spec(workload)
        self._state = kubelet.state / name
        self._cgroup = f"twin/{machine.namespace.name}/{name}" if has_cgroups() else None
        self._volumes = Volumes(self._spec, data, self._state / "volumes", kubelet.state / "node")
        _files(self._state, machine)
        namespace = workload["metadata"].get("namespace", "default")
        place = Place(machine.name, machine.address, name, namespace, machine.namespace.path, self._cgroup)
        folders = Folders(_IMAGE, self._state, kubelet.logs, kubelet.apparmor)
        self.containers = {
            spec.name: Container(spec, self._spec, place, self._volumes, folders) for spec in self._spec.containers
        }
        self._life = Lifecycle(self._spec, self.containers, self._tell, kubelet.pace)

    @property
    def ready(self) -> bool:
        """Whether every container is ready."""
        return self._life.ready

    @property
    def started(self) -> bool:
        """Whether every container runs and its startup probe has succeeded."""
        return all(self._life.started.values())

    def volume(self, name: str) -> Path:
        """Where the pod's volume is on the machine."""
        return self._volumes.source(name, "")

    def start(self) -> None:
        """Starts the containers; does not wait for them."""

        async def begin() -> None:
            self._life.begin()

        self._kubelet.call(begin())

    def delete(self, grace: float | None = None) -> None:
        """What `kubectl delete pod` does: hooks, SIGTERM, SIGKILL after `grace` seconds (default the pod's); waits."""
        self._kubelet.call(self._life.delete(grace))
        self._remove("deleted")

    def vanish(self) -> None:
        """Ends everything at once, without hooks, as when the node loses its power."""
        for container in self.containers.values():
            container.kill()
        self._kubelet.call(self._life.vanish())
        self._remove("vanished")

    def _remove(self, how: str) -> None:
        self.deleted = True
        self._volumes.remove()
        run(("rm", "-rf", "--one-file-system", str(self._state)))
        if self._cgroup is not None:
            (Path("/sys/fs/cgroup") / self._cgroup).rmdir()
        self._kubelet.forget(self)
        self._tell("", how, "")

    def _tell(self, container: str, kind: str, message: str) -> None:
        self._kubelet.tell(self.name, container, kind, message)


class Kubelet:
    """Runs pods on one node, in a thread of its own; a context manager, at whose end nothing runs any more."""

    def __init__(
        self,
        machine: Machine,
        objects: Iterable[Mapping[str, Any]],
        secrets: Mapping[str, Mapping[str, str]],
        logs: Path,
        pace: Pace | None = None,
    ) -> None:
        """`objects` and `secrets` are those of the stage; what containers print goes to the folder `logs`."""
        self.machine, self.logs, self.pace = machine, logs, pace or Pace()
        self.state = _STATE / machine.namespace.name
        self.events: list[Event] = []
        self.pods: list[Pod] = []
        self._data = Data.of(objects, secrets)
        self._made = 0
        adopt()
        self.apparmor = profile()
        logs.mkdir(parents=True, exist_ok=True)
        self.state.mkdir(parents=True, exist_ok=True)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(
            target=self._loop.run_forever, name=f"kubelet {machine.namespace.name}", daemon=True
        )
        self._thread.start()

    def __enter__(self) -> Kubelet:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def run(self, workload: Mapping[str, Any]) -> Pod:
        """Makes the workload's pod and starts it. Raises ManifestError for what the twin does not know."""
        self._made += 1
        pod = Pod(f"{workload['metadata']['name']}-{self._made}", workload, self.machine, self._data, self)
        self.pods.append(pod)
        pod.start()
        return pod

    def pod(self, workload: str) -> Pod:
        """The pod of the workload of that name, like `ipsec-tunnel-a`. Raises KeyError."""
        for pod in self.pods:
            if pod.workload["metadata"]["name"] == workload:
                return pod
        raise KeyError(f"no pod of {workload} on {self.machine.name}")

    def replace(self, workload: Mapping[str, Any]) -> Pod:
        """What strategy Recreate does: deletes the workload's pod, then runs the new one."""
        self.pod(workload["metadata"]["name"]).delete()
        return self.run(workload)

    def vanish(self) -> None:
        """Ends all pods at once, as when the node loses its power."""
        for pod in self.pods:
            for container in pod.containers.values():
                container.kill()
        for pod in list(self.pods):
            pod.vanish()

    def stop(self) -> None:
        """Ends everything; the logs and events stay."""
        self.vanish()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def call(self, work: Coroutine[Any, Any, Result]) -> Result:
        """What the event loop makes of the work; waits for it."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()

    def tell(self, pod: str, container: str, kind: str, message: str) -> None:
        """Records an event."""
        self.events.append(Event(time.time(), self.machine.namespace.name, pod, container, kind, message))

    def forget(self, pod: Pod) -> None:
        """Takes a pod that is gone off the list."""
        self.pods.remove(pod)


def _files(folder: Path, machine: Machine) -> None:
    """What kubelet and containerd give a pod that uses its node's network."""
    short = machine.name
    (folder / "hosts").write_text(f"127.0.0.1 localhost\n{machine.address} {short}\n", encoding="utf-8")
    (folder / "hostname").write_text(f"{short}\n", encoding="utf-8")
    (folder / "resolv.conf").write_text("", encoding="utf-8")
