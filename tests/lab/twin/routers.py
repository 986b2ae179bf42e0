"""What FRR says, asked on its own sockets as vtysh asks (lib/vty.c): a vtysh a question costs a process each time."""

from __future__ import annotations

import json
import socket
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_SECONDS = 10
_CHUNK = 1 << 18


class RouterError(Exception):
    """The daemon does not answer, or refuses."""


@dataclass(frozen=True, slots=True)
class Session:
    """A BGP neighbour as bgpd has it."""

    state: str
    """Established, Idle, Connect, Active, OpenSent or OpenConfirm (RFC 4271, section 8.2.2)."""
    received: int
    """Prefixes that its filter let in."""

    @property
    def up(self) -> bool:
        return self.state == "Established"


@dataclass(frozen=True, slots=True)
class Router:
    """The daemons of one FRR, by the folder of their sockets."""

    sockets: Path

    def ask(self, daemon: str, command: str) -> str:
        """What the daemon answers to a command. Raises RouterError."""
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
                connection.settimeout(_SECONDS)
                connection.connect(str(self.sockets / f"{daemon}.vty"))
                for line in ("enable", command):
                    connection.sendall(line.encode() + b"\0")
                    answer, result = _answer(connection)
        except OSError as error:
            raise RouterError(f"{daemon}: {command}: {error}") from error
        if result not in (0, 1):
            raise RouterError(f"{daemon}: {command}: {answer.strip() or result}")
        return answer

    def sessions(self) -> dict[str, Session]:
        """The BGP neighbours by address; empty while bgpd does not answer."""
        found = self._json("bgpd", "show bgp ipv4 unicast summary json").get("peers", {})
        return {peer: Session(entry["state"], entry.get("pfxRcd", 0)) for peer, entry in found.items()}

    def established(self) -> set[str]:
        """The BGP neighbours whose sessions are up."""
        return {peer for peer, session in self.sessions().items() if session.up}

    def routes(self) -> dict[str, set[str]]:
        """Next hops that bgpd uses, by prefix."""
        found = self._json("bgpd", "show bgp ipv4 unicast json").get("routes", {})
        return {
            prefix: {
                hop["ip"]
                for path in paths
                if path.get("bestpath") or path.get("multipath")
                for hop in path.get("nexthops", ())
            }
            for prefix, paths in found.items()
        }

    def bfd(self) -> dict[str, str]:
        """State of the BFD sessions by peer: up, down, init."""
        try:
            found = json.loads(self.ask("bfdd", "show bfd peers json"))
        except (RouterError, ValueError):
            return {}
        return {entry["peer"]: entry["status"] for entry in found}

    def _json(self, daemon: str, command: str) -> dict[str, Any]:
        try:
            data = json.loads(self.ask(daemon, command))
        except (RouterError, ValueError):
            return {}
        return data if isinstance(data, dict) else {}


def _answer(connection: socket.socket) -> tuple[str, int]:
    """An answer ends with three zero bytes and the result."""
    data = b""
    while len(data) < 4 or data[-4:-1] != b"\0\0\0":
        chunk = connection.recv(_CHUNK)
        if not chunk:
            raise ConnectionError("closed its socket")
        data += chunk
    return data[:-4].decode(errors="replace"), data[-1]
