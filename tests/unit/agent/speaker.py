"""A scripted bgpd: it remembers its sessions and tells every new BMP connection all of them, as FRR does."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

from agent.bmp import GRACEFUL_SHUTDOWN
from agent.prefix import Prefix

from tests.unit.agent.test_bmp import attribute, bmp, per_peer, update


@dataclass(frozen=True, slots=True)
class Path:
    """What decides between two announcements of a prefix."""

    draining: bool = False
    hops: int = 1
    """Length of the AS path."""
    med: int = 0
    next_hop: int = 0
    """0 for the peer itself."""


@dataclass(slots=True)
class Speaker:
    """bgpd's BMP listener on 127.0.0.1."""

    sessions: dict[int, dict[Prefix, Path]] = field(default_factory=dict)
    """Sessions that are up, each with its table."""
    peers: set[int] = field(default_factory=set)
    """All that were ever up."""
    port: int = 0
    _server: asyncio.Server | None = None
    _writers: list[asyncio.StreamWriter] = field(default_factory=list)

    async def start(self) -> None:
        """Listens, on the same port as before."""
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    def stop(self) -> None:
        """Ends the connection and refuses the next, as a bgpd that is gone."""
        if self._server:
            self._server.close()
        self._server = None
        for writer in self._writers:
            writer.close()
        self._writers = []

    @property
    def is_there(self) -> bool:
        return self._server is not None

    def up(self, peer: int) -> None:
        self.sessions[peer] = {}
        self.peers.add(peer)
        self._tell(peer_up(peer))

    def down(self, peer: int) -> None:
        del self.sessions[peer]
        self._tell(peer_down(peer))

    def announce(self, peer: int, prefix: Prefix, path: Path) -> None:
        self.sessions[peer][prefix] = path
        self._tell(announcement(peer, prefix, path))

    def withdraw(self, peer: int, prefix: Prefix) -> None:
        self.sessions[peer].pop(prefix, None)
        self._tell(bmp(0, per_peer(peer) + update(withdrawn=raw(prefix))))

    def end_of_rib(self, peer: int) -> None:
        self._tell(end_of_rib(peer))

    def _tell(self, data: bytes) -> None:
        for writer in self._writers:
            writer.write(data)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        tables = [peer_down(peer) for peer in sorted(self.peers - self.sessions.keys())]
        for peer, table in self.sessions.items():
            announcements = [announcement(peer, prefix, path) for prefix, path in table.items()]
            tables += [peer_up(peer), *announcements, end_of_rib(peer)]
        writer.write(bmp(4) + b"".join(tables))
        self._writers.append(writer)
        try:
            await reader.read()
        except OSError:
            pass
        finally:
            if writer in self._writers:
                self._writers.remove(writer)
            writer.close()


def peer_up(peer: int) -> bytes:
    return bmp(3, per_peer(peer))


def peer_down(peer: int) -> bytes:
    return bmp(2, per_peer(peer) + b"\x04")


def end_of_rib(peer: int) -> bytes:
    return bmp(0, per_peer(peer) + update())


def announcement(peer: int, prefix: Prefix, path: Path) -> bytes:
    ases = [65010, 64514, 64515][: path.hops]
    attributes = (
        attribute(2, bytes([2, len(ases)]) + b"".join(number.to_bytes(4, "big") for number in ases))
        + attribute(3, (path.next_hop or peer).to_bytes(4, "big"))
        + attribute(4, path.med.to_bytes(4, "big"))
        + attribute(8, GRACEFUL_SHUTDOWN.to_bytes(4, "big") * path.draining)
    )
    return bmp(0, per_peer(peer) + update(attributes=attributes, announced=raw(prefix)))


def raw(prefix: Prefix) -> bytes:
    return bytes([prefix.length]) + prefix.address.to_bytes(4, "big")[: (prefix.length + 7) // 8]
