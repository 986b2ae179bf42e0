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


# An entry of `ip xfrm` starts at the left margin, its other lines are indented.
_ENTRIES = re.compile(r"^\S.*\n(?:[ \t].*\n?)*", re.M)
_STATE = re.compile(r"src (\S+) dst (\S+)\n\s+proto (\S+) spi (0x[0-9a-f]+)")
_POLICY = re.compile(r"src (\S+) dst (\S+).*\n\s+dir (\S+)")
_ENDPOINTS = re.compile(r"^\s+tmpl src (\S+) dst (\S+)", re.M)
_INTERFACE_ID = re.compile(r"^\s+if_id (0x[0-9a-f]+)", re.M)


def states_removal(text: str, address: IPv4Address) -> list[tuple[str, ...]]:
    """Commands that remove this gateway's security associations among those of `ip xfrm state list nokeys`.

    Ours are those of an XFRM interface with this gateway's address: no other program of the node has such.
    """
    commands: list[tuple[str, ...]] = []
    for entry in _ENTRIES.findall(text):
        state = _STATE.match(entry)
        if state and _INTERFACE_ID.search(entry) and str(address) in (state[1], state[2]):
            key = ("src", state[1], "dst", state[2], "proto", state[3], "spi", state[4])
            commands.append(("ip", "xfrm", "state", "delete", *key))
    return commands


def policies_removal(text: str, address: IPv4Address) -> list[tuple[str, ...]]:
    """Commands that remove this gateway's security policies among those of `ip xfrm policy list`."""
    commands: list[tuple[str, ...]] = []
    for entry in _ENTRIES.findall(text):
        policy, number = _POLICY.match(entry), _INTERFACE_ID.search(entry)
        if policy and number and any(str(address) in ends for ends in _ENDPOINTS.findall(entry)):
            key = ("src", policy[1], "dst", policy[2], "dir", policy[3], "if_id", number[1])
            commands.append(("ip", "xfrm", "policy", "delete", *key))
    return commands
