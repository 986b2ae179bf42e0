"""The process that sends and receives the packets of traffic.py: one loop, sockets of many namespaces.

It is a process of its own, so that nothing which the proofs do delays a packet; the sockets come from the parent.
What it sees stands in memory shared with the parent, one int64 array for each flow:

    SENT, RECEIVED, ...   counters (the names below)
    HEADER + n            when packet n was sent, nanoseconds since 1970
    HEADER + CAPACITY + n when packet n first arrived, 0 before

Packets are sent on a beat of 10 ms; a beat that comes late is not made up for. The kernel stamps what arrives
(SO_TIMESTAMPNS, socket(7)) and holds it, and recvmmsg(2) fetches many packets at once.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import mmap
import os
import select
import socket
import struct
import sys
import time

BEAT = 0.01
CAPACITY = 1 << 20
SENT, RECEIVED, DUPLICATES, STRANGERS, STRANGER, REFUSED, REFUSAL = range(7)
HEADER = 8
BYTES = 8 * (HEADER + 2 * CAPACITY)

# The least rest between two beats: late or not, others must run.
_REST = 0.002
# Flows that one beat fetches from, as a share of all.
_SWEEPS = 10
_BATCH = 64
# struct sockaddr_in, a control message with a timespec, and the packet: its number.
_RECORD = struct.Struct("=4x4s8x16xqqQ")
_NAME, _CONTROL = 16, 32
_NUMBER = struct.Struct("=Q")


class _Vector(ctypes.Structure):
    _fields_ = (("base", ctypes.c_void_p), ("length", ctypes.c_size_t))


class _Header(ctypes.Structure):
    """struct msghdr of recvmsg(2)."""

    _fields_ = (
        ("name", ctypes.c_void_p),
        ("name_length", ctypes.c_uint32),
        ("vectors", ctypes.c_void_p),
        ("vectors_length", ctypes.c_size_t),
        ("control", ctypes.c_void_p),
        ("control_length", ctypes.c_size_t),
        ("flags", ctypes.c_int),
    )


class _Message(ctypes.Structure):
    """struct mmsghdr of recvmmsg(2)."""

    _fields_ = (("header", _Header), ("length", ctypes.c_uint))


class Inbox:
    """Room for a batch of packets, used for every socket in turn."""

    def __init__(self) -> None:
        self._libc = ctypes.CDLL(None, use_errno=True)
        self._bytes = ctypes.create_string_buffer(_BATCH * _RECORD.size)
        self._records = memoryview(self._bytes).cast("B")
        self._messages = (_Message * _BATCH)()
        self._vectors = (_Vector * _BATCH)()
        start = ctypes.addressof(self._bytes)
        for index, message in enumerate(self._messages):
            record = start + index * _RECORD.size
            self._vectors[index] = _Vector(record + _NAME + _CONTROL, _NUMBER.size)
            vector = ctypes.addressof(self._vectors) + index * ctypes.sizeof(_Vector)
            message.header = _Header(record, _NAME, vector, 1, record + _NAME, _CONTROL, 0)
        # recvmmsg writes lengths into the headers, so each call needs fresh ones
        self._fresh = bytes(self._messages)

    def fetch(self, descriptor: int) -> list[tuple[bytes, int, int, int]]:
        """Source address, second and nanosecond of arrival, and number of each packet that waits, at most a batch."""
        ctypes.memmove(self._messages, self._fresh, len(self._fresh))
        count = self._libc.recvmmsg(descriptor, self._messages, _BATCH, socket.MSG_DONTWAIT, None)
        return list(_RECORD.iter_unpack(self._records[: count * _RECORD.size])) if count > 0 else []


class Stream:
    """One flow: where it sends, what it receives, and its share of the memory."""

    def __init__(self, order: dict[str, object], descriptors: list[int], phase: int) -> None:
        sender, receiver, memory = descriptors
        self.every = int(str(order["every"]))
        self.phase = phase % self.every
        self._target = (str(order["address"]), int(str(order["port"])))
        self._sources = {socket.inet_aton(str(source)) for source in str(order["sources"]).split()}
        self._sender = socket.socket(fileno=sender)
        self._receiver = socket.socket(fileno=receiver)
        self._cells = memoryview(mmap.mmap(memory, BYTES)).cast("q")
        os.close(memory)

    def send(self) -> None:
        """Sends the next packet, while there is room to note it."""
        cells = self._cells
        number = cells[SENT]
        if number == CAPACITY:
            return
        cells[HEADER + number] = time.time_ns()
        try:
            self._sender.sendto(_NUMBER.pack(number), self._target)
        except OSError as error:
            cells[REFUSED] += 1
            cells[REFUSAL] = error.errno or 0
        cells[SENT] = number + 1

    def take(self, inbox: Inbox) -> None:
        """Notes what has arrived."""
        # a closed socket has descriptor -1, which has nothing to fetch
        while batch := inbox.fetch(self._receiver.fileno()):
            for source, seconds, nanoseconds, number in batch:
                self._note(source, seconds * 1_000_000_000 + nanoseconds, number)
            if len(batch) < _BATCH:
                return

    def _note(self, source: bytes, when: int, number: int) -> None:
        cells = self._cells
        if source not in self._sources:
            cells[STRANGERS] += 1
            cells[STRANGER] = int.from_bytes(source, "big")
        if number >= cells[SENT]:
            return
        slot = HEADER + CAPACITY + number
        if cells[slot]:
            cells[DUPLICATES] += 1
        else:
            cells[slot] = when
            cells[RECEIVED] += 1

    def stop_sending(self) -> None:
        """What is under way is still received."""
        self._sender.close()
        self.every = 0

    def stop_receiving(self) -> None:
        """What is sent from now on is lost."""
        self._receiver.close()

    def close(self) -> None:
        """Closes what is open."""
        self._sender.close()
        self._receiver.close()
        self._cells.release()


class Pacer:
    """All flows, and the parent's orders: JSON with descriptors over a Unix socket, each answered by one byte."""

    def __init__(self, control: socket.socket) -> None:
        self._control = control
        self._inbox = Inbox()
        self._streams: dict[str, Stream] = {}

    def run(self) -> None:
        """Sends and receives until the parent closes its end."""
        beat, due = 0, time.monotonic()
        while True:
            rest = max(0.0, due - time.monotonic()) if self._streams else None
            if select.select([self._control], [], [], rest)[0]:
                if not self._obey():
                    return
                continue
            streams = list(self._streams.values())
            for stream in streams:
                if stream.every and beat % stream.every == stream.phase:
                    stream.send()
            for stream in streams[beat % _SWEEPS :: _SWEEPS]:
                stream.take(self._inbox)
            beat += 1
            due = max(due + BEAT, time.monotonic() + _REST)

    def _obey(self) -> bool:
        message, descriptors, _, _ = socket.recv_fds(self._control, 4096, 3)
        if not message:
            return False
        order = json.loads(message)
        name = str(order["flow"])
        if order["do"] == "start":
            self._streams[name] = Stream(order, descriptors, len(self._streams))
        elif order["do"] == "stop sending":
            self._streams[name].stop_sending()
        elif order["do"] == "stop receiving":
            self._streams[name].stop_receiving()
        else:
            self._streams.pop(name).close()
        self._control.send(b".")
        return True


def main() -> None:
    """Runs on the Unix socket whose descriptor is the only argument."""
    with contextlib.suppress(OSError):
        # measuring comes before everything measured
        os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(1))
    with contextlib.suppress(KeyboardInterrupt):
        Pacer(socket.socket(fileno=int(sys.argv[1]))).run()


if __name__ == "__main__":
    main()
