"""IPv4 ranges as sets of addresses: coverage, overlap and union, sorted and swept.

Every question is answered on the half-open interval ``[first, end)`` of each prefix, so nesting is overlap and
several ranges together can cover one, however they are cut. Two prefixes either nest or are disjoint.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, summarize_address_range
from typing import Generic, TypeVar

Span = tuple[int, int]
Owner = TypeVar("Owner")


@dataclass(frozen=True, slots=True)
class Tagged(Generic[Owner]):
    """A prefix and whom it belongs to."""

    network: IPv4Network
    owner: Owner


def span(network: IPv4Network) -> Span:
    """First address and the one after the last, as integers."""
    first = int(network.network_address)
    return first, first + (1 << (32 - network.prefixlen))


def merge(networks: Iterable[IPv4Network]) -> list[Span]:
    """The union as disjoint spans in ascending order; spans that touch become one."""
    merged: list[Span] = []
    for first, end in sorted(span(network) for network in networks):
        if merged and first <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((first, end))
    return merged


def uncovered(wanted: Iterable[IPv4Network], cover: Iterable[IPv4Network]) -> list[IPv4Network]:
    """The part of `wanted` that the union of `cover` leaves open, as the fewest prefixes, ascending."""
    gaps: list[Span] = []
    covering = merge(cover)
    index = 0
    for first, end in merge(wanted):
        while index < len(covering) and covering[index][1] <= first:
            index += 1
        open_from, position = first, index
        while position < len(covering) and covering[position][0] < end:
            cover_first, cover_end = covering[position]
            if cover_first > open_from:
                gaps.append((open_from, cover_first))
            open_from = cover_end
            position += 1
        if open_from < end:
            gaps.append((open_from, end))
    return list(to_networks(gaps))


def to_networks(spans: Iterable[Span]) -> Iterator[IPv4Network]:
    """The fewest prefixes that make up the given spans."""
    for first, end in spans:
        yield from summarize_address_range(IPv4Address(first), IPv4Address(end - 1))


def collapse(networks: Iterable[IPv4Network]) -> list[IPv4Network]:
    """The same addresses as the fewest prefixes, ascending."""
    return list(to_networks(merge(networks)))


def overlaps(
    prefixes: Sequence[Tagged[Owner]], party: Callable[[Owner], Hashable] | None = None
) -> Iterator[tuple[Tagged[Owner], Tagged[Owner]]]:
    """Each prefix that lies within one of another party, after the nearest such one: ``(outer, inner)``.

    By default every prefix is a party of its own. Of equal prefixes the later one is the inner. One sweep in
    order of (first address, length) with a stack of the prefixes still open: O(n log n), since of one party
    at most one prefix of each length is kept open.
    """
    ordered = sorted(
        ((*span(tagged.network), index) for index, tagged in enumerate(prefixes)),
        key=lambda item: (item[0], -item[1], item[2]),
    )
    still_open: list[tuple[int, int, Hashable, Tagged[Owner]]] = []
    for first, end, index in ordered:
        tagged = prefixes[index]
        mine = index if party is None else party(tagged.owner)
        while still_open and still_open[-1][1] <= first:
            still_open.pop()
        repeated = False
        for outer_first, outer_end, theirs, outer in reversed(still_open):
            if theirs != mine:
                yield outer, tagged
                break
            repeated = repeated or (outer_first, outer_end) == (first, end)
        if not repeated:
            still_open.append((first, end, mine, tagged))


class Lookup(Generic[Owner]):
    """Ranges arranged so that one that shares addresses with a given range is found in O(log n)."""

    def __init__(self, prefixes: Iterable[Tagged[Owner]]) -> None:
        # Whatever overlaps a range overlaps the outermost one around it, so the outermost ones are enough.
        self._outermost: list[Tagged[Owner]] = []
        self._firsts: list[int] = []
        self._ends: list[int] = []
        for tagged in sorted(prefixes, key=lambda each: (span(each.network)[0], each.network.prefixlen)):
            first, end = span(tagged.network)
            if not self._ends or first >= self._ends[-1]:
                self._outermost.append(tagged)
                self._firsts.append(first)
                self._ends.append(end)

    def touching(self, network: IPv4Network) -> Tagged[Owner] | None:
        """The outermost range that shares an address with `network`, the lowest of several; None if none does."""
        first, end = span(network)
        at = bisect_right(self._firsts, first) - 1
        if at >= 0 and self._ends[at] > first:
            return self._outermost[at]
        at += 1
        if at < len(self._firsts) and self._firsts[at] < end:
            return self._outermost[at]
        return None
