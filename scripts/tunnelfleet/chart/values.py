"""The Helm chart's values as the chart understood them: every value as text with its place, defaults filled in."""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tunnelfleet.chart.notes import NoteKind, Notes
from tunnelfleet.findings import Finding, Location
from tunnelfleet.inventory.document import Document, YamlPath, parse, read
from tunnelfleet.inventory.fields import shown

# The chart's own values.yaml: what counted where a user's file left a key out.
DEFAULT_INTERFACE = "ens3"
DEFAULT_LOCAL = (("10.234.0.0/16", "pod CIDR"), ("172.27.48.0/20", "node CIDR"), ("10.233.0.0/16", "service CIDR"))
DEFAULT_LOCAL_ASN, DEFAULT_PEER_ASN, DEFAULT_INTERNAL_ASN = "65010", "64512", "65020"
SAMPLE_PEERS = frozenset({"34.34.34.34", "34.34.34.35"})
SAMPLE_NODE = "np-aaaaaaaa-"

_NAMES = "the names are fixed: ipsec-tunnel-<gateway>, ipsec-routes-<gateway> and ipsec-routes-nodes"
_IMAGE = "there is one image, pinned by digest in base/image"
# YAML 1.1, chapter 4.2: what the parser counts as the end of a line.
_LINE_BREAK = re.compile("\r\n|[\r\n\x85\u2028\u2029]")
DROPPED: dict[tuple[str, ...], str] = {
    ("nameOverride",): _NAMES,
    ("fullnameOverride",): _NAMES,
    ("imagePullPolicy",): "an image pinned by digest needs no pull policy",
    ("strongswan", "image"): _IMAGE,
    ("ipsecRoutes", "image"): f"the chart never read it; {_IMAGE}",
    ("bgp", "frrImage"): _IMAGE,
    ("bgp", "enabled"): "BGP always runs: without it there are no routes",
    ("bgp", "internalClients"): "the reflectors take every address in networks.nodes, and a password, as the client",
}
"""Keys of the chart that cluster.yaml has no place for, with the reason."""
_TUNNEL_KEYS = ("publicIP", "internalIP", "nodeName", "localTunnelIP", "peerTunnelIP", "psk")
_KNOWN: dict[str, tuple[str, ...]] = {
    "": ("networkInterface", "localCidrs", "tunnels", *(path[0] for path in DROPPED if len(path) == 1)),
    "bgp": (
        "localASN",
        "peerASN",
        "internalASN",
        "advertiseCidrs",
        *(path[1] for path in DROPPED if path[0] == "bgp" and len(path) == 2),
    ),
    "strongswan": ("image",),
    "ipsecRoutes": ("image",),
    "tunnels": _TUNNEL_KEYS,
}
"""The chart's keys by the section that they stand in."""


@dataclass(frozen=True, slots=True)
class Value:
    """A value as text, None where there is none, with its place and the comment behind it.

    `given` is false where the values have none, and the text is the chart's default.
    """

    text: str | None
    location: Location
    remark: str = ""
    given: bool = True


@dataclass(frozen=True, slots=True)
class ChartTunnel:
    """One item of `tunnels`; `peer_address` is what the chart called publicIP."""

    peer_address: Value
    internal_ip: Value
    node: Value
    inside_local: Value
    inside_peer: Value
    location: Location
    key: Value = field(repr=False)


@dataclass(frozen=True, slots=True)
class ChartValues:
    """All that the chart could express and that still has a place."""

    location: Location
    interface: Value
    local: tuple[Value, ...]
    advertised: tuple[Value, ...]
    local_asn: Value
    peer_asn: Value
    internal_asn: Value
    tunnels: tuple[ChartTunnel, ...]


def open_values(path: Path) -> tuple[Document | None, list[Finding]]:
    """The file wherever it is, None where it cannot be used, and what is wrong with it; links are followed."""
    target = Path(os.path.realpath(path))
    document, findings = read(target.parent, target)
    return parse(str(path), document.text) if document is not None else (None, findings)


def is_chart(document: Document) -> bool:
    """Whether this can be the chart's values at all: a mapping with one of its main keys."""
    main = {"localCidrs", "tunnels", "bgp"}
    return isinstance(document.data, dict) and not main.isdisjoint(document.data)


def read_values(document: Document, notes: Notes) -> ChartValues:
    """The values; what cannot be used or has no place any more is noted."""
    reader = _Reader(document, notes)
    reader.note_ignored()
    local = tuple(reader.texts(("localCidrs",)))
    if reader.at(("localCidrs",)) is None:
        where = reader.place(("localCidrs",))
        local = tuple(Value(text, where, remark, given=False) for text, remark in DEFAULT_LOCAL)
        message = "localCidrs is missing, so the ranges in the chart's own values.yaml counted"
        notes.add(NoteKind.UNKNOWN, where, message, "compare the ranges in cluster.yaml with the cluster's")
    return ChartValues(
        location=document.locate(()),
        interface=reader.text(("networkInterface",), DEFAULT_INTERFACE),
        local=local,
        advertised=tuple(reader.texts(("bgp", "advertiseCidrs"))),
        local_asn=reader.text(("bgp", "localASN"), DEFAULT_LOCAL_ASN),
        peer_asn=reader.text(("bgp", "peerASN"), DEFAULT_PEER_ASN),
        internal_asn=reader.text(("bgp", "internalASN"), DEFAULT_INTERNAL_ASN),
        tunnels=tuple(reader.tunnels()),
    )


