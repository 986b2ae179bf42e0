"""The real kernel, in a network namespace of the test's own: what is written is what is read back."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator

import pytest
from agent.bmp import Attributes, EndOfRib, PeerDown, PeerUp, Update
from agent.kernel import Changes, Failure, Kernel
from agent.plan import MAIN, Nexthop, Route, RouteKey
from agent.prefix import Prefix
from agent.reconcile import DeleteRoute, Holding, PutNexthop, PutRoute, Reconciler
from agent.rib import Rib
from agent.settings import Mode

from tests.unit.agent.namespaces import ip
from tests.unit.agent.world import FIRST, METRICS, OTHER_NODE, REMOTE, SECOND, TUNNEL, A, B, settings

pytestmark = pytest.mark.usefixtures("network")


class Node:
    """A node with its agent's parts, without FRR."""

    def __init__(self, mode: Mode) -> None:
        self.settings = settings(mode)
        self.kernel = Kernel(self.settings)
        self.rib = Rib(self.settings)
        self.rib.opened(0)
        state = self.kernel.read()
        self.links = state.links
        self.reconciler = Reconciler(self.rib, state.holding)

    def up(self, peer: int, *prefixes: Prefix) -> None:
        for message in (PeerUp(peer), Update(peer, (), prefixes, Attributes(peer)), EndOfRib(peer)):
            self.rib.apply(message, 0)

    def work(self) -> list[Failure]:
        self.rib.dirty |= self.reconciler.all_prefixes()
        dirty, self.rib.dirty = self.rib.dirty, set()
        failures: list[Failure] = []
        for wanted in (
            self.reconciler.urgent(self.links, True),
            self.reconciler.steps(dirty, self.links, base=True, prune=True),
        ):
            steps = []
            for step in wanted:
                self.reconciler.holding.take(step)
                steps.append(step)
            failures += self.kernel.execute(steps)
        return failures

    def agrees(self) -> bool:
        """Whether the kernel holds what the agent believes."""
        return self.kernel.read().holding == self.reconciler.holding


@pytest.fixture
def client() -> Iterator[Node]:
    node = Node(Mode.CLIENT)
    node.up(A, FIRST, SECOND)
    node.up(B, FIRST, SECOND)
    assert node.work() == []
    yield node
    node.kernel.close()


@pytest.fixture
def gateway() -> Iterator[Node]:
    node = Node(Mode.REFLECTOR)
    node.up(TUNNEL, FIRST)
    node.up(B, FIRST)
    node.up(OTHER_NODE)
    assert node.work() == []
    yield node
    node.kernel.close()


def test_a_node_shows_both_gateways_as_the_manual_says(client: Node) -> None:
    route = ip("route", "show", str(FIRST))

    assert client.agrees()
    for gateway in ("172.27.48.11", "172.27.48.12"):
        assert f"encap ip id 2 src 0.0.0.0 dst {gateway} ttl 0 tos 0 via 169.254.100.5 dev cilium_vxlan" in route
    assert "src 172.27.48.20 metric 500 mtu 1398 advmss 1358" in route
    assert "unreachable 10.0.0.0/16 proto 111 metric 4278190580" in ip("route")
    assert "169.254.100.5 lladdr 02:54:46:64:00:05 PERMANENT" in ip("neighbour", "show", "dev", "cilium_vxlan")


def test_a_gateway_shows_its_tunnels_without_encap(gateway: Node) -> None:
    first, backup = ip("route", "show", str(FIRST)).splitlines()

    assert gateway.agrees()
    assert "via 169.254.100.2 dev ss0" in first
    assert "encap" not in first
    assert "dst 172.27.48.12" in backup
    assert "metric 4261413364" in backup
    assert "dst 172.27.48.21" in ip("route", "show", "table", "11100")
    assert "iif ss0 lookup 11100 proto 111" in ip("rule")


def test_a_lost_gateway_is_out_of_every_route(client: Node) -> None:
    client.rib.apply(PeerDown(A, 1), 1)

    assert client.work() == []

    assert client.agrees()
    assert "dst 172.27.48.11" not in ip("route")
    assert "dst 172.27.48.12" in ip("route", "show", str(FIRST))


def test_the_backup_takes_over_when_the_tunnels_are_lost(gateway: Node) -> None:
    gateway.rib.apply(PeerDown(TUNNEL, 1), 1)

    assert gateway.work() == []

    assert gateway.agrees()
    assert "dst 172.27.48.12" in ip("route", "get", "10.0.1.1")


def test_with_no_way_left_nothing_goes_out_in_clear_text(gateway: Node) -> None:
    gateway.rib.apply(PeerDown(TUNNEL, 1), 1)
    gateway.rib.apply(PeerDown(B, 1), 1)
    gateway.work()
    ip("route", "add", "default", "via", "172.27.48.1")

    with pytest.raises(subprocess.CalledProcessError) as error:
        ip("route", "get", "10.0.1.1")

    assert "No route to host" in error.value.stderr


