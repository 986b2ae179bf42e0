"""Asks charon for its security associations on its own socket (libcharon/plugins/vici/README.md of strongSwan).

swanctl does the rest; it costs three processes a question, and this one is asked again and again.
"""

from __future__ import annotations

import socket
import struct
from pathlib import Path

_REQUEST, _RESPONSE, _REGISTER, _CONFIRM, _EVENT = 0, 1, 3, 5, 7
_SECONDS = 10


def _value(key: bytes, value: bytes) -> bytes:
    return struct.pack("!BB", 3, len(key)) + key + struct.pack("!H", len(value)) + value


_INSTALLED = _value(b"state", b"INSTALLED")


def _named(kind: int, name: bytes, content: bytes = b"") -> bytes:
    packet = struct.pack("!BB", kind, len(name)) + name + content
    return struct.pack("!I", len(packet)) + packet


def installed(control: Path, connection: str) -> bool:
    """Whether a connection has a CHILD SA that carries traffic; no where charon does not answer."""
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as channel:
            channel.settimeout(_SECONDS)
            channel.connect(str(control))
            channel.sendall(_named(_REGISTER, b"list-sa"))
            _until(channel, _CONFIRM)
            channel.sendall(_named(_REQUEST, b"list-sas", _value(b"ike", connection.encode())))
            return any(_INSTALLED in event for event in _until(channel, _RESPONSE))
    except OSError:
        return False


def _until(channel: socket.socket, kind: int) -> list[bytes]:
    """The events before a packet of this kind."""
    events: list[bytes] = []
    while True:
        (length,) = struct.unpack("!I", _exactly(channel, 4))
        packet = _exactly(channel, length)
        if packet[0] == kind:
            return events
        if packet[0] == _EVENT:
            events.append(packet)


def _exactly(channel: socket.socket, length: int) -> bytes:
    data = b""
    while len(data) < length:
        chunk = channel.recv(length - len(data))
        if not chunk:
            raise ConnectionError("charon closed its socket")
        data += chunk
    return data
