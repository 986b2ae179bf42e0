"""The routers' configuration read back: what swanctl.conf and frr.conf say, whoever wrote them.

Only what the policies ask about is understood, and it is read from the text that will run, not from what the
generator meant to write.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from ipaddress import IPv4Network

Section = dict[str, "str | Section"]
"""A section of swanctl.conf: keys with values, and sections within it."""


class Unreadable(Exception):
    """The configuration cannot be read: what is wrong and on which line."""

    def __init__(self, message: str, line: int) -> None:
        super().__init__(f"line {line}: {message}")


def parse_swanctl(text: str) -> Section:
    """The sections of a swanctl.conf (strongswan.conf(5), without include statements).

    Raises Unreadable where braces or statements do not add up.
    """
    root: Section = {}
    open_sections = [root]
    for number, line in enumerate(text.splitlines(), 1):
        statement = line.split("#", 1)[0].strip()
        if not statement:
            continue
        if statement == "}":
            if len(open_sections) == 1:
                raise Unreadable("a closing brace too many", number)
            open_sections.pop()
        elif statement.endswith("{"):
            inner: Section = {}
            open_sections[-1][statement[:-1].strip()] = inner
            open_sections.append(inner)
        elif "=" in statement:
            key, _, value = statement.partition("=")
            open_sections[-1][key.strip()] = value.strip().strip('"')
        else:
            raise Unreadable(f"`{statement}` is neither a section nor a setting", number)
    if len(open_sections) > 1:
        raise Unreadable("a section is not closed", text.count("\n") + 1)
    return root


def subsection(section: Section, *names: str) -> Section:
    """The section below `section` by these names; empty where it is not there."""
    for name in names:
        inner = section.get(name)
        if not isinstance(inner, dict):
            return {}
        section = inner
    return section


@dataclass(frozen=True, slots=True, order=True)
class PrefixRule:
    """One line of a prefix list; lengths are bounds of the prefixes that match (FRR manual, Filtering)."""

    network: IPv4Network
    permit: bool
    shortest: int
    longest: int

    def __str__(self) -> str:
        action = "permit" if self.permit else "deny"
        bounds = "" if self.shortest == self.longest == self.network.prefixlen else f" {self.shortest}-{self.longest}"
        return f"{action} {self.network}{bounds}"


@dataclass(frozen=True, slots=True)
class FrrConfiguration:
    """What the policies ask of an frr.conf."""

    prefix_lists: dict[str, tuple[PrefixRule, ...]]
    remote_as: dict[str, str] = field(default_factory=dict)
    """Neighbor or peer group -> AS number."""
    inbound: dict[str, str] = field(default_factory=dict)
    """Neighbor or peer group -> route map for what it announces."""
    outbound: dict[str, str] = field(default_factory=dict)
    """Neighbor or peer group -> route map for what it is told."""
    maximum_prefixes: dict[str, int] = field(default_factory=dict)
    matched_lists: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """Route map -> the prefix lists of addresses that its permitting entries match; "" for an entry without one."""

    def permitted(self, name: str) -> tuple[PrefixRule, ...]:
        """The rules of a prefix list, in the order of its networks; empty where there is none of that name."""
        return tuple(sorted(self.prefix_lists.get(name, ())))


_PREFIX_LIST = re.compile(
    r"ip prefix-list (?P<name>\S+) seq (?P<seq>\d+) (?P<action>permit|deny) (?P<network>\S+)"
    r"(?: ge (?P<ge>\d+))?(?: le (?P<le>\d+))?"
)
_NEIGHBOR = re.compile(
    r"neighbor (?P<peer>\S+) (?:remote-as (?P<asn>\S+)"
    r"|route-map (?P<map>\S+) (?P<way>in|out)|maximum-prefix (?P<limit>\d+))"
)
_ROUTE_MAP = re.compile(r"route-map (?P<name>\S+) (?P<action>permit|deny) \d+")
_MATCH = re.compile(r"match ip address prefix-list (?P<list>\S+)")


def parse_frr(text: str) -> FrrConfiguration:
    """The prefix lists, route maps and neighbours of an frr.conf; raises Unreadable on a prefix that is none."""
    lists: dict[str, list[tuple[int, PrefixRule]]] = defaultdict(list)
    parsed = FrrConfiguration({})
    current: str | None = None
    entries: dict[str, list[str]] = defaultdict(list)
    for number, line in enumerate(text.splitlines(), 1):
        statement = line.strip()
        if rule := _PREFIX_LIST.match(statement):
            lists[rule["name"]].append((int(rule["seq"]), _rule(rule, number)))
        elif neighbor := _NEIGHBOR.match(statement):
            _note(parsed, neighbor)
        elif entry := _ROUTE_MAP.fullmatch(statement):
            current = entry["name"] if entry["action"] == "permit" else None
            if current:
                entries[current].append("")
        elif (match := _MATCH.match(statement)) and current:
            entries[current][-1] = match["list"]
        elif statement == "exit":
            current = None
    ordered = {name: tuple(rule for _, rule in sorted(rules)) for name, rules in lists.items()}
    matched = {name: tuple(used) for name, used in entries.items()}
    return FrrConfiguration(
        ordered, parsed.remote_as, parsed.inbound, parsed.outbound, parsed.maximum_prefixes, matched
    )


def _rule(found: re.Match[str], number: int) -> PrefixRule:
    text = "0.0.0.0/0" if found["network"] == "any" else found["network"]
    try:
        network = IPv4Network(text)
    except ValueError as error:
        raise Unreadable(f"`{text}` is not an IPv4 range", number) from error
    shortest = int(found["ge"] or network.prefixlen)
    longest = int(found["le"] or (32 if found["ge"] or found["network"] == "any" else network.prefixlen))
    return PrefixRule(network, found["action"] == "permit", shortest, longest)


def _note(parsed: FrrConfiguration, found: re.Match[str]) -> None:
    peer = found["peer"]
    if found["asn"]:
        parsed.remote_as[peer] = found["asn"]
    elif found["limit"]:
        parsed.maximum_prefixes[peer] = int(found["limit"])
    elif found["way"] == "in":
        parsed.inbound[peer] = found["map"]
    else:
        parsed.outbound[peer] = found["map"]


def within(networks: tuple[IPv4Network, ...]) -> tuple[PrefixRule, ...]:
    """What a list that takes these ranges and every part of them says."""
    return tuple(sorted(PrefixRule(network, True, network.prefixlen, 32) for network in networks))


def exactly(networks: tuple[IPv4Network, ...]) -> tuple[PrefixRule, ...]:
    """What a list that takes these ranges and no part of them says."""
    return tuple(sorted(PrefixRule(network, True, network.prefixlen, network.prefixlen) for network in networks))


def lines(rules: tuple[PrefixRule, ...]) -> Iterator[str]:
    """The rules as a message shows them."""
    return map(str, rules)
