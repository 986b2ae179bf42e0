"""Which of the chart's localCidrs are the nodes', the pods' and the Services': it never said, so it is guessed."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address

from tunnelfleet.chart.notes import NoteKind, Notes
from tunnelfleet.chart.reading import UNKNOWN_ADDRESS, cidr_of, note_complaint
from tunnelfleet.chart.values import Value
from tunnelfleet.findings import Location
from tunnelfleet.inventory.fields import read_cidr

UNKNOWN_RANGE = f"{UNKNOWN_ADDRESS}/32"
"""Stands where no range is known; it can be read, and the policies refuse it."""
_WORDS = {
    "nodes": re.compile(r"\bnodes?\b", re.IGNORECASE),
    "pods": re.compile(r"\bpods?\b", re.IGNORECASE),
    "services": re.compile(r"\b(services?|svc)\b", re.IGNORECASE),
}
_ASK = {
    "nodes": "compare with `kubectl get nodes -o wide`",
    "pods": "compare with `kubectl get ciliumnodes -o yaml`, podCIDRs",
    "services": "compare with `kubectl get services -A`, CLUSTER-IP",
}


@dataclass(frozen=True, slots=True)
class Role:
    """The ranges that are taken for the nodes', pods' or Services', and why."""

    ranges: tuple[str, ...]
    remark: str


def guess_roles(
    local: Sequence[Value], gateways: Iterable[IPv4Address], where: Location, notes: Notes
) -> Mapping[str, Role]:
    """Nodes, pods and services: by comment, by the gateways' addresses, by what is left over."""
    for value in local:
        note_complaint(read_cidr, value, "localCidrs", notes)
    found, rest = _by_comment(local)
    if "nodes" not in found:
        addresses = list(gateways)
        holding = [value for value in rest if _holds(value, addresses)]
        if holding:
            found["nodes"] = (holding, "it holds a gateway's internalIP")
            rest = [value for value in rest if value not in holding]
    missing = [role for role in _WORDS if role not in found]
    if len(missing) == len(rest) == 1:
        found[missing[0]] = (rest, "it is the one left over")
    return {role: _role(role, found.get(role), where, notes) for role in _WORDS}


def _by_comment(local: Sequence[Value]) -> tuple[dict[str, tuple[list[Value], str]], list[Value]]:
    found: dict[str, tuple[list[Value], str]] = {}
    rest = []
    for value in local:
        roles = [role for role, word in _WORDS.items() if word.search(value.remark)]
        if len(roles) == 1:
            found.setdefault(roles[0], ([], "its comment says so"))[0].append(value)
        else:
            rest.append(value)
    return found, rest


def _holds(value: Value, addresses: list[IPv4Address]) -> bool:
    cidr = cidr_of(value.text)
    return cidr is not None and any(address in cidr.network for address in addresses)


def _role(role: str, found: tuple[list[Value], str] | None, where: Location, notes: Notes) -> Role:
    if found is None:
        message = f"which of localCidrs are the {role}' ranges cannot be told"
        notes.add(NoteKind.UNKNOWN, where, message, f"write them into networks.{role}; {_ASK[role]}")
        return Role((UNKNOWN_RANGE,), f"unknown; write which of localCidrs are the {role}' ranges; {_ASK[role]}")
    values, reason = found
    for value in values:
        message = f"{value.text} is only guessed to be the {role}' range: {reason}"
        notes.add(NoteKind.UNKNOWN, value.location, message, _ASK[role])
    return Role(tuple(value.text or "" for value in values), f"guessed: {reason}; {_ASK[role]}")
