"""How a secret in plain text looks: by its shape, by the key it stands under, by the object it is part of."""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import yaml

from tunnelfleet.inventory.secrets import SOPS_VALUE

ALLOWED = "not-a-secret"
"""What a line must say, in a comment with the reason, to be passed over."""


@dataclass(frozen=True, slots=True, order=True)
class Leak:
    """A secret in plain text: where it stands, from 1, and what it is."""

    line: int
    column: int
    what: str
    by_name: bool = False
    """Whether only the name that it stands under says so."""


_MANIFESTS = (".yaml", ".yml", ".json")
_SETTINGS = (*_MANIFESTS, ".env", ".envrc", ".ini", ".toml", ".properties", ".tfvars", ".tfstate", ".sh")
_TERRAFORM = (".tf", ".hcl")
_ROUTERS = (".conf", ".cfg", ".secrets", ".j2", ".tmpl", ".tpl")

# All patterns begin with literal text where they can: it is found ten times as fast.
_SHAPES = (
    ("an age private key", rb"AGE-SECRET-KEY-(?:PQ-)?1[0-9A-Z]{20,}"),
    ("a private key", rb"-----BEGIN (?:[A-Z0-9]+ )*PRIVATE KEY(?: BLOCK)?-----"),
    ("a private key", rb"client-key-data\"?:\s*\"?[A-Za-z0-9+/=]{40,}"),
    ("a private key", rb"PrivateKey\s*=\s*[A-Za-z0-9+/]{43}="),
    ("a cloud access key", rb"AKIA[A-Z0-9]{16}\b"),
    ("a cloud access key", rb"ASIA[A-Z0-9]{16}\b"),
    ("a cloud API key", rb"AIza[0-9A-Za-z_-]{35}\b"),
    ("a cloud account key", rb"AccountKey=[A-Za-z0-9+/]{86}=="),
    ("an access token", rb"gh[opsur]_[A-Za-z0-9]{36}"),
    ("an access token", rb"github_pat_[A-Za-z0-9_]{40}"),
    ("an access token", rb"glpat-[A-Za-z0-9_-]{20}"),
    ("an access token", rb"xox[abprs]-[A-Za-z0-9-]{10}"),
    ("an access token", rb"hvs\.[A-Za-z0-9_-]{24}"),
    ("an access token", rb"eyJ[A-Za-z0-9_-]{10,}\.eyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{10,}"),
)
# in YAML a plain value ends at a comment or, within braces, at a comma; a block begins on the next line
_VALUE = (
    rb"(?:\"(?P<double>[^\"\n]*)\"|'(?P<single>[^'\n]*)'|[|>][-+0-9]*[ \t]*\n[ \t]+(?P<block>\S[^\n]*)"
    rb"|(?P<plain>[^\s\"'#,}\]][^#,}\n]*))"
)
_IN_ROUTERS = (
    ("a secret of swanctl.conf", rb"^[ \t]*(?P<at>)secret\w*[ \t]*=[ \t]*"),
    ("a secret of ipsec.secrets", rb"^[^#\n]*:[ \t]*(?P<at>)PSK[ \t]+"),
    (
        "a password of frr.conf",
        rb"^[ \t]*(?P<at>)(?:neighbor[ \t]+\S+[ \t]+|enable[ \t]+)?(?:password|key-string)[ \t]+(?:8[ \t]+)?",
    ),
)
# What names of secrets end with, in lower case.
_NAMED = (
    rb"passw(?:or)?d",
    rb"passphrase",
    rb"psk",
    rb"pre[-_.]?shared[-_.]?key",
    rb"shared[-_.]?secret",
    rb"client[-_.]?secret",
    rb"secret[-_.]?access[-_.]?key",
    rb"api[-_.]?(?:key|token)",
    rb"auth[-_.]?token",
    rb"access[-_.]?token",
    rb"bearer[-_.]?token",
)
_KEYS = [(what, re.compile(pattern)) for what, pattern in _SHAPES]
_STATEMENTS = [(what, re.compile(pattern + _VALUE, re.M)) for what, pattern in _IN_ROUTERS]
_NAMES = [re.compile(each + rb"[\"']?(?:[ \t]*[:=]|(?P<apart>,?\s*[\"']?value[\"']?:))[ \t]*") for each in _NAMED]
_VALUE_HERE = re.compile(_VALUE)
# How the line goes on to the left of a name: as a key, or as the name in a list of environment variables.
_BEFORE = re.compile(rb"(?P<comment>[ \t#-]*|.*[{,][ \t]*)[\"']?(?:export )?(?P<name>[\w.-]*)")
_BEFORE_APART = re.compile(rb"(?P<comment>).*name[\"']?:[ \t]*[\"']?(?P<name>[\w.-]*)")
# No secret but what stands for one: SOPS, Sealed Secrets, a template, a vault or a shell puts it in later.
_REFERENCE = re.compile(
    rb"ENC\[|Ag[A-Za-z0-9+/=]{200,}|\$|\{|<|\*|&|!|%|\[|`|\(|(?:null|true|false|yes|no|none|string)\Z", re.I
)
_PLACEHOLDER = re.compile(rb"redacted|placeholder|(?:your|my)[-_ ]|(.)\1*\Z", re.I)
_SHORTEST = 4
_LONGEST_LINE = 4096
"""Where more stands to the left of a name, the file was not written by hand, and no pattern is worth the time."""
_SECRET_KIND = re.compile(rb"""kind["']?\s*:\s*["']?Secret\b|secretGenerator|^["']?sops["']?\s*:""", re.M)
# What of a Secret is no secret; everything else in a file with a `sops` section is meant to be encrypted.
_OPEN = frozenset({"apiVersion", "kind", "metadata", "type", "immutable", "sops"})
# With these SOPS leaves part of a file as it is, on purpose.
_PARTIAL = frozenset({"encrypted_regex", "unencrypted_regex", "encrypted_suffix", "encrypted_comment_regex"})
_MARKS = {codecs.BOM_UTF16_LE: "utf-16", codecs.BOM_UTF16_BE: "utf-16", codecs.BOM_UTF8: "utf-8-sig"}