class _Reader:
    def __init__(self, document: Document, notes: Notes) -> None:
        self.document = document
        self.notes = notes
        self.lines = _LINE_BREAK.split(document.text)

    def place(self, path: YamlPath) -> Location:
        return self.document.locate_key(path)

    def at(self, path: YamlPath) -> Any:
        """The data at `path`, None where it is not there or a parent is no mapping."""
        data = self.document.data
        for part in path:
            if isinstance(part, int):
                data = data[part]
            elif isinstance(data, dict):
                data = data.get(part)
            else:
                return None
        return data

    def text(self, path: YamlPath, default: str | None = None, secret: bool = False) -> Value:
        """A single value as it stands in the file."""
        data = self.at(path)
        if data is None:
            return Value(default, self.place(path), given=False)
        location = self.document.locate(path)
        if isinstance(data, (dict, list)):
            found = "something else" if secret else shown(data)
            self.notes.add(NoteKind.WRONG, location, f"{path[-1]}: expected one value, found {found}")
            return Value(default, location, given=False)
        return Value(self._source(data, location), location, self._remark(location))

    def texts(self, path: YamlPath) -> Iterator[Value]:
        """The single values in a list."""
        for index in self._indexes(path):
            value = self.text((*path, index))
            if value.text is not None:
                yield value

    def tunnels(self) -> Iterator[ChartTunnel]:
        for index in self._indexes(("tunnels",)):
            path: YamlPath = ("tunnels", index)
            data = self.at(path)
            if not isinstance(data, dict):
                message = f"tunnels[{index}]: expected a mapping, found {shown(data)}"
                self.notes.add(NoteKind.WRONG, self.document.locate(path), message, "it is left out")
                continue
            yield ChartTunnel(
                peer_address=self.text((*path, "publicIP")),
                internal_ip=self.text((*path, "internalIP")),
                node=self.text((*path, "nodeName")),
                inside_local=self.text((*path, "localTunnelIP")),
                inside_peer=self.text((*path, "peerTunnelIP")),
                location=self.document.locate(path),
                key=self.text((*path, "psk"), secret=True),
            )

    def note_ignored(self) -> None:
        """Notes every key that has no place in cluster.yaml."""
        for section, known in _KNOWN.items():
            for path in self._sections(section):
                for key in self.at(path):
                    self._note_key((*path, key), known)

    def _sections(self, section: str) -> Iterator[YamlPath]:
        if section == "tunnels":
            yield from (("tunnels", i) for i in self._indexes(("tunnels",), quietly=True) if self._is_tunnel(i))
            return
        path: YamlPath = (section,) if section else ()
        data = self.at(path)
        if isinstance(data, dict):
            yield path
        elif data is not None:
            message = f"{section}: expected a mapping, found {shown(data)}"
            self.notes.add(NoteKind.WRONG, self.document.locate(path), message, "it is left out")

    def _is_tunnel(self, index: int) -> bool:
        return isinstance(self.at(("tunnels", index)), dict)

    def _note_key(self, path: YamlPath, known: tuple[str, ...]) -> None:
        key = str(path[-1])
        reason = DROPPED.get(tuple(str(part) for part in path))
        if reason is not None:
            message = f"{'.'.join(map(str, path))} has no place in cluster.yaml"
            self.notes.add(NoteKind.DROPPED, self.place(path), message, reason)
        elif key not in known and not (len(path) == 1 and key in _KNOWN):
            close = difflib.get_close_matches(key, known, n=1)
            message = f"unknown key {shown(key)}: the chart does not read it"
            hint = f"did you mean `{close[0]}`? Mend it and import again" if close else "it is left out"
            self.notes.add(NoteKind.DROPPED, self.place(path), message, hint)

    def _indexes(self, path: YamlPath, quietly: bool = False) -> range:
        data = self.at(path)
        if isinstance(data, list):
            return range(len(data))
        if data is not None and not quietly:
            message = f"{'.'.join(map(str, path))}: expected a list, found {shown(data)}"
            self.notes.add(NoteKind.WRONG, self.document.locate(path), message, "it is left out")
        return range(0)

    def _source(self, data: Any, location: Location) -> str:
        """A number as it is written, since 1.10 is not 1.1; text as it reads."""
        if isinstance(data, str):
            return data
        return self._line(location)[location.column - 1 : location.end_column - 1] or str(data)

    def _remark(self, location: Location) -> str:
        """The comment behind a value on the same line."""
        if not location.end_column:
            return ""
        behind = self._line(location)[location.end_column - 1 :]
        found = re.fullmatch(r"\s+#\s*(.*?)\s*", behind)
        return found.group(1) if found else ""

    def _line(self, location: Location) -> str:
        return self.lines[location.line - 1] if location.line <= len(self.lines) else ""
