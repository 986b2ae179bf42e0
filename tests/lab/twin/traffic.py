"""Measures outages: flows of numbered UDP packets between namespaces, one packet each 10 ms.

Each flow goes one way, since outages differ by direction. pacer.py sends and receives; outages.py does the arithmetic.
"""

from __future__ import annotations

import json
import mmap
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterable, Sequence
from itertools import count
from pathlib import Path
from types import TracebackType

from . import pacer
from .namespace import Namespace
from .outages import STALL_MS, Measured, Outage, measure

PATIENCE = 1.0
"""Seconds after which a packet that has not arrived is lost. It also covers the time until it is fetched."""

_SO_TIMESTAMPNS = 35
# A receiver that nobody empties for a minute loses nothing.
_RECEIVE_BUFFER = 4 << 20
_ANSWER = 60.0
# Below Kubernetes' node ports and Linux's ephemeral ports.
_PORTS = range(20_000, 29_999)


class TrafficError(Exception):
    """Traffic cannot be measured: what happened."""


class Flow:
    """Packets from one place to another, numbered from 0."""

    def __init__(
        self, name: str, direction: str, interval: float, ends: tuple[Namespace, Namespace], memory: int
    ) -> None:
        self.name = name
        self.direction = direction
        """`out` from the cluster to a remote, `in` the other way, or what the caller calls it."""
        self.interval = interval
        """Seconds between two packets."""
        self.ends = ends
        """Where it starts and where it ends."""
        self._memory = mmap.mmap(memory, pacer.BYTES, prot=mmap.PROT_READ)
        self._cells = memoryview(self._memory).cast("q")

    def __repr__(self) -> str:
        return f"Flow({self.name!r}, {self.direction!r})"

    @property
    def sent(self) -> int:
        """Packets sent so far."""
        return self._cells[pacer.SENT]

    @property
    def received(self) -> int:
        """Packets that arrived so far, each counted once."""
        return self._cells[pacer.RECEIVED]

    @property
    def duplicates(self) -> int:
        """Packets that arrived again."""
        return self._cells[pacer.DUPLICATES]

    @property
    def strangers(self) -> int:
        """Packets that came from another source address than they should."""
        return self._cells[pacer.STRANGERS]

    @property
    def stranger(self) -> str | None:
        """The last such address."""
        address = self._cells[pacer.STRANGER]
        return socket.inet_ntoa(address.to_bytes(4, "big")) if self.strangers else None

    @property
    def refused(self) -> int:
        """Packets that the sender's own kernel refused, for want of a route or otherwise; they count as lost."""
        return self._cells[pacer.REFUSED]

    @property
    def refusal(self) -> str | None:
        """Why the last was refused."""
        return os.strerror(self._cells[pacer.REFUSAL]) if self.refused else None

    def measure(self, since: float, until: float) -> Measured:
        """What became of the packets sent in [since, until), as far as is known now.

        Raises TrafficError where the flow ran for longer than it can remember (3 hours at 10 ms).
        """
        number = self.sent
        if number == pacer.CAPACITY:
            raise TrafficError(f"flow {self.name} ended after {number} packets: start another")
        start = pacer.HEADER
        return measure(
            self._cells[start : start + number],
            self._cells[start + pacer.CAPACITY : start + pacer.CAPACITY + number],
            since,
            until,
            stall_ms=max(STALL_MS, 3000 * self.interval),
        )

    def forget(self) -> None:
        """Frees the memory."""
        self._cells.release()
        self._memory.close()


