"""The edge to the kernel: two netlink sockets, one to ask and one to be told."""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from . import netlink
from .plan import MAIN, Link, Neighbour, Nexthop
from .prefix import within
from .reconcile import DeleteNeighbour, DeleteObject, DeleteRoute, DeleteRule, Holding, Step
from .settings import Settings

_SOL_NETLINK, _ADD_MEMBERSHIP, _GET_STRICT_CHK = 270, 1, 12
_RCVBUFFORCE = 33
_BATCH = 100
"""Requests sent at once; their answers must fit the receive buffer."""
_BUFFER = 8 << 20
_SLOWEST = 10.0
_GONE = frozenset({errno.ESRCH, errno.ENOENT, errno.ENODEV, errno.EADDRNOTAVAIL})


@dataclass(frozen=True, slots=True)
class Failure:
    """A step that the kernel refused."""

    step: Step
    error: int

    def __str__(self) -> str:
        return f"{self.step}: {os.strerror(self.error)}"


@dataclass(slots=True)
class Changes:
    """What others did: `links` to interfaces, `own` to what is the agent's."""

    links: bool = False
    own: bool = False


@dataclass(slots=True)
class State:
    """A reading of the kernel."""

    links: dict[str, Link] = field(default_factory=dict)
    holding: Holding = field(default_factory=Holding)


