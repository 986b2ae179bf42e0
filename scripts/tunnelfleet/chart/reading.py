"""Single values of the chart as cluster.yaml takes them, each with the remark that stands beside it there."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Interface
from typing import Any

from pydantic_core import PydanticCustomError

from tunnelfleet.chart.notes import NoteKind, Notes
from tunnelfleet.chart.values import Value
from tunnelfleet.inventory.fields import read_address, read_cidr, shown

UNKNOWN_ADDRESS = "0.0.0.0"
"""Stands where an address is not known; it can be read, and the policies refuse it."""


@dataclass(frozen=True, slots=True)
class Marked:
    """A value for cluster.yaml, and what its `# import:` comment says about it."""

    value: str | int
    remark: str = ""


def address_of(text: str | None) -> IPv4Address | None:
    """The address, None where there is none or it is not one."""
    return None if text is None or _complaint(read_address, text) else IPv4Address(text)


def cidr_of(text: str | None) -> IPv4Interface | None:
    """The range, host bits included, None where there is none or it is not one."""
    return None if text is None or _complaint(read_cidr, text) else IPv4Interface(text)


def mark_address(value: Value, key: str, missing: str, notes: Notes) -> Marked:
    """An address as it stands, whatever it is; UNKNOWN_ADDRESS where there is none, for the reason `missing`."""
    if value.text is None:
        notes.add(NoteKind.UNKNOWN, value.location, f"{key} is missing", missing)
        return Marked(UNKNOWN_ADDRESS, f"{key} was missing; {missing}")
    return Marked(value.text, note_complaint(read_address, value, key, notes))


def mark_asn(value: Value, key: str, notes: Notes) -> Marked:
    """An AS number; what is not one stays as it is, for the check to point at."""
    text = value.text or ""
    if not value.given:
        message = f"{key} is missing, so {text} from the chart's own values.yaml counted"
        notes.add(NoteKind.UNKNOWN, value.location, message, "check it with the remote site")
        return Marked(int(text), "the chart's default; check it")
    if re.fullmatch(r"0|[1-9][0-9]{0,17}", text):
        return Marked(int(text))
    message = f"{key}: expected an AS number, found {shown(text)}"
    notes.add(NoteKind.WRONG, value.location, message, "write a number of 1 to 4294967295 into cluster.yaml")
    return Marked(text, "not an AS number")


def note_complaint(read: Callable[[Any], Any], value: Value, key: str, notes: Notes) -> str:
    """Notes what the inventory will refuse in the value; the remark for it, or nothing."""
    complaint = _complaint(read, value.text)
    if complaint is None:
        return ""
    message, hint = complaint
    notes.add(NoteKind.WRONG, value.location, f"{key}: {message}", hint)
    return f"{message}; {hint}"


def _complaint(read: Callable[[Any], Any], value: Any) -> tuple[str, str] | None:
    try:
        read(value)
    except PydanticCustomError as error:
        context = error.context or {}
        return str(context.get("message")), str(context.get("hint"))
    return None
