"""frr.conf read back: prefix lists, route maps and BGP sessions, each with its line, whoever wrote them.

After the FRR manual, Filtering, Route Maps and BGP. What is not asked about is passed over; a line that takes an
earlier one back is refused, since the text would no longer say what runs.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from ipaddress import IPv4Network
from typing import NamedTuple

from tunnelfleet.manifests.routers import Unreadable


class Prefixes(NamedTuple):
    """The parts of a range whose lengths lie within bounds, both included."""

    network: IPv4Network
    shortest: int
    longest: int

    def __str__(self) -> str:
        length = self.network.prefixlen
        lower = f" ge {self.shortest}" if self.shortest > length else ""
        upper = f" le {self.longest}" if self.longest > self.shortest or lower else ""
        return f"{self.network}{lower}{upper}"

    def covers(self, other: Prefixes) -> bool:
        """Whether all of `other` is among these."""
        bounded = self.shortest <= other.shortest and other.longest <= self.longest
        return bounded and other.network.subnet_of(self.network)

    def touches(self, other: Prefixes) -> bool:
        """Whether any of `other` is among these."""
        bounded = max(self.shortest, other.shortest) <= min(self.longest, other.longest)
        return bounded and self.network.overlaps(other.network)


@dataclass(frozen=True, slots=True)
class Rule:
    """One line of a prefix list."""

    sequence: int
    permit: bool
    prefixes: Prefixes
    line: int


@dataclass(frozen=True, slots=True)
class Word:
    """An argument and its line."""

    text: str
    line: int


@dataclass(slots=True)
class Entry:
    """One entry of a route map: what it matches and sets, by the command's words before its argument."""

    sequence: int
    permit: bool
    line: int
    matches: dict[str, Word] = field(default_factory=dict)
    sets: dict[str, Word] = field(default_factory=dict)
    goes_on: Word | None = None
    """What sends a route on to other entries or maps instead of ending here."""


@dataclass(slots=True)
class Neighbor:
    """A BGP neighbour or peer group: the arguments of its commands, by the command's first words."""

    name: str
    line: int
    settings: dict[str, Word] = field(default_factory=dict)


@dataclass(slots=True)
class Bgp:
    """One `router bgp`, with what it does for IPv4 unicast."""

    asn: str
    line: int
    neighbors: dict[str, Neighbor] = field(default_factory=dict)
    groups: set[str] = field(default_factory=set)
    listens: list[tuple[Word, str]] = field(default_factory=list)
    """Ranges from which anyone may connect, each with its peer group."""
    networks: list[Word] = field(default_factory=list)
    others: list[Word] = field(default_factory=list)
    """Commands that announce by other means than a neighbour's policy."""
    active_by_default: bool = True

    def setting(self, neighbor: Neighbor, name: str) -> Word | None:
        """A neighbour's setting: its own, or its peer group's."""
        if name in neighbor.settings:
            return neighbor.settings[name]
        group = neighbor.settings.get("peer-group")
        held = self.neighbors.get(group.text) if group else None
        return held.settings.get(name) if held else None

    def is_active(self, neighbor: Neighbor) -> bool:
        """Whether the neighbour gets IPv4 routes at all."""
        return self.active_by_default or self.setting(neighbor, "activate") is not None


@dataclass(slots=True)
class FrrConfiguration:
    """What an frr.conf says about BGP."""

    prefix_lists: dict[str, list[Rule]] = field(default_factory=dict)
    route_maps: dict[str, list[Entry]] = field(default_factory=dict)
    routers: list[Bgp] = field(default_factory=list)
    bfd_profiles: dict[str, dict[str, Word]] = field(default_factory=dict)

    def rules(self, name: str) -> list[Rule]:
        """The rules of a prefix list in the order in which they are tried."""
        return sorted(self.prefix_lists.get(name, []), key=lambda rule: rule.sequence)

    def entries(self, name: str) -> list[Entry]:
        """The entries of a route map in the order in which they are tried."""
        return sorted(self.route_maps.get(name, []), key=lambda entry: entry.sequence)


