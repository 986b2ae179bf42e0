"""A YAML file read once: plain data, and where in the file each part of it stands.

The file is untrusted. It is refused, with a finding and never an exception, when it is not a regular file
inside the tree, too large, not UTF-8, not YAML, more than one document, nested too deeply, or when it uses what
an inventory has no need of: anchors and aliases, tags, merge keys, keys that are not text, the same key twice.
Plain scalars are resolved by the core schema of YAML 1.2 (chapter 10.3), so `no` and `12:30` are text.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from stat import S_ISREG
from typing import Any, NamedTuple

import yaml

from tunnelfleet.findings import Finding, Location, Severity

READING = "inventory-valid"
MAXIMUM_BYTES = 1024 * 1024
MAXIMUM_DEPTH = 32

YamlPath = tuple[str | int, ...]

_NULL = frozenset({"", "~", "null", "Null", "NULL"})
_BOOLEANS = {text: text[0] in "tT" for text in ("true", "True", "TRUE", "false", "False", "FALSE")}
_INTEGER = re.compile(r"[-+]?(0|[1-9][0-9]{0,18})")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|(0|[1-9][0-9]*)(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
# What YAML does not allow (version 1.2, section 5.1).
_STRAY = re.compile(r"[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010ffff]")
_STRING_TAG = "tag:yaml.org,2002:str"


@dataclass(slots=True)
class Document:
    """A file's data with the place of every value and of every key, by path from the root."""

    file: str
    text: str
    data: Any = None
    values: dict[YamlPath, Location] = field(default_factory=dict)
    keys: dict[YamlPath, Location] = field(default_factory=dict)

    def locate(self, path: YamlPath) -> Location:
        """Where the value at `path` stands; for a path that is not there, where the nearest parent does."""
        while path not in self.values and path:
            path = path[:-1]
        return self.values.get(path, Location(self.file))

    def locate_key(self, path: YamlPath) -> Location:
        """Where the key at `path` stands; the value's place for an item of a list."""
        return self.keys.get(path) or self.locate(path)


class _Refused(Exception):
    """The document cannot be used as a whole: what is wrong, where, and what to do."""

    def __init__(self, message: str, hint: str, mark: Any = None) -> None:
        super().__init__(message)
        self.message, self.hint = message, hint
        self.line: int = mark.line + 1 if mark else 1
        self.column: int = mark.column + 1 if mark else 1


class _Mark(NamedTuple):
    """A place as the parser's own marks have it: counted from 0."""

    line: int
    column: int

    @classmethod
    def after(cls, text: str) -> _Mark:
        """Where the text that follows `text` starts."""
        return cls(text.count("\n"), len(text) - text.rfind("\n") - 1)


def read(root: Path, path: Path) -> tuple[Document | None, list[Finding]]:
    """The document in `path`, None where nothing of it can be used, and what was found wrong with it."""
    file = path.relative_to(root).as_posix()
    try:
        text = _read_text(root, path)
    except _Refused as refused:
        return None, [_finding(file, refused)]
    return parse(file, text)


def parse(file: str, text: str) -> tuple[Document | None, list[Finding]]:
    """The same for text that is already there; `file` is the name that findings carry."""
    document = Document(file, text)
    findings: list[Finding] = []
    try:
        _Builder(document, findings).build(text)
    except _Refused as refused:
        return None, [*findings, _finding(file, refused)]
    return document, findings


def _finding(file: str, refused: _Refused) -> Finding:
    location = Location(file, refused.line, refused.column)
    return Finding(READING, Severity.ERROR, None, location, refused.message, refused.hint)


