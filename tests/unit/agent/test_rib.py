"""What is believed of peers, and for how long."""

from __future__ import annotations

import pytest
from agent.bmp import Attributes, EndOfRib, Message, PeerDown, PeerUp, Update
from agent.prefix import Prefix
from agent.rib import CONFIRMED, NODE_KEPT, PROMOTED, SWEPT, Phase, Rib
from agent.settings import Settings

from tests.unit.agent.world import CLIENT, FIRST, GATEWAY, OTHER_NODE, SECOND, TUNNEL, A, B


def announce(peer: int, *prefixes: Prefix, next_hop: int | None = None) -> Update:
    return Update(peer, (), prefixes, Attributes(next_hop or peer))


def withdraw(peer: int, *prefixes: Prefix) -> Update:
    return Update(peer, prefixes, (), None)


def rib(settings: Settings, *messages: Message, now: float = 0.0) -> Rib:
    made = Rib(settings)
    made.opened(now)
    tell(made, now, *messages)
    return made


def tell(told: Rib, now: float, *messages: Message) -> None:
    for message in messages:
        told.apply(message, now)
    told.tick(now)


def table(peer: int, *prefixes: Prefix) -> tuple[Message, ...]:
    return (PeerUp(peer), announce(peer, *prefixes), EndOfRib(peer))


def paths(told: Rib, peer: int) -> set[Prefix]:
    known = told.peers.get(peer)
    return set(known.paths) if known and known.usable else set()


def test_a_peer_is_used_when_its_table_is_complete() -> None:
    told = rib(CLIENT, PeerUp(A), announce(A, FIRST))
    assert paths(told, A) == set()

    tell(told, 0.1, EndOfRib(A))

    assert paths(told, A) == {FIRST}
    assert told.dirty == {FIRST}


def test_a_peer_is_used_after_a_while_without_end_of_rib() -> None:
    told = rib(CLIENT, PeerUp(A), announce(A, FIRST))
    assert told.deadline() == PROMOTED

    tell(told, PROMOTED)

    assert paths(told, A) == {FIRST}


def test_routes_appear_and_disappear() -> None:
    told = rib(CLIENT, *table(A, FIRST), announce(A, SECOND), withdraw(A, FIRST))

    assert paths(told, A) == {SECOND}


@pytest.mark.parametrize("text", ["0.0.0.0/0", "10.0.0.0/8", "10.1.0.0/24", "172.27.48.0/24"])
def test_prefixes_outside_the_accepted_ranges_are_refused(text: str) -> None:
    told = rib(CLIENT, *table(A, Prefix.parse(text)))

    assert paths(told, A) == set()
    assert told.refused == 1


def test_a_gateway_speaks_for_itself_only() -> None:
    told = rib(CLIENT, *table(A, FIRST), announce(A, FIRST, next_hop=B))

    assert paths(told, A) == set()


def test_a_stranger_is_not_heard() -> None:
    told = rib(CLIENT, *table(OTHER_NODE, FIRST))

    assert told.peers == {}


def test_a_node_says_where_it_is_and_nothing_else() -> None:
    told = rib(GATEWAY, *table(OTHER_NODE, FIRST))

    assert told.nodes() == {OTHER_NODE, B}
    assert told.peers[OTHER_NODE].paths == {}


def test_a_lost_gateway_is_not_used() -> None:
    told = rib(CLIENT, *table(A, FIRST), *table(B, FIRST))

    tell(told, 1, PeerDown(A, 1))

    assert (paths(told, A), paths(told, B)) == (set(), {FIRST})


def test_the_last_gateway_of_a_client_stays_until_another_one_has_routes() -> None:
    told = rib(CLIENT, *table(A, FIRST), *table(B, FIRST))
    tell(told, 1, PeerDown(A, 1), PeerDown(B, 1))
    assert paths(told, B) == {FIRST}

    tell(told, 2, PeerUp(A), EndOfRib(A))
    assert paths(told, B) == {FIRST}, "a is back, but without routes"

    tell(told, 3, announce(A, FIRST))
    assert (paths(told, A), paths(told, B)) == ({FIRST}, set())


def test_the_last_gateway_stays_while_the_other_has_nothing_to_offer() -> None:
    told = rib(CLIENT, PeerUp(A), EndOfRib(A), *table(B, FIRST))

    tell(told, 1, PeerDown(B, 1))
    assert paths(told, B) == {FIRST}

    tell(told, 2, announce(A, SECOND))
    assert (paths(told, A), paths(told, B)) == ({SECOND}, set())


def test_gateways_do_not_keep_each_other() -> None:
    told = rib(GATEWAY, *table(B, FIRST), *table(TUNNEL, FIRST))

    tell(told, 1, PeerDown(B, 1), PeerDown(TUNNEL, 1))

    assert (paths(told, B), paths(told, TUNNEL)) == (set(), set())


