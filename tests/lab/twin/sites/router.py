"""BIRD's control socket, asked as birdc asks (doc/reply_codes in BIRD's source): no process for each question."""

from __future__ import annotations

import re
import socket
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from .bgp import LEARNT

_SECONDS = 120
_CODED = re.compile(r"(\d{4})([ -])(.*)")
_ERRORS = ("8", "9")
_ROUTE = re.compile(r"(\d\S+/\d+)?\s+unicast \[(\S+) ")
_ATTRIBUTE = re.compile(r"\s+BGP\.(\w+): (.*)")


class RouterError(Exception):
    """BIRD does not answer, or refuses; says what."""


@dataclass(frozen=True, slots=True)
class Learnt:
    """A route that the cluster announces through one session."""

    prefix: str
    session: str
    path: tuple[int, ...]
    """AS numbers, the nearest first."""
    med: int | None
    communities: frozenset[str]
    """As 65535:0."""


def ask(control: Path, command: str) -> list[str]:
    """The lines of BIRD's answer without their codes. Raises RouterError."""
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.settimeout(_SECONDS)
            connection.connect(str(control))
            with connection.makefile("r", encoding="utf-8", errors="replace", newline="\n") as lines:
                _answer(lines)
                connection.sendall(f"{command}\n".encode())
                return _answer(lines)
    except (OSError, RouterError) as error:
        raise RouterError(f"BIRD, {command}: {error}") from error


def _answer(lines: Iterable[str]) -> list[str]:
    """An answer up to its last line: the first with a code and a space."""
    found = []
    for line in lines:
        coded = _CODED.match(line)
        found.append(coded[3] if coded else line[1:].rstrip("\n"))
        if coded and coded[1].startswith(_ERRORS):
            raise RouterError(coded[3])
        if coded and coded[2] == " ":
            return found
    raise RouterError("no answer")


def sessions(lines: Iterable[str]) -> dict[str, str]:
    """State of the BGP sessions by name, from `show protocols`: Established, Idle, Active, Down ..."""
    found = {}
    for line in lines:
        fields = line.split()
        if len(fields) > 4 and fields[1] == "BGP":
            found[fields[0]] = fields[5] if len(fields) > 5 else "Down"
    return found


def bfd_sessions(lines: Iterable[str]) -> dict[str, str]:
    """State of the BFD sessions by interface, from `show bfd sessions`: Up, Down, Init."""
    rows = (line.split() for line in lines)
    return {row[1]: row[2] for row in rows if len(row) >= 6 and row[0][0].isdigit()}


def learnt(lines: Iterable[str]) -> Iterator[Learnt]:
    """The routes of `show route table learnt all`."""
    prefix, session = "", ""
    attributes: dict[str, str] = {}
    for line in lines:
        route = _ROUTE.match(line)
        attribute = _ATTRIBUTE.match(line)
        if route:
            if session:
                yield _learnt(prefix, session, attributes)
            prefix, session, attributes = route[1] or prefix, route[2], {}
        elif attribute:
            attributes[attribute[1]] = attribute[2].strip()
    if session:
        yield _learnt(prefix, session, attributes)


LIST_LEARNT = f"show route table {LEARNT} all"


def _learnt(prefix: str, session: str, attributes: dict[str, str]) -> Learnt:
    communities = re.findall(r"\((\d+),(\d+)\)", attributes.get("community", ""))
    return Learnt(
        prefix=prefix,
        session=session,
        path=tuple(map(int, re.findall(r"\d+", attributes.get("as_path", "")))),
        med=int(attributes["med"]) if "med" in attributes else None,
        communities=frozenset(f"{high}:{low}" for high, low in communities),
    )
