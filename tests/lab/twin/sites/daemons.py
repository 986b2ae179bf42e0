"""A site's two programs: charon of the container image, and BIRD of the machine that the twin lives on."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ..namespace import Namespace
from ..shell import run
from . import router

IMAGE = Path("/image")
_SECONDS_TO_START = 60
_SECONDS_TO_STOP = 10
_BETWEEN = 0.05
# `ip netns exec` has made a mount namespace for it already
_INTO_IMAGE = """\
mount --bind "$0" "$1/run"
mount --rbind /dev "$1/dev"
mount -t proc proc "$1/proc"
exec chroot "$1" /usr/lib/ipsec/charon
"""


class DaemonError(Exception):
    """A program did not start or ended too early; says what it logged last."""


@dataclass(slots=True)
class Daemon:
    """A program in a site's network namespace, its log, and the socket that shows that it is ready."""

    namespace: Namespace
    argv: Sequence[str]
    log: Path
    control: Path
    environment: Mapping[str, str] = field(default_factory=dict)
    _process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """Raises DaemonError where it does not run."""
        if self._process is None or self._process.poll() is not None:
            raise DaemonError(f"{self.log.stem} of {self.namespace.name} does not run: {self.last_words()}")
        return self._process.pid

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def start(self) -> None:
        """Starts it; `wait` tells when it is ready."""
        self.control.unlink(missing_ok=True)
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                ("ip", "netns", "exec", self.namespace.name, *self.argv),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env={**os.environ, **self.environment},
                start_new_session=True,
            )

    def wait(self) -> None:
        """Returns when it answers on its socket. Raises DaemonError."""
        end = time.monotonic() + _SECONDS_TO_START
        while not _answers(self.control):
            if time.monotonic() > end:
                raise DaemonError(f"{self.log.stem} of {self.namespace.name} did not start: {self.last_words()}")
            _ = self.pid
            time.sleep(_BETWEEN)

    def stop(self) -> None:
        """Lets it say goodbye to its peers; kills it where that takes too long."""
        if self._process is None:
            return
        self._process.terminate()
        try:
            self._process.wait(_SECONDS_TO_STOP)
        except subprocess.TimeoutExpired:
            self.kill()

    def kill(self) -> None:
        """SIGKILL."""
        if self._process is not None:
            self._process.send_signal(signal.SIGKILL)
            self._process.wait()

    def last_words(self) -> str:
        """The end of its log."""
        return self.log.read_text(errors="replace")[-2000:] if self.log.exists() else "no log"


def _answers(control: Path) -> bool:
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.connect(str(control))
            return True
    except OSError:
        return False


@dataclass(frozen=True, slots=True)
class Charon:
    """charon, whose /run is the folder."""

    daemon: Daemon
    folder: Path

    @classmethod
    def of(cls, namespace: Namespace, folder: Path) -> Charon:
        """Makes the folder. It starts nothing."""
        folder.mkdir(parents=True, exist_ok=True)
        argv = ("sh", "-ec", _INTO_IMAGE, str(folder), str(IMAGE))
        environment = {"STRONGSWAN_CONF": "/run/strongswan.conf"}
        return cls(Daemon(namespace, argv, folder / "charon.log", folder / "charon.vici", environment), folder)

    def start(self) -> None:
        """A killed charon leaves its number, and the next one may take another process for it."""
        (self.folder / "charon.pid").unlink(missing_ok=True)
        self.daemon.start()

    def swanctl(self, *arguments: str, check: bool = True) -> str:
        """What swanctl(8) prints. Raises DaemonError where charon does not run, CommandError where swanctl fails."""
        entering = ("nsenter", f"--target={self.daemon.pid}", "--mount", "--net", "--root", "--wd")
        return run((*entering, "env", "SWANCTL_DIR=/run", "swanctl", *arguments), check=check)


@dataclass(frozen=True, slots=True)
class Bird:
    """BIRD with its configuration in the folder."""

    daemon: Daemon
    configuration: Path

    @classmethod
    def of(cls, namespace: Namespace, folder: Path) -> Bird:
        """Makes the folder. It starts nothing."""
        folder.mkdir(parents=True, exist_ok=True)
        configuration, control = folder / "bird.conf", folder / "bird.ctl"
        argv = ("bird", "-f", "-c", str(configuration), "-s", str(control))
        return cls(Daemon(namespace, argv, folder / "bird.log", control), configuration)

    def ask(self, command: str) -> list[str]:
        """What BIRD answers. Raises RouterError."""
        return router.ask(self.daemon.control, command)
