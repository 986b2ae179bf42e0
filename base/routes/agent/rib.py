"""What each BGP peer announces, and which peers can be used. Pure: time comes in as an argument.

The kernel keeps forwarding while FRR restarts, so nothing is forgotten without a reason: a peer's routes stay until
its session is known to be down or its new table is complete. A client never gives up its last gateway.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import Enum, auto

from .bmp import Attributes, EndOfRib, Initiation, Message, PeerDown, PeerUp, Termination, Update
from .prefix import Prefix, host, within
from .settings import Mode, Settings

PROMOTED = 3.0
"""Seconds after which a peer that came back is used without End-of-RIB."""
SWEPT = 10.0
"""Seconds without an update after which routes that a peer did not announce again are dropped: a gateway whose FRR
restarts has a session with this node before it has one with its tunnels."""
CONFIRMED = 10.0
"""Seconds that a peer has to come back after FRR was restarted."""
NODE_KEPT = 300.0
"""Seconds that a node's address is kept when its session is lost: there is no other way to the node."""

Rank = tuple[int, int, int, int]
"""Order of paths, the smallest first: (about to stop, AS path, origin, MED): RFC 8326; RFC 4271, section 9.1.2.2."""


class Role(Enum):
    """Who a peer is."""

    GATEWAY = auto()
    TUNNEL = auto()
    NODE = auto()


class Phase(Enum):
    """Whether a peer can be used."""

    DOWN = auto()
    SYNCING = auto()
    """Came back, its table is on the way; not used yet."""
    UP = auto()


@dataclass(slots=True)
class Peer:
    """One BGP peer of this node's FRR. Routes outlive the session: they say which groups it belongs to."""

    role: Role
    phase: Phase = Phase.DOWN
    confirmed: bool = False
    """Seen up since FRR was last connected to."""
    last_resort: bool = False
    """Lost, but no other gateway was left."""
    since: float = 0.0
    updated: float = 0.0
    paths: dict[Prefix, Rank] = field(default_factory=dict)
    stale: set[Prefix] = field(default_factory=set)

    @property
    def usable(self) -> bool:
        return self.phase is Phase.UP


def rank(attributes: Attributes) -> Rank:
    """How good a path is."""
    return (int(attributes.draining), attributes.as_path_length, attributes.origin, attributes.med)


