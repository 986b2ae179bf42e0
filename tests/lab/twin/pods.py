"""One pod: starts its containers, watches over them and ends them as kubelet does. All of it is the event loop's."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from signal import SIGKILL, SIGTERM
from typing import Protocol

from .containers import ContainerError, Exit
from .fields import ManifestError
from .inside import Completed, Gone
from .lifecycle import Backoff, Pace, Verdict
from .podspec import ContainerSpec, PodSpec, Probe
from .shell import CommandError

# kuberuntime_container.go, minimumGracePeriodInSeconds
_LEAST_GRACE = 2.0


class Runs(Protocol):
    """What a pod needs of a container."""

    spec: ContainerSpec

    @property
    def running(self) -> bool: ...
    def kill(self, number: int) -> None: ...
    async def start(self) -> None: ...
    async def wait(self) -> Exit: ...
    async def settle(self) -> None: ...
    async def inside(self, argv: Sequence[str], timeout: float, *, nice: bool) -> Completed: ...


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened to a container."""

    time: float
    """Seconds since the epoch."""
    node: str
    pod: str
    container: str
    kind: str
    """started, ready, not ready, unhealthy, killing, hook, exited, waits, failed; of the pod: deleted, vanished."""
    message: str

    def __str__(self) -> str:
        clock = f"{time.strftime('%H:%M:%S', time.gmtime(self.time))}.{int(self.time * 1000) % 1000:03}"
        return f"{clock} {self.node} {self.pod}/{self.container} {self.kind} {self.message}"


Tell = Callable[[str, str, str], None]
"""Container, kind, message."""


