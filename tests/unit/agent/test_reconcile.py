"""From events to the kernel: whatever happens in whatever order, the kernel ends up with what the events imply."""

from __future__ import annotations

from collections.abc import Iterable
from copy import deepcopy
from dataclasses import replace

import pytest
from agent import plan
from agent.bmp import Attributes, EndOfRib, PeerDown, PeerUp, Update
from agent.plan import MAIN, Link, Route, RouteKey
from agent.prefix import Prefix
from agent.reconcile import DeleteObject, DeleteRoute, Holding, PutRoute, Reconciler, Step
from agent.rib import PROMOTED, Rib
from agent.settings import Mode
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from tests.unit.agent.fake_kernel import FakeKernel
from tests.unit.agent.world import (
    FIRST,
    LINKS,
    METRICS,
    OTHER_NODE,
    REMOTE,
    SECOND,
    THIRD,
    TUNNEL,
    A,
    B,
    settings,
)

MANY = [Prefix(REMOTE.address + 4 * number, 30) for number in range(1000)]


class World:
    """RIB, reconciler and kernel, as the agent joins them."""

    def __init__(self, mode: Mode) -> None:
        self.rib = Rib(settings(mode))
        self.kernel = FakeKernel()
        self.reconciler = Reconciler(self.rib, deepcopy(self.kernel.holding))
        self.links = dict(LINKS)
        self.now = 0.0
        self.rib.opened(self.now)
        self.work(base=True)

    def work(self, base: bool = False, prune: bool = True) -> list[Step]:
        """Brings the kernel up to date; the steps that it took."""
        self.rib.tick(self.now)
        dirty, self.rib.dirty = self.rib.dirty, set()
        base = base or self.rib.nodes_changed
        self.rib.nodes_changed = False
        before = len(self.kernel.taken)
        for steps in (
            self.reconciler.urgent(self.links, prune),
            self.reconciler.steps(dirty, self.links, base, prune),
        ):
            for step in steps:
                self.reconciler.holding.take(step)
                self.kernel.execute(step, self.links)
        assert not self.kernel.refused
        assert self.kernel.holding == self.reconciler.holding
        return self.kernel.taken[before:]

    def read_kernel(self) -> list[Step]:
        """What the agent does when somebody else changed something."""
        self.reconciler.holding = deepcopy(self.kernel.holding)
        self.rib.dirty |= self.reconciler.all_prefixes()
        return self.work(base=True)

    def up(self, peer: int, *prefixes: Prefix) -> None:
        self.rib.apply(PeerUp(peer), self.now)
        self.announce(peer, *prefixes)
        self.rib.apply(EndOfRib(peer), self.now)

    def announce(self, peer: int, *prefixes: Prefix, med: int = 0) -> None:
        self.rib.apply(Update(peer, (), prefixes, Attributes(peer, med=med)), self.now)

    def down(self, peer: int) -> None:
        self.rib.apply(PeerDown(peer, 1), self.now)

    def routes(self, prefix: Prefix) -> dict[int, set[int]]:
        """Metric to the next hops that the kernel would use."""
        found: dict[int, set[int]] = {}
        for key, route in self.kernel.holding.routes.items():
            if key.table == MAIN and key.prefix == prefix and route.object:
                members = self.kernel.holding.groups.get(route.object, (route.object,))
                hops = [self.kernel.holding.nexthops[number] for number in members]
                found[key.metric] = {hop.destination or hop.gateway for hop in hops}
        return found


@pytest.fixture
def client() -> World:
    world = World(Mode.CLIENT)
    world.up(A, *MANY)
    world.up(B, *MANY)
    world.work()
    return world


@pytest.fixture
def gateway() -> World:
    world = World(Mode.REFLECTOR)
    world.up(B, FIRST)
    world.up(TUNNEL, FIRST)
    world.work()
    return world


def kinds(steps: Iterable[Step]) -> list[str]:
    return [type(step).__name__ for step in steps]


def test_routes_lead_to_one_group(client: World) -> None:
    assert client.routes(MANY[0]) == {METRICS.primary: {A, B}}
    assert len(client.kernel.holding.groups) == 1
    assert len(client.kernel.holding.nexthops) == 2