class Rib:
    """All peers. `dirty` collects the prefixes whose routes may have to change."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.peers: dict[int, Peer] = {}
        self.gateways: dict[int, Peer] = {}
        """Those of the peers that are gateways."""
        self.dirty: set[Prefix] = set()
        self.nodes_changed = False
        self.connected = False
        self.refused = 0
        """Announcements that the settings do not allow."""
        self._opened = 0.0
        self._begun = 0.0
        self._same = False

    def opened(self, now: float, again: bool = False) -> None:
        """FRR is connected to: its peers have to show again. `again`: it is the same bgpd as before."""
        self.connected = True
        self._same = again
        self._opened = now
        if not again:
            self._begun = now
        for peer in self.peers.values():
            peer.confirmed = False

    def closed(self) -> None:
        """FRR is gone; everything stays as it is."""
        self.connected = False

    def apply(self, message: Message, now: float) -> None:
        """Takes in one message."""
        if isinstance(message, Initiation | Termination):
            return
        role = self._role(message.peer)
        if role is None:
            return
        if isinstance(message, PeerUp):
            self._up(self._known(message.peer, role), now)
            return
        peer = self.peers.get(message.peer)
        if peer is None:
            return
        if isinstance(message, PeerDown):
            # a new bgpd also tells of peers that are not up yet
            if peer.confirmed or self._same:
                self._down(peer, now)
        elif not peer.confirmed:
            return
        elif isinstance(message, EndOfRib):
            self._complete(peer, now)
        elif peer.role is not Role.NODE:
            self._update(peer, message, now)

    def tick(self, now: float) -> None:
        """Does what is due by time alone."""
        for number, peer in list(self.peers.items()):
            if self._promotable(peer) and peer.since + PROMOTED <= now:
                self._complete(peer, now)
            elif self._sweepable(peer) and peer.updated + SWEPT <= now:
                self._sweep(peer)
            elif self._missing(peer) and self._opened + CONFIRMED <= now:
                self._down(peer, now)
            elif peer.role is Role.NODE and not peer.usable and peer.since + NODE_KEPT <= now:
                del self.peers[number]
                self.nodes_changed = True

    def deadline(self) -> float | None:
        """When `tick` is needed next."""
        return min(self._deadlines(), default=None)

    def complete(self, now: float) -> bool:
        """Whether the peers had their chance to say what they have, so that what is missing is gone."""
        time_is_up = self.connected and self._begun + CONFIRMED <= now
        if self.settings.mode is Mode.REFLECTOR:
            # it has to wait for every node, and does not know them
            return time_is_up
        # an FRR without a session has nothing to say: what an earlier agent left stays
        enough = any if time_is_up else all
        return enough(map(self._has_all, self.settings.gateways))

    def _has_all(self, number: int) -> bool:
        peer = self.peers.get(number)
        return peer is not None and peer.usable and peer.confirmed and not peer.stale

    def nodes(self) -> frozenset[int]:
        """Addresses of nodes that have, or had a moment ago, a session with this gateway."""
        others = (number for number, peer in self.peers.items() if peer.role is Role.NODE)
        return frozenset(others) | frozenset(self.settings.gateways)

    def _role(self, peer: int) -> Role | None:
        if peer in self.settings.gateways:
            return Role.GATEWAY
        if peer == self.settings.tunnel_peer:
            return Role.TUNNEL
        if self.settings.mode is Mode.REFLECTOR and within(host(peer), self.settings.nodes):
            return Role.NODE
        return None

    def _known(self, number: int, role: Role) -> Peer:
        peer = self.peers.setdefault(number, Peer(role))
        if role is Role.GATEWAY:
            self.gateways[number] = peer
        return peer

    def _up(self, peer: Peer, now: float) -> None:
        peer.confirmed = True
        peer.updated = now
        peer.stale = set(peer.paths)
        if peer.usable:
            peer.last_resort = False
            return
        peer.since = now
        peer.phase = Phase.SYNCING
        if peer.role is Role.NODE:
            peer.phase = Phase.UP
            self.nodes_changed = True

    def _down(self, peer: Peer, now: float) -> None:
        if peer.phase is Phase.DOWN:
            return
        peer.confirmed = False
        peer.stale.clear()
        if peer.usable and self._only_gateway(peer):
            peer.last_resort = True
            return
        peer.phase = Phase.DOWN
        peer.last_resort = False
        peer.since = now
        self.dirty.update(peer.paths)

    def _only_gateway(self, peer: Peer) -> bool:
        """On a client. Two gateways that each kept the other would send packets to and fro."""
        if self.settings.mode is not Mode.CLIENT:
            return False
        return not any(other.usable and other.paths for other in self.gateways.values() if other is not peer)

    def _complete(self, peer: Peer, now: float) -> None:
        self._sweep(peer)
        if peer.phase is Phase.SYNCING:
            peer.phase = Phase.UP
            peer.since = now
            self.dirty.update(peer.paths)
        self._release_last_resort(now)

    def _sweep(self, peer: Peer) -> None:
        for prefix in peer.stale:
            del peer.paths[prefix]
        self.dirty |= peer.stale
        peer.stale = set()

    def _release_last_resort(self, now: float) -> None:
        for peer in self.gateways.values():
            if peer.last_resort and not self._only_gateway(peer):
                self._down(peer, now)

    def _update(self, peer: Peer, message: Update, now: float) -> None:
        peer.updated = now
        for prefix in message.withdrawn:
            peer.stale.discard(prefix)
            if peer.paths.pop(prefix, None) is not None:
                self.dirty.add(prefix)
        if message.attributes is None:
            return
        new = rank(message.attributes)
        honest = peer.role is Role.TUNNEL or message.attributes.next_hop == message.peer
        for prefix in message.announced:
            peer.stale.discard(prefix)
            if not honest or not within(prefix, self.settings.accepted):
                self.refused += 1
                if peer.paths.pop(prefix, None) is not None:
                    self.dirty.add(prefix)
            elif peer.paths.get(prefix) != new:
                peer.paths[prefix] = new
                self.dirty.add(prefix)
        if peer.usable:
            self._release_last_resort(now)

    def _promotable(self, peer: Peer) -> bool:
        """A table that FRR broke off is not complete, however long ago that was."""
        return peer.phase is Phase.SYNCING and peer.confirmed and self.connected

    def _sweepable(self, peer: Peer) -> bool:
        return peer.usable and peer.confirmed and self.connected and bool(peer.stale)

    def _missing(self, peer: Peer) -> bool:
        """Whether FRR is back without the peer."""
        return peer.phase is not Phase.DOWN and self.connected and not peer.confirmed and not peer.last_resort

    def _deadlines(self) -> Iterator[float]:
        for peer in self.peers.values():
            if self._promotable(peer):
                yield peer.since + PROMOTED
            elif self._sweepable(peer):
                yield peer.updated + SWEPT
            elif self._missing(peer):
                yield self._opened + CONFIRMED
            elif peer.role is Role.NODE and not peer.usable:
                yield peer.since + NODE_KEPT