class Kernel:
    """Reads and changes the agent's part of the kernel, in the network namespace it was made in."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._request = _socket()
        self._request.settimeout(_SLOWEST)
        self._address = self._request.getsockname()[0]
        self._sequence = 0
        self.events = _socket()
        for group in netlink.GROUPS:
            self.events.setsockopt(_SOL_NETLINK, _ADD_MEMBERSHIP, group)
        self.events.setblocking(False)
        names = {settings.overlay.interface, settings.node_interface}
        self._indexes: set[int] = set()
        self._interfaces = names | ({settings.tunnels.interface} if settings.tunnels else set())

    def close(self) -> None:
        """Gives the sockets back; the kernel keeps everything."""
        self._request.close()
        self.events.close()

    def read(self) -> State:
        """The interfaces that matter and everything that is the agent's. Raises OSError."""
        settings = self.settings
        state = State()
        holding = state.holding
        for packet in self._dump(netlink.GETLINK):
            name, link = netlink.read_link(packet.body)
            if name in self._interfaces:
                state.links[name] = link
        self._indexes = {link.index for link in state.links.values()}
        for packet in self._dump(netlink.GETNEXTHOP):
            number, content = netlink.read_nexthop(packet.body)
            if not self._is_own(number):
                continue
            if isinstance(content, Nexthop):
                holding.nexthops[number] = content
            else:
                holding.groups[number] = content
        for packet in self._dump(netlink.GETROUTE):
            if netlink.route_protocol(packet.body) == settings.protocol:
                key, route = netlink.read_route(packet.body)
                holding.routes[key] = route
        for packet in self._dump(netlink.GETRULE):
            protocol, rule = netlink.read_rule(packet.body)
            if protocol == settings.protocol:
                holding.rules.add(rule)
        for packet in self._dump(netlink.GETNEIGH):
            entry, permanent = netlink.read_neighbour(packet.body)
            if permanent and self._is_own_neighbour(entry, state.links):
                holding.neighbour = entry
        return state

    def execute(self, steps: Sequence[Step]) -> list[Failure]:
        """Takes the steps in order; what cannot be done stops nothing. Removing what is not there is no failure."""
        failures: list[Failure] = []
        for start in range(0, len(steps), _BATCH):
            failures += self._batch(steps[start : start + _BATCH])
        return failures

    def changes(self) -> Changes:
        """What happened since the last call; never waits."""
        found = Changes()
        while True:
            try:
                data = self.events.recv(1 << 16)
            except BlockingIOError:
                return found
            except OSError as error:
                if error.errno != errno.ENOBUFS:
                    raise
                # the kernel had more to tell than the buffer holds
                return Changes(True, True)
            for packet in netlink.packets(data):
                self._judge(packet, found)

    def _judge(self, packet: netlink.Packet, found: Changes) -> None:
        if packet.kind in (netlink.NEWLINK, netlink.DELLINK):
            name, _ = netlink.read_link(packet.body)
            found.links |= name in self._interfaces
        elif packet.sender == self._address or found.own:
            return
        elif packet.kind in (netlink.NEWADDR, netlink.DELADDR):
            # with it go the routes that have it as their source, without a word before Linux 6.6
            found.links |= netlink.address_link(packet.body) in self._indexes
        elif packet.kind in (netlink.NEWROUTE, netlink.DELROUTE):
            found.own = netlink.route_protocol(packet.body) == self.settings.protocol or self._is_place(packet.body)
        elif packet.kind in (netlink.NEWNEXTHOP, netlink.DELNEXTHOP):
            found.own = self._is_own(netlink.nexthop_number(packet.body))
        elif packet.kind in (netlink.NEWRULE, netlink.DELRULE):
            found.own = netlink.read_rule(packet.body)[0] == self.settings.protocol
        elif packet.kind in (netlink.NEWNEIGH, netlink.DELNEIGH):
            found.own = netlink.read_neighbour(packet.body)[0].address == self.settings.overlay.next_hop

    def _is_own(self, number: int) -> bool:
        first, last = self.settings.nexthops
        return first <= number <= last

    def _is_place(self, route: bytes) -> bool:
        """Whether somebody else's route is, or was, where the agent's would be."""
        key, _ = netlink.read_route(route)
        settings = self.settings
        return key.table == MAIN and key.metric in settings.metrics.all and within(key.prefix, settings.accepted)

    def _is_own_neighbour(self, entry: Neighbour, links: dict[str, Link]) -> bool:
        overlay = links.get(self.settings.overlay.interface)
        return overlay is not None and (entry.link, entry.address) == (overlay.index, self.settings.overlay.next_hop)

    def _batch(self, steps: Sequence[Step]) -> Iterator[Failure]:
        first = self._sequence + 1
        last = self._sequence = self._sequence + len(steps)
        requests = (
            netlink.request(step, self.settings.protocol, first + place, first + place == last)
            for place, step in enumerate(steps)
        )
        self._request.send(b"".join(requests))
        for packet in self._answers(last):
            error = netlink.read_error(packet.body)
            step = steps[packet.sequence - first]
            if error and not (error in _GONE and isinstance(step, _REMOVALS)):
                yield Failure(step, error)

    def _answers(self, last: int) -> Iterator[netlink.Packet]:
        while True:
            for packet in netlink.packets(self._request.recv(1 << 16)):
                if packet.kind == netlink.NLMSG_ERROR:
                    yield packet
                    if packet.sequence == last:
                        return

    def _dump(self, kind: int) -> Iterator[netlink.Packet]:
        self._sequence += 1
        self._request.send(netlink.dump(kind, self._sequence, self.settings.protocol))
        while True:
            for packet in netlink.packets(self._request.recv(1 << 18)):
                if packet.sequence != self._sequence:
                    continue
                if packet.kind == netlink.NLMSG_DONE:
                    return
                if packet.kind == netlink.NLMSG_ERROR:
                    error = netlink.read_error(packet.body)
                    raise OSError(error, os.strerror(error))
                yield packet


_REMOVALS = (DeleteObject, DeleteRoute, DeleteRule, DeleteNeighbour)


def _socket() -> socket.socket:
    opened = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, 0)
    opened.setsockopt(_SOL_NETLINK, _GET_STRICT_CHK, 1)
    opened.setsockopt(socket.SOL_SOCKET, _RCVBUFFORCE, _BUFFER)
    opened.bind((0, 0))
    return opened
