"""What a node's kernel must hold, from what was said to the agent: the rules of the data plane, and no more.

Written from the design and not from the agent's code, and simple: nothing here knows of steps, groups or timers.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from agent.prefix import Prefix, dotted
from agent.settings import Mode

from tests.unit.agent.kernel_view import Key, View, Way
from tests.unit.agent.speaker import Path
from tests.unit.agent.world import METRICS, NODE, REMOTE, TUNNEL, A, B

OVERHEAD, MTU, MSS = 50, 1398, 1358
NODE_KEPT = 300.0

Table = dict[Prefix, Path]


@dataclass(slots=True)
class Told:
    """What the agent heard of a peer with routes."""

    table: Table = field(default_factory=dict)
    fresh: Table = field(default_factory=dict)
    """Of the present session; becomes the table when it is complete."""
    up: bool = False
    in_use: bool = False


@dataclass(slots=True)
class Model:
    """One node: what its agent heard, and the state of what its routes lead through."""

    mode: Mode
    told: dict[int, Told] = field(default_factory=dict)
    nodes: dict[int, float | None] = field(default_factory=dict)
    """Nodes that were seen: None while their session is up, else when it was lost."""
    connected: bool = True
    blind: bool = False
    """A new agent that did not hear yet what there is: what its predecessor left must stay."""
    patient: bool = True
    """Whether it has waited long enough for what it did not hear."""
    left: dict[Key, Way] = field(default_factory=dict)
    overlay_up: bool = True
    inside_up: bool = True
    has_address: bool = True
    node_mtu: int = 1500
    occupied: set[Key] = field(default_factory=set)
    """Routes that somebody else has at the agent's own place."""
    now: float = 0.0

    @property
    def node(self) -> int:
        return NODE if self.mode is Mode.CLIENT else A

    @property
    def gateways(self) -> tuple[int, ...]:
        return (A, B) if self.mode is Mode.CLIENT else (B,)

    # what is said

    def up(self, peer: int) -> None:
        if peer in (*self.gateways, self.tunnel):
            told = self.told.setdefault(peer, Told())
            told.up, told.fresh = True, {}
        else:
            self.nodes[peer] = None

    def down(self, peer: int) -> None:
        if peer in self.nodes:
            self.nodes[peer] = self.now
        elif peer in self.told:
            self._lose(peer)

    def announce(self, peer: int, prefix: Prefix, path: Path) -> None:
        told = self.told[peer]
        if not REMOTE.contains(prefix) or (path.next_hop and peer != self.tunnel):
            self.withdraw(peer, prefix)
            return
        told.fresh[prefix] = told.table[prefix] = path
        self._release()

    def withdraw(self, peer: int, prefix: Prefix) -> None:
        self.told[peer].fresh.pop(prefix, None)
        self.told[peer].table.pop(prefix, None)

    def end_of_rib(self, peer: int) -> None:
        if peer in self.told:
            self._complete(self.told[peer])
            self._see()

    def quiet(self, seconds: float, sessions: dict[int, Table]) -> None:
        """A time in which everything is complete; `sessions` is what bgpd has."""
        self.now += seconds
        if not self.connected:
            return
        self.hear(sessions)
        for peer in [peer for peer in self.told if peer not in sessions]:
            self._lose(peer)
        for node, lost in self.nodes.items():
            if lost is None and node not in sessions:
                self.nodes[node] = self.now
        self.patient = True
        self._see()

    def hear(self, sessions: dict[int, Table]) -> None:
        """Everything is told, as to a new connection."""
        for peer, table in sessions.items():
            self.up(peer)
            if peer in self.told:
                for prefix, path in table.items():
                    self.announce(peer, prefix, path)
                self._complete(self.told[peer])
        self._see()

    def agent_restarts(self, held: dict[Key, Way]) -> None:
        self.told, self.nodes = {}, {}
        self.blind, self.patient, self.left = True, False, dict(held)

    # what becomes of the kernel

    def lose(self, is_lost: Callable[[Key, Way], bool]) -> None:
        """The kernel forgets routes; nobody puts back what only an agent that is gone knew."""
        self.left = {key: way for key, way in self.left.items() if not is_lost(key, way)}

    def implied(self) -> dict[Key, Way]:
        """The routes that the kernel must hold."""
        routes = self._fixed() | self._remote()
        if self.blind:
            routes |= {key: way for key, way in self.left.items() if key.metric != METRICS.unreachable}
        return {key: way for key, way in routes.items() if key not in self.occupied}

    def agrees(self, view: View) -> str:
        """What is wrong, empty where nothing is."""
        wanted = self.implied()
        wrong = [f"{key}: found {view.routes[key]}, wanted none" for key in view.routes.keys() - wanted.keys()]
        for key, way in wanted.items():
            found = view.routes.get(key)
            # what was there is not changed by an agent that does not know enough
            same = found is not None and found.hops == way.hops if self.blind else found == way
            if not same:
                wrong.append(f"{key}: found {found}, wanted {way}")
        if view.neighbour is not self.overlay_up:
            wrong.append(f"neighbour: found {view.neighbour}")
        if view.rule is not (self.mode is Mode.REFLECTOR):
            wrong.append(f"rule: found {view.rule}")
        if not self.blind and view.hops != self._usable_names():
            wrong.append(f"nexthop objects: found {sorted(view.hops)}, wanted {sorted(self._usable_names())}")
        if not self.blind and not self.occupied and self.has_address and view.idle_groups:
            wrong.append(f"{view.idle_groups} groups that no route uses")
        return "\n".join(wrong)

    # the rules

    @property
    def tunnel(self) -> int:
        return TUNNEL if self.mode is Mode.REFLECTOR else -1

    def _lose(self, peer: int) -> None:
        """A session is lost, and with it its routes; but a client never gives up its last gateway."""
        told = self.told[peer]
        told.up, told.fresh = False, {}
        others = any(self.told[other].in_use and self.told[other].table for other in self.told if other != peer)
        if self.mode is Mode.REFLECTOR or others:
            told.in_use = False

    def _complete(self, told: Told) -> None:
        if told.up:
            told.table, told.in_use = dict(told.fresh), True
            self._release()

    def _see(self) -> None:
        """A new agent waits for all, after a while for one gateway; a gateway cannot know all nodes and only waits."""
        told = [self.told.get(peer, Told()) for peer in self.gateways]
        said = [one.up and one.in_use and one.table == one.fresh for one in told]
        enough = (any(said) if self.patient else all(said)) if self.mode is Mode.CLIENT else self.patient
        self.blind = self.blind and not enough

    def _release(self) -> None:
        """Another gateway can carry the traffic: the one that was kept is given up."""
        if any(told.up and told.in_use and told.table for told in self.told.values()):
            for told in self.told.values():
                told.in_use = told.in_use and told.up

    def _usable(self) -> set[int]:
        """Next hops that packets can take now."""
        links = {peer: self.inside_up if peer == self.tunnel else self.overlay_up for peer in self.told}
        return {peer for peer, told in self.told.items() if told.in_use and links[peer]}

    def _usable_names(self) -> frozenset[str]:
        return frozenset(map(dotted, self._usable()))

    def _fixed(self) -> dict[Key, Way]:
        routes = {Key("main", str(REMOTE), METRICS.unreachable): Way(frozenset())}
        if self.mode is Mode.REFLECTOR and self.overlay_up:
            kept = {node for node, lost in self.nodes.items() if lost is None or self.now - lost < NODE_KEPT}
            for node in map(dotted, kept | {B}):
                routes[Key("11100", f"{node}/32", METRICS.primary)] = Way(frozenset({node}))
        return routes

    def _remote(self) -> dict[Key, Way]:
        routes: dict[Key, Way] = {}
        for prefix in {prefix for told in self.told.values() for prefix in told.table} if self.has_address else ():
            for metric, hops in self._ways(prefix).items():
                if alive := hops & self._usable():
                    routes[Key("main", str(prefix), metric)] = self._way(alive)
        return routes

    def _way(self, hops: set[int]) -> Way:
        shorter = 0 if self.tunnel in hops else max(0, MTU - (self.node_mtu - OVERHEAD))
        return Way(frozenset(map(dotted, hops)), dotted(self.node), MTU - shorter, MSS - shorter)

    def _ways(self, prefix: Prefix) -> dict[int, set[int]]:
        """Metric to next hops. A gateway leaves its own tunnels where they, and not the others, are about to stop."""
        paths = {peer: told.table[prefix] for peer, told in self.told.items() if told.in_use and prefix in told.table}
        own = paths.pop(self.tunnel, None)
        best = min(map(_order, paths.values()), default=None)
        others = {peer for peer, path in paths.items() if _order(path) == best}
        if self.mode is Mode.CLIENT:
            return {METRICS.primary: others}
        if own is None:
            return {METRICS.backup: others}
        if best is None or (own.draining, own.med) <= (best[0], best[2]):
            return {METRICS.primary: {self.tunnel}, METRICS.backup: others}
        return {METRICS.backup: others, METRICS.last: {self.tunnel}}


def _order(path: Path) -> tuple[bool, int, int]:
    return path.draining, path.hops, path.med
