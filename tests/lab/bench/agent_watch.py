"""What a node's kernel is made to do, and what its processes cost."""

from __future__ import annotations

import os
import socket
import struct
import threading
import time
from dataclasses import dataclass
from pathlib import Path

_ROUTE_GROUP, _NEXTHOP_GROUP = 7, 32
_NEWROUTE, _DELROUTE, _NEWNEXTHOP, _DELNEXTHOP = 24, 25, 104, 105
_HEADER = struct.Struct("=IHHII")
_SOL_NETLINK, _ADD_MEMBERSHIP, _RCVBUFFORCE = 270, 1, 33
_PAGE = os.sysconf("SC_PAGE_SIZE")


@dataclass(frozen=True, slots=True)
class Changes:
    """Notifications of rtnetlink(7) since the last reading."""

    routes: int
    nexthops: int
    last: float
    """When the last of them came (time.monotonic); 0 for none."""


class Watch:
    """Counts changes of routes and nexthop objects in the network namespace of its socket."""

    def __init__(self, opened: socket.socket, protocol: int) -> None:
        opened.bind((0, 0))
        opened.setsockopt(socket.SOL_SOCKET, _RCVBUFFORCE, 64 << 20)
        for group in (_ROUTE_GROUP, _NEXTHOP_GROUP):
            opened.setsockopt(_SOL_NETLINK, _ADD_MEMBERSHIP, group)
        self._socket, self._protocol = opened, protocol
        self._routes = self._nexthops = 0
        self._last = 0.0
        self.held = 0
        """Routes of the protocol that were added and not deleted."""
        threading.Thread(target=self._read, daemon=True).start()

    def changes(self) -> Changes:
        """What came since the last call."""
        found = Changes(self._routes, self._nexthops, self._last)
        self._routes, self._nexthops, self._last = 0, 0, 0.0
        return found

    def quiet(self, seconds: float) -> Changes:
        """Waits until nothing has come for so long, and returns what came before."""
        seen = -1
        while seen != (seen := self._routes + self._nexthops):
            time.sleep(seconds)
        return self.changes()

    def _read(self) -> None:
        while True:
            try:
                data = self._socket.recv(1 << 18)
            except OSError:
                return
            now, position = time.monotonic(), 0
            while position + _HEADER.size <= len(data):
                length, kind, *_ = _HEADER.unpack_from(data, position)
                self._count(kind, data[position + _HEADER.size + 5], now)
                position += length + 3 & ~3

    def _count(self, kind: int, protocol: int, now: float) -> None:
        if kind in (_NEWROUTE, _DELROUTE) and protocol == self._protocol:
            self._routes += 1
            self.held += 1 if kind == _NEWROUTE else -1
        elif kind in (_NEWNEXTHOP, _DELNEXTHOP):
            self._nexthops += 1
        else:
            return
        self._last = now


def cpu_seconds(pid: int) -> float:
    """Time that the process has run (Documentation/scheduler/sched-stats.rst)."""
    return int(Path(f"/proc/{pid}/schedstat").read_text().split()[0]) / 1e9


def resident_bytes(pid: int) -> int:
    """Memory that the process holds (proc_pid_statm(5))."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * _PAGE
