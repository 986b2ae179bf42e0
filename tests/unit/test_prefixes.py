"""Prefix arithmetic against brute force over a space so small that every address can be looked at."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from tunnelfleet.prefixes import Lookup, Tagged, collapse, merge, overlaps, span, to_networks, uncovered

FIRST = int(IPv4Address("10.0.0.0"))
LENGTH = 27
SPACE = IPv4Network((FIRST, LENGTH))


@st.composite
def networks(draw: st.DrawFn) -> IPv4Network:
    """A prefix of any length within the space."""
    length = draw(st.integers(LENGTH, 32))
    index = draw(st.integers(0, 2 ** (length - LENGTH) - 1))
    return IPv4Network((FIRST + index * 2 ** (32 - length), length))


SOME = st.lists(networks(), max_size=8)


def addresses(prefixes: list[IPv4Network]) -> set[int]:
    return {int(address) for prefix in prefixes for address in prefix}


def network(text: str) -> IPv4Network:
    return IPv4Network(text)


class TestSets:
    @given(SOME)
    def test_merged_spans_hold_the_same_addresses_apart_and_ascending(self, prefixes: list[IPv4Network]) -> None:
        spans = merge(prefixes)
        assert {address for first, end in spans for address in range(first, end)} == addresses(prefixes)
        assert all(earlier[1] < later[0] for earlier, later in pairwise(spans))

    @given(SOME)
    def test_collapsed_prefixes_are_the_same_addresses_in_fewest_prefixes(self, prefixes: list[IPv4Network]) -> None:
        collapsed = collapse(prefixes)
        assert addresses(collapsed) == addresses(prefixes)
        assert collapsed == sorted(collapsed)
        siblings = {prefix.supernet() for prefix in collapsed if prefix.prefixlen > LENGTH}
        assert len(siblings) == sum(prefix.prefixlen > LENGTH for prefix in collapsed), "two could be one"

    @given(SOME, SOME)
    def test_uncovered_is_the_difference(self, wanted: list[IPv4Network], cover: list[IPv4Network]) -> None:
        left = uncovered(wanted, cover)
        assert addresses(left) == addresses(wanted) - addresses(cover)
        assert left == collapse(left)

    def test_several_ranges_together_cover_one(self) -> None:
        halves = [network("10.0.128.0/17"), network("10.0.0.0/18"), network("10.0.64.0/18")]
        assert uncovered([network("10.0.0.0/16")], halves) == []

    def test_what_is_missing_is_named_by_fewest_prefixes(self) -> None:
        left = uncovered([network("10.0.0.0/16")], [network("10.0.0.0/18")])
        assert left == [network("10.0.64.0/18"), network("10.0.128.0/17")]

    def test_the_whole_space_is_a_span_like_any_other(self) -> None:
        everything = network("0.0.0.0/0")
        assert span(everything) == (0, 2**32)
        assert list(to_networks([(0, 2**32)])) == [everything]
        assert uncovered([everything], [network("0.0.0.0/1")]) == [network("128.0.0.0/1")]
        assert uncovered([everything], [everything]) == []


def tagged(prefixes: list[IPv4Network]) -> list[Tagged[int]]:
    return [Tagged(prefix, index) for index, prefix in enumerate(prefixes)]


def within(inner: Tagged[int], outer: Tagged[int]) -> bool:
    """Whether `inner` is nested in `outer`; of two equal ones, the later is nested in the earlier."""
    if inner.network == outer.network:
        return inner.owner > outer.owner
    return inner.network.subnet_of(outer.network)


class TestOverlaps:
    @given(SOME)
    def test_each_prefix_within_another_is_told_with_the_nearest_around_it(self, prefixes: list[IPv4Network]) -> None:
        everyone = tagged(prefixes)
        found = {inner.owner: outer for outer, inner in overlaps(everyone)}
        for inner in everyone:
            around = [outer for outer in everyone if within(inner, outer)]
            assert (inner.owner in found) == bool(around)
            if around:
                outer = found[inner.owner]
                assert outer in around
                assert outer.network.prefixlen == max(each.network.prefixlen for each in around)

    @given(st.lists(st.tuples(networks(), st.integers(0, 2)), max_size=10))
    def test_prefixes_of_one_party_may_overlap(self, owned: list[tuple[IPv4Network, int]]) -> None:
        everyone = tagged([prefix for prefix, _ in owned])
        parties = [party for _, party in owned]
        found = {inner.owner: outer for outer, inner in overlaps(everyone, party=lambda index: parties[index])}
        for inner in everyone:
            around = [
                outer for outer in everyone if within(inner, outer) and parties[inner.owner] != parties[outer.owner]
            ]
            assert (inner.owner in found) == bool(around)
            if around:
                assert found[inner.owner].network in [outer.network for outer in around]

    def test_many_equal_prefixes_of_two_parties_are_swept_in_one_pass(self) -> None:
        same = tagged([SPACE] * 20_000)
        assert sum(1 for _ in overlaps(same, party=lambda index: index % 2)) == 19_999


class TestLookup:
    @given(SOME, networks())
    def test_what_is_found_shares_addresses_and_nothing_is_missed(
        self, prefixes: list[IPv4Network], asked: IPv4Network
    ) -> None:
        found = Lookup(tagged(prefixes)).touching(asked)
        sharing = [prefix for prefix in prefixes if prefix.overlaps(asked)]
        assert (found is not None) == bool(sharing)
        if found is not None:
            assert found.network in sharing
            assert not any(other != found.network and other.supernet_of(found.network) for other in sharing)