class Traffic:
    """All flows of a twin. Use as a context manager, or close()."""

    def __init__(self) -> None:
        self._control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._control.settimeout(_ANSWER)
        self._ports = count(_PORTS.start)
        self._flows: list[Flow] = []
        with theirs:
            self._process = subprocess.Popen(
                (sys.executable, "-I", str(Path(pacer.__file__)), str(theirs.fileno())),
                pass_fds=(theirs.fileno(),),
                stdin=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
            )

    def __enter__(self) -> Traffic:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def pid(self) -> int:
        """The process that sends and receives."""
        return self._process.pid

    @staticmethod
    def now() -> float:
        """The clock of all measurements: seconds since 1970."""
        return time.time()

    def flow(
        self,
        name: str,
        source: Namespace,
        source_address: str,
        destination: Namespace,
        address: str,
        *,
        direction: str = "out",
        interval: float = pacer.BEAT,
        service: tuple[str, int, int] | None = None,
        seen: Iterable[str] | None = None,
    ) -> Flow:
        """Starts to send from `source_address` in one namespace to `address` in another.

        `interval` is in seconds, in whole beats of 10 ms. `service` is an address and port to send to instead, and
        the port behind it. `seen` are the source addresses that the receiver may see, where they are not the
        sender's own. Raises OSError where a namespace lacks the address, TrafficError where the sender died.
        """
        every = max(1, round(interval / pacer.BEAT))
        mine, theirs = next(self._ports), next(self._ports)
        target = (address, theirs)
        if service is not None:
            target, theirs = service[:2], service[2]
        memory = os.memfd_create(name[:200])
        os.ftruncate(memory, pacer.BYTES)
        flow = Flow(name, direction, every * pacer.BEAT, (source, destination), memory)
        with source.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender, _listener(destination, address, theirs) as ear:
            sender.setblocking(False)
            sender.bind((source_address, mine))
            self._order(
                {
                    "do": "start",
                    "flow": id(flow),
                    "every": every,
                    "address": target[0],
                    "port": target[1],
                    "sources": " ".join(seen or (source_address,)),
                },
                (sender.fileno(), ear.fileno(), memory),
            )
        os.close(memory)
        self._flows.append(flow)
        return flow

    def several(
        self,
        number: int,
        name: str,
        source: Namespace,
        source_address: str,
        destination: Namespace,
        address: str,
        *,
        direction: str = "out",
        interval: float = pacer.BEAT,
    ) -> tuple[Flow, ...]:
        """Flows that differ in their ports only, so that equal-cost paths share them."""
        return tuple(
            self.flow(
                f"{name} {index}",
                source,
                source_address,
                destination,
                address,
                direction=direction,
                interval=interval,
            )
            for index in range(1, number + 1)
        )

    def measure(self, flow: Flow, since: float, until: float | None = None) -> Measured:
        """What became of the packets sent in [since, until); by default until now.

        Waits until the last of them have arrived or are lost (PATIENCE).
        """
        end = self.now() if until is None else until
        time.sleep(max(0.0, end + PATIENCE - self.now()))
        self._check()
        return flow.measure(since, end)

    def outages(self, flow: Flow, since: float, until: float | None = None) -> tuple[Outage, ...]:
        """The runs of lost packets among those; waits like measure()."""
        return self.measure(flow, since, until).outages

    def steady(
        self, flows: Sequence[Flow], *, seconds: float = 1.0, timeout: float = 30.0, since: float | None = None
    ) -> float:
        """Waits until every flow has had no outage for so many seconds, and returns when these began.

        What was sent before `since`, by default now, does not count. Raises TrafficError after `timeout` seconds,
        naming the flows that still lose packets.
        """
        earliest = self.now() if since is None else since
        deadline = self.now() + timeout
        start = earliest
        while True:
            time.sleep(max(0.1, start + seconds + PATIENCE - self.now()))
            self._check()
            start = max(earliest, self.now() - PATIENCE - seconds)
            windows = {flow: flow.measure(start, start + seconds) for flow in flows}
            unsteady = {flow: seen for flow, seen in windows.items() if seen.outages or not seen.sent}
            if not unsteady:
                return start
            if self.now() > deadline:
                found = "; ".join(f"{flow.name}: {seen}" for flow, seen in unsteady.items())
                raise TrafficError(f"not steady for {seconds:g} s within {timeout:g} s: {found}")

    def stop(self, *flows: Flow) -> None:
        """Sends no more; what is under way is still received."""
        for flow in flows:
            self._order({"do": "stop sending", "flow": id(flow)})

    def leave(self, namespace: Namespace) -> None:
        """Closes all sockets in a namespace: while one is open, the namespace outlives its deletion.

        Flows that start there send no more; those that end there lose everything from now on.
        """
        for flow in self._flows:
            source, destination = flow.ends
            if source == namespace:
                self._order({"do": "stop sending", "flow": id(flow)})
            if destination == namespace:
                self._order({"do": "stop receiving", "flow": id(flow)})

    def remove(self, *flows: Flow) -> None:
        """Stops the flows and forgets what they saw."""
        for flow in flows:
            self._order({"do": "remove", "flow": id(flow)})
            self._flows.remove(flow)
            flow.forget()

    def close(self) -> None:
        """Ends all flows; closing twice is no error."""
        self._control.close()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        if self._process.stderr is not None:
            self._process.stderr.close()
        for flow in self._flows:
            flow.forget()
        self._flows.clear()

    def _order(self, order: dict[str, object], descriptors: Sequence[int] = ()) -> None:
        self._check()
        try:
            socket.send_fds(self._control, [json.dumps(order).encode()], descriptors)
            answered = self._control.recv(1)
        except TimeoutError:
            raise TrafficError(f"the sending process does not answer within {_ANSWER:g} s") from None
        except (BrokenPipeError, ConnectionResetError):
            answered = b""
        if not answered:
            self._process.wait(10)
            self._check()

    def _check(self) -> None:
        if self._process.poll() is not None:
            said = self._process.stderr.read().decode() if self._process.stderr else ""
            raise TrafficError(f"the sending process ended with {self._process.returncode}: {said.strip()}")


def _listener(namespace: Namespace, address: str, port: int) -> socket.socket:
    ear = namespace.socket(socket.AF_INET, socket.SOCK_DGRAM)
    try:
        ear.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)
        ear.setsockopt(socket.SOL_SOCKET, getattr(socket, "SO_RCVBUFFORCE", 33), _RECEIVE_BUFFER)
        ear.bind((address, port))
    except OSError:
        ear.close()
        raise
    return ear