def test_everything_stays_while_frr_is_away() -> None:
    told = rib(CLIENT, *table(A, FIRST), *table(B, FIRST))
    told.closed()

    tell(told, 1000)

    assert (paths(told, A), paths(told, B)) == ({FIRST}, {FIRST})
    assert told.deadline() is None


def test_a_new_frr_that_tells_of_sessions_not_up_yet_changes_nothing() -> None:
    told = rib(CLIENT, *table(A, FIRST), *table(B, FIRST))
    told.closed()
    told.opened(10)

    tell(told, 10, PeerDown(A, 1), PeerDown(B, 1))

    assert (paths(told, A), paths(told, B)) == ({FIRST}, {FIRST})


def test_the_same_frr_is_believed_that_a_session_is_down() -> None:
    told = rib(CLIENT, *table(A, FIRST), *table(B, FIRST))
    told.opened(10, again=True)

    tell(told, 10, *table(A, FIRST), PeerDown(B, 1))

    assert (paths(told, A), paths(told, B)) == ({FIRST}, set())


def test_a_gateway_that_does_not_come_back_to_a_new_frr_is_lost() -> None:
    told = rib(CLIENT, *table(A, FIRST), *table(B, FIRST))
    told.closed()
    told.opened(10)
    tell(told, 11, *table(A, FIRST))
    assert told.deadline() == 10 + CONFIRMED

    tell(told, 10 + CONFIRMED)

    assert (paths(told, A), paths(told, B)) == ({FIRST}, set())


def test_what_is_not_announced_again_goes_with_the_end_of_the_table() -> None:
    told = rib(CLIENT, *table(A, FIRST, SECOND))
    told.closed()
    told.opened(10)
    tell(told, 10, PeerUp(A), announce(A, FIRST))
    assert paths(told, A) == {FIRST, SECOND}

    tell(told, 10, EndOfRib(A))

    assert paths(told, A) == {FIRST}


def test_what_is_not_announced_again_goes_after_a_while() -> None:
    told = rib(CLIENT, *table(A, FIRST, SECOND))
    told.closed()
    told.opened(10)
    tell(told, 10, PeerUp(A), announce(A, FIRST))

    tell(told, 10 + SWEPT)

    assert paths(told, A) == {FIRST}


def test_routes_of_before_a_loss_are_not_used_again_unless_announced() -> None:
    told = rib(CLIENT, *table(A, FIRST, SECOND), *table(B, FIRST))
    tell(told, 1, PeerDown(A, 1))

    tell(told, 2, PeerUp(A), announce(A, FIRST), EndOfRib(A))

    assert paths(told, A) == {FIRST}


def test_a_nodes_address_outlives_its_session_for_minutes() -> None:
    told = rib(GATEWAY, PeerUp(OTHER_NODE))
    tell(told, 1, PeerDown(OTHER_NODE, 1))
    assert OTHER_NODE in told.nodes()

    tell(told, 1 + NODE_KEPT)

    assert OTHER_NODE not in told.nodes()


def test_a_client_is_complete_when_every_gateway_is() -> None:
    told = rib(CLIENT, *table(A, FIRST), PeerUp(B))
    assert not told.complete(1)

    tell(told, 1, EndOfRib(B))

    assert told.complete(1)


def test_a_client_is_not_complete_while_no_gateway_is_there() -> None:
    told = rib(CLIENT)
    tell(told, 10 * CONFIRMED)
    assert not told.complete(10 * CONFIRMED)

    tell(told, 10 * CONFIRMED, *table(A, FIRST))

    assert told.complete(10 * CONFIRMED)


def test_a_table_that_frr_broke_off_is_not_used() -> None:
    told = rib(CLIENT, *table(B, FIRST), PeerUp(A), announce(A, FIRST))
    told.closed()
    tell(told, 2 * PROMOTED)
    assert (paths(told, A), paths(told, B)) == (set(), {FIRST})

    told.opened(20)
    tell(told, 20 + CONFIRMED)

    assert told.peers[A].phase is Phase.DOWN


def test_nothing_is_complete_without_frr() -> None:
    told = Rib(CLIENT)

    assert not told.complete(1000)


def test_a_gateway_waits_for_its_nodes() -> None:
    told = rib(GATEWAY, *table(B, FIRST), *table(TUNNEL, FIRST))
    assert not told.complete(1)

    assert told.complete(CONFIRMED)


def test_a_peer_that_was_never_up_cannot_go_down() -> None:
    told = rib(CLIENT, PeerDown(A, 1), announce(A, FIRST))

    assert told.peers == {}


def test_a_loss_counts_once() -> None:
    told = rib(CLIENT, *table(A, FIRST), *table(B, FIRST))
    tell(told, 1, PeerDown(A, 1))

    tell(told, 2, PeerDown(A, 1))

    assert told.peers[A].phase is Phase.DOWN
    assert told.peers[A].since == 1
