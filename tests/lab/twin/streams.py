"""TCP transfers between namespaces: intact, how fast, with which segment size, and how long they stood still."""

from __future__ import annotations

import os
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from itertools import count

from .reachability import Endpoint

_BLOCK = 1 << 20
_PIECE = 1 << 18
_NUMBER = struct.Struct("!Q")
_PORTS = count(18_000)

# struct tcp_info, linux/tcp.h: offsets of 32-bit fields
_SEND_MSS = 16
_RETRANSMITTED = 100


@dataclass(frozen=True, slots=True)
class Transferred:
    """What became of a transfer."""

    wanted: int
    """Bytes."""
    received: int
    """Bytes that arrived as they were sent, up to the first that did not."""
    seconds: float
    mss: int
    """The sender's segment size at the end, in bytes."""
    retransmitted: int
    """Segments sent again."""
    pause: float
    """The longest that the receiver waited for more, in seconds."""
    seen: str | None
    """The source address that the receiver saw."""
    problem: str | None
    """What went wrong; None where everything arrived."""

    @property
    def megabits(self) -> float:
        """Megabits each second."""
        return self.received * 8 / 1e6 / self.seconds if self.seconds else 0.0

    def __str__(self) -> str:
        text = (
            f"{self.received} of {self.wanted} bytes in {self.seconds:.1f} s ({self.megabits:.1f} Mbit/s), "
            f"segments of {self.mss}, {self.retransmitted} sent again, longest pause {self.pause:.2f} s"
        )
        return f"{text}: {self.problem}" if self.problem else text


class Pattern:
    """What is sent: one random block of 1 MiB again and again, its first 8 bytes replaced by its number."""

    def __init__(self) -> None:
        self._block = memoryview(os.urandom(_BLOCK))

    def pieces(self, size: int) -> Iterator[bytes | memoryview]:
        """The first `size` bytes."""
        for number, start in enumerate(range(0, size, _BLOCK)):
            length = min(_BLOCK, size - start)
            yield _NUMBER.pack(number)[:length]
            yield self._block[_NUMBER.size : max(length, _NUMBER.size)]

    def right(self, position: int, piece: memoryview) -> int:
        """How many bytes from the start of `piece` are those that stand at `position`."""
        done = 0
        while done < len(piece):
            number, offset = divmod(position + done, _BLOCK)
            expected = memoryview(_NUMBER.pack(number))[offset:] or self._block[offset:]
            length = min(len(piece) - done, len(expected))
            if piece[done : done + length] != expected[:length]:
                return next(index for index in range(done, done + length) if piece[index] != expected[index - done])
            done += length
        return done


class Transfer:
    """A transfer that runs in two threads: `with Transfer(...) as transfer: ...; transfer.wait()`.

    The receiver compares every byte.
    """

    def __init__(self, source: Endpoint, destination: Endpoint, size: int, *, timeout: float = 120.0) -> None:
        """`size` is in bytes; after `timeout` seconds it has failed. Raises OSError where an address is missing."""
        self._size = size
        self._timeout = timeout
        self._deadline = time.monotonic() + timeout
        self._pattern = Pattern()
        self._port = next(_PORTS)
        self._received = 0
        self._pause = 0.0
        self._mss = self._retransmitted = 0
        self._seen: str | None = None
        self._problem: str | None = None
        self._ended = threading.Event()
        self._began = self._until = time.monotonic()
        self._threads: list[threading.Thread] = []
        self._server = destination.namespace.socket(socket.AF_INET, socket.SOCK_STREAM)
        self._client = source.namespace.socket(socket.AF_INET, socket.SOCK_STREAM)
        self._open = [self._server, self._client]
        try:
            self._server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            self._server.bind((destination.address, self._port))
            self._server.listen(1)
            self._client.bind((source.address, 0))
        except OSError:
            self.close()
            raise
        self._threads = [
            threading.Thread(target=self._guarded, args=(work,), daemon=True)
            for work in (self._receive, lambda: self._send(destination.address))
        ]
        for thread in self._threads:
            thread.start()

    def __enter__(self) -> Transfer:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def so_far(self) -> Transferred:
        """What became of it by now."""
        return Transferred(
            wanted=self._size,
            received=self._received,
            seconds=self._until - self._began,
            mss=self._mss,
            retransmitted=self._retransmitted,
            pause=self._pause,
            seen=self._seen,
            problem=self._problem,
        )

    def wait(self) -> Transferred:
        """Waits for the end, or until the time is up."""
        if not self._ended.wait(max(0.0, self._deadline - time.monotonic())):
            self._fail(f"not done within {self._timeout:g} s")
        return self.so_far()

    def close(self) -> None:
        """Ends it, done or not."""
        self._ended.set()
        for end in self._open:
            with suppress(OSError):
                # closing alone wakes no thread
                end.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join()
        for end in self._open:
            end.close()

    def _send(self, address: str) -> None:
        self._limit(self._client)
        self._client.connect((address, self._port))
        for piece in self._pattern.pieces(self._size):
            self._limit(self._client)
            self._client.sendall(piece)
            self._look()
        self._client.shutdown(socket.SHUT_WR)

    def _receive(self) -> None:
        self._limit(self._server)
        connection, caller = self._server.accept()
        self._open.append(connection)
        self._seen = str(caller[0])
        self._began = self._until = time.monotonic()
        buffer = memoryview(bytearray(_PIECE))
        while self._received < self._size and not self._ended.is_set():
            self._limit(connection)
            length = connection.recv_into(buffer)
            now = time.monotonic()
            self._pause, self._until = max(self._pause, now - self._until), now
            right = self._pattern.right(self._received, buffer[:length])
            self._received += right
            if not length:
                self._fail("the connection ended early")
            elif right < length:
                self._fail(f"byte {self._received} is not what was sent")
        self._ended.set()

    def _look(self) -> None:
        information = self._client.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 192)
        (self._mss,) = struct.unpack_from("=I", information, _SEND_MSS)
        (self._retransmitted,) = struct.unpack_from("=I", information, _RETRANSMITTED)

    def _limit(self, end: socket.socket) -> None:
        end.settimeout(max(0.001, self._deadline - time.monotonic()))

    def _fail(self, problem: str) -> None:
        if not self._ended.is_set():
            self._problem = problem
        self._ended.set()

    def _guarded(self, work: Callable[[], None]) -> None:
        try:
            work()
        except TimeoutError:
            self._fail(f"not done within {self._timeout:g} s")
        except OSError as error:
            self._fail(error.strerror or str(error))


def transfer(source: Endpoint, destination: Endpoint, size: int, *, timeout: float = 120.0) -> Transferred:
    """Sends `size` bytes over TCP and waits for the end."""
    with Transfer(source, destination, size, timeout=timeout) as running:
        return running.wait()
