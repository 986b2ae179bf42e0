"""BMP (RFC 7854): the bytes that bgpd sends, as messages. IPv4 unicast; everything else is passed over."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass

from .prefix import Prefix

VERSION = 3
_COMMON = struct.Struct("!BIB")
# peer type, flags, distinguisher, address, AS, BGP identifier, seconds, microseconds
_PER_PEER = struct.Struct("!BBQ16sIIII")
_LONGEST = 1 << 20

_ROUTE_MONITORING, _PEER_DOWN, _PEER_UP, _INITIATION, _TERMINATION = 0, 2, 3, 4, 5
_GLOBAL_PEER = 0
_FLAG_IPV6, _FLAG_TWO_BYTE_AS = 0x80, 0x20

_BGP_HEADER = 19
_UPDATE = 2
_ORIGIN, _AS_PATH, _NEXT_HOP, _MED, _COMMUNITIES = 1, 2, 3, 4, 8
_EXTENDED_LENGTH = 0x10
_AS_SET = 1
GRACEFUL_SHUTDOWN = 0xFFFF0000
"""Community of a route that is about to go (RFC 8326)."""


class Malformed(Exception):
    """The stream is not BMP any more; the text says what was found. The connection must be made anew."""


@dataclass(frozen=True, slots=True)
class Attributes:
    """What decides between paths (RFC 4271, section 9.1), but for what import filters change: the local preference."""

    next_hop: int
    as_path_length: int = 0
    origin: int = 0
    med: int = 0
    draining: bool = False


@dataclass(frozen=True, slots=True)
class PeerUp:
    """A BGP session is established."""

    peer: int


@dataclass(frozen=True, slots=True)
class PeerDown:
    """A BGP session is down; `reason` as in RFC 7854, section 4.9."""

    peer: int
    reason: int


@dataclass(frozen=True, slots=True)
class Update:
    """What a peer withdraws and announces, after bgpd's import filters."""

    peer: int
    withdrawn: tuple[Prefix, ...]
    announced: tuple[Prefix, ...]
    attributes: Attributes | None


@dataclass(frozen=True, slots=True)
class EndOfRib:
    """The peer's table is complete (RFC 4724, section 2)."""

    peer: int


@dataclass(frozen=True, slots=True)
class Initiation:
    """bgpd says hello."""


@dataclass(frozen=True, slots=True)
class Termination:
    """bgpd says good-bye."""


Message = PeerUp | PeerDown | Update | EndOfRib | Initiation | Termination


class Decoder:
    """Cuts a byte stream into messages."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> Iterator[Message]:
        """The messages that are complete with `data`. Raises Malformed."""
        self._buffer += data
        position = 0
        while len(self._buffer) - position >= _COMMON.size:
            version, length, kind = _COMMON.unpack_from(self._buffer, position)
            if version != VERSION or not _COMMON.size <= length <= _LONGEST:
                raise Malformed(f"BMP header with version {version} and length {length}")
            if len(self._buffer) - position < length:
                break
            body = bytes(self._buffer[position + _COMMON.size : position + length])
            position += length
            try:
                message = _message(kind, body)
            except (struct.error, IndexError) as error:
                raise Malformed(f"BMP message of type {kind} is cut short") from error
            if message is not None:
                yield message
        del self._buffer[:position]


def _message(kind: int, body: bytes) -> Message | None:
    if kind == _INITIATION:
        return Initiation()
    if kind == _TERMINATION:
        return Termination()
    if kind not in (_ROUTE_MONITORING, _PEER_UP, _PEER_DOWN):
        return None
    peer_type, flags, _, raw_address, *_ = _PER_PEER.unpack_from(body)
    if peer_type != _GLOBAL_PEER or flags & _FLAG_IPV6:
        return None
    peer = int.from_bytes(raw_address[12:], "big")
    rest = body[_PER_PEER.size :]
    if kind == _PEER_UP:
        return PeerUp(peer)
    if kind == _PEER_DOWN:
        return PeerDown(peer, rest[0])
    return _route(peer, rest, 2 if flags & _FLAG_TWO_BYTE_AS else 4)


def _route(peer: int, update: bytes, as_size: int) -> Message | None:
    """The routes of the BGP UPDATE in a Route Monitoring message (RFC 4271, section 4.3)."""
    if len(update) < _BGP_HEADER + 4:
        raise IndexError
    if update[_BGP_HEADER - 1] != _UPDATE:
        return None
    position = _BGP_HEADER
    (length,) = struct.unpack_from("!H", update, position)
    withdrawn = tuple(_prefixes(update[position + 2 : position + 2 + length]))
    position += 2 + length
    (length,) = struct.unpack_from("!H", update, position)
    raw_attributes = update[position + 2 : position + 2 + length]
    announced = tuple(_prefixes(update[position + 2 + length :]))
    if not withdrawn and not announced:
        # an UPDATE without anything; one with attributes is of another address family
        return None if raw_attributes else EndOfRib(peer)
    return Update(peer, withdrawn, announced, _attributes(raw_attributes, as_size) if announced else None)


def _prefixes(data: bytes) -> Iterator[Prefix]:
    position = 0
    while position < len(data):
        length = data[position]
        if length > 32:
            raise IndexError
        size = (length + 7) // 8
        raw = data[position + 1 : position + 1 + size]
        if len(raw) < size:
            raise IndexError
        mask = 0xFFFFFFFF << (32 - length) & 0xFFFFFFFF
        yield Prefix(int.from_bytes(raw.ljust(4, b"\0"), "big") & mask, length)
        position += 1 + size


def _attributes(data: bytes, as_size: int) -> Attributes:
    found = {kind: value for kind, value in _split(data)}
    communities = found.get(_COMMUNITIES, b"")
    return Attributes(
        next_hop=int.from_bytes(found.get(_NEXT_HOP, b""), "big"),
        as_path_length=_as_path_length(found.get(_AS_PATH, b""), as_size),
        origin=_number(found.get(_ORIGIN), 0),
        med=_number(found.get(_MED), 0),
        draining=any(value == GRACEFUL_SHUTDOWN for (value,) in struct.iter_unpack("!I", communities)),
    )


def _split(data: bytes) -> Iterator[tuple[int, bytes]]:
    position = 0
    while position < len(data):
        flags, kind = data[position], data[position + 1]
        if flags & _EXTENDED_LENGTH:
            (length,) = struct.unpack_from("!H", data, position + 2)
            position += 4
        else:
            length = data[position + 2]
            position += 3
        if position + length > len(data):
            raise IndexError
        yield kind, data[position : position + length]
        position += length


def _number(value: bytes | None, default: int) -> int:
    return default if value is None else int.from_bytes(value, "big")


def _as_path_length(data: bytes, as_size: int) -> int:
    """ASes in sequences, and one for each set (RFC 4271, section 9.1.2.2)."""
    total = position = 0
    while position < len(data):
        kind, count = data[position], data[position + 1]
        total += 1 if kind == _AS_SET else count
        position += 2 + count * as_size
    return total
