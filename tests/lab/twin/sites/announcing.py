"""What a site announces, and through which of its tunnels."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from ..stage import Tunnel


@dataclass(frozen=True, slots=True)
class Attributes:
    """How a prefix is announced."""

    med: int | None = None
    communities: tuple[tuple[int, int], ...] = ()
    prepend: int = 0
    """How many times more than once the site's AS number is in the path."""


@dataclass(slots=True)
class Group:
    """Prefixes that are announced in the same way."""

    number: int
    ways: Mapping[Tunnel, Attributes]
    """The tunnels that they are announced through, and how."""
    prefixes: list[str] = field(default_factory=list)


@dataclass(slots=True)
class Announcements:
    """The prefixes by the ways they are announced.

    A group keeps its number for good, so that BIRD does not take a change of one group for a change of others.
    """

    _prefixes: dict[str, int] = field(default_factory=dict)
    _ways: list[Mapping[Tunnel, Attributes]] = field(default_factory=list)
    _numbers: dict[frozenset[tuple[Tunnel, Attributes]], int] = field(default_factory=dict)

    def add(self, prefixes: Iterable[str], tunnels: Iterable[Tunnel], attributes: Attributes) -> None:
        """Announces the prefixes through these tunnels, and as before through others."""
        ways = dict.fromkeys(tunnels, attributes)
        # 100,000 prefixes have few groups: each is made once
        after: dict[int | None, int] = {}
        for prefix in prefixes:
            before = self._prefixes.get(prefix)
            if before not in after:
                after[before] = self._number({**self._of(before), **ways})
            self._prefixes[prefix] = after[before]

    def remove(self, prefixes: Iterable[str], tunnels: Iterable[Tunnel]) -> None:
        """Withdraws the prefixes from these tunnels; what is not announced stays so."""
        withdrawn = set(tunnels)
        after: dict[int, int | None] = {}
        for prefix in prefixes:
            before = self._prefixes.pop(prefix, None)
            if before is None:
                continue
            if before not in after:
                kept = {tunnel: how for tunnel, how in self._ways[before].items() if tunnel not in withdrawn}
                after[before] = self._number(kept) if kept else None
            number = after[before]
            if number is not None:
                self._prefixes[prefix] = number

    def groups(self) -> tuple[Group, ...]:
        """The groups that have prefixes."""
        found: dict[int, Group] = {}
        for prefix, number in self._prefixes.items():
            if number not in found:
                found[number] = Group(number, self._ways[number])
            found[number].prefixes.append(prefix)
        return tuple(found.values())

    def _of(self, number: int | None) -> Mapping[Tunnel, Attributes]:
        return {} if number is None else self._ways[number]

    def _number(self, ways: Mapping[Tunnel, Attributes]) -> int:
        number = self._numbers.setdefault(frozenset(ways.items()), len(self._ways))
        if number == len(self._ways):
            self._ways.append(ways)
        return number