_SETTINGS = (
    "remote-as",
    "peer-group",
    "activate",
    "maximum-prefix",
    "shutdown",
    "default-originate",
    "prefix-list",
    "distribute-list",
    "filter-list",
    "unsuppress-map",
    "advertise-map",
    "allowas-in",
    "as-override",
    "password",
    "update-source",
)
_BLOCKS = ("address-family", "bmp targets", "segment-routing", "vnc", "vrf-policy")
_TAKEN_BACK = re.compile(r"no (neighbor|network|ip prefix-list|route-map|match|set|router)\b")


def parse_frr(text: str) -> FrrConfiguration:
    """The whole file. Raises Unreadable where a line cannot be understood or takes another back."""
    parser = _Parser()
    for number, line in enumerate(text.splitlines(), 1):
        statement = line.strip()
        if statement and statement[0] not in "!#":
            parser.read(statement, number)
    return parser.parsed


class _Parser:
    """Goes through the lines; a command of the top level ends whatever stood open, as in FRR itself."""

    def __init__(self) -> None:
        self.parsed = FrrConfiguration()
        self._bgp: Bgp | None = None
        self._family = ""
        self._inner = False
        self._entry: Entry | None = None
        self._profile: dict[str, Word] | None = None
        self._top: dict[str, Callable[[list[str], int], None]] = {
            "router": self._router,
            "route-map": self._route_map,
            "ip": self._ip,
            "bfd": self._bfd,
            "vrf": self._other,
            "interface": self._other,
        }

    def read(self, statement: str, line: int) -> None:
        words = statement.split()
        if _TAKEN_BACK.match(statement):
            raise Unreadable(f"`{statement}` takes back what stands elsewhere", line)
        if words[0] in ("exit", "end") or words[0].startswith("exit-"):
            self._exit(words[0])
        elif handler := self._top.get(words[0]):
            handler(words, line)
        elif self._bgp is not None:
            self._in_bgp(words, statement, line)
        elif self._entry is not None:
            _in_entry(self._entry, words, line)
        elif words[0] == "profile" and len(words) == 2:
            self._profile = self.parsed.bfd_profiles.setdefault(words[1], {})
        elif self._profile is not None and len(words) == 2:
            self._profile[words[0]] = Word(words[1], line)

    def _leave(self) -> None:
        self._bgp = self._entry = self._profile = None
        self._family, self._inner = "", False

    def _exit(self, word: str) -> None:
        if word == "end" or not self._inner:
            self._leave()
        self._family, self._inner = "", False

    def _other(self, words: list[str], line: int) -> None:
        self._leave()

    def _bfd(self, words: list[str], line: int) -> None:
        self._leave()

    def _router(self, words: list[str], line: int) -> None:
        self._leave()
        if words[1:2] != ["bgp"]:
            return
        asn = " ".join(words[2:])
        self._bgp = next((known for known in self.parsed.routers if known.asn == asn), None)
        if self._bgp is None:
            self._bgp = Bgp(asn, line)
            self.parsed.routers.append(self._bgp)

    def _route_map(self, words: list[str], line: int) -> None:
        self._leave()
        if len(words) != 4 or words[2] not in ("permit", "deny") or not words[3].isdigit():
            raise Unreadable("expected `route-map NAME permit|deny SEQUENCE`", line)
        entries = self.parsed.route_maps.setdefault(words[1], [])
        sequence, permit = int(words[3]), words[2] == "permit"
        self._entry = next((known for known in entries if known.sequence == sequence), None)
        if self._entry is None:
            self._entry = Entry(sequence, permit, line)
            entries.append(self._entry)
        self._entry.permit = permit

    def _ip(self, words: list[str], line: int) -> None:
        self._leave()
        if words[1:2] == ["prefix-list"] and words[3:4] != ["description"]:
            _add_rule(self.parsed.prefix_lists, words[2:], line)

    def _in_bgp(self, words: list[str], statement: str, line: int) -> None:
        bgp = self._bgp
        assert bgp is not None
        if statement.startswith(_BLOCKS):
            self._inner, self._family = True, statement
            if self._family.startswith("address-family") and not self._is_ipv4:
                bgp.others.append(Word(statement, line))
        elif words[0] == "neighbor" and len(words) > 2:
            neighbor = bgp.neighbors.setdefault(words[1], Neighbor(words[1], line))
            self._in_neighbor(bgp, neighbor, words[2:], line)
        elif words[0] == "network" and self._is_ipv4:
            bgp.networks.append(Word(" ".join(words[1:]), line))
        elif words[0] in ("redistribute", "aggregate-address", "import"):
            bgp.others.append(Word(statement, line))
        elif words[:3] == ["bgp", "listen", "range"]:
            bgp.listens.append((Word(words[3] if len(words) > 3 else "", line), words[-1]))
        elif statement == "no bgp default ipv4-unicast":
            bgp.active_by_default = False

    @property
    def _is_ipv4(self) -> bool:
        """Whether what stands here is about IPv4 unicast; outside of an address family FRR takes it for that."""
        return not self._family.startswith("address-family") or self._family.split()[1:] in (
            ["ipv4"],
            ["ipv4", "unicast"],
        )

    def _in_neighbor(self, bgp: Bgp, neighbor: Neighbor, words: list[str], line: int) -> None:
        command, arguments = words[0], words[1:]
        if not self._is_ipv4:
            return
        if command == "route-map" and len(arguments) == 2:
            neighbor.settings[f"route-map {arguments[1]}"] = Word(arguments[0], line)
        elif command == "peer-group" and not arguments:
            bgp.groups.add(neighbor.name)
        elif command == "timers" and len(arguments) == 2 and arguments[0].isdigit():
            neighbor.settings["timers"] = Word(" ".join(arguments), line)
        elif command == "bfd":
            neighbor.settings["bfd"] = Word(arguments[1] if arguments[:1] == ["profile"] else "", line)
        elif command in _SETTINGS:
            neighbor.settings[command] = Word(" ".join(arguments), line)


