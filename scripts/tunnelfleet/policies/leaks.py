"""How a secret in plain text looks: by its shape, by the key it stands under, by the object it is part of."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import yaml

from tunnelfleet.inventory.secrets import SOPS_VALUE

ALLOWED = "not-a-secret"
"""What a line must say, in a comment with the reason, to be passed over."""


@dataclass(frozen=True, slots=True)
class Leak:
    """A secret in plain text: what it is and where it stands, from 1."""

    what: str
    line: int
    column: int


@dataclass(frozen=True, slots=True)
class _Shape:
    """What a line of files with these endings must match; no endings: of all files."""

    what: str
    pattern: re.Pattern[bytes]
    endings: tuple[str, ...] = ()


_MANIFESTS = (".yaml", ".yml", ".json")
_ROUTERS = (".conf", ".j2")
# A value that could be a secret: not empty, not encrypted, not a reference, a template or a mapping.
_VALUE = rb"""["']?(?!ENC\[|(?:null|true|false)\b|[{\[<$*&|>#%!])[^\s"'#,}]{4,}"""
_SHAPES = (
    _Shape("an age private key", re.compile(rb"AGE-SECRET-KEY-(?:PQ-)?1[0-9A-Z]{20,}")),
    _Shape("a private key", re.compile(rb"-----BEGIN (?:[A-Z0-9]+ )*PRIVATE KEY(?: BLOCK)?-----")),
    _Shape("a cloud access key", re.compile(rb"\b(?:AKIA|ASIA)[A-Z0-9]{16}\b")),
    _Shape(
        "a pre-shared key",
        re.compile(rb"""^[\s-]*["']?(?:psk|pre-?shared-?key|shared-?secret)["']?\s*[:=]\s*""" + _VALUE, re.I),
        _MANIFESTS,
    ),
    _Shape(
        "a password",
        re.compile(rb"""^[\s-]*["']?pass(?:word|phrase)["']?\s*[:=]\s*""" + _VALUE, re.I),
        _MANIFESTS,
    ),
    _Shape("a secret of swanctl.conf", re.compile(rb"""^\s*secret\s*=\s*(?!\{\{)\S+"""), _ROUTERS),
    _Shape(
        "a password of frr.conf",
        re.compile(rb"^\s*(?:neighbor\s+\S+\s+|enable\s+)?password\s+(?!\{\{)\S+"),
        _ROUTERS,
    ),
)
# One cheap search decides for nearly every file that it needs no second look.
_SUSPICIOUS = re.compile(rb"AGE-SECRET-KEY|PRIVATE KEY|AKIA|ASIA|psk|shared|secret|pass(?:word|phrase)", re.I)
_SECRET_KIND = re.compile(rb"""["']?kind["']?\s*:\s*["']?Secret\b|secretGenerator""")


def leaks(path: str, content: bytes) -> Iterator[Leak]:
    """The secrets in plain text of one file."""
    if not _SUSPICIOUS.search(content) or b"\0" in content:
        return
    shapes = [shape for shape in _SHAPES if not shape.endings or path.endswith(shape.endings)]
    allowed = ALLOWED.encode()
    for number, line in enumerate(content.split(b"\n"), 1):
        if allowed in line or not _SUSPICIOUS.search(line):
            continue
        for shape in shapes:
            found = shape.pattern.search(line)
            if found:
                start = len(found[0]) - len(found[0].lstrip())
                yield Leak(shape.what, number, found.start() + start + 1)
                break
    if path.endswith(_MANIFESTS) and _SECRET_KIND.search(content):
        lines = content.decode("utf-8", "replace").split("\n")
        for leak in _in_objects(content):
            if ALLOWED not in lines[leak.line - 1]:
                yield leak


def _in_objects(content: bytes) -> Iterator[Leak]:
    try:
        roots = list(yaml.compose_all(content, Loader=yaml.CSafeLoader))
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError):
        return
    pending: list[Any] = [root for root in roots if root is not None]
    seen: set[int] = set()
    while pending:
        node = pending.pop()
        if id(node) in seen:
            continue
        seen.add(id(node))
        if isinstance(node, yaml.SequenceNode):
            pending += node.value
        elif isinstance(node, yaml.MappingNode):
            pending += [value for _, value in node.value]
            yield from _in_mapping(node)


def _in_mapping(node: yaml.MappingNode) -> Iterator[Leak]:
    entries = {key.value: value for key, value in node.value if isinstance(key, yaml.ScalarNode)}
    kind = entries.get("kind")
    if isinstance(kind, yaml.ScalarNode) and kind.value == "Secret":
        for section in ("data", "stringData"):
            values = entries.get(section)
            for key, value in values.value if isinstance(values, yaml.MappingNode) else []:
                if not isinstance(value, yaml.ScalarNode) or (
                    value.value and not value.value.startswith(SOPS_VALUE)
                ):
                    yield _leak(f"the value of `{key.value}` of a Secret", value)
    generators = entries.get("secretGenerator")
    for generator in generators.value if isinstance(generators, yaml.SequenceNode) else []:
        for key, value in generator.value if isinstance(generator, yaml.MappingNode) else []:
            if key.value == "literals" and value.value:
                yield _leak("a literal of a secretGenerator", value)


def _leak(what: str, node: yaml.Node) -> Leak:
    return Leak(what, node.start_mark.line + 1, node.start_mark.column + 1)
