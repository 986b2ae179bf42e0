"""Two namespaces joined by a cable, made by the test and gone with it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import pytest

from tests.lab.twin.namespace import Namespace
from tests.lab.twin.reachability import Endpoint
from tests.lab.twin.shell import CommandError


@dataclass(frozen=True, slots=True)
class World:
    """Two places, `pod` and `host`, with a cable between them."""

    pod: Endpoint
    host: Endpoint

    def cut(self) -> None:
        """What is sent is lost, and the sender does not notice: nobody has the neighbour's MAC address."""
        for side, other in ((self.pod, self.host), (self.host, self.pod)):
            neighbour = ("lladdr", "02:00:00:00:00:01", "nud", "permanent", "dev", "eth0")
            side.namespace.ip("neighbour", "replace", other.address, *neighbour)

    def mend(self) -> None:
        for side, other in ((self.pod, self.host), (self.host, self.pod)):
            side.namespace.ip("neighbour", "delete", other.address, "dev", "eth0")


@contextmanager
def cable() -> Iterator[World]:
    if os.geteuid() != 0:
        pytest.skip("NOT TESTED: network namespaces need root")
    names = [f"test-{os.getpid()}-{side}" for side in ("pod", "host")]
    made = []
    try:
        try:
            made = [Namespace.create(name) for name in names]
            pod, host = made
            pod.ip("link", "add", "eth0", "type", "veth", "peer", "name", "eth0", "netns", host.name)
            for side, address in ((pod, "10.234.0.10/8"), (host, "10.0.0.10/8")):
                side.ip("address", "add", address, "dev", "eth0")
                side.ip("link", "set", "eth0", "up")
        except (CommandError, OSError) as error:
            pytest.skip(f"NOT TESTED: no network namespaces here: {error}")
        yield World(Endpoint("pod", pod, "10.234.0.10"), Endpoint("host", host, "10.0.0.10"))
    finally:
        for namespace in made:
            namespace.delete()
