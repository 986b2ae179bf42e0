"""One-shot probes: does a UDP packet and a TCP connection get from here to there and back, and from which address?

No ICMP is used: Crusoe's fabric and the clouds pass UDP and TCP only.
"""

from __future__ import annotations

import errno
import os
import selectors
import socket
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass

from .namespace import Namespace

_AGAIN = 0.5
_PORT = 19_000


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A place that calls others and answers them: a pod, a node, a host at a remote site."""

    name: str
    namespace: Namespace
    address: str
    port: int = _PORT
    """Where it listens."""
    service: tuple[str, int] | None = None
    """The address and port that others call it by, where these are not its own: a ClusterIP."""

    @property
    def called(self) -> tuple[str, int]:
        """What others call."""
        return self.service or (self.address, self.port)


@dataclass(frozen=True, slots=True)
class Probe:
    """A question: does `source` reach `destination`?"""

    source: Endpoint
    destination: Endpoint
    seen: frozenset[str] = frozenset()
    """The source addresses that the destination may see, where they are not the source's own."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What became of a probe over one protocol."""

    probe: Probe
    protocol: str
    """UDP or TCP."""
    seen: str | None
    """The source address that the destination saw; None where no answer came back."""
    milliseconds: float
    problem: str | None
    """What is wrong; None where the answer came and the address is right."""

    def __str__(self) -> str:
        text = f"{self.probe.source.name} -> {self.probe.destination.name} {self.protocol}"
        return f"{text}: {self.problem or 'reached'}"


def probe(probes: Sequence[Probe], *, timeout: float = 3.0) -> tuple[Answer, ...]:
    """Tries all at once over UDP and TCP; two answers for each probe, in their order.

    UDP is tried again each half second. Raises OSError where a namespace lacks an endpoint's address.
    """
    with ExitStack() as stack, selectors.DefaultSelector() as selector:
        for endpoint in dict.fromkeys(question.destination for question in probes):
            _serve(endpoint, selector, stack)
        attempts = [attempt for question in probes for attempt in (_Udp(question, timeout), _Tcp(question, timeout))]
        for attempt in attempts:
            stack.enter_context(attempt.socket)
            attempt.start(selector)
        deadline = time.monotonic() + timeout
        while (now := time.monotonic()) < deadline and any(not attempt.done for attempt in attempts):
            for key, _ in selector.select(min(0.05, deadline - now)):
                key.data()
            for attempt in attempts:
                attempt.again()
        return tuple(attempt.answer() for attempt in attempts)


def reaches(source: Endpoint, destination: Endpoint, *, timeout: float = 3.0) -> bool:
    """Whether both protocols get through, with the source's own address seen."""
    return all(answer.problem is None for answer in probe([Probe(source, destination)], timeout=timeout))


def matrix(sources: Iterable[Endpoint], destinations: Iterable[Endpoint]) -> tuple[Probe, ...]:
    """Every source to every destination but itself."""
    columns = tuple(destinations)
    return tuple(Probe(row, column) for row in sources for column in columns if row.name != column.name)


class _Attempt:
    """A probe over one protocol, while it runs."""

    protocol = ""
    kind = socket.SOCK_DGRAM

    def __init__(self, question: Probe, timeout: float) -> None:
        self.probe = question
        self.socket = question.source.namespace.socket(socket.AF_INET, self.kind)
        self.done = False
        self._timeout = timeout
        self._began = self._ended = time.monotonic()
        self._seen: str | None = None
        self._problem: str | None = None
        self._selector: selectors.BaseSelector | None = None

    def start(self, selector: selectors.BaseSelector) -> None:
        """Sends the question."""
        self.socket.setblocking(False)
        self.socket.bind((self.probe.source.address, 0))
        self._selector = selector
        self._began = time.monotonic()
        self.call()

    def call(self) -> None:
        raise NotImplementedError

    def again(self) -> None:
        """Called again and again while it waits."""

    def finish(self, seen: str | None, problem: str | None) -> None:
        self.done = True
        self._ended = time.monotonic()
        self._seen, self._problem = seen, problem
        if self._selector is not None and self.socket in self._selector.get_map():
            self._selector.unregister(self.socket)

    def answer(self) -> Answer:
        """What became of it, by now."""
        problem = self._problem
        right = self.probe.seen or {self.probe.source.address}
        if not self.done:
            problem = f"no answer within {self._timeout:g} s"
        elif problem is None and self._seen not in right:
            problem = f"seen as {self._seen}, not as {' or '.join(sorted(right))}"
        return Answer(self.probe, self.protocol, self._seen, (self._ended - self._began) * 1000, problem)


class _Udp(_Attempt):
    protocol = "UDP"

    def call(self) -> None:
        self._last = time.monotonic()
        try:
            # connected: an answer from another address is none
            self.socket.connect(self.probe.destination.called)
            self.socket.send(b"?")
        except OSError as error:
            self.finish(None, error.strerror)
            return
        if self._selector is not None:
            self._selector.register(self.socket, selectors.EVENT_READ, self._read)

    def again(self) -> None:
        if self.done or time.monotonic() < self._last + _AGAIN:
            return
        self._last = time.monotonic()
        try:
            self.socket.send(b"?")
        except OSError as error:
            self.finish(None, error.strerror)

    def _read(self) -> None:
        try:
            self.finish(self.socket.recv(64).decode(), None)
        except BlockingIOError:
            return
        except OSError as error:
            self.finish(None, error.strerror)


class _Tcp(_Attempt):
    protocol = "TCP"
    kind = socket.SOCK_STREAM

    def call(self) -> None:
        problem = self.socket.connect_ex(self.probe.destination.called)
        if problem not in (0, errno.EINPROGRESS):
            self.finish(None, os.strerror(problem))
        elif self._selector is not None:
            self._selector.register(self.socket, selectors.EVENT_READ, self._read)

    def _read(self) -> None:
        try:
            seen = self.socket.recv(64).decode()
        except BlockingIOError:
            return
        except OSError as error:
            self.finish(None, error.strerror)
            return
        self.finish(seen or None, None if seen else "closed without an answer")


def _serve(endpoint: Endpoint, selector: selectors.BaseSelector, stack: ExitStack) -> None:
    """Answers whoever calls with the address that it sees."""
    for kind, handler in ((socket.SOCK_DGRAM, _echo), (socket.SOCK_STREAM, _accept)):
        server = stack.enter_context(endpoint.namespace.socket(socket.AF_INET, kind))
        server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        server.setblocking(False)
        server.bind((endpoint.address, endpoint.port))
        if kind == socket.SOCK_STREAM:
            server.listen(128)
        selector.register(server, selectors.EVENT_READ, _bound(handler, server))


def _bound(handler: Callable[[socket.socket], None], server: socket.socket) -> Callable[[], None]:
    return lambda: handler(server)


def _echo(server: socket.socket) -> None:
    try:
        _, caller = server.recvfrom(64)
        server.sendto(str(caller[0]).encode(), caller)
    except OSError:
        return  # the caller hears nothing, and that is the finding


def _accept(server: socket.socket) -> None:
    try:
        connection, caller = server.accept()
    except OSError:
        return
    with connection:
        connection.send(str(caller[0]).encode())
