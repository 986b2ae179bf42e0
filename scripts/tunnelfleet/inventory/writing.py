"""YAML written line by line, for files whose comments matter: every value reads back as what it was.

What comes from people (answers, old values) is quoted where plain text would be read as something else, and
what goes into a comment is cut down to one printable line.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import yaml

from tunnelfleet.inventory.fields import ADDRESS_PATTERN, CIDR_PATTERN

SCHEMA_LINE = "# yaml-language-server: $schema=../../schemas/cluster.schema.json"
WIDTH = 118
Scalar = str | int | bool
_PLAIN = re.compile(r"[A-Za-z][A-Za-z0-9./_-]*")
# What YAML 1.1 or 1.2 reads as something else than text, in any case.
_WORDS = frozenset({"null", "true", "false", "yes", "no", "on", "off", "y", "n"})


def scalar(value: Scalar) -> str:
    """A single value, for block and for flow style."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int):
        return str(value)
    if re.fullmatch(ADDRESS_PATTERN, value) or re.fullmatch(CIDR_PATTERN, value):
        return value
    if _PLAIN.fullmatch(value) and value.lower() not in _WORDS:
        return value
    dumper = yaml.CSafeDumper
    quoted: str = yaml.dump(value, Dumper=dumper, default_style='"', width=2**30, allow_unicode=True)
    return quoted.rstrip("\n")


def sequence(values: Iterable[Scalar]) -> str:
    """A list on one line."""
    return f"[{', '.join(scalar(value) for value in values)}]"


def mapping(entries: Mapping[str, Scalar]) -> str:
    """A mapping on one line."""
    return "{" + ", ".join(f"{scalar(key)}: {scalar(value)}" for key, value in entries.items()) + "}"


def one_line(text: str) -> str:
    """Text for a comment: no line breaks, nothing unprintable."""
    return "".join(letter if letter.isprintable() else "?" for letter in " ".join(text.split()))


@dataclass(slots=True)
class Page:
    """A YAML file as it is written; `depth` counts steps of two spaces."""

    lines: list[str] = field(default_factory=list)

    def comment(self, depth: int, text: str) -> None:
        """A comment above what follows, wrapped."""
        indent = "  " * depth + "# "
        self.lines += textwrap.wrap(
            one_line(text), WIDTH, initial_indent=indent, subsequent_indent=indent, break_on_hyphens=False
        )

    def entry(self, depth: int, key: str, value: str = "", remark: str = "", *, first: bool = False) -> None:
        """`key: value  # remark` with a value that is YAML already; `first` starts an item of a list."""
        indent = "  " * (depth - 1) + "- " if first else "  " * depth
        self._line(f"{indent}{key}: {value}".rstrip(), remark)

    def item(self, depth: int, value: str, remark: str = "") -> None:
        """An item of a list, on one line."""
        self._line("  " * depth + f"- {value}", remark)

    def _line(self, text: str, remark: str) -> None:
        self.lines.append(f"{text} # {one_line(remark)}" if remark else text)

    @property
    def text(self) -> str:
        return "\n".join(self.lines) + "\n"


def key_names(remote: str, gateways: Iterable[str]) -> list[str]:
    """Names for the pre-shared keys of a site's tunnels, given the tunnels' gateways, in the same order.

    `site-a` and `site-b`; where a gateway has several tunnels, `site-a1` and `site-a2`.
    """
    names = list(gateways)
    counts: dict[str, int] = {}
    keys = []
    for name in names:
        counts[name] = counts.get(name, 0) + 1
        keys.append(f"{remote}-{name}" + (str(counts[name]) if names.count(name) > 1 else ""))
    return keys


def letters(index: int) -> str:
    """The name of the gateway with this number, from 0: a to z, then aa, ab and so on."""
    name = ""
    number = index + 1
    while number:
        number, letter = divmod(number - 1, 26)
        name = chr(ord("a") + letter) + name
    return name