def _read_text(root: Path, path: Path) -> str:
    try:
        if not path.resolve().is_relative_to(root.resolve()):
            raise _Refused(
                "a symbolic link that leads out of the repository",
                "replace the link with the file itself",
            )
        status = path.stat()
        if not S_ISREG(status.st_mode):
            raise _Refused("not a regular file", "write the inventory as a plain YAML file")
        if status.st_size > MAXIMUM_BYTES:
            raise _Refused(
                f"the file is {status.st_size:,} bytes long, at most {MAXIMUM_BYTES:,} are read",
                "an inventory is a few kilobytes: check what was written here",
            )
        return path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise _Refused(
            f"not UTF-8 text: byte 0x{error.object[error.start]:02x} at offset {error.start}",
            "save the file as UTF-8",
            _Mark.after(error.object[: error.start].decode("utf-8")),
        ) from error
    except (OSError, RuntimeError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else "the path is a loop of links"
        raise _Refused(
            f"the file cannot be read: {reason}",
            "check the path, its links and its permissions",
        ) from error


def _resolve(value: str, plain: bool) -> Any:
    if not plain:
        return value
    if value in _NULL:
        return None
    if value in _BOOLEANS:
        return _BOOLEANS[value]
    if _INTEGER.fullmatch(value):
        return int(value)
    if _FLOAT.fullmatch(value):
        return float(value)
    return value


@dataclass(slots=True)
class _Frame:
    """A collection that is being read; in a mapping, `key` is the one whose value comes next."""

    container: Any
    path: YamlPath
    key: str | None = None
    repeats: int = 0

    @property
    def wants_key(self) -> bool:
        return isinstance(self.container, dict) and self.key is None

    def place(self, value: Any) -> YamlPath:
        """Puts a value where it belongs and says where that is; of two equal keys the first counts."""
        if self.key is None:
            self.container.append(value)
            return (*self.path, len(self.container) - 1)
        if self.repeats:
            return (*self.path, self.key, -self.repeats)
        self.container[self.key] = value
        return (*self.path, self.key)


class _Builder:
    """Builds plain data from the parser's events, without recursion."""

    def __init__(self, document: Document, findings: list[Finding]) -> None:
        self.document = document
        self.findings = findings
        self.repeats = 0

    def build(self, text: str) -> None:
        stray = _STRAY.search(text)
        if stray is not None:
            raise _Refused(
                f"the character U+{ord(stray[0]):04X}, which does not belong into a text file",
                "remove it; if there are more of them, write the file anew as YAML",
                _Mark.after(text[: stray.start()]),
            )
        try:
            self._consume(_events(text))
        except yaml.MarkedYAMLError as error:
            raise _syntax_error(error, text) from error
        except yaml.YAMLError as error:
            raise _Refused(f"not YAML: {error}", "mend the syntax") from error

    def _consume(self, events: Iterator[yaml.Event]) -> None:
        stack: list[_Frame] = []
        documents = 0
        for event in events:
            if isinstance(event, yaml.DocumentStartEvent):
                documents += 1
                if documents > 1:
                    raise _Refused(
                        "a second YAML document",
                        "keep one cluster in one file",
                        event.start_mark,
                    )
            elif isinstance(event, yaml.AliasEvent):
                hint = "write the value out: an inventory has no aliases"
                raise _Refused(f"an alias (*{event.anchor})", hint, event.start_mark)
            elif isinstance(event, (yaml.MappingEndEvent, yaml.SequenceEndEvent)):
                stack.pop()
                if stack:
                    stack[-1].key = None
            elif isinstance(event, yaml.NodeEvent):
                self._node(event, stack)
        if not documents or self.document.data is None:
            raise _Refused("the file is empty", "start with `tunnelfleet new NAME`")

    def _node(self, event: Any, stack: list[_Frame]) -> None:
        scalar = isinstance(event, yaml.ScalarEvent)
        if event.anchor is not None:
            hint = "write the value out: an inventory has no anchors"
            raise _Refused(f"an anchor (&{event.anchor})", hint, event.start_mark)
        if event.tag not in (None, "!") and not (scalar and event.tag == _STRING_TAG):
            raise _Refused(f"a tag ({event.tag})", "leave the tag out", event.start_mark)
        frame = stack[-1] if stack else None
        if frame is not None and frame.wants_key:
            self._key(event, frame)
            return
        if scalar:
            value: Any = _resolve(event.value, event.implicit[0])
        else:
            value = {} if isinstance(event, yaml.MappingStartEvent) else []
        path: YamlPath = ()
        if frame is None:
            self.document.data = value
        else:
            path = frame.place(value)
        self.document.values.setdefault(path, self._location(event, scalar))
        if not scalar:
            if len(stack) >= MAXIMUM_DEPTH:
                hint = "an inventory is seven levels deep"
                raise _Refused(
                    f"nested more than {MAXIMUM_DEPTH} levels deep",
                    hint,
                    event.start_mark,
                )
            stack.append(_Frame(value, path))
        elif frame is not None:
            frame.key = None

    def _key(self, event: Any, frame: _Frame) -> None:
        if not isinstance(event, yaml.ScalarEvent):
            raise _Refused(
                "a key that is not plain text",
                "use a plain word as the key",
                event.start_mark,
            )
        if event.value == "<<" and event.implicit[0]:
            raise _Refused(
                "a merge key (<<)",
                "write the keys out: an inventory merges nothing",
                event.start_mark,
            )
        key: str = event.value
        location = self._location(event, True)
        first = self.document.keys.setdefault((*frame.path, key), location)
        frame.key, frame.repeats = key, 0
        if first is not location:
            self.repeats += 1
            # a place of its own, so that what it holds does not repeat what another repeat holds
            frame.repeats = self.repeats
            message = f"the key `{key}` stands twice; the first is at {first}"
            self.findings.append(
                Finding(
                    READING,
                    Severity.ERROR,
                    None,
                    location,
                    message,
                    "remove one of the two",
                    (first,),
                )
            )

    def _location(self, event: Any, scalar: bool) -> Location:
        start, end = event.start_mark, event.end_mark
        end_column = end.column + 1 if scalar and end.line == start.line else 0
        return Location(self.document.file, start.line + 1, start.column + 1, end_column)


def _events(text: str) -> Iterator[yaml.Event]:
    # The C parser gives marks that count characters; it needs no loader class's constructor.
    loader = yaml.CSafeLoader(text)
    try:
        while loader.check_event():
            event = loader.get_event()
            if event is not None:
                yield event
    finally:
        loader.dispose()


def _syntax_error(error: yaml.MarkedYAMLError, text: str) -> _Refused:
    mark = error.problem_mark or error.context_mark
    problem = error.problem or error.context or "not YAML"
    if mark is not None:
        line = text.split("\n")[mark.line] if mark.line < text.count("\n") + 1 else ""
        if "\t" in line[: mark.column + 1]:
            return _Refused("a tab where YAML wants spaces", "indent with spaces only", mark)
    hint = "mend the syntax; an editor with the schema shows it as you type"
    start = error.context_mark
    if start is None or mark is None or (start.line, start.column) == (mark.line, mark.column):
        return _Refused(f"not YAML: {problem}", hint, mark)
    began = f"{error.context} that began at line {start.line + 1}, column {start.column + 1}"
    if problem == "found unexpected end of stream":
        return _Refused(f"not YAML: the file ends {began}", hint, start)
    return _Refused(f"not YAML: {problem} {began}", hint, mark)
