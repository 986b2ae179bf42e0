"""From what the kernel holds to what it should hold, in the fewest steps. Pure: steps are data.

Losing a gateway removes one nexthop object, and the kernel takes it out of every group (net/ipv4/nexthop.c); routes
lead to groups and are not touched, however many there are.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from . import plan
from .plan import MAIN, Hops, Link, Neighbour, Nexthop, Route, RouteKey, Rule
from .prefix import Prefix
from .rib import Rib


@dataclass(frozen=True, slots=True)
class PutNexthop:
    number: int
    nexthop: Nexthop


@dataclass(frozen=True, slots=True)
class PutGroup:
    number: int
    members: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class DeleteObject:
    """A nexthop or a group; the kernel prunes groups, and routes that lose their last next hop."""

    number: int


@dataclass(frozen=True, slots=True)
class PutRoute:
    key: RouteKey
    route: Route
    replace: bool
    """False: there must be no such route, not even somebody else's."""


@dataclass(frozen=True, slots=True)
class DeleteRoute:
    key: RouteKey
    unreachable: bool


@dataclass(frozen=True, slots=True)
class PutRule:
    rule: Rule


@dataclass(frozen=True, slots=True)
class DeleteRule:
    rule: Rule


@dataclass(frozen=True, slots=True)
class PutNeighbour:
    neighbour: Neighbour


@dataclass(frozen=True, slots=True)
class DeleteNeighbour:
    neighbour: Neighbour


Step = (
    PutNexthop
    | PutGroup
    | DeleteObject
    | PutRoute
    | DeleteRoute
    | PutRule
    | DeleteRule
    | PutNeighbour
    | DeleteNeighbour
)


@dataclass(slots=True)
class Holding:
    """The agent's own part of the kernel."""

    nexthops: dict[int, Nexthop] = field(default_factory=dict)
    groups: dict[int, tuple[int, ...]] = field(default_factory=dict)
    routes: dict[RouteKey, Route] = field(default_factory=dict)
    rules: set[Rule] = field(default_factory=set)
    neighbour: Neighbour | None = None

    def take(self, step: Step) -> None:
        """What a successful step leaves behind."""
        match step:
            case PutNexthop():
                self.nexthops[step.number] = step.nexthop
            case PutGroup():
                self.groups[step.number] = step.members
            case DeleteObject():
                self._forget(step.number)
            case PutRoute():
                self.routes[step.key] = step.route
            case DeleteRoute():
                self.routes.pop(step.key, None)
            case PutRule():
                self.rules.add(step.rule)
            case DeleteRule():
                self.rules.discard(step.rule)
            case PutNeighbour():
                self.neighbour = step.neighbour
            case DeleteNeighbour():
                self.neighbour = None

    def _forget(self, number: int) -> None:
        gone = {number}
        self.nexthops.pop(number, None)
        self.groups.pop(number, None)
        for group, members in list(self.groups.items()):
            if number in members:
                self.groups[group] = tuple(member for member in members if member != number)
                if not self.groups[group]:
                    del self.groups[group]
                    gone.add(group)
        used = {route.object for route in self.routes.values()}
        if gone & used:
            self.routes = {key: route for key, route in self.routes.items() if route.object not in gone}