class Lifecycle:
    """Runs the containers of one pod until it is deleted or its node dies."""

    def __init__(self, spec: PodSpec, containers: Mapping[str, Runs], tell: Tell, pace: Pace) -> None:
        self._spec, self._containers, self._tell, self._pace = spec, containers, tell, pace
        self._tasks: list[asyncio.Task[None]] = []
        self._ready: dict[str, bool] = dict.fromkeys(containers, False)
        self.started: dict[str, bool] = dict.fromkeys(containers, False)

    @property
    def ready(self) -> bool:
        """Whether every container is ready."""
        return all(self._ready.values())

    def begin(self) -> None:
        """Starts all containers."""
        self._tasks = [asyncio.create_task(self._supervise(container)) for container in self._containers.values()]

    async def delete(self, grace: float | None = None) -> None:
        """Hooks, SIGTERM and SIGKILL for all containers at once; `grace` in seconds, default the pod's."""
        seconds = self._spec.grace if grace is None else grace
        await self._stop_watching()
        await asyncio.gather(*(self._delete(container, seconds) for container in self._containers.values()))
        await self._settle()

    async def _delete(self, container: Runs, grace: float) -> None:
        if container.running:
            await self._end(container, grace, "pod deleted")
            self._tell(container.spec.name, "exited", str(await container.wait()))

    async def vanish(self) -> None:
        """Ends everything at once, as when the node loses its power."""
        await self._stop_watching()
        for container in self._containers.values():
            container.kill(SIGKILL)
        await asyncio.gather(*(container.wait() for container in self._containers.values() if container.running))
        await self._settle()

    async def _stop_watching(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _settle(self) -> None:
        self._ready = dict.fromkeys(self._containers, False)
        await asyncio.gather(*(container.settle() for container in self._containers.values()))

    async def _supervise(self, container: Runs) -> None:
        name = container.spec.name
        backoff = Backoff(self._pace.backoff)
        while True:
            try:
                await container.start()
                self._tell(name, "started", "")
                message = await self._live(container)
            except (ContainerError, CommandError, ManifestError, OSError) as error:
                self._tell(name, "failed", str(error))
            else:
                self._tell(name, "exited", message)
            if wait := backoff.next(time.monotonic()):
                self._tell(name, "waits", f"{wait:g} s before its next start")
                await asyncio.sleep(wait)

    async def _live(self, container: Runs) -> str:
        probes = asyncio.create_task(self._probe(container))
        try:
            return str(await container.wait())
        finally:
            probes.cancel()
            with suppress(asyncio.CancelledError):
                await probes
            name = container.spec.name
            self._ready[name] = self.started[name] = False

    async def _probe(self, container: Runs) -> None:
        spec = container.spec
        if spec.startup is not None:
            startup = _slower(spec.startup, self._pace.probes)
            if not await self._until_dead(container, startup, Verdict(startup, False)):
                await self._unhealthy(container, "startup", startup)
                return
        self.started[spec.name] = True
        readiness = asyncio.create_task(self._readiness(container))
        try:
            if spec.liveness is not None:
                liveness = _slower(spec.liveness, self._pace.probes)
                await asyncio.sleep(liveness.period)
                await self._until_dead(container, liveness, Verdict(liveness, True))
                readiness.cancel()
                self._set_ready(container, False, "")
                await self._unhealthy(container, "liveness", liveness)
            await readiness
        finally:
            readiness.cancel()

    async def _until_dead(self, container: Runs, probe: Probe, verdict: Verdict) -> bool:
        """Probes until its failures reach the threshold, or a startup probe has succeeded."""
        await asyncio.sleep(probe.delay)
        startup = not verdict.good
        while True:
            due = time.monotonic() + probe.period
            done = await self._ask(container, probe, "startup" if startup else "liveness")
            if done is not None and verdict.add(done.returncode == 0) and (startup or not verdict.good):
                return verdict.good
            await asyncio.sleep(max(0.0, due - time.monotonic()))

    async def _readiness(self, container: Runs) -> None:
        if container.spec.readiness is None:
            self._set_ready(container, True, "")
            return
        probe = _slower(container.spec.readiness, self._pace.probes)
        verdict = Verdict(probe, False)
        await asyncio.sleep(probe.delay)
        while True:
            due = time.monotonic() + probe.period
            done = await self._ask(container, probe, "readiness")
            if done is not None and verdict.add(done.returncode == 0):
                self._set_ready(container, verdict.good, done.output)
            await asyncio.sleep(max(0.0, due - time.monotonic()))

    async def _ask(self, container: Runs, probe: Probe, kind: str) -> Completed | None:
        """One result; none where the container could not be asked, which counts for nothing."""
        try:
            done = await container.inside(probe.command, probe.timeout, nice=True)
        except Gone:
            return None
        if done.returncode != 0 and kind == "liveness":
            self._tell(container.spec.name, "unhealthy", f"{kind} probe: {_said(done)}")
        return done

    def _set_ready(self, container: Runs, ready: bool, output: str) -> None:
        name = container.spec.name
        if self._ready[name] != ready:
            self._ready[name] = ready
            self._tell(name, "ready" if ready else "not ready", output)

    async def _unhealthy(self, container: Runs, kind: str, probe: Probe) -> None:
        await self._end(container, self._spec.grace if probe.grace is None else probe.grace, f"{kind} probe failed")

    async def _end(self, container: Runs, grace: float, why: str) -> None:
        """preStop, SIGTERM and SIGKILL, in `grace` seconds altogether; 2 at least are for SIGTERM."""
        if not container.running:
            return
        name = container.spec.name
        self._tell(name, "killing", why)
        end = time.monotonic() + grace
        if container.spec.pre_stop is not None and grace > 0:
            await self._hook(container, container.spec.pre_stop, grace)
        container.kill(SIGTERM)
        try:
            await asyncio.wait_for(container.wait(), max(_LEAST_GRACE, end - time.monotonic()))
        except TimeoutError:
            self._tell(name, "killing", f"SIGKILL: not ended {grace:g} s after the beginning")
            container.kill(SIGKILL)
            await container.wait()

    async def _hook(self, container: Runs, command: Sequence[str], grace: float) -> None:
        name = container.spec.name
        begin = time.monotonic()
        try:
            done = await container.inside(command, grace, nice=False)
        except Gone as error:
            self._tell(name, "hook", f"preStop: {error}")
        else:
            self._tell(name, "hook", f"preStop: {_said(done)} after {time.monotonic() - begin:.1f} s")


def _slower(probe: Probe, factor: float) -> Probe:
    return replace(probe, period=probe.period * factor, timeout=probe.timeout * factor)


def _said(done: Completed) -> str:
    verdict = "not done in time" if done.returncode == -9 else f"exit {done.returncode}"
    return f"{verdict} {done.output}".rstrip()
