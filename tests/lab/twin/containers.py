"""One container of a pod, run by runc; its methods marked `async` belong to the kubelet's event loop."""

from __future__ import annotations

import asyncio
import ctypes
import json
import os
import shutil
import signal
import subprocess
from collections.abc import Coroutine, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from .bundles import Bind, Place, User, configuration, user
from .inside import Completed, Gone, Shell
from .podspec import ContainerSpec, PodSpec
from .shell import run
from .volumes import Volumes

_PR_SET_CHILD_SUBREAPER = 36
_CGROUPS = Path("/sys/fs/cgroup")


class ContainerError(Exception):
    """runc did not start a container: what it said."""


@dataclass(frozen=True, slots=True)
class Exit:
    """How a container's first process ended: its exit code, or the signal's number."""

    code: int
    signal: int | None

    def __str__(self) -> str:
        return f"exit {self.code}" if self.signal is None else f"signal {signal.Signals(self.signal).name}"


@dataclass(frozen=True, slots=True)
class Folders:
    """Where things are on the machine, and its profile."""

    image: Path
    """Root file system of the image."""
    state: Path
    """The pod's folder; it goes with the pod."""
    logs: Path
    """What the containers print; it stays."""
    apparmor: str
    """The machine's profile RuntimeDefault; empty where it has no AppArmor."""


def adopt() -> None:
    """Makes this process the parent of every container that it starts, as containerd-shim is (prctl(2))."""
    ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def has_cgroups() -> bool:
    """Whether the machine has cgroups (version 2) that are the twin's to use: those of the whole machine."""
    controllers = _CGROUPS / "cgroup.controllers"
    return (
        controllers.exists() and "memory" in controllers.read_text().split() and not (_CGROUPS / "cgroup.type").exists()
    )


