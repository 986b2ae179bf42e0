"""What the kernel holds, as `ip` shows it: read without any of the agent's own code."""

from __future__ import annotations

import re
from dataclasses import dataclass

from tests.unit.agent.namespaces import ip

FIRST_OBJECT, LAST_OBJECT = 0x74660000, 0x7466FFFF
_OWN = " proto 111 "


@dataclass(frozen=True, slots=True)
class Key:
    """Where a route stands."""

    table: str
    prefix: str
    metric: int


@dataclass(frozen=True, slots=True)
class Way:
    """Where a route leads: nodes inside VXLAN by address, or a plain next hop; nowhere where there is none."""

    hops: frozenset[str]
    source: str = ""
    mtu: int = 0
    mss: int = 0


@dataclass(frozen=True, slots=True)
class View:
    """A reading of the kernel, the agent's part apart."""

    routes: dict[Key, Way]
    neighbour: bool
    rule: bool
    hops: frozenset[str]
    """Next hops that have an object."""
    idle_groups: int
    """Groups that no route uses."""
    strangers: tuple[str, ...]
    """Everything that is not the agent's, as `ip` says it."""


def look() -> View:
    """Reads everything."""
    commands = (
        "route show table all",
        "nexthop show",
        "rule show",
        "neighbour show nud permanent",
    )
    sections = ip("-4", "-o", "-batch", "-", text="\n".join(f"{one}\nlink show lo" for one in commands))
    parts = re.split(r"^1: lo: .*\n", sections, flags=re.M)
    routes, objects, rules, neighbours = ([line + " " for line in part.splitlines()] for part in parts[: len(commands)])
    own_objects = [line for line in objects if FIRST_OBJECT <= int(line.split()[1]) <= LAST_OBJECT]
    used = set(re.findall(r" nhid (\d+) ", "".join(routes)))
    return View(
        routes=dict(_route(line) for line in routes if _OWN in line),
        neighbour=any("169.254.100.5 dev cilium_vxlan lladdr 02:54:46:64:00:05" in line for line in neighbours),
        rule=any(_OWN in line and re.search("iif ss0 (.detached. )?lookup 11100", line) for line in rules),
        hops=frozenset().union(*map(_hops, own_objects)),
        idle_groups=sum(" group " in line and line.split()[1] not in used for line in own_objects),
        strangers=(
            *(line for line in routes if _OWN not in line and " proto kernel " not in line),
            *(line for line in objects if line not in own_objects),
            *(line for line in rules if _OWN not in line),
            *(line for line in neighbours if "169.254.100.5" not in line),
        ),
    )


def _route(line: str) -> tuple[Key, Way]:
    leads_nowhere = line.startswith("unreachable ")
    prefix = line.removeprefix("unreachable ").split()[0]
    prefix = prefix if "/" in prefix else prefix + "/32"
    key = Key(_word("table", line) or "main", prefix, int(_word("metric", line) or 0))
    if leads_nowhere:
        return key, Way(frozenset())
    numbers = (int(_word(name, line) or 0) for name in ("mtu", "advmss"))
    return key, Way(_hops(line), _word("src", " " + line.partition(_OWN)[2]), *numbers)


def _hops(line: str) -> frozenset[str]:
    inside = frozenset(re.findall(r" encap ip id 2 src 0\.0\.0\.0 dst (\S+) ", line))
    return inside or frozenset(re.findall(r" via (\S+) dev", line))


def _word(name: str, line: str) -> str:
    found = re.search(rf" {name} (\S+) ", line)
    return found[1] if found else ""
