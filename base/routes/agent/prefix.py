"""IPv4 prefixes and addresses as plain integers: ten thousand of them must cost nothing."""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import IPv4Address, IPv4Network
from typing import NamedTuple


class Prefix(NamedTuple):
    """An IPv4 prefix: network address in host byte order, length in bits. Sorts by address, then shorter first."""

    address: int
    length: int

    def __str__(self) -> str:
        return f"{dotted(self.address)}/{self.length}"

    @classmethod
    def parse(cls, text: str) -> Prefix:
        """From `address/length`. Raises ValueError where it is not a prefix or has host bits."""
        network = IPv4Network(text)
        return cls(int(network.network_address), network.prefixlen)

    def contains(self, other: Prefix) -> bool:
        """Whether `other` is this prefix or a part of it."""
        return other.length >= self.length and (self.address ^ other.address) >> (32 - self.length) == 0


def dotted(address: int) -> str:
    """An address as people write it."""
    return f"{address >> 24}.{address >> 16 & 255}.{address >> 8 & 255}.{address & 255}"


def address(text: str) -> int:
    """From dotted text. Raises ValueError where it is not an IPv4 address."""
    return int(IPv4Address(text))


def host(value: int) -> Prefix:
    """The prefix of one address."""
    return Prefix(value, 32)


def within(prefix: Prefix, ranges: Iterable[Prefix]) -> bool:
    """Whether one of the ranges holds the prefix."""
    return any(one.contains(prefix) for one in ranges)
