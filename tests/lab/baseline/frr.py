"""An FRR of the container image in some network namespace, its configuration loaded as a container's start does."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from ..twin.namespace import Namespace
from ..twin.routers import Router
from ..twin.shell import run
from ..twin.sites.daemons import IMAGE, Daemon

INTO_IMAGE = """\
mount --bind "$0" "$1/run"
mount --rbind /dev "$1/dev"
mount -t proc proc "$1/proc"
"""
"""Run by `sh -ec` with the instance's folder and the image's tree: `ip netns exec` made a mount namespace for it."""

_START = INTO_IMAGE + 'tree=$1; shift; exec chroot "$tree" "$@"\n'
_FRR_USER = 10001
# zebra asks mgmtd, and bgpd asks zebra
_DAEMONS = ("mgmtd", "zebra", "bgpd")


@dataclass(frozen=True, slots=True)
class Frr:
    """zebra and bgpd whose /run is the folder; no bfdd, whatever the configuration says of BFD."""

    daemons: tuple[Daemon, ...]
    folder: Path

    @classmethod
    def of(cls, namespace: Namespace, folder: Path, *, install: bool = True) -> Frr:
        """Starts nothing. Without `install` bgpd's routes stay out of the kernel, which is the agent's then."""
        sockets = folder / "frr"
        options = {"bgpd": () if install else ("--no_kernel",)}
        daemons = tuple(
            Daemon(
                namespace,
                ("sh", "-ec", _START, str(folder), str(IMAGE), f"/usr/lib/frr/{name}", *options.get(name, ())),
                folder / f"{name}.log",
                sockets / f"{name}.vty",
            )
            for name in _DAEMONS
        )
        return cls(daemons, folder)

    def start(self, configuration: str) -> None:
        """Starts the daemons and loads frr.conf. Raises DaemonError, or CommandError where FRR refuses it."""
        shutil.rmtree(self.folder / "frr", ignore_errors=True)
        sockets = self.folder / "frr"
        sockets.mkdir(parents=True)
        os.chown(sockets, _FRR_USER, _FRR_USER)
        (self.folder / "frr.conf").write_text(configuration, encoding="utf-8")
        for daemon in self.daemons:
            daemon.start()
            daemon.wait()
        run(("nsenter", f"--target={self.daemons[0].pid}", *_ENTER, "vtysh", "-f", "/run/frr.conf"))

    def stop(self) -> None:
        """SIGTERM to all of them: bgpd says Cease to whom it still reaches."""
        for daemon in reversed(self.daemons):
            daemon.stop()

    def kill(self) -> None:
        """SIGKILL to all of them; no word to any peer."""
        for daemon in self.daemons:
            daemon.kill()

    @property
    def running(self) -> bool:
        return all(daemon.running for daemon in self.daemons)

    @property
    def router(self) -> Router:
        """What it says."""
        return Router(self.folder / "frr")


_ENTER = ("--mount", "--net", "--root", "--wd")
