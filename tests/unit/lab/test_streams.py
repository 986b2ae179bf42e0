"""TCP transfers between two real namespaces."""

from __future__ import annotations

import time

from tests.lab.twin.streams import Pattern, Transfer, transfer
from tests.lab.twin.waiting import until
from tests.unit.lab.world import World

MEGABYTE = 1 << 20


def test_everything_arrives_as_it_was_sent(world: World) -> None:
    done = transfer(world.pod, world.host, 20 * MEGABYTE + 3)
    assert done.problem is None, str(done)
    assert done.received == done.wanted == 20 * MEGABYTE + 3
    assert done.seen == world.pod.address
    assert done.mss == 1448
    assert done.megabits > 0


def test_a_few_bytes_arrive_too(world: World) -> None:
    assert [transfer(world.pod, world.host, size).received for size in (1, 8, 9)] == [1, 8, 9]


def test_a_pause_is_survived_and_told(world: World) -> None:
    with Transfer(world.pod, world.host, 10**12) as running:
        until("a megabyte has arrived", running.so_far, lambda found: found.received >= MEGABYTE)
        world.cut()
        cut = running.so_far()
        time.sleep(0.3)
        world.mend()
        done = until("more arrives", running.so_far, lambda found: found.received >= cut.received + 100 * MEGABYTE)
    assert done.problem is None, str(done)
    assert done.pause >= 0.29


def test_what_never_ends_is_a_problem(world: World) -> None:
    world.cut()
    try:
        done = transfer(world.host, world.pod, MEGABYTE, timeout=0.3)
    finally:
        world.mend()
    assert (done.received, done.problem) == (0, "not done within 0.3 s")


def test_one_wrong_byte_is_found() -> None:
    pattern = Pattern()
    sent = bytearray(b"".join(pattern.pieces(2 * MEGABYTE + 100)))
    assert pattern.right(0, memoryview(sent)) == len(sent)
    assert pattern.right(MEGABYTE - 3, memoryview(sent)[MEGABYTE - 3 :]) == MEGABYTE + 103
    for position in (0, 7, 8, MEGABYTE - 1, MEGABYTE, MEGABYTE + 7, 2 * MEGABYTE + 99):
        sent[position] ^= 1
        assert pattern.right(0, memoryview(sent)) == position
        sent[position] ^= 1


def test_a_block_that_is_missing_is_found() -> None:
    pattern = Pattern()
    sent = b"".join(pattern.pieces(3 * MEGABYTE))
    assert pattern.right(0, memoryview(sent[:MEGABYTE] + sent[2 * MEGABYTE :])) == MEGABYTE + 7
