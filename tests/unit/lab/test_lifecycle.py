"""Containers are restarted, probed and ended by kubelet's rules."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from tests.lab.twin.containers import ContainerError, Exit
from tests.lab.twin.inside import LOOP, Completed, Gone, request
from tests.lab.twin.lifecycle import Backoff, Pace, Verdict
from tests.lab.twin.pods import Lifecycle
from tests.lab.twin.podspec import ContainerSpec, Probe, pod_spec


def probe(failures: int = 3, successes: int = 1) -> Probe:
    return Probe(("any",), 0, 1, 1, failures, successes, None)


class TestBackoff:
    def test_waits_double_from_the_second_restart_on_up_to_five_minutes(self) -> None:
        backoff, now, waits = Backoff(10), 0.0, []
        for _ in range(8):
            waits.append(backoff.next(now))
            now += waits[-1] + 1
        assert waits == [0, 10, 20, 40, 80, 160, 300, 300]

    def test_ten_minutes_of_quiet_are_forgiven(self) -> None:
        backoff = Backoff(10)
        assert [backoff.next(0), backoff.next(0), backoff.next(611)] == [0, 10, 0]


class TestVerdict:
    def test_changes_after_the_threshold_in_a_row(self) -> None:
        verdict = Verdict(probe(failures=3), True)
        assert [verdict.add(good) for good in (False, False, True, False, False, False)] == [
            False,
            False,
            True,
            False,
            False,
            True,
        ]
        assert not verdict.good

    def test_successes_have_a_threshold_too(self) -> None:
        verdict = Verdict(probe(successes=2), False)
        assert [verdict.add(True), verdict.add(True)] == [False, True]
        assert verdict.good


def test_a_shell_answers_each_request_in_one_line() -> None:
    argv = ["sh", "-c", "echo \"$1\"; echo '*' >&2; exit 3", "sh", "a'b; rm $(x)"]
    asked = request(7, argv, nice=False) + request(8, ["nice"], nice=True)
    done = subprocess.run(["sh", "-c", LOOP], input=asked, capture_output=True, text=True, check=True)
    lines = [line.split(" ", 2) for line in done.stdout.splitlines()]
    assert sorted(line for line in lines if line[1] != "pid") == [["7", "3", "a'b; rm $(x) *"], ["8", "0", "5"]]
    assert sorted(line[0] for line in lines if line[1] == "pid") == ["7", "8"]


class Fake:
    """A container that does as the test says."""

    def __init__(self, spec: ContainerSpec, inside: Callable[[str], int], *, stubborn: bool = False) -> None:
        self.spec, self._inside, self._stubborn = spec, inside, stubborn
        self.starts = 0
        self.asked: list[str] = []
        self.signals: list[int] = []
        self.broken = False
        self._exit: asyncio.Future[Exit] | None = None

    @property
    def running(self) -> bool:
        return self._exit is not None and not self._exit.done()

    def kill(self, number: int) -> None:
        self.signals.append(number)
        if number == signal.SIGKILL or not self._stubborn:
            self.end(Exit(128 + number, number))

    def end(self, how: Exit) -> None:
        if self._exit is not None and not self._exit.done():
            self._exit.set_result(how)

    async def start(self) -> None:
        self.starts += 1
        if self.broken:
            raise ContainerError("no such program")
        self._exit = asyncio.get_running_loop().create_future()

    async def wait(self) -> Exit:
        assert self._exit is not None
        return await asyncio.shield(self._exit)

    async def settle(self) -> None:
        pass

    async def inside(self, argv: Sequence[str], timeout: float, *, nice: bool) -> Completed:
        if not self.running:
            raise Gone
        self.asked.append(argv[0])
        return Completed(self._inside(argv[0]), "said")


class World:
    """One pod with one container, and what was told of it."""

    def __init__(self, *, stubborn: bool = False, grace: int = 30, **container: Any) -> None:
        main = {"name": "main", "command": ["run"], **container}
        pod = {"automountServiceAccountToken": False, "terminationGracePeriodSeconds": grace, "containers": [main]}
        workload = {"kind": "Deployment", "metadata": {"name": "p"}, "spec": {"template": {"spec": pod}}}
        self.answers: dict[str, int] = {}
        self.told: list[tuple[str, str]] = []
        spec = pod_spec(workload)
        self.container = Fake(spec.containers[0], lambda name: self.answers.get(name, 0), stubborn=stubborn)
        tell = lambda _, kind, message: self.told.append((kind, message))  # noqa: E731
        self.life = Lifecycle(spec, {"main": self.container}, tell, Pace(backoff=0.05))

    def kinds(self) -> list[str]:
        return [kind for kind, _ in self.told]

    async def until(self, good: Callable[[], bool]) -> None:
        end = time.monotonic() + 10
        while not good():
            assert time.monotonic() < end, f"found: {self.told}, asked: {self.container.asked}"
            await asyncio.sleep(0.005)


def asks(name: str, **more: Any) -> dict[str, Any]:
    return {"exec": {"command": [name]}, "periodSeconds": 0.01, **more}


def play(scene: Callable[[], Any]) -> None:
    asyncio.run(scene())


def test_a_container_that_ends_is_restarted_at_once_and_later_waits() -> None:
    async def scene() -> None:
        world = World()
        world.life.begin()
        for number in (1, 2, 3):
            while not (world.container.starts == number and world.container.running):
                await asyncio.sleep(0.005)
            world.container.end(Exit(3, None))
        await world.until(lambda: world.container.starts == 4)
        await world.life.delete()
        told = [entry for entry in world.told if entry[0] in ("started", "exited", "waits")]
        assert told[:4] == [("started", ""), ("exited", "exit 3"), ("started", ""), ("exited", "exit 3")]
        assert [message for kind, message in world.told if kind == "waits"] == [
            "0.05 s before its next start",
            "0.1 s before its next start",
        ]

    play(scene)


def test_a_container_that_cannot_start_is_tried_again() -> None:
    async def scene() -> None:
        world = World()
        world.container.broken = True
        world.life.begin()
        await world.until(lambda: world.container.starts == 3)
        world.container.broken = False
        await world.until(lambda: world.life.ready)
        await world.life.delete()
        assert world.told[0] == ("failed", "no such program")

    play(scene)


def test_nothing_else_is_asked_before_the_startup_probe_has_succeeded() -> None:
    async def scene() -> None:
        world = World(
            startupProbe=asks("begin", failureThreshold=1000), livenessProbe=asks("alive"), readinessProbe=asks("ready")
        )
        world.answers = {"begin": 1, "ready": 1}
        world.life.begin()
        await world.until(lambda: len(world.container.asked) > 3)
        assert set(world.container.asked) == {"begin"}
        assert not world.life.started["main"]
        world.answers["begin"] = 0
        await world.until(lambda: {"alive", "ready"} <= set(world.container.asked))
        assert not world.life.ready
        world.answers["ready"] = 0
        await world.until(lambda: world.life.ready)
        world.answers["ready"] = 1
        await world.until(lambda: not world.life.ready)
        assert world.container.starts == 1
        await world.life.delete()

    play(scene)


@pytest.mark.parametrize("kind", ["startup", "liveness"])
def test_a_container_that_is_not_well_gets_its_hook_then_a_signal_then_a_new_start(kind: str) -> None:
    async def scene() -> None:
        stop = {"preStop": {"exec": {"command": ["hook"]}}}
        probes: dict[str, Any] = {f"{kind}Probe": asks("well", failureThreshold=2)}
        world = World(lifecycle=stop, **probes)
        world.answers = {"well": 1}
        world.life.begin()
        await world.until(lambda: world.container.starts == 2)
        assert world.container.asked[:3] == ["well", "well", "hook"]
        assert world.container.signals == [signal.SIGTERM]
        world.answers = {}
        await world.life.delete()
        assert ("killing", f"{kind} probe failed") in world.told

    play(scene)


def test_deleting_runs_the_hook_and_ends_what_ignores_sigterm() -> None:
    async def scene() -> None:
        world = World(stubborn=True, grace=1, lifecycle={"preStop": {"exec": {"command": ["hook"]}}})
        world.life.begin()
        await world.until(lambda: world.life.ready)
        begin = time.monotonic()
        await world.life.delete()
        # two seconds are left for SIGTERM whatever the grace period
        assert time.monotonic() - begin >= 2
        assert world.container.signals == [signal.SIGTERM, signal.SIGKILL]
        assert world.container.asked == ["hook"]
        assert world.kinds()[-4:] == ["killing", "hook", "killing", "exited"]
        assert (world.container.starts, world.life.ready) == (1, False)

    play(scene)


def test_a_node_that_dies_asks_nobody() -> None:
    async def scene() -> None:
        world = World(stubborn=True, lifecycle={"preStop": {"exec": {"command": ["hook"]}}})
        world.life.begin()
        await world.until(lambda: world.life.ready)
        await world.life.vanish()
        assert world.container.signals == [signal.SIGKILL]
        assert world.container.asked == []

    play(scene)
