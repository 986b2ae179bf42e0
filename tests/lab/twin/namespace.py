"""Network namespaces: one for each simulated node, pod, site and piece of the fabric."""

from __future__ import annotations

import ctypes
import fcntl
import os
import signal
import socket
import struct
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from .shell import run

# linux/sched.h; os.setns is Python 3.12's
_CLONE_NEWNET = 0x40000000
_LIBC = ctypes.CDLL(None, use_errno=True)
# linux/sockios.h, linux/if.h
_SIOCSIFFLAGS, _IFF_UP = 0x8914, 1
_NAMES = Path("/run/netns")
_SYSCTLS = Path("/proc/sys/net/ipv4")

Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class Namespace:
    """A named network namespace (ip-netns(8))."""

    name: str

    @classmethod
    def create(cls, name: str) -> Namespace:
        """A new namespace with its loopback interface up."""
        run(("ip", "netns", "add", name))
        namespace = cls(name)
        namespace.within(_loopback_up)
        return namespace

    @property
    def path(self) -> Path:
        """The file that names it, for setns(2) and OCI bundles."""
        return _NAMES / self.name

    def run(self, argv: Sequence[str], *, text: str | None = None, check: bool = True, timeout: float = 60) -> str:
        """What the command prints when it runs in the namespace; like shell.run."""
        return run(("ip", "netns", "exec", self.name, *argv), text=text, check=check, timeout=timeout)

    def ip(self, *argv: str, check: bool = True) -> str:
        """What `ip` prints in the namespace."""
        return run(("ip", "-n", self.name, *argv), check=check)

    def batch(self, *commands: str) -> None:
        """Runs `ip` commands, given without `ip`, in one process. Raises CommandError at the first that fails."""
        run(("ip", "-n", self.name, "-batch", "-"), text="".join(f"{command}\n" for command in commands))

    def nft(self, ruleset: str) -> None:
        """Loads a ruleset of nft(8), in one transaction."""
        self.within(lambda: run(("nft", "-f", "-"), text=ruleset))

    def sysctl(self, **values: str | int) -> None:
        """Sets sysctls below net.ipv4: `ip_forward=1`, `conf__all__rp_filter=0` (two underscores for a dot)."""

        def write() -> None:
            for name, value in values.items():
                (_SYSCTLS / name.replace("__", "/")).write_text(str(value), encoding="ascii")

        # the files below /proc/sys/net are those of the thread's namespace
        self.within(write)

    def within(self, action: Callable[[], Result]) -> Result:
        """What the action returns when a thread of this process runs it in the namespace."""
        outcome: list[Result] = []
        failure: list[BaseException] = []

        def enter() -> None:
            try:
                with self.path.open() as file:
                    if _LIBC.setns(file.fileno(), _CLONE_NEWNET) != 0:
                        raise OSError(ctypes.get_errno(), f"cannot enter namespace {self.name}")
                outcome.append(action())
            except BaseException as error:
                failure.append(error)

        thread = threading.Thread(target=enter)
        thread.start()
        thread.join()
        if failure:
            raise failure[0]
        return outcome[0]

    def socket(self, family: int, kind: int, protocol: int = 0) -> socket.socket:
        """A socket of the namespace; it stays in it whoever uses it."""
        return self.within(lambda: socket.socket(family, kind, protocol))

    def pids(self) -> Iterator[int]:
        """The processes in the namespace."""
        yield from map(int, run(("ip", "netns", "pids", self.name), check=False).split())

    def delete(self) -> None:
        """Kills whatever runs in the namespace and takes its name away."""
        for pid in self.pids():
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        run(("ip", "netns", "delete", self.name))


def _loopback_up() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        fcntl.ioctl(control, _SIOCSIFFLAGS, struct.pack("16sh14x", b"lo", _IFF_UP))