def test_all_comes_back_after_the_interface_was_down(client: Node) -> None:
    ip("link", "set", "cilium_vxlan", "down")
    ip("link", "set", "cilium_vxlan", "up")
    assert client.kernel.changes().links

    state = client.kernel.read()
    assert not state.holding.nexthops
    assert state.holding.neighbour is None
    client.links, client.reconciler.holding = state.links, state.holding

    assert client.work() == []
    assert client.agrees()
    assert len(client.reconciler.holding.nexthops) == 2


@pytest.mark.parametrize(
    "meddling",
    [
        pytest.param(["route", "del", str(FIRST)], id="route"),
        pytest.param(["route", "del", "unreachable", str(REMOTE)], id="fallback"),
        pytest.param(["nexthop", "flush"], id="nexthops"),
        pytest.param(["neighbour", "del", "169.254.100.5", "dev", "cilium_vxlan"], id="neighbour"),
    ],
)
def test_what_others_remove_is_noticed_and_put_back(client: Node, meddling: list[str]) -> None:
    client.kernel.changes()

    ip(*meddling)

    assert client.kernel.changes() == Changes(links=False, own=True)
    client.reconciler.holding = client.kernel.read().holding
    before = client.agrees()
    assert client.work() == []
    assert (before, client.agrees()) == (True, True)
    assert "dst 172.27.48.11" in ip("route", "show", str(FIRST))


def test_its_own_changes_and_those_of_strangers_are_no_news(client: Node) -> None:
    client.kernel.changes()
    client.up(A, FIRST)
    client.work()

    ip("route", "add", "192.0.2.0/24", "dev", "ens3")
    ip("nexthop", "add", "id", "7", "dev", "ens3")
    ip("neighbour", "add", "172.27.48.99", "lladdr", "02:00:00:00:00:01", "dev", "ens3")

    assert client.kernel.changes() == Changes()


def test_what_is_not_the_agents_is_left_alone(client: Node) -> None:
    ip("route", "add", "192.0.2.0/24", "dev", "ens3", "metric", "500")
    ip("nexthop", "add", "id", "7", "dev", "ens3")
    before = (ip("route", "show", "proto", "boot"), ip("nexthop", "show", "id", "7"))

    client.kernel.execute(list(client.reconciler.clean()))

    assert client.kernel.read().holding == Holding()
    assert (ip("route", "show", "proto", "boot"), ip("nexthop", "show", "id", "7")) == before


def test_a_stranger_at_the_agents_own_place_is_noticed(client: Node) -> None:
    client.kernel.changes()

    ip("route", "replace", str(FIRST), "dev", "ens3", "metric", "500")
    assert client.kernel.changes() == Changes(own=True), "the kernel says nothing of the route that was replaced"
    ip("route", "del", str(FIRST), "dev", "ens3", "metric", "500")
    assert client.kernel.changes() == Changes(own=True)


def test_a_lost_address_is_noticed_since_it_takes_routes_with_it(client: Node) -> None:
    client.kernel.changes()

    ip("address", "del", "172.27.48.20/20", "dev", "ens3")

    assert ip("route", "show", str(FIRST)) == "", "its source is gone"
    assert client.kernel.changes().links
    ip("address", "add", "192.0.2.1/24", "dev", "wire")
    assert client.kernel.changes() == Changes(), "not this node's interface"


def test_somebody_elses_route_is_not_replaced(client: Node) -> None:
    ip("route", "add", "10.0.3.0/24", "dev", "ens3", "metric", "500")
    step = PutRoute(
        RouteKey(MAIN, Prefix.parse("10.0.3.0/24"), METRICS.primary),
        Route(nexthop=Nexthop(client.links["ens3"].index, A)),
        replace=False,
    )

    (failure,) = client.kernel.execute([step])

    assert "File exists" in str(failure)


def test_a_failed_step_stops_nothing(client: Node) -> None:
    impossible = PutNexthop(0x74660500, Nexthop(9999, A))
    missing = DeleteRoute(RouteKey(MAIN, Prefix.parse("10.0.9.0/24"), METRICS.primary), False)
    possible = DeleteRoute(RouteKey(MAIN, FIRST, METRICS.primary), False)

    failures = client.kernel.execute([impossible, missing, possible])

    assert [failure.step for failure in failures] == [impossible], "to remove what is not there is no failure"
    assert ip("route", "show", str(FIRST)) == ""


def test_ten_thousand_routes_go_through_one_group() -> None:
    node = Node(Mode.CLIENT)
    many = [Prefix(REMOTE.address + 4 * number, 30) for number in range(10_000)]
    node.up(A, *many)
    node.up(B, *many)

    assert node.work() == []

    held = node.kernel.read().holding
    assert held == node.reconciler.holding
    assert len(held.routes) == 10_001
    assert len(held.groups) == 1
    node.kernel.close()