def test_losing_a_gateway_removes_one_object_however_many_routes_there_are(client: World) -> None:
    client.down(A)

    assert kinds(client.work()) == ["DeleteObject"]
    assert client.routes(MANY[-1]) == {METRICS.primary: {B}}


def test_a_gateway_that_comes_back_changes_one_group_and_no_route(client: World) -> None:
    client.down(A)
    client.work()
    client.up(A, *MANY)

    assert kinds(client.work()) == ["PutNexthop", "PutGroup"]
    assert client.routes(MANY[-1]) == {METRICS.primary: {A, B}}


def test_losing_the_own_tunnels_leaves_the_backup(gateway: World) -> None:
    assert gateway.routes(FIRST) == {METRICS.primary: {TUNNEL}, METRICS.backup: {B}}
    gateway.down(TUNNEL)

    assert kinds(gateway.work()) == ["DeleteObject"]
    assert gateway.routes(FIRST) == {METRICS.backup: {B}}


def test_without_any_way_the_remote_range_is_unreachable(gateway: World) -> None:
    gateway.down(TUNNEL)
    gateway.down(B)
    gateway.work()

    assert gateway.routes(FIRST) == {}
    assert gateway.kernel.holding.routes[RouteKey(MAIN, REMOTE, METRICS.unreachable)] == Route()


def test_a_withdrawn_route_goes(client: World) -> None:
    for peer in (A, B):
        client.rib.apply(Update(peer, (MANY[0],), (), None), client.now)

    assert client.work() == [DeleteRoute(RouteKey(MAIN, MANY[0], METRICS.primary), False)]


def test_everything_comes_back_after_the_interface_did(client: World) -> None:
    before = deepcopy(client.kernel.holding)
    client.kernel.take_down(LINKS["cilium_vxlan"].index)
    client.links["cilium_vxlan"] = replace(LINKS["cilium_vxlan"], up=False)
    client.read_kernel()
    assert client.routes(MANY[0]) == {}

    # Cilium may have made it anew
    client.links["cilium_vxlan"] = Link(9, True, 1500)
    client.read_kernel()

    assert client.kernel.holding.routes.keys() == before.routes.keys()
    assert client.kernel.holding.neighbour == replace(before.neighbour, link=9) if before.neighbour else False
    assert {nexthop.link for nexthop in client.kernel.holding.nexthops.values()} == {9}


def test_what_others_remove_is_put_back(client: World) -> None:
    before = deepcopy(client.kernel.holding)
    client.kernel.holding = Holding()

    client.read_kernel()

    assert client.kernel.holding == before


def test_what_is_right_is_left_alone(client: World) -> None:
    assert client.read_kernel() == []


def successor(old: World) -> World:
    """A new agent on the same kernel."""
    new = World(old.rib.settings.mode)
    new.kernel = old.kernel
    new.reconciler = Reconciler(new.rib, deepcopy(old.kernel.holding))
    return new


def test_a_new_agent_takes_over_without_touching_anything(client: World) -> None:
    new = successor(client)
    assert new.work(base=True, prune=False) == []
    new.up(A, *MANY)
    steps = new.work(prune=False)
    new.up(B, *MANY)
    new.rib.dirty |= new.reconciler.all_prefixes()
    steps += new.work(base=True)

    assert not [step for step in steps if isinstance(step, PutRoute | DeleteRoute)], "b was on its way"
    assert new.routes(MANY[0]) == {METRICS.primary: {A, B}}


def test_a_new_agent_removes_what_is_no_longer_announced(client: World) -> None:
    new = successor(client)
    new.up(A, *MANY[:10])
    new.up(B, *MANY[:10])
    new.rib.dirty |= new.reconciler.all_prefixes()

    new.work(base=True)

    held = {key.prefix for key in new.kernel.holding.routes if key.metric == METRICS.primary}
    assert held == set(MANY[:10])


def test_cleaning_leaves_nothing(gateway: World) -> None:
    for step in gateway.reconciler.clean():
        gateway.kernel.execute(step, gateway.links)

    assert gateway.kernel.holding == Holding()


