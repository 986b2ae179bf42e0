"""A scripted BGP speaker (RFC 4271): in the place of a gateway's tunnels, it announces whatever it is told."""

from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Sequence

_OPEN, _UPDATE, _KEEPALIVE = 1, 2, 4
_HOLD, _KEEPALIVE_SECONDS = 9, 3.0
_IN_ONE_UPDATE = 500


class Peer:
    """One session at a time; the other side connects."""

    def __init__(self, listener: socket.socket, asn: int, address: str) -> None:
        self._listener, self._asn, self._address = listener, asn, socket.inet_aton(address)
        self._session: socket.socket | None = None
        self._lock = threading.Lock()
        self._ended = threading.Event()
        self.established = threading.Event()
        for work in (self._accept, self._keep):
            threading.Thread(target=work, daemon=True).start()

    def announce(self, prefixes: Sequence[str]) -> None:
        """Announces the prefixes with this speaker as their next hop."""
        path = bytes([2, 1]) + struct.pack("!I", self._asn)
        attributes = (
            bytes([0x40, 1, 1, 0])
            + bytes([0x40, 2, len(path)])
            + path
            + bytes([0x40, 3, 4])
            + self._address
            + bytes([0x80, 4, 4, 0, 0, 0, 0])
        )
        for part in _parts(prefixes):
            self._send(_UPDATE, struct.pack("!HH", 0, len(attributes)) + attributes + part)

    def withdraw(self, prefixes: Sequence[str]) -> None:
        """Takes the prefixes back."""
        for part in _parts(prefixes):
            self._send(_UPDATE, struct.pack("!H", len(part)) + part + struct.pack("!H", 0))

    def reset(self) -> None:
        """Ends the session; the other side makes it anew."""
        self.established.clear()
        with self._lock:
            if self._session:
                self._session.shutdown(socket.SHUT_RDWR)
            self._session = None

    def close(self) -> None:
        """Ends the session and takes no other."""
        self._ended.set()
        self._listener.close()
        if self._session:
            self._session.close()

    def _accept(self) -> None:
        while not self._ended.is_set():
            try:
                session, _ = self._listener.accept()
            except OSError:
                return
            # four-byte ASes (RFC 6793) and IPv4 unicast (RFC 4760)
            capabilities = bytes([1, 4, 0, 1, 0, 1, 65, 4]) + struct.pack("!I", self._asn)
            options = bytes([2, len(capabilities)]) + capabilities
            with self._lock:
                self._session = session
            self._send(_OPEN, struct.pack("!BHH4sB", 4, self._asn, _HOLD, self._address, len(options)) + options)
            self._send(_KEEPALIVE, b"")
            threading.Thread(target=self._read, args=(session,), daemon=True).start()

    def _read(self, session: socket.socket) -> None:
        buffer = b""
        while data := _received(session):
            buffer += data
            while len(buffer) >= 19 and len(buffer) >= (length := int.from_bytes(buffer[16:18], "big")):
                if buffer[18] == _KEEPALIVE:
                    self.established.set()
                buffer = buffer[length:]

    def _keep(self) -> None:
        while not self._ended.wait(_KEEPALIVE_SECONDS):
            self._send(_KEEPALIVE, b"")

    def _send(self, kind: int, body: bytes) -> None:
        with self._lock:
            if self._session:
                try:
                    self._session.sendall(b"\xff" * 16 + struct.pack("!HB", 19 + len(body), kind) + body)
                except OSError:
                    self._session = None


def _received(session: socket.socket) -> bytes:
    try:
        return session.recv(65536)
    except OSError:
        return b""


def _parts(prefixes: Sequence[str]) -> list[bytes]:
    raw = [_raw(prefix) for prefix in prefixes]
    return [b"".join(raw[start : start + _IN_ONE_UPDATE]) for start in range(0, len(raw), _IN_ONE_UPDATE)]


def _raw(prefix: str) -> bytes:
    address, _, length = prefix.partition("/")
    return bytes([int(length)]) + socket.inet_aton(address)[: (int(length) + 7) // 8]