def _in_entry(entry: Entry, words: list[str], line: int) -> None:
    if words[0] in ("match", "set") and len(words) > 2:
        kept = entry.matches if words[0] == "match" else entry.sets
        # `set community none` and `set metric 100`: the first word says what is set
        named = words[1:-1] if words[0] == "match" else words[1:3] if words[1] in ("ip", "as-path") else words[1:2]
        kept[" ".join(named)] = Word(" ".join(words[1 + len(named) :]), line)
    elif words[0] in ("call", "continue", "on-match"):
        entry.goes_on = Word(" ".join(words), line)


def _add_rule(lists: dict[str, list[Rule]], words: list[str], line: int) -> None:
    rules = lists.setdefault(words[0], []) if words else []
    options = dict(zip(words[1::2], words[2::2], strict=False))
    action = next((word for word in ("permit", "deny") if word in options), None)
    if action is None or len(words) % 2 == 0:
        raise Unreadable("expected `ip prefix-list NAME [seq N] permit|deny PREFIX [ge N] [le N]`", line)
    try:
        network = IPv4Network("0.0.0.0/0" if options[action] == "any" else options[action], strict=False)
    except ValueError as error:
        raise Unreadable(f"`{options[action]}` is not an IPv4 prefix", line) from error
    bounds = {word: options[word] for word in ("seq", "ge", "le") if word in options}
    if not all(text.isdecimal() for text in bounds.values()):
        raise Unreadable("expected numbers after seq, ge and le", line)
    shortest = int(bounds.get("ge", network.prefixlen))
    longest = int(bounds.get("le", 32 if "ge" in bounds or options[action] == "any" else network.prefixlen))
    last = max((rule.sequence for rule in rules), default=0)
    sequence = int(bounds.get("seq", last + 5))
    rules[:] = [rule for rule in rules if rule.sequence != sequence]
    rules.append(Rule(sequence, action == "permit", Prefixes(network, shortest, longest), line))
