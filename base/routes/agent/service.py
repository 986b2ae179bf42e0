"""The agent at work: events in, steps to the kernel and words to bgpd out."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import signal
import time
from collections.abc import Coroutine, Iterable, Iterator
from pathlib import Path
from typing import Any

from . import frr, plan, report
from .bmp import Message, PeerDown, PeerUp
from .gate import Gate
from .kernel import Failure, Kernel
from .plan import RouteKey
from .prefix import Prefix, dotted
from .reconcile import PutNeighbour, PutRule, Reconciler, Step
from .rib import Phase, Rib
from .settings import Mode, Settings

RUN = Path("/run/tunnelfleet")
_SETTLE = 0.02
"""Seconds to wait for more before the kernel is read again."""
_CALM = 1.0
"""Seconds between two readings when others keep changing what is the agent's."""
_LONGEST_PATIENCE = 30.0
_SUMMARY = 60.0
_RETRY = 3.0
_READ_AGAIN = (0.3, 3.0)
"""Seconds after a session came or went until the tables are read anew, each."""
_LOG_LIMIT = 1 << 20

log = logging.getLogger("agent")


class Agent:
    """All state of the running agent. Everything happens on one event loop."""

    def __init__(self, settings: Settings, kernel: Kernel, run: Path = RUN) -> None:
        self.settings = settings
        self.kernel = kernel
        self.run_folder = run
        self.feed = frr.Feed(settings.bmp)
        self.gate = Gate(settings.asn)
        self.rib = Rib(settings)
        state = kernel.read()
        self.links = state.links
        self.reconciler = Reconciler(self.rib, state.holding)
        # with routes of an earlier agent in the kernel, nothing is removed until BGP is complete
        self.settled = not any(True for _ in self._adopted())
        self.released = False
        self.failures: list[Failure] = []
        self._patience = _CALM
        self.last_read = 0.0
        self._shown: set[int] = set()
        self.error: BaseException | None = None
        """What ended the agent, where it did not end by itself."""
        self._leaving = False
        self._due: asyncio.TimerHandle | None = None
        self._reading: asyncio.TimerHandle | None = None
        self._tasks: set[asyncio.Task[Any]] = set()
        self._stopping = asyncio.Event()
        self._log = RouteLog(run / "routes.log")

    async def run(self) -> None:
        """Works until told to stop and FRR is gone."""
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _, context: self._fail(context.get("exception") or context["message"]))
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.stop)
        loop.add_reader(self.kernel.events.fileno(), self._kernel_spoke)
        server = await asyncio.start_unix_server(self._answer, self.run_folder / "agent.sock")
        self.read_kernel()
        work = [self._listen(), self._summaries(), self._look_after_neighbors()]
        if self.settings.mode is Mode.REFLECTOR:
            work.append(self.gate.run())
        tasks = [self._start(one) for one in work]
        log.info("%s %s, %d remote ranges", self.settings.mode, dotted(self.settings.node), len(self.settings.accepted))
        await self._stopping.wait()
        for task in tasks:
            task.cancel()
        server.close()
        self._log.close()
        loop.remove_reader(self.kernel.events.fileno())

    def stop(self) -> None:
        """Ends the agent once FRR is gone."""
        # while a gateway waits for its turn its FRR still works, and so must the agent
        self._leaving = True
        if not self.rib.connected:
            self._stopping.set()

    def _adopted(self) -> Iterator[RouteKey]:
        unreachable = self.settings.metrics.unreachable
        return (key for key in self.reconciler.holding.routes if key.metric != unreachable)

    async def _listen(self) -> None:
        async for event in self.feed.events():
            now = time.monotonic()
            match event:
                case frr.Closed():
                    log.warning("FRR is gone: routes stay as they are")
                    self.rib.closed()
                    if self._leaving:
                        self._stopping.set()
                    continue
                case frr.Opened():
                    self.rib.opened(now, event.again)
                    if not event.again:
                        log.info("FRR is there")
                        self.gate.restarted()
                case _:
                    for message in event:
                        self._note(message)
                        self.rib.apply(message, now)
            self.work()

    def _note(self, message: Message) -> None:
        if not isinstance(message, PeerUp | PeerDown):
            return
        known = self.rib.peers.get(message.peer)
        is_up = isinstance(message, PeerUp)
        was_up = known is not None and known.phase is not Phase.DOWN
        if is_up == was_up:
            return
        name = self.settings.name(message.peer)
        log.info("session with %s %s", name or dotted(message.peer), "up" if is_up else "down")
        if name:
            # now, and when bgpd has done with the routes of the session
            for wait in _READ_AGAIN:
                asyncio.get_running_loop().call_later(wait, self.feed.read_again)

    def work(self, base: bool = False) -> None:
        """Brings the kernel to what BGP and the interfaces ask for."""
        now = time.monotonic()
        self.rib.tick(now)
        if self.released:
            return
        settling = not self.settled and self.rib.complete(now)
        if settling:
            self.settled = True
            self.rib.dirty |= self.reconciler.all_prefixes()
        dirty, self.rib.dirty = self.rib.dirty, set()
        base = base or settling or self.rib.nodes_changed
        self.rib.nodes_changed = False
        before = {prefix: self.reconciler.remote.get(prefix) for prefix in dirty}
        failures = self._take(self.reconciler.urgent(self.links, self.settled))
        failures += self._take(self.reconciler.steps(dirty, self.links, base, self.settled))
        if failures:
            self._failed(failures)
        elif base:
            self.failures, self._patience = [], _CALM
        self._tell(prefix for prefix, was in before.items() if self.reconciler.remote.get(prefix) != was)
        if self.settings.mode is Mode.REFLECTOR:
            self.gate.want(self.able())
        self._wake(now)

    def _failed(self, failures: list[Failure]) -> None:
        """Says so once, and tries again, less and less often: somebody else may be in the way for long."""
        if failures != self.failures:
            for failure in failures[:3]:
                log.error("kernel: %s", failure)
        self.failures = failures
        self._read_soon(self._patience)
        self._patience = min(2 * self._patience, _LONGEST_PATIENCE)

    def _take(self, wanted: Iterable[Step]) -> list[Failure]:
        steps: list[Step] = []
        for step in wanted:
            self.reconciler.holding.take(step)
            steps.append(step)
        return self.kernel.execute(steps) if steps else []

    def _tell(self, changed: Iterable[Prefix]) -> None:
        usable = plan.nexthops(self.rib, self.links)
        lines = report.changed_text(self.settings, changed, self.reconciler.remote, usable)
        if self._shown != set(usable):
            self._shown = set(usable)
            ways = sorted(self.settings.name(hop) or dotted(hop) for hop in usable)
            lines.insert(0, f"in use: {' '.join(ways) or 'nothing'}")
        self._say(lines)

    def _say(self, lines: Iterable[str]) -> None:
        for line in lines:
            log.info("%s", line)
            self._log.write(line)

    def _wake(self, now: float) -> None:
        if self._due:
            self._due.cancel()
            self._due = None
        deadline = self.rib.deadline()
        if not self.settled and self.rib.connected:
            deadline = min(deadline or now + 1, now + 1)
        if deadline is not None:
            self._due = asyncio.get_running_loop().call_later(max(0.0, deadline - now), self.work)

    def _kernel_spoke(self) -> None:
        found = self.kernel.changes()
        if found.links or found.own:
            since = time.monotonic() - self.last_read
            self._read_soon(_SETTLE if found.links or since > _CALM else _CALM - since)

    def _read_soon(self, wait: float) -> None:
        loop = asyncio.get_running_loop()
        if self._reading:
            if self._reading.when() <= loop.time() + wait:
                return
            self._reading.cancel()
        self._reading = loop.call_later(wait, self.read_kernel)

    def read_kernel(self) -> None:
        """Looks at the kernel and puts right what is not as it should be."""
        self._reading = None
        if self.released:
            return
        self.last_read = time.monotonic()
        state = self.kernel.read()
        if state.links != self.links:
            found = (f"{name} {'up' if link.up else 'down'}" for name, link in sorted(state.links.items()))
            log.info("interfaces: %s", ", ".join(found))
        self.links = state.links
        self.reconciler.holding = state.holding
        self.rib.dirty |= self.reconciler.all_prefixes()
        self.work(base=True)

    def able(self) -> bool:
        """Whether this node can carry packets of remote sites."""
        overlay = self.links.get(self.settings.overlay.interface)
        holding = self.reconciler.holding
        ready = holding.neighbour is not None and plan.rule(self.settings) in {None, *holding.rules}
        broken = any(isinstance(failure.step, PutNeighbour | PutRule) for failure in self.failures)
        return overlay is not None and overlay.up and ready and not broken and not self.released

    async def _look_after_neighbors(self) -> None:
        while True:
            await asyncio.sleep(_RETRY)
            if self.rib.connected and (self.settings.mode is Mode.CLIENT or self.able()):
                missing = (number for number in self.settings.gateways if not self._confirmed(number))
                await self.gate.unstick(map(dotted, missing))

    def _confirmed(self, number: int) -> bool:
        peer = self.rib.peers.get(number)
        return peer is not None and peer.confirmed

    async def _summaries(self) -> None:
        while True:
            await asyncio.sleep(_SUMMARY)
            usable = plan.nexthops(self.rib, self.links)
            self._say(report.summary_text(self.settings, self.reconciler.remote, usable))

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, TimeoutError, ValueError):
            async with asyncio.timeout(5):
                question = (await reader.readline()).decode(errors="replace").strip()
                writer.write(self.answer(question).encode() + b"\n")
                await writer.drain()
        writer.close()

    def answer(self, question: str) -> str:
        """What the state socket says to a question."""
        if question == "alive":
            return "yes"
        if question == "ready":
            return "yes" if self.settled and self.rib.connected and not self.failures else "no"
        if question == "routes":
            usable = plan.nexthops(self.rib, self.links)
            return json.dumps(report.routes(self.settings, self.reconciler.remote, usable))
        if question == "release":
            failures = self.release()
            return "\n".join(map(str, failures)) or "released"
        return json.dumps(self.state())

    def state(self) -> dict[str, Any]:
        """The agent's state."""
        return {
            "mode": self.settings.mode,
            "node": dotted(self.settings.node),
            "connected": self.rib.connected,
            "settled": self.settled,
            "able": self.able(),
            "released": self.released,
            "remoteRoutes": len(self.reconciler.remote),
            "refused": self.rib.refused,
            "interfaces": {name: {"up": link.up, "mtu": link.mtu} for name, link in sorted(self.links.items())},
            "usable": sorted(self.settings.name(hop) or "" for hop in plan.nexthops(self.rib, self.links)),
            "failures": [str(failure) for failure in self.failures],
            "peers": report.peers(self.settings, self.rib),
        }

    def release(self) -> list[Failure]:
        """Takes everything out of the kernel and stays idle: for uninstalling."""
        self.released = True
        self.gate.want(False)
        self.reconciler.holding = self.kernel.read().holding
        log.warning("released: all routes are removed until the agent is started again")
        return self._take(self.reconciler.clean())

    def _start(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()):
            self._fail(error)

    def _fail(self, error: BaseException | str) -> None:
        # what it believes of the kernel may be wrong: kubelet starts it anew, and the routes stay
        self.error = self.error or (error if isinstance(error, BaseException) else RuntimeError(error))
        self._stopping.set()


class RouteLog:
    """The routes as a log that the FRR container shows too; begins anew before it grows large."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("w", encoding="utf-8")

    def write(self, line: str) -> None:
        """Adds a line with the time."""
        if self._file.tell() > _LOG_LIMIT:
            self._file.seek(0)
            self._file.truncate()
        self._file.write(f"{time.strftime('%Y/%m/%d %H:%M:%S')} ROUTES: {line}\n")
        self._file.flush()

    def close(self) -> None:
        """Ends the log."""
        self._file.close()
