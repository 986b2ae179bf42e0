"""The whole agent on the real kernel: after any sequence of events the kernel holds what they imply, and no more.

A scripted bgpd speaks BMP over a real socket; the clock is virtual. MODEL_EXAMPLES=1000 tries that many new sequences.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import tempfile
from collections.abc import Awaitable, Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from subprocess import CalledProcessError
from types import SimpleNamespace

import pytest
from agent import frr, service
from agent.kernel import Kernel
from agent.prefix import Prefix
from agent.service import Agent
from agent.settings import Mode
from hypothesis import HealthCheck
from hypothesis import settings as profile
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from tests.unit.agent.kernel_view import Key, Way, look
from tests.unit.agent.model import Model
from tests.unit.agent.namespaces import ip, node_network
from tests.unit.agent.speaker import Path as Announced
from tests.unit.agent.speaker import Speaker
from tests.unit.agent.test_frr import Bgpd
from tests.unit.agent.virtual_time import VirtualLoop
from tests.unit.agent.world import FIRST, METRICS, OTHER_NODE, REMOTE, SECOND, TUNNEL, A, B, settings

EXAMPLES = int(os.environ.get("MODEL_EXAMPLES", "0"))
QUIET = 20.0
"""Seconds after which nothing is on its way any more."""
DEFAULT, OUTSIDE = Prefix(0, 0), Prefix.parse("192.168.7.0/24")
LINKS = {
    "cilium_vxlan": "link add cilium_vxlan type vxlan external dstport 8472\nlink set cilium_vxlan up\n",
    "ss0": "link add ss0 type veth peer name inside\nlink set inside up\nlink set ss0 up\n"
    "address add 169.254.100.1/30 dev ss0\n",
}

prefixes = st.sampled_from([FIRST, FIRST, SECOND, REMOTE])
peers = st.integers(0, 5)
"""Which of the node's peers: counted round and round."""
paths = st.sampled_from([Announced(), Announced(draining=True), Announced(hops=2), Announced(med=100)])


