"""The network namespace goes from one container to the other and back, whatever order they come in."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from gateway import handover


@pytest.fixture
def held(tmp_path: Path) -> Iterator[int]:
    """Stands for a namespace: any file will do."""
    (tmp_path / "namespace").touch()
    descriptor = os.open(tmp_path / "namespace", os.O_RDONLY)
    yield descriptor
    os.close(descriptor)


def hand_over(path: Path, held: int) -> tuple[handover.Received, socket.socket]:
    """What a taker gets, and the giver's end of the connection."""
    with handover.listening(path) as listener, ThreadPoolExecutor() as pool:
        listener.setblocking(True)
        received = pool.submit(handover.ask, path)
        taker = handover.give(listener, held)
        result = received.result(timeout=10)
    assert result is not None
    return result, taker


def test_the_taker_gets_the_same_namespace(tmp_path: Path, held: int) -> None:
    received, taker = hand_over(tmp_path / "socket", held)
    assert received.namespace != held
    assert handover.same(received.namespace, held)
    received.close()
    taker.close()


def test_the_taker_notices_when_the_giver_ends(tmp_path: Path, held: int) -> None:
    received, taker = hand_over(tmp_path / "socket", held)
    with pytest.raises(BlockingIOError):
        received.giver.recv(1)
    taker.close()
    assert received.giver.recv(1) == b""
    received.close()


def test_nobody_answers_where_there_is_no_socket_or_a_dead_one(tmp_path: Path) -> None:
    assert handover.ask(tmp_path / "socket") is None
    with handover.listening(tmp_path / "socket"):
        pass
    assert (tmp_path / "socket").exists()
    assert handover.ask(tmp_path / "socket") is None


def test_what_a_killed_container_left_is_taken_over(tmp_path: Path, held: int) -> None:
    with handover.listening(tmp_path / "socket"):
        pass
    received, taker = hand_over(tmp_path / "socket", held)
    received.close()
    taker.close()


def test_two_namespaces_are_told_apart(tmp_path: Path, held: int) -> None:
    (tmp_path / "other").touch()
    other = os.open(tmp_path / "other", os.O_RDONLY)
    assert not handover.same(held, other)
    os.close(other)
