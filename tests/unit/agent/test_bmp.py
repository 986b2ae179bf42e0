"""BMP: what bgpd sends is read in whatever pieces it comes, and nothing that is not BMP gets through."""

from __future__ import annotations

import struct

import pytest
from agent.bmp import (
    GRACEFUL_SHUTDOWN,
    Attributes,
    Decoder,
    EndOfRib,
    Initiation,
    Malformed,
    Message,
    PeerDown,
    PeerUp,
    Termination,
    Update,
)
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.agent.world import FIRST, SECOND, A


def bmp(kind: int, body: bytes = b"") -> bytes:
    return struct.pack("!BIB", 3, 6 + len(body), kind) + body


def per_peer(peer: int, peer_type: int = 0, flags: int = 0x40) -> bytes:
    return struct.pack("!BBQ16sIIII", peer_type, flags, 0, peer.to_bytes(16, "big"), 65020, peer, 0, 0)


def update(withdrawn: bytes = b"", attributes: bytes = b"", announced: bytes = b"", kind: int = 2) -> bytes:
    body = struct.pack("!H", len(withdrawn)) + withdrawn + struct.pack("!H", len(attributes)) + attributes + announced
    return b"\xff" * 16 + struct.pack("!HB", 19 + len(body), kind) + body


def attribute(kind: int, value: bytes, extended: bool = False) -> bytes:
    length = struct.pack("!H" if extended else "!B", len(value))
    return bytes([0x50 if extended else 0x40, kind]) + length + value


NEXT_HOP = attribute(3, A.to_bytes(4, "big"))
FIRST_RAW, SECOND_RAW = bytes([24, 10, 0, 1]), bytes([24, 10, 0, 2])


def read(data: bytes) -> list[Message]:
    return list(Decoder().feed(data))


def routes(data: bytes) -> list[Message]:
    return read(bmp(0, per_peer(A) + data))


def test_sessions_come_and_go() -> None:
    stream = bmp(4) + bmp(3, per_peer(A) + bytes(20)) + bmp(2, per_peer(A) + b"\x04") + bmp(5)

    assert read(stream) == [Initiation(), PeerUp(A), PeerDown(A, 4), Termination()]


def test_an_update_withdraws_and_announces() -> None:
    assert routes(update(SECOND_RAW, NEXT_HOP, FIRST_RAW)) == [Update(A, (SECOND,), (FIRST,), Attributes(A))]


def test_what_decides_between_paths_is_read() -> None:
    attributes = (
        attribute(1, b"\x02")
        + attribute(2, b"\x02\x02" + struct.pack("!II", 65010, 64514) + b"\x01\x02" + bytes(8), extended=True)
        + NEXT_HOP
        + attribute(4, struct.pack("!I", 70))
        + attribute(8, struct.pack("!II", 1, GRACEFUL_SHUTDOWN))
    )

    # two ASes in sequence; a set counts as one
    expected = Attributes(A, as_path_length=3, origin=2, med=70, draining=True)
    assert routes(update(attributes=attributes, announced=FIRST_RAW)) == [Update(A, (), (FIRST,), expected)]


def test_an_update_without_anything_ends_the_table() -> None:
    assert routes(update()) == [EndOfRib(A)]


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(bmp(0, per_peer(0, peer_type=3) + update()), id="Loc-RIB"),
        pytest.param(bmp(0, per_peer(A, flags=0x80) + update()), id="an IPv6 peer"),
        pytest.param(bmp(0, per_peer(A) + update(attributes=attribute(15, b"\x00\x02\x01"))), id="an IPv6 route"),
        pytest.param(bmp(0, per_peer(A) + update(kind=4)), id="another BGP message"),
        pytest.param(bmp(1, per_peer(A)), id="statistics"),
    ],
)
def test_what_is_of_no_use_is_passed_over(data: bytes) -> None:
    assert read(data + bmp(4)) == [Initiation()]


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"HTTP/1.1 400 Bad Request\r\n", id="another protocol"),
        pytest.param(struct.pack("!BIB", 3, 3, 0), id="shorter than its header"),
        pytest.param(struct.pack("!BIB", 3, 1 << 30, 0), id="a gigabyte"),
        pytest.param(bmp(2, per_peer(A)), id="no reason"),
        pytest.param(bmp(0, per_peer(A) + update()[:20]), id="a short update"),
        pytest.param(bmp(0, per_peer(A) + update(announced=b"\x21\x0a\x00\x00\x00\x01")), id="a prefix of 33 bits"),
        pytest.param(bmp(0, per_peer(A) + update(announced=b"\x18\x0a")), id="a prefix cut short"),
        pytest.param(
            bmp(0, per_peer(A) + update(attributes=b"\x40\x03\x04\x0a", announced=FIRST_RAW)), id="attributes"
        ),
    ],
)
def test_what_is_not_bmp_is_refused(data: bytes) -> None:
    with pytest.raises(Malformed):
        read(data)


def test_host_bits_are_dropped() -> None:
    (message,) = routes(update(attributes=NEXT_HOP, announced=bytes([20, 10, 0, 0x1F])))

    assert isinstance(message, Update)
    assert str(message.announced[0]) == "10.0.16.0/20"


@given(st.binary(max_size=200))
def test_no_bytes_break_the_decoder(data: bytes) -> None:
    try:
        read(data)
        routes(update()[:19] + data)
    except Malformed:
        pass


@given(st.lists(st.integers(min_value=1, max_value=40), max_size=30))
def test_the_pieces_do_not_matter(sizes: list[int]) -> None:
    messages = [bmp(4), bmp(3, per_peer(A)), bmp(0, per_peer(A) + update(SECOND_RAW, NEXT_HOP, FIRST_RAW))]
    stream = b"".join(messages)
    decoder, found = Decoder(), list[Message]()
    for size in [*sizes, len(stream)]:
        found += decoder.feed(stream[:size])
        stream = stream[size:]

    assert found == [Initiation(), PeerUp(A), Update(A, (SECOND,), (FIRST,), Attributes(A))]