def leaks(path: str, content: bytes) -> list[Leak]:
    """The secrets in plain text of one file, in the order of their places, one of each line."""
    content = _as_utf8(content)
    if b"\0" in content:
        return []
    found = [_at(content, match.start(), what) for what, pattern in _KEYS for match in pattern.finditer(content)]
    if path.endswith(_SETTINGS + _TERRAFORM):
        found += _by_name(path, content)
    if path.endswith(_ROUTERS):
        found += [
            _at(content, match.start("at"), what)
            for what, pattern in _STATEMENTS
            for match in pattern.finditer(content)
            if _is_secret(match)
        ]
    if path.endswith(_MANIFESTS) and (b"ecret" in content or b"sops" in content):
        found += _in_objects(content) if _SECRET_KIND.search(content) else ()
    lines = content.split(b"\n") if found else []
    first: dict[int, Leak] = {}
    for leak in sorted(found):
        if ALLOWED.encode() not in lines[leak.line - 1]:
            first.setdefault(leak.line, leak)
    return list(first.values())


def _as_utf8(content: bytes) -> bytes:
    """Text that says by its first bytes how it is encoded, as UTF-8."""
    for mark, encoding in _MARKS.items():
        if content.startswith(mark):
            return content.decode(encoding, "replace").encode()
    return content


def _at(content: bytes, start: int, what: str, by_name: bool = False) -> Leak:
    before = content.rfind(b"\n", 0, start) + 1
    column = len(content[before:start].decode("utf-8", "replace")) + 1
    return Leak(content.count(b"\n", 0, start) + 1, column, what, by_name)


