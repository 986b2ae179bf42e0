"""swanctl.conf read back: its sections, settings and includes, each with its line, whoever wrote them.

Syntax after strongswan.conf(5) and libstrongswan/settings/settings_lexer.l. References to other sections (`a : b`)
are refused: a configuration that is to be reviewed says itself what it does.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from tunnelfleet.manifests.routers import Unreadable


@dataclass(frozen=True, slots=True)
class Setting:
    """A value and its line."""

    value: str
    line: int

    @property
    def values(self) -> list[str]:
        """The items of a value that is a list."""
        return [item.strip() for item in self.value.split(",") if item.strip()]


@dataclass(slots=True)
class Section:
    """A section: the last of equal settings counts, equal sections are one."""

    name: str
    line: int
    settings: dict[str, Setting] = field(default_factory=dict)
    sections: dict[str, Section] = field(default_factory=dict)
    includes: list[Setting] = field(default_factory=list)

    def section(self, name: str) -> Section:
        """The section of this name, an empty one where it is not there."""
        return self.sections.get(name) or Section(name, self.line)

    def get(self, name: str) -> str:
        """The value of a setting, empty where it is not there."""
        setting = self.settings.get(name)
        return setting.value if setting else ""

    def line_of(self, name: str) -> int:
        """The line of a setting, of the section itself where it is not there."""
        setting = self.settings.get(name)
        return setting.line if setting else self.line


_BLANK = re.compile(r"\s*")
_INCLUDE = re.compile(r"include[\t ]+(?P<files>\"[^\"\n]*\"|[^\s#}=]+)")
_NAME = re.compile(r"[^#{}:,=\"\s]+")
_PART = re.compile(r"[\t\r ]*(?:\"(?P<quoted>(?:[^\"\\]|\\.)*)\"|(?P<word>[^#}\"\s]+))", re.S)
_OPEN_QUOTE = re.compile(r"[\t\r ]*\"")
_ESCAPE = re.compile(r"\\(\r?\n|.)", re.S)
_ESCAPED = {"n": "\n", "r": "\r", "t": "\t", "\n": "", "\r\n": ""}


def parse_swanctl(text: str) -> Section:
    """The whole file as a section without a name. Raises Unreadable where it is not a swanctl.conf."""
    return _Parser(text).parse()


class _Parser:
    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self._line = 1

    def parse(self) -> Section:
        root = Section("", 1)
        path = [root]
        while self._skip():
            if self._text[self._at] == "}":
                self._advance(self._at + 1)
                if len(path) == 1:
                    raise Unreadable("a closing brace too many", self._line)
                path.pop()
            elif include := _INCLUDE.match(self._text, self._at):
                path[-1].includes.append(Setting(include["files"].strip('"'), self._line))
                self._advance(include.end())
            else:
                self._statement(path)
        if len(path) > 1:
            raise Unreadable(f"section {path[-1].name} is not closed", path[-1].line)
        return root

    def _statement(self, path: list[Section]) -> None:
        name = _NAME.match(self._text, self._at)
        if name is None:
            raise Unreadable(f"a `{self._text[self._at]}` where a name is expected", self._line)
        line = self._line
        self._advance(name.end())
        self._blank()
        sign = self._text[self._at : self._at + 1]
        if sign not in ("{", "="):
            raise Unreadable(f"`{name[0]}` is neither a section nor a setting", line)
        self._advance(self._at + 1)
        if sign == "{":
            path.append(path[-1].sections.setdefault(name[0], Section(name[0], line)))
        else:
            path[-1].settings[name[0]] = Setting(self._value(), line)

    def _value(self) -> str:
        parts = []
        while part := _PART.match(self._text, self._at):
            quoted = part["quoted"]
            parts.append(part["word"] if quoted is None else _ESCAPE.sub(_unescape, quoted))
            self._advance(part.end())
        if _OPEN_QUOTE.match(self._text, self._at):
            raise Unreadable("a quote is not closed", self._line)
        return " ".join(parts)

    def _skip(self) -> bool:
        """Goes to the next statement; False where there is none."""
        while self._at < len(self._text):
            if self._text[self._at] == "#":
                end = self._text.find("\n", self._at)
                self._advance(len(self._text) if end < 0 else end)
            elif self._text[self._at].isspace():
                self._blank()
            else:
                return True
        return False

    def _blank(self) -> None:
        blank = _BLANK.match(self._text, self._at)
        self._advance(blank.end() if blank else self._at)

    def _advance(self, to: int) -> None:
        self._line += self._text.count("\n", self._at, to)
        self._at = to


def _unescape(found: re.Match[str]) -> str:
    return _ESCAPED.get(found[1], found[1])