class Container:
    """A container; restarts keep the object, the log and the pod's volumes."""

    def __init__(self, spec: ContainerSpec, pod: PodSpec, place: Place, volumes: Volumes, folders: Folders) -> None:
        """`place.cgroup` is the pod's."""
        self.spec = spec
        self.starts = 0
        self.pid: int | None = None
        """Of the first process, as the machine sees it; none while nothing runs."""
        self._pod, self._place, self._volumes, self._folders = pod, place, volumes, folders
        self._log = folders.logs / f"{place.network.name}.{place.pod}.{spec.name}.log"
        self._exit: asyncio.Future[Exit] | None = None
        self._shell: Shell | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def name(self) -> str:
        """The container's name in its pod."""
        return self.spec.name

    @property
    def running(self) -> bool:
        """Whether its first process runs."""
        return self.pid is not None

    @property
    def id(self) -> str:
        """What runc calls it; each start has its own."""
        return f"{self._place.network.name}-{self._place.pod}-{self.name}-{self.starts}"

    def logs(self) -> str:
        """All that it has printed so far, each line with its time (UTC), over all restarts."""
        return self._log.read_text(encoding="utf-8", errors="replace") if self._log.exists() else ""

    def kill(self, number: int = signal.SIGKILL) -> None:
        """Sends the first process a signal; nothing where none runs. SIGKILL ends every process of the container."""
        if self.pid is not None:
            with suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def exec(self, argv: Sequence[str], timeout: float = 60) -> Completed:
        """What `kubectl exec` does: the command with the container's rights. Raises subprocess.TimeoutExpired."""
        command = (*_runc(self._runc), "exec", *self._groups(), self.id, *argv)
        done = subprocess.run(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=timeout, check=False
        )
        return Completed(done.returncode, done.stdout)

    async def start(self) -> None:
        """Starts it on a fresh root file system; what has begun is finished. Raises ContainerError."""
        task = asyncio.create_task(self._start())
        try:
            await asyncio.shield(task)
        except asyncio.CancelledError:
            await asyncio.wait({task})
            raise

    async def wait(self) -> Exit:
        """Waits until the first process has ended."""
        if self._exit is None:
            raise ContainerError(f"{self.id} has not been started")
        return await asyncio.shield(self._exit)

    async def inside(self, argv: Sequence[str], timeout: float, *, nice: bool) -> Completed:
        """Runs a probe's (`nice`) or a hook's command. Raises inside.Gone where the container ends meanwhile."""
        if self._shell is None:
            raise Gone(f"{self.id} does not run")
        return await self._shell.run(argv, timeout, nice=nice)

    async def settle(self) -> None:
        """Waits until what remained of ended processes has been cleared away."""
        while self._tasks:
            await asyncio.gather(*self._tasks, return_exceptions=True)

    @property
    def _runc(self) -> Path:
        return self._folders.state / "runc"

    async def _start(self) -> None:
        self.starts += 1
        bundle = self._folders.state / self.id
        await asyncio.to_thread(self._prepare, bundle)
        reading, writing = os.pipe()
        self._background(self._pump(reading))
        try:
            await self._runc_run(bundle, writing)
        finally:
            os.close(writing)
        self.pid = int((bundle / "pid").read_text())
        loop = asyncio.get_running_loop()
        self._exit = loop.create_future()
        descriptor = os.pidfd_open(self.pid)
        loop.add_reader(descriptor, self._ended, descriptor, self.pid, bundle)
        command = (*_runc(self._runc), "exec", *self._groups())
        self._shell = Shell(command, self.id, bundle / "shell.pid")

    def _background(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _groups(self) -> list[str]:
        # unlike containerd, `runc exec` forgets the groups of the container's configuration
        return [item for group in self._who().groups for item in ("--additional-gids", str(group))]

    def _who(self) -> User:
        etc = self._folders.image / "etc"
        return user(self._pod, self.spec, (etc / "passwd").read_text(), (etc / "group").read_text())

    def _prepare(self, bundle: Path) -> None:
        layers = [bundle / name for name in ("upper", "work", "root")]
        for layer in layers:
            layer.mkdir(parents=True)
        options = f"lowerdir={self._folders.image},upperdir={layers[0]},workdir={layers[1]}"
        place = replace(self._place, cgroup=self._place.cgroup and f"{self._place.cgroup}/{self.name}-{self.starts}")
        config = configuration(
            self._pod, self.spec, place, self._who(), layers[2], self._binds(bundle), apparmor=self._folders.apparmor
        )
        (bundle / "config.json").write_text(json.dumps(config), encoding="utf-8")
        run(("mount", "-t", "overlay", "-o", options, "overlay", str(layers[2])))

    def _binds(self, bundle: Path) -> list[Bind]:
        (bundle / "termination-log").touch()
        binds = {"/dev/termination-log": Bind("/dev/termination-log", bundle / "termination-log", False)}
        for name in ("hosts", "hostname", "resolv.conf"):
            binds[f"/etc/{name}"] = Bind(f"/etc/{name}", self._folders.state / name, False)
        for mount in self.spec.mounts:
            read_only = mount.read_only or self._volumes.read_only(mount.volume)
            binds[mount.path] = Bind(mount.path, self._volumes.source(mount.volume, mount.sub_path), read_only)
        return list(binds.values())

    async def _runc_run(self, bundle: Path, output: int) -> None:
        # the twin's root may be an initramfs, which pivot_root(2) refuses
        options = ("run", "--detach", "--no-pivot", "--pid-file", str(bundle / "pid"), "--bundle", str(bundle), self.id)
        command = (*_runc(self._runc), "--log", str(bundle / "log"), *options)
        process = await asyncio.create_subprocess_exec(
            *command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True
        )
        if (returned := await process.wait()) != 0:
            said = (bundle / "log").read_text(encoding="utf-8") if (bundle / "log").exists() else ""
            await self._clear(bundle)
            raise ContainerError(f"{self.id}: {said.strip() or f'runc: exit {returned}'}")

    def _ended(self, descriptor: int, pid: int, bundle: Path) -> None:
        asyncio.get_running_loop().remove_reader(descriptor)
        os.close(descriptor)
        _, status = os.waitpid(pid, 0)
        code = os.waitstatus_to_exitcode(status)
        self.pid = None
        if self._exit is not None:
            self._exit.set_result(Exit(code, None) if code >= 0 else Exit(128 - code, -code))
        shell, self._shell = self._shell, None
        self._background(self._clear(bundle, shell))

    async def _clear(self, bundle: Path, shell: Shell | None = None) -> None:
        """Takes away what runc and the mounts left behind; the log stays."""
        if shell is not None:
            await shell.settle()
        process = await asyncio.create_subprocess_exec(
            *_runc(self._runc), "delete", "--force", bundle.name, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        await process.wait()
        await asyncio.to_thread(run, ("umount", "--lazy", str(bundle / "root")))
        await asyncio.to_thread(shutil.rmtree, bundle)

    async def _pump(self, descriptor: int) -> None:
        reader = asyncio.StreamReader(limit=2**20)
        with open(descriptor, "rb", buffering=0) as pipe, self._log.open("a", encoding="utf-8") as log:
            await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), pipe)
            while line := await reader.readline():
                now = datetime.now(UTC).isoformat(timespec="milliseconds")
                log.write(f"{now} {line.decode(errors='replace').rstrip()}\n")
                log.flush()


def _runc(state: Path) -> tuple[str, ...]:
    return ("runc", "--root", str(state))
