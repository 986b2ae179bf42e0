"""Which routes follow from what peers announce."""

from __future__ import annotations

from dataclasses import replace

import pytest
from agent import plan
from agent.bmp import Attributes, EndOfRib, PeerDown, PeerUp, Update
from agent.plan import MAIN, Hops, Nexthop, Route, RouteKey
from agent.prefix import address, host
from agent.rib import Rib
from agent.settings import Settings

from tests.unit.agent.world import CLIENT, FIRST, GATEWAY, LINKS, METRICS, NODE, OTHER_NODE, REMOTE, TUNNEL, A, B


def rib(settings: Settings, **peers: Attributes) -> Rib:
    """Peers by name that announce the first prefix with these attributes."""
    made = Rib(settings)
    made.opened(0)
    numbers = {"a": A, "b": B, "tunnel": TUNNEL}
    for name, attributes in peers.items():
        number = numbers[name]
        for message in (PeerUp(number), Update(number, (), (FIRST,), attributes), EndOfRib(number)):
            made.apply(message, 0)
    return made


def targets(settings: Settings, **peers: Attributes) -> tuple[tuple[int, Hops], ...]:
    return plan.targets(rib(settings, **peers), FIRST)


def ways(*hops: int) -> Hops:
    return frozenset(hops)


def test_a_client_uses_all_gateways_that_are_as_good() -> None:
    assert targets(CLIENT, a=Attributes(A), b=Attributes(B)) == ((METRICS.primary, ways(A, B)),)


@pytest.mark.parametrize(
    "worse",
    [
        pytest.param(Attributes(B, as_path_length=2), id="longer AS path"),
        pytest.param(Attributes(B, origin=2), id="origin"),
        pytest.param(Attributes(B, med=100), id="MED"),
        pytest.param(Attributes(B, draining=True), id="about to stop"),
    ],
)
def test_a_client_leaves_out_a_gateway_that_is_worse(worse: Attributes) -> None:
    assert targets(CLIENT, a=Attributes(A), b=worse) == ((METRICS.primary, ways(A)),)


def test_a_gateway_uses_its_own_tunnels_and_others_as_a_backup() -> None:
    found = targets(GATEWAY, tunnel=Attributes(TUNNEL, as_path_length=2), b=Attributes(B, as_path_length=1))

    assert found == ((METRICS.primary, ways(TUNNEL)), (METRICS.backup, ways(B)))


def test_a_gateway_without_tunnels_uses_the_others() -> None:
    assert targets(GATEWAY, b=Attributes(B)) == ((METRICS.backup, ways(B)),)


@pytest.mark.parametrize(
    "own",
    [
        pytest.param(Attributes(TUNNEL, draining=True), id="the gateway"),
        pytest.param(Attributes(TUNNEL, med=100), id="the site's end of the tunnel"),
    ],
)
def test_a_gateway_about_to_stop_prefers_the_others(own: Attributes) -> None:
    found = targets(GATEWAY, tunnel=own, b=Attributes(B))

    assert found == ((METRICS.backup, ways(B)), (METRICS.last, ways(TUNNEL)))


def test_gateways_that_are_all_about_to_stop_use_their_own_tunnels() -> None:
    found = targets(GATEWAY, tunnel=Attributes(TUNNEL, draining=True), b=Attributes(B, draining=True))

    assert found == ((METRICS.primary, ways(TUNNEL)), (METRICS.backup, ways(B)))


def test_a_gateway_that_is_down_stays_in_its_group() -> None:
    known = rib(CLIENT, a=Attributes(A), b=Attributes(B))
    known.apply(PeerDown(A, 1), 1)

    assert plan.targets(known, FIRST) == ((METRICS.primary, ways(A, B)),)
    assert set(plan.nexthops(known, LINKS)) == {B}


def test_nothing_is_used_through_an_interface_that_is_down() -> None:
    known = rib(GATEWAY, tunnel=Attributes(TUNNEL), b=Attributes(B))
    down = replace(LINKS["cilium_vxlan"], up=False)

    assert set(plan.nexthops(known, LINKS | {"cilium_vxlan": down})) == {TUNNEL}
    assert plan.neighbour(GATEWAY, LINKS | {"cilium_vxlan": down}) is None
    assert set(plan.nexthops(known, {})) == set()


def test_remote_ranges_are_unreachable_where_no_other_route_is() -> None:
    assert dict(plan.fixed_routes(Rib(CLIENT), {})) == {RouteKey(MAIN, REMOTE, METRICS.unreachable): Route()}


def test_packets_out_of_a_tunnel_reach_nodes_inside_vxlan() -> None:
    known = rib(GATEWAY)
    known.apply(PeerUp(OTHER_NODE), 0)

    routes = dict(plan.fixed_routes(known, LINKS))

    for node in (OTHER_NODE, B):
        nexthop = Nexthop(3, address("169.254.100.5"), True, node, 2)
        assert routes[RouteKey(11100, host(node), METRICS.primary)] == Route(nexthop=nexthop)


def test_what_the_node_sends_itself_has_its_own_address_and_fits_the_tunnel() -> None:
    route = plan.remote_route(CLIENT, LINKS, ways(A), 1)

    assert route == Route(object=1, source=NODE, mtu=1398, mss=1358)


def test_packets_fit_vxlan_on_a_network_with_a_smaller_mtu() -> None:
    links = LINKS | {"ens3": replace(LINKS["ens3"], mtu=1400)}

    assert plan.remote_route(CLIENT, links, ways(A), 1) == Route(object=1, source=NODE, mtu=1350, mss=1310)
    assert plan.remote_route(GATEWAY, links, ways(TUNNEL), 1).mtu == 1398, "not through VXLAN"
