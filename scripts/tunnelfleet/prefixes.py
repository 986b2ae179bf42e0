"""IPv4 ranges as sets of addresses: coverage, overlap and union, sorted and swept.

Every question is answered on the half-open interval ``[first, last + 1)`` of each prefix, so nesting is
overlap and several ranges together can cover one, however they are cut.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
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
    return first, first + network.num_addresses


def merge(networks: Iterable[IPv4Network]) -> list[Span]:
    """The union as disjoint spans in ascending order; spans that touch become one."""
    merged: list[Span] = []
    for first, end in sorted(span(network) for network in networks):
        if merged and first <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((first, end))
    return merged


def uncovered(
    wanted: Iterable[IPv4Network], cover: Iterable[IPv4Network]
) -> list[IPv4Network]:
    """The part of `wanted` that the union of `cover` leaves open, as the fewest prefixes, ascending."""
    gaps: list[Span] = []
    covering = merge(cover)
    index = 0
    for start, end in merge(wanted):
        first = start
        while index < len(covering) and covering[index][1] <= first:
            index += 1
        position = index
        while first < end:
            if position == len(covering) or covering[position][0] >= end:
                gaps.append((first, end))
                break
            cover_first, cover_end = covering[position]
            if cover_first > first:
                gaps.append((first, cover_first))
            first = max(first, cover_end)
            position += 1
    return list(to_networks(gaps))


def to_networks(spans: Iterable[Span]) -> Iterator[IPv4Network]:
    """The fewest prefixes that make up the given spans."""
    for first, end in spans:
        yield from summarize_address_range(IPv4Address(first), IPv4Address(end - 1))


def collapse(networks: Iterable[IPv4Network]) -> list[IPv4Network]:
    """The same addresses as the fewest prefixes, ascending."""
    return list(to_networks(merge(networks)))


def overlaps(
    prefixes: Sequence[Tagged[Owner]],
) -> Iterator[tuple[Tagged[Owner], Tagged[Owner]]]:
    """Each prefix that shares addresses with one before it, with the nearest that encloses it.

    Prefixes either nest or are disjoint, so one sweep over them in order of (first address, length) with a
    stack of those still open finds every offender in O(n log n); `prefixes` keep their given order on ties.
    """
    open_prefixes: list[Tagged[Owner]] = []
    ordered = sorted(
        prefixes,
        key=lambda tagged: (
            int(tagged.network.network_address),
            tagged.network.prefixlen,
        ),
    )
    for tagged in ordered:
        first = int(tagged.network.network_address)
        while open_prefixes and span(open_prefixes[-1].network)[1] <= first:
            open_prefixes.pop()
        if open_prefixes:
            yield open_prefixes[-1], tagged
        open_prefixes.append(tagged)


def enclosing(
    address: IPv4Address, networks: Iterable[IPv4Network]
) -> IPv4Network | None:
    """The first of `networks` that holds the address, or None."""
    return next((network for network in networks if address in network), None)
