"""How the pod's two containers share the network namespace: by passing it on as an open file (unix(7), SCM_RIGHTS).

Nothing on the node names the namespace, so it lives exactly as long as a container of the pod holds it: when the
last one ends, however it ends, the kernel removes the namespace with the interfaces in it. And a container that
comes back gets it from the other one.
"""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

FOLDER = Path("/run/tunnelfleet")
OWNER = FOLDER / "namespace.strongswan"
"""Where container strongswan, which makes the namespace, hands it out."""
KEEPER = FOLDER / "namespace.frr"
"""Where container frr hands it back after container strongswan has restarted."""

_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class Received:
    """An open network namespace, and the connection to the one it came from: it ends when that one ends."""

    namespace: int
    giver: socket.socket

    def close(self) -> None:
        """Lets go of both."""
        os.close(self.namespace)
        self.giver.close()


def ask(path: Path) -> Received | None:
    """The namespace that is handed out at `path`, None where nobody answers."""
    giver = socket.socket(socket.AF_UNIX)
    giver.settimeout(_SECONDS)
    with contextlib.suppress(OSError):
        giver.connect(os.fspath(path))
        _, descriptors, _, _ = socket.recv_fds(giver, 1, 1)
        if descriptors:
            giver.setblocking(False)
            return Received(descriptors[0], giver)
    giver.close()
    return None


@contextlib.contextmanager
def listening(path: Path) -> Iterator[socket.socket]:
    """A socket at `path` to hand the namespace out from, in place of what a killed container left there."""
    path.unlink(missing_ok=True)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(os.fspath(path))
        listener.listen()
        listener.setblocking(False)
        yield listener


def give(listener: socket.socket, namespace: int) -> socket.socket:
    """Hands the namespace to the next one who asks; the connection stays open to show that the giver lives."""
    taker, _ = listener.accept()
    taker.setblocking(False)
    with contextlib.suppress(OSError):
        socket.send_fds(taker, [b"n"], [namespace])
    return taker


def same(one: int, other: int) -> bool:
    """Whether two open namespaces are one (namespaces(7), comparing by inode)."""
    first, second = os.fstat(one), os.fstat(other)
    return (first.st_dev, first.st_ino) == (second.st_dev, second.st_ino)
