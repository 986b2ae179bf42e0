"""What the import has to say beside the file that it writes."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from tunnelfleet.findings import Location
from tunnelfleet.inventory.writing import one_line


class NoteKind(StrEnum):
    """What a note is about."""

    WRONG = "wrong"
    """The values, or the chart with them, do something that does not work or is not safe."""
    UNKNOWN = "unknown"
    """cluster.yaml needs something that the values do not hold, or hold only for a guess."""
    DROPPED = "dropped"
    """A setting that has no place any more."""
    NEXT = "next"
    """What is left to do."""


@dataclass(frozen=True, slots=True)
class Note:
    """One remark on the chart's values, with the place that it is about and what to do; never a key's value."""

    kind: NoteKind
    location: Location
    message: str
    hint: str = ""


@dataclass(slots=True)
class Notes:
    """The notes as they come up."""

    items: list[Note] = field(default_factory=list)

    def add(self, kind: NoteKind, location: Location, message: str, hint: str = "") -> None:
        self.items.append(Note(kind, location, one_line(message), hint))

    @property
    def ordered(self) -> tuple[Note, ...]:
        """By kind, then by place, then as they came up; what is left to do comes last, in its order."""
        kinds = list(NoteKind)
        return tuple(sorted(self.items, key=lambda note: (kinds.index(note.kind), note.location)))