def _by_name(path: str, content: bytes) -> Iterator[Leak]:
    """Values that stand under a name which says that they are secret."""
    lowered = content.lower()
    for pattern in _NAMES:
        for match in pattern.finditer(lowered):
            line = content.rfind(b"\n", 0, match.start()) + 1
            if match.start() - line > _LONGEST_LINE:
                continue
            before = (_BEFORE_APART if match["apart"] else _BEFORE).fullmatch(content[line : match.start()])
            value = _VALUE_HERE.match(content, match.end())
            if before is None or value is None or not _is_secret(value, in_comment=b"#" in before["comment"]):
                continue
            if path.endswith(_TERRAFORM) and value["double"] is None:
                # without quotes it names another value
                continue
            start = line + before.start("name")
            name = content[start : match.end()].split(b"\n")[0]
            shown = re.match(rb"[\w.-]*", name)
            what = f"`{shown[0].decode()}`" if shown else "a secret"
            yield _at(content, start, what, by_name=True)


def _is_secret(match: re.Match[bytes], in_comment: bool = False) -> bool:
    """Whether the value that was matched is one, and not a reference, a placeholder or prose."""
    given = (match[style] for style in ("double", "single", "block", "plain"))
    value = next((each for each in given if each is not None), b"").strip()
    if in_comment and b" " in value:
        return False
    return len(value) >= _SHORTEST and not _REFERENCE.match(value) and not _PLACEHOLDER.match(value)


def _in_objects(content: bytes) -> Iterator[Leak]:
    pending: list[Any] = []
    try:
        for root in yaml.compose_all(content, Loader=yaml.CSafeLoader):
            pending.append(root)
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError):
        # what came before the mistake still counts
        pass
    for node in _nodes(pending):
        if isinstance(node, yaml.MappingNode):
            yield from _in_mapping(node)


def _nodes(roots: list[Any]) -> Iterator[yaml.Node]:
    """The nodes below these, each once: an alias may lead back to what it stands in."""
    pending, seen = list(roots), set()
    while pending:
        node = pending.pop()
        if node is None or id(node) in seen:
            continue
        seen.add(id(node))
        yield node
        if isinstance(node, yaml.SequenceNode):
            pending += node.value
        elif isinstance(node, yaml.MappingNode):
            pending += [value for _, value in node.value]


def _entries(node: Any) -> dict[str, yaml.Node]:
    pairs = node.value if isinstance(node, yaml.MappingNode) else []
    return {key.value: value for key, value in pairs if isinstance(key, yaml.ScalarNode)}


def _in_mapping(node: yaml.MappingNode) -> Iterator[Leak]:
    entries = _entries(node)
    kind = entries.get("kind")
    is_secret = isinstance(kind, yaml.ScalarNode) and kind.value == "Secret"
    for section in ("data", "stringData") if is_secret else ():
        for key, value in _entries(entries.get(section)).items():
            if not isinstance(value, yaml.ScalarNode) or not _is_kept(value.value):
                yield _leak(f"`{key}` of a Secret", value)
    rules = _entries(entries.get("sops"))
    if rules and (is_secret or (kind is None and rules.keys().isdisjoint(_PARTIAL))):
        # SOPS encrypts what its rule names: a misspelt `stringData` stays as it was written.
        for key in entries.keys() - _OPEN:
            for each in _nodes([entries[key]]):
                if isinstance(each, yaml.ScalarNode) and not _is_kept(each.value):
                    yield _leak(f"what stands under `{key}` of a file of SOPS", each)
    generators = entries.get("secretGenerator")
    for generator in generators.value if isinstance(generators, yaml.SequenceNode) else []:
        if (literals := _entries(generator).get("literals")) and literals.value:
            yield _leak("a literal of a secretGenerator", literals)


def _is_kept(value: str) -> bool:
    """Whether an entry of a Secret is empty, encrypted, or what Flux, Helm or a vault replaces."""
    return not value or value.startswith((SOPS_VALUE, "${", "{{", "<"))


def _leak(what: str, node: yaml.Node) -> Leak:
    return Leak(node.start_mark.line + 1, node.start_mark.column + 1, what)