def test_urgent_steps_come_first(client: World) -> None:
    client.down(A)

    assert [type(step) for step in client.reconciler.urgent(client.links, True)] == [DeleteObject]
    assert list(client.reconciler.urgent(client.links, False)) == [], "not before BGP is complete"


def test_one_changed_prefix_is_one_step(client: World) -> None:
    client.announce(A, FIRST)
    client.announce(B, FIRST)

    assert kinds(client.work()) == ["PutRoute"]


class AnyOrder(RuleBasedStateMachine):
    """Any sequence of announcements, withdrawals, losses, flaps, restarts and meddling."""

    prefixes = st.sampled_from([FIRST, SECOND, THIRD])
    peers = st.sampled_from([A, B, TUNNEL, OTHER_NODE])

    @initialize(mode=st.sampled_from(list(Mode)))
    def begin(self, mode: Mode) -> None:
        self.world = World(mode)

    @rule(peer=peers)
    def session_up(self, peer: int) -> None:
        self.world.rib.apply(PeerUp(peer), self.world.now)

    @rule(peer=peers)
    def session_down(self, peer: int) -> None:
        self.world.down(peer)

    @rule(peer=peers)
    def table_ends(self, peer: int) -> None:
        self.world.rib.apply(EndOfRib(peer), self.world.now)

    @rule(peer=peers, prefix=prefixes, med=st.sampled_from([0, 10]))
    def announce(self, peer: int, prefix: Prefix, med: int) -> None:
        self.world.announce(peer, prefix, med=med)

    @rule(peer=peers, prefix=prefixes)
    def withdraw(self, peer: int, prefix: Prefix) -> None:
        self.world.rib.apply(Update(peer, (prefix,), (), None), self.world.now)

    @rule(again=st.booleans())
    def frr_restarts(self, again: bool) -> None:
        self.world.rib.closed()
        self.world.rib.opened(self.world.now, again)

    @rule(seconds=st.sampled_from([0.1, PROMOTED, 20.0, 400.0]))
    def time_goes_by(self, seconds: float) -> None:
        self.world.now += seconds

    @rule(name=st.sampled_from(["cilium_vxlan", "ss0"]), is_up=st.booleans())
    def interface_changes(self, name: str, is_up: bool) -> None:
        link = self.world.links[name]
        if link.up and not is_up:
            self.world.kernel.take_down(link.index)
        self.world.links[name] = replace(link, up=is_up)
        self.world.read_kernel()

    @rule(data=st.data())
    def somebody_removes_something(self, data: st.DataObject) -> None:
        holding = self.world.kernel.holding
        objects = sorted([*holding.nexthops, *holding.groups])
        if objects:
            holding.take(DeleteObject(data.draw(st.sampled_from(objects))))
        if routes := sorted(holding.routes, key=str):
            del holding.routes[data.draw(st.sampled_from(routes))]
        self.world.read_kernel()

    @rule()
    def agent_restarts(self) -> None:
        old = self.world
        self.world = successor(old)
        self.world.links = old.links
        self.world.now = old.now
        self.world.rib.opened(old.now)
        self.world.work(base=True, prune=False)
        self.world.rib.dirty |= self.world.reconciler.all_prefixes()
        self.world.work(base=True)

    @invariant()
    def kernel_holds_what_the_events_imply(self) -> None:
        if not hasattr(self, "world"):
            return
        world = self.world
        world.work()
        usable = plan.nexthops(world.rib, world.links)
        for prefix in (FIRST, SECOND, THIRD):
            implied = {
                metric: set(hops & usable.keys())
                for metric, hops in plan.targets(world.rib, prefix)
                if hops & usable.keys()
            }
            assert world.routes(prefix) == implied
        fixed = dict(plan.fixed_routes(world.rib, world.links))
        held = world.kernel.holding.routes
        assert {key: route for key, route in held.items() if not route.object} == fixed
        assert set(world.kernel.holding.nexthops.values()) == set(usable.values())


AnyOrder.TestCase.settings = hypothesis_settings(max_examples=60, stateful_step_count=40, deadline=None)
TestAnyOrder = AnyOrder.TestCase