class Reconciler:
    """Knows what it wanted last, so that a change of one prefix costs the work of one prefix."""

    def __init__(self, rib: Rib, holding: Holding) -> None:
        self.rib = rib
        self.settings = rib.settings
        self.holding = holding
        self._hops: dict[int, int] = {}
        self._groups: dict[Hops, int] = {}
        self._wanted: dict[Prefix, tuple[tuple[int, Hops], ...]] = {}
        self._users: defaultdict[Hops, int] = defaultdict(int)

    @property
    def remote(self) -> Mapping[Prefix, tuple[tuple[int, Hops], ...]]:
        """The remote prefixes and their next hops."""
        return self._wanted

    def urgent(self, links: Mapping[str, Link], prune: bool) -> Iterator[Step]:
        """What moves traffic off next hops that are gone; to be done before anything else."""
        usable = plan.nexthops(self.rib, links)
        alive = {self._hop(hop, nexthop) for hop, nexthop in usable.items()}
        if prune:
            for number in [number for number in self.holding.nexthops if number not in alive]:
                yield DeleteObject(number)

    def steps(self, dirty: Iterable[Prefix], links: Mapping[str, Link], base: bool, prune: bool) -> Iterator[Step]:
        """The steps for changed prefixes, after `urgent`; with `base` also for what does not depend on prefixes.

        Each step must be taken in (`Holding.take`) before the next is asked for. Without `prune` nothing that was
        there before is removed or changed: what BGP has to say is not complete yet.
        """
        usable = plan.nexthops(self.rib, links)
        if base:
            yield from self._base(links, prune)
        changed = self._retarget(dirty)
        yield from self._live_nexthops(usable)
        yield from self._live_groups(usable)
        for prefix in changed:
            yield from self._routes(prefix, links, usable, prune)
        yield from self._unused_groups(prune)

    def all_prefixes(self) -> set[Prefix]:
        """All that are announced, wanted or in the kernel."""
        announced = set().union(*(peer.paths for peer in self.rib.peers.values()))
        held = {key.prefix for key in self.holding.routes if self._is_remote(key)}
        return announced | held | set(self._wanted)

    def clean(self) -> Iterator[Step]:
        """The steps that remove everything."""
        for key, route in list(self.holding.routes.items()):
            yield DeleteRoute(key, unreachable(route))
        for number in [*self.holding.groups, *self.holding.nexthops]:
            yield DeleteObject(number)
        for rule in list(self.holding.rules):
            yield DeleteRule(rule)
        if self.holding.neighbour:
            yield DeleteNeighbour(self.holding.neighbour)

    def _is_remote(self, key: RouteKey) -> bool:
        return key.table == MAIN and key.metric != self.settings.metrics.unreachable

    def _base(self, links: Mapping[str, Link], prune: bool) -> Iterator[Step]:
        neighbour = plan.neighbour(self.settings, links)
        if neighbour and neighbour != self.holding.neighbour:
            yield PutNeighbour(neighbour)
        rule = plan.rule(self.settings)
        for other in [other for other in self.holding.rules if other != rule]:
            yield DeleteRule(other)
        if rule and rule not in self.holding.rules:
            yield PutRule(rule)
        fixed = dict(plan.fixed_routes(self.rib, links))
        for key, route in fixed.items():
            yield from self._put(key, route)
        surplus = [key for key in self.holding.routes if not self._is_remote(key) and key not in fixed]
        for key in surplus if prune else ():
            yield DeleteRoute(key, unreachable(self.holding.routes[key]))

    def _retarget(self, dirty: Iterable[Prefix]) -> list[Prefix]:
        changed = list(dirty)
        for prefix in changed:
            for _, hops in self._wanted.pop(prefix, ()):
                self._users[hops] -= 1
            if wanted := plan.targets(self.rib, prefix):
                self._wanted[prefix] = wanted
                for _, hops in wanted:
                    self._users[hops] += 1
        for hops in [hops for hops, users in self._users.items() if users == 0]:
            del self._users[hops]
        return changed

    def _live_nexthops(self, usable: Mapping[int, Nexthop]) -> Iterator[Step]:
        for hop, nexthop in usable.items():
            number = self._hop(hop, nexthop)
            if self.holding.nexthops.get(number) != nexthop:
                yield PutNexthop(number, nexthop)

    def _hop(self, hop: int, nexthop: Nexthop) -> int:
        """The hop's identifier: its own, that of the same next hop in the kernel, or a new one."""
        if hop not in self._hops:
            taken = set(self._hops.values())
            same = (number for number, held in self.holding.nexthops.items() if held == nexthop and number not in taken)
            self._hops[hop] = next(same, None) or self._free()
        return self._hops[hop]

    def _live_groups(self, usable: Mapping[int, Nexthop]) -> Iterator[Step]:
        for hops in self._users:
            members = self._members(hops, usable)
            if not members or self.settings.tunnel_peer in hops:
                continue
            number = self._group(hops, members)
            if self.holding.groups.get(number) != members:
                yield PutGroup(number, members)

    def _members(self, hops: Hops, usable: Mapping[int, Nexthop]) -> tuple[int, ...]:
        return tuple(sorted(self._hops[hop] for hop in hops if hop in usable))

    def _group(self, hops: Hops, members: tuple[int, ...]) -> int:
        if hops not in self._groups:
            taken = set(self._groups.values())
            same = (number for number, held in self.holding.groups.items() if held == members and number not in taken)
            self._groups[hops] = next(same, None) or self._free()
        return self._groups[hops]

    def _free(self) -> int:
        first, last = self.settings.nexthops
        taken = {*self._hops.values(), *self._groups.values(), *self.holding.nexthops, *self.holding.groups}
        return next(number for number in range(first, last + 1) if number not in taken)

    def _routes(
        self, prefix: Prefix, links: Mapping[str, Link], usable: Mapping[int, Nexthop], prune: bool
    ) -> Iterator[Step]:
        wanted = dict(self._wanted.get(prefix, ()))
        held = self.holding.routes
        for metric, hops in wanted.items():
            key = RouteKey(MAIN, prefix, metric)
            if not any(hop in usable for hop in hops) or (key in held and not prune):
                continue
            number = self._hops[next(iter(hops))] if self.settings.tunnel_peer in hops else self._groups[hops]
            yield from self._put(key, plan.remote_route(self.settings, links, hops, number))
        if not prune:
            return
        metrics = self.settings.metrics
        for metric in (metrics.primary, metrics.backup, metrics.last):
            key = RouteKey(MAIN, prefix, metric)
            if metric not in wanted and key in held:
                yield DeleteRoute(key, False)

    def _put(self, key: RouteKey, route: Route) -> Iterator[Step]:
        held = self.holding.routes.get(key)
        if held != route:
            yield PutRoute(key, route, replace=held is not None)

    def _unused_groups(self, prune: bool) -> Iterator[Step]:
        for hops in [hops for hops in self._groups if hops not in self._users]:
            number = self._groups.pop(hops)
            if number in self.holding.groups:
                yield DeleteObject(number)
        if prune:
            used = set(self._groups.values())
            for number in [number for number in self.holding.groups if number not in used]:
                yield DeleteObject(number)


def unreachable(route: Route) -> bool:
    """Whether the route leads nowhere."""
    return not route.object and route.nexthop is None
