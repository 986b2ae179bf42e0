"""Outages of a numbered stream of packets: pure arithmetic on when each was sent and whether it arrived."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby, pairwise

STALL_MS = 50.0
"""A longer pause between two packets means that the sender stood still, not the network."""
LATE_MS = 100.0
"""A packet that took longer was held back in a queue while nothing went through."""


@dataclass(frozen=True, slots=True)
class Outage:
    """A run of packets that were lost or came late, with none delivered in time between them."""

    start: float
    """When its first packet was sent, in seconds since 1970."""
    milliseconds: float
    """From there until the next packet that arrived in time was sent, or until the window's end."""
    lost: int
    """Packets."""
    late: int = 0
    """Packets that arrived, but took more than LATE_MS."""
    ended: bool = True
    """Whether a later packet of the window arrived in time."""
    stalled: float = 0.0
    """The sender's longest pause inside it, in milliseconds, where above STALL_MS: the figure is coarse by as much."""


@dataclass(frozen=True, slots=True)
class Measured:
    """What became of the packets that a flow sent in a window of time."""

    since: float
    until: float
    sent: int
    lost: int
    late: int
    outages: tuple[Outage, ...]
    slowest: float
    """The longest that a packet took, in milliseconds."""
    stalled: float
    """The sender's longest pause in milliseconds where above STALL_MS: an outage as short may have gone unseen."""

    @property
    def milliseconds(self) -> float:
        """All outages together."""
        return sum(outage.milliseconds for outage in self.outages)

    @property
    def longest(self) -> float:
        """The longest outage in milliseconds; 0 without one."""
        return max((outage.milliseconds for outage in self.outages), default=0.0)

    def __str__(self) -> str:
        if not self.sent:
            return "nothing was sent"
        text = f"{self.milliseconds:.0f} ms, {self.lost} of {self.sent} packets lost"
        if self.late:
            text += f", {self.late} late"
        if len(self.outages) > 1:
            text += f" in {len(self.outages)} runs, the longest {self.longest:.0f} ms"
        if self.outages and not self.outages[-1].ended:
            text += ", not ended"
        return f"{text}; sender stalled {self.stalled:.0f} ms" if self.stalled else text


def measure(
    sent: Sequence[int], arrived: Sequence[int], since: float, until: float, *, stall_ms: float = STALL_MS
) -> Measured:
    """What became of the packets sent in [since, until), both in seconds since 1970.

    `sent[n]` is when packet n was sent, ascending, and `arrived[n]` when it first arrived, 0 where it did not, both in
    nanoseconds since 1970. Whoever calls waits first for packets in flight.
    """
    first, last = bisect_left(sent, _nanoseconds(since)), bisect_left(sent, _nanoseconds(until))
    times, arrivals = list(sent[first:last]), list(arrived[first:last])
    took = [(came - went) / 1e6 if came else None for went, came in zip(times, arrivals, strict=True)]
    delivered = [milliseconds for milliseconds in took if milliseconds is not None]
    return Measured(
        since=since,
        until=until,
        sent=len(times),
        lost=len(times) - len(delivered),
        late=sum(milliseconds > LATE_MS for milliseconds in delivered),
        outages=tuple(_outages(times, took, _nanoseconds(until), stall_ms)),
        slowest=max(delivered, default=0.0),
        stalled=_longest_pause([_nanoseconds(since), *times, _nanoseconds(until)], stall_ms),
    )


def _outages(times: list[int], took: list[float | None], end: int, stall_ms: float) -> Iterator[Outage]:
    """`took` is how long each packet needed in milliseconds, None where it was lost."""
    stop = 0
    for in_time, run in groupby(took, lambda milliseconds: milliseconds is not None and milliseconds <= LATE_MS):
        start, packets = stop, list(run)
        stop += len(packets)
        if in_time:
            continue
        ended = stop < len(times)
        until = times[stop] if ended else end
        yield Outage(
            start=times[start] / 1e9,
            milliseconds=(until - times[start]) / 1e6,
            lost=packets.count(None),
            late=len(packets) - packets.count(None),
            ended=ended,
            stalled=_longest_pause([*times[max(start - 1, 0) : stop], until], stall_ms),
        )


def _longest_pause(times: list[int], stall_ms: float) -> float:
    longest = max((later - earlier for earlier, later in pairwise(times)), default=0) / 1e6
    return longest if longest > stall_ms else 0.0


def _nanoseconds(seconds: float) -> int:
    return round(seconds * 1e9)
