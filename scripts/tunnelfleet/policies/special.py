"""IPv4 ranges that mean something special (RFC 6890 and the IANA registry that it started)."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Network

from tunnelfleet.prefixes import Lookup, Tagged


@dataclass(frozen=True, slots=True)
class SpecialRange:
    """A range with its meaning; `routable` says whether it may be routed inside a private network."""

    network: IPv4Network
    meaning: str
    source: str
    routable: bool = False

    def __str__(self) -> str:
        return f"{self.network} ({self.meaning}, {self.source})"

    def relation(self, network: IPv4Network) -> str:
        """How a range that shares addresses with this one is to it, for a message."""
        return f"lies in {self}" if network.subnet_of(self.network) else f"holds {self}"


def _special(network: str, meaning: str, source: str, routable: bool = False) -> SpecialRange:
    return SpecialRange(IPv4Network(network), meaning, source, routable)


# The documentation ranges (RFC 5737) are left out on purpose: examples and tests are written with them.
SPECIAL = (
    _special("0.0.0.0/8", "this network", "RFC 1122"),
    _special("10.0.0.0/8", "private", "RFC 1918", routable=True),
    _special("100.64.0.0/10", "carrier-grade NAT", "RFC 6598", routable=True),
    _special("127.0.0.0/8", "loopback", "RFC 1122"),
    _special("169.254.0.0/16", "link-local", "RFC 3927"),
    _special("172.16.0.0/12", "private", "RFC 1918", routable=True),
    _special("192.0.0.0/24", "protocol assignments", "RFC 6890", routable=True),
    _special("192.168.0.0/16", "private", "RFC 1918", routable=True),
    _special("198.18.0.0/15", "benchmarking", "RFC 2544", routable=True),
    _special("224.0.0.0/4", "multicast", "RFC 5771"),
    _special("240.0.0.0/4", "reserved", "RFC 1112"),
)


_ANY = Lookup(Tagged(special.network, special) for special in SPECIAL)
_NOT_ROUTABLE = Lookup(Tagged(special.network, special) for special in SPECIAL if not special.routable)


def not_public(network: IPv4Network) -> SpecialRange | None:
    """The special range that keeps `network` from being reached over the Internet, if there is one."""
    found = _ANY.touching(network)
    return found.owner if found else None


def not_routable(network: IPv4Network) -> SpecialRange | None:
    """The special range in `network` that no router may carry, if there is one."""
    found = _NOT_ROUTABLE.touching(network)
    return found.owner if found else None
