"""What follows from the state of the tunnels: which interfaces are up, which tunnels to start, what is left over."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import IPv4Address

from gateway.settings import Tunnel
from gateway.vici import Message

# A CHILD SA that is being replaced still carries traffic (libcharon/sa/child_sa.h).
_CARRYING = frozenset({"INSTALLED", "UPDATING", "REKEYING", "REKEYED"})


@dataclass(frozen=True, slots=True)
class State:
    """What charon has of one tunnel."""

    carrying: bool = False
    """A CHILD SA is installed in the kernel."""
    pending: bool = False
    """IKE is at work on it, so it needs no start."""


def states(security_associations: Iterable[Message]) -> dict[str, State]:
    """The state of each connection, from the answers to list-sas."""
    found: dict[str, State] = {}
    for message in security_associations:
        for connection, ike in message.items():
            before = found.get(connection, State())
            children = ike.get("child-sas", {}).values()
            carrying = any(child["state"] in _CARRYING for child in children)
            working = ike["state"] != "ESTABLISHED" or "tasks-active" in ike or "tasks-queued" in ike
            found[connection] = State(before.carrying or carrying, before.pending or working)
    return found


def to_start(tunnels: Iterable[Tunnel], now: dict[str, State]) -> list[Tunnel]:
    """The tunnels that are down and that nobody is bringing up: charon gives no guarantee (strongSwan issue 3062)."""
    idle = State()
    return [tunnel for tunnel in tunnels if tunnel.initiates and now.get(tunnel.connection, idle) == idle]


@dataclass(frozen=True, slots=True)
class Change:
    """An XFRM interface to set up or down."""

    tunnel: Tunnel
    up: bool


def changes(tunnels: Iterable[Tunnel], now: dict[str, State], up: set[str], settled: bool) -> list[Change]:
    """The interfaces whose state must follow their tunnel's, so that BGP leaves a dead tunnel at once.

    `up` are the names of those that are up. Until charon has `settled` after its start, none is set down: the
    kernel's security associations outlive a charon that was killed, and they carry traffic until it is back.
    """
    wanted = {tunnel: now.get(tunnel.connection, State()).carrying for tunnel in tunnels}
    return [
        Change(tunnel, carrying)
        for tunnel, carrying in wanted.items()
        if carrying != (tunnel.interface in up) and (carrying or settled)
    ]


@dataclass(frozen=True, slots=True)
class KernelState:
    """A security association in the kernel (ip-xfrm(8), state)."""

    source: str
    destination: str
    protocol: str
    spi: str
    interface_id: int


@dataclass(frozen=True, slots=True)
class KernelPolicy:
    """A security policy in the kernel (ip-xfrm(8), policy)."""

    source: str
    destination: str
    direction: str
    interface_id: int
    endpoints: frozenset[str]


_STATE = re.compile(r"^src (\S+) dst (\S+)\n\s+proto (\S+) spi (0x[0-9a-f]+)", re.M)
_POLICY = re.compile(r"^src (\S+) dst (\S+).*\n\s+dir (\S+)", re.M)
_ENDPOINTS = re.compile(r"^\s+tmpl src (\S+) dst (\S+)", re.M)
_INTERFACE_ID = re.compile(r"^\s+if_id (0x[0-9a-f]+)", re.M)
# An entry starts at the left margin, its other lines are indented.
_ENTRIES = re.compile(r"^\S.*\n(?:\s.*\n?)*", re.M)


def kernel_states(text: str) -> list[KernelState]:
    """Those of `ip xfrm state list nokeys` that belong to XFRM interfaces."""
    return [
        KernelState(*head.groups(), interface_id=int(number[1], 16))
        for entry in _ENTRIES.findall(text)
        if (head := _STATE.match(entry)) and (number := _INTERFACE_ID.search(entry))
    ]


def kernel_policies(text: str) -> list[KernelPolicy]:
    """Those of `ip xfrm policy list` that belong to XFRM interfaces."""
    return [
        KernelPolicy(
            *head.groups(),
            interface_id=int(number[1], 16),
            endpoints=frozenset(end for pair in _ENDPOINTS.findall(entry) for end in pair),
        )
        for entry in _ENTRIES.findall(text)
        if (head := _POLICY.match(entry)) and (number := _INTERFACE_ID.search(entry))
    ]


def states_removal(text: str, address: IPv4Address) -> list[tuple[str, ...]]:
    """Commands that remove the security associations in this listing of the kernel's.

    Ours are those of an XFRM interface with this gateway's address: no other program of the node has such.
    """
    return [
        ("ip", "xfrm", "state", "delete", "src", state.source, "dst", state.destination)
        + ("proto", state.protocol, "spi", state.spi)
        for state in kernel_states(text)
        if str(address) in (state.source, state.destination)
    ]


def policies_removal(text: str, address: IPv4Address) -> list[tuple[str, ...]]:
    """Commands that remove this gateway's security policies in this listing of the kernel's."""
    return [
        ("ip", "xfrm", "policy", "delete", "src", policy.source, "dst", policy.destination)
        + ("dir", policy.direction, "if_id", hex(policy.interface_id))
        for policy in kernel_policies(text)
        if str(address) in policy.endpoints
    ]