class Node(RuleBasedStateMachine):
    """One node, its agent, and everybody who may do something to them."""

    # ---- the stage

    def __init__(self) -> None:
        super().__init__()
        self.network: Iterator[None] = node_network()
        next(self.network)
        self.folder = Path(tempfile.mkdtemp())
        self.patch = pytest.MonkeyPatch()
        self.loop = VirtualLoop()
        self.speaker = Speaker()
        self.agent: Agent | None = None
        self.at_once = 0
        """Events that are still to come before all is quiet."""
        self.before: dict[int, dict[Prefix, Announced]] = {}
        """Tables of sessions that were lost: peers say the same again."""
        self.tasks: list[asyncio.Future[object]] = []

    @initialize(mode=st.sampled_from(list(Mode)))
    def begin(self, mode: Mode) -> None:
        self.patch.setattr(frr, "SOCKET", self.folder / "bgpd.vty")
        self.patch.setattr(service, "time", SimpleNamespace(monotonic=self.loop.time, strftime=lambda _: "now"))
        self.model = Model(mode)
        ip("address", "del", "172.27.48.20/20", "dev", "ens3")
        ip("address", "replace", self.address, "dev", "ens3")
        self.bgpd = Bgpd(self.folder / "bgpd.vty")
        self.do(self.bgpd.__aenter__())
        self.do(self.speaker.start())
        self.meddle("route", "add", "198.51.100.0/24", "dev", "wire", "proto", "static", "metric", "500")
        self.meddle("nexthop", "add", "id", "7", "dev", "wire")
        self.meddle("rule", "add", "iif", "ens3", "lookup", "200", "pref", "99")
        self.start()
        for peer in self.speakers:
            self.up(peer)
            self.announce(peer, FIRST, Announced())
        self.settle()

    @property
    def address(self) -> str:
        return "172.27.48.20/20" if self.model.mode is Mode.CLIENT else "172.27.48.11/20"

    @property
    def speakers(self) -> tuple[int, ...]:
        return (A, B) if self.model.mode is Mode.CLIENT else (B, TUNNEL, OTHER_NODE)

    def do(self, work: Awaitable[object]) -> None:
        """Does it now, without a second going by."""
        self.tasks.append(asyncio.ensure_future(work, loop=self.loop))
        self.loop.advance(0)

    def start(self) -> None:
        kernel = Kernel(replace(settings(self.model.mode), bmp=("127.0.0.1", self.speaker.port)))
        self.agent = Agent(kernel.settings, kernel, self.folder)
        self.do(self.agent.run())

    def kill(self) -> None:
        """SIGKILL, as far as the kernel sees it: from now on nothing is done."""
        if agent := self.agent:
            agent._stopping.set()
            self.loop.advance(0)
            for timer in filter(None, (agent._due, agent._reading)):
                timer.cancel()
            agent.kernel.close()
            assert agent.error is None
        self.agent = None

    def teardown(self) -> None:
        try:
            if self.agent:
                self.settle()
                self.agent.release()
                view = look()
                assert (view.routes, view.hops, view.neighbour, view.rule) == ({}, frozenset(), False, False)
                assert view.strangers == self.strangers
        finally:
            self.end()

    def end(self) -> None:
        self.kill()
        self.speaker.stop()
        if hasattr(self, "bgpd"):
            self.do(self.bgpd.__aexit__())
        for task in asyncio.all_tasks(self.loop):
            task.cancel()
        self.loop.advance(0)
        self.loop.close()
        self.patch.undo()
        shutil.rmtree(self.folder)
        with suppress(StopIteration):
            next(self.network)

    def meddle(self, *command: str) -> None:
        """What others do to the kernel; what is theirs must be left alone from then on."""
        ip(*command)
        self.strangers = look().strangers

    # ---- what bgpd says

    def up(self, peer: int) -> None:
        self.speaker.up(peer)
        self.heard()
        if self.model.connected:
            self.model.up(peer)

    def peer(self, which: int) -> int:
        return self.speakers[which % len(self.speakers)]

    def heard(self) -> None:
        self.loop.advance(0)

    @rule(which=peers, says_all=st.booleans())
    def session_comes_or_goes(self, which: int, says_all: bool) -> None:
        peer = self.peer(which)
        if peer in self.speaker.sessions:
            self.lose(peer)
        else:
            self.come_back(peer, says_all)

    @rule(which=peers, says_all=st.booleans())
    def session_flaps(self, which: int, says_all: bool) -> None:
        peer = self.peer(which)
        if peer in self.speaker.sessions:
            self.lose(peer)
            self.settle()
            self.come_back(peer, says_all)

    @rule(which=peers)
    def gateway_drains(self, which: int) -> None:
        peer = self.peer(which)
        for prefix in list(self.speaker.sessions.get(peer, ())):
            self.announce(peer, prefix, Announced(draining=True))

    def come_back(self, peer: int, says_all: bool) -> None:
        self.up(peer)
        for prefix, path in self.before.get(peer, {}).items():
            self.announce(peer, prefix, path)
        if says_all:
            self.end_of_rib(peer)

    @rule()
    def all_sessions_are_lost(self) -> None:
        for peer in list(self.speaker.sessions):
            self.lose(peer)

    def lose(self, peer: int) -> None:
        self.before[peer] = self.speaker.sessions[peer]
        self.speaker.down(peer)
        self.heard()
        if self.model.connected:
            self.model.down(peer)

    def announce(self, peer: int, prefix: Prefix, path: Announced) -> None:
        if peer in self.speaker.sessions and peer != OTHER_NODE:
            self.speaker.announce(peer, prefix, path)
            self.heard()
            if self.model.connected:
                self.model.announce(peer, prefix, path)

    @rule(which=peers, prefix=prefixes, path=paths)
    def is_announced(self, which: int, prefix: Prefix, path: Announced) -> None:
        self.announce(self.peer(which), prefix, path)

    @rule(which=peers, prefix=st.sampled_from([DEFAULT, OUTSIDE]))
    def is_announced_outside(self, which: int, prefix: Prefix) -> None:
        self.announce(self.peer(which), prefix, Announced())

    @rule(which=peers, prefix=prefixes)
    def is_announced_for_another(self, which: int, prefix: Prefix) -> None:
        self.announce(self.peer(which), prefix, Announced(next_hop=OTHER_NODE))

    @rule(which=peers, prefix=prefixes)
    def is_withdrawn(self, which: int, prefix: Prefix) -> None:
        if (peer := self.peer(which)) in self.speaker.sessions and peer != OTHER_NODE:
            self.speaker.withdraw(peer, prefix)
            self.heard()
            if self.model.connected:
                self.model.withdraw(peer, prefix)

    @rule(which=peers)
    def table_ends(self, which: int) -> None:
        if (peer := self.peer(which)) in self.speaker.sessions:
            self.end_of_rib(peer)

    def end_of_rib(self, peer: int) -> None:
        self.speaker.end_of_rib(peer)
        self.heard()
        if self.model.connected:
            self.model.end_of_rib(peer)

    @rule(sessions_end=st.booleans())
    def bgpd_goes_or_comes(self, sessions_end: bool) -> None:
        if not self.speaker.is_there:
            self.do(self.speaker.start())
            return
        self.speaker.stop()
        self.heard()
        self.model.connected = False
        if sessions_end:
            self.before |= self.speaker.sessions
            self.speaker.sessions.clear()

    # ---- what becomes of interfaces

    @rule(name=st.sampled_from(sorted(LINKS)), what=st.sampled_from(["down", "up", "gone"]))
    def interface_changes(self, name: str, what: str) -> None:
        there = f" {name}" in ip("-br", "link").replace("\n", " ")
        if what == "gone" and there:
            ip("link", "del", name)
        elif what == "up" and not there:
            ip("-batch", "-", text=LINKS[name])
        elif there and what != "gone":
            ip("link", "set", name, what)
        is_up = what == "up"
        if name == "ss0":
            self.model.inside_up = is_up
        else:
            self.model.overlay_up = is_up
        if not is_up:
            inside = frozenset({"169.254.100.2"})
            self.model.lose(lambda _, way: bool(way.hops) and (way.hops == inside) is (name == "ss0"))

    @rule(there=st.booleans())
    def address_changes(self, there: bool) -> None:
        if there:
            ip("address", "replace", self.address, "dev", "ens3")
        elif self.model.has_address:
            ip("address", "del", self.address, "dev", "ens3")
            self.model.lose(lambda _, way: bool(way.source))
        self.model.has_address = there

    @rule(mtu=st.sampled_from([1500, 1400]))
    def mtu_changes(self, mtu: int) -> None:
        ip("link", "set", "ens3", "mtu", str(mtu))
        self.model.node_mtu = mtu

    # ---- what others do

    @rule(data=st.data())
    def route_is_deleted(self, data: st.DataObject) -> None:
        routes = look().routes
        if not routes:
            return
        key = data.draw(st.sampled_from(sorted(routes, key=str)))
        kind = "unicast" if routes[key].hops else "unreachable"
        self.meddle("route", "del", kind, key.prefix, "table", key.table, "metric", str(key.metric), "proto", "111")
        self.model.lose(lambda other, _: other == key)

    @rule(
        what=st.sampled_from(
            ["nexthop flush proto 111", "rule del pref 111", "neighbour flush dev cilium_vxlan nud all"]
        )
    )
    def something_is_deleted(self, what: str) -> None:
        with suppress(CalledProcessError):  # there is none
            self.meddle(*what.split())
        if "nexthop" in what:
            self.model.lose(lambda key, way: key.table == "main" and bool(way.hops))

    @rule(prefix=prefixes, metric=st.sampled_from([METRICS.primary, METRICS.primary, METRICS.backup, 77]))
    def stranger_takes_the_place(self, prefix: Prefix, metric: int) -> None:
        self.meddle("route", "replace", str(prefix), "dev", "wire", "proto", "static", "metric", str(metric))
        key = Key("main", str(prefix), metric)
        self.model.occupied.add(key)
        self.model.lose(lambda other, _: other == key)

    @precondition(lambda self: self.model.occupied)
    @rule(data=st.data())
    def stranger_leaves(self, data: st.DataObject) -> None:
        key = data.draw(st.sampled_from(sorted(self.model.occupied, key=str)))
        self.model.occupied.discard(key)
        self.meddle("route", "del", key.prefix, "proto", "static", "metric", str(key.metric))

    @rule()
    def agent_restarts(self) -> None:
        held: dict[Key, Way] = look().routes
        self.kill()
        assert look().routes == held, "its end is no event for the kernel"
        self.model.agent_restarts(held)
        self.start()
        self.model.connected = self.speaker.is_there
        if self.model.connected:
            self.model.hear(self.speaker.sessions)

    # ---- what must be

    @rule()
    def a_long_time_goes_by(self) -> None:
        self.settle(400.0)

    @rule(events=st.integers(1, 4))
    def much_happens_at_once(self, events: int) -> None:
        self.at_once = events + 1

    @invariant()
    def all_settles(self) -> None:
        self.at_once = max(0, self.at_once - 1)
        if self.agent and not self.at_once:
            self.settle()

    def settle(self, seconds: float = QUIET) -> None:
        self.model.connected = self.speaker.is_there
        self.loop.advance(seconds)
        self.model.quiet(seconds, self.speaker.sessions)
        assert self.agent
        assert self.agent.error is None
        view = look()
        wrong = self.model.agrees(view)
        assert not wrong, wrong
        assert view.strangers == self.strangers, "what is not the agent's was touched"
        if self.model.mode is Mode.REFLECTOR and self.model.connected:
            told = [line for line in self.bgpd.heard if line.endswith("bgp shutdown")]
            assert (told[-1] == "no bgp shutdown") is self.model.overlay_up, f"bgpd was told: {told[-1]}"


def test_the_kernel_holds_what_any_sequence_of_events_implies() -> None:
    if os.geteuid() != 0:
        pytest.skip("the agent is not tested against the kernel: a network namespace needs root")
    seconds = signal.alarm(0) if EXAMPLES else 0
    run_state_machine_as_test(
        Node,
        settings=profile(
            max_examples=EXAMPLES or 18,
            stateful_step_count=30,
            derandomize=not EXAMPLES,
            deadline=None,
            database=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
    signal.alarm(seconds)
