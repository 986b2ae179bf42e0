"""A kernel that only remembers: as strict as Linux about order, as forgetful about what depends on each other."""

from __future__ import annotations

from agent.plan import Link, Nexthop
from agent.reconcile import DeleteObject, DeleteRoute, Holding, PutGroup, PutNexthop, PutRoute, PutRule, Step


class FakeKernel:
    """Takes steps; `refused` holds what Linux would have answered with an error."""

    def __init__(self) -> None:
        self.holding = Holding()
        self.refused: list[Step] = []
        self.taken: list[Step] = []

    def execute(self, step: Step, links: dict[str, Link]) -> None:
        self.taken.append(step)
        up = {link.index for link in links.values() if link.up}
        if not self._possible(step, up):
            self.refused.append(step)
            return
        self.holding.take(step)

    def _possible(self, step: Step, up: set[int]) -> bool:
        holding = self.holding
        objects = holding.nexthops.keys() | holding.groups.keys()
        match step:
            case PutNexthop():
                return step.nexthop.link in up
            case PutGroup():
                return bool(step.members) and set(step.members) <= holding.nexthops.keys()
            case PutRoute():
                route = step.route
                fits = step.replace == (step.key in holding.routes)
                return fits and (not route.object or route.object in objects) and self._links_up(route.nexthop, up)
            case DeleteRoute():
                return step.key in holding.routes
            case DeleteObject():
                return step.number in objects
            case PutRule():
                return step.rule not in holding.rules
        return True

    def _links_up(self, nexthop: Nexthop | None, up: set[int]) -> bool:
        return nexthop is None or nexthop.link in up

    def take_down(self, link: int) -> None:
        """An interface goes down: Linux forgets without a word what leads through it."""
        for number in [number for number, held in self.holding.nexthops.items() if held.link == link]:
            self.holding.take(DeleteObject(number))
        for key, route in list(self.holding.routes.items()):
            if route.nexthop and route.nexthop.link == link:
                del self.holding.routes[key]
        if self.holding.neighbour and self.holding.neighbour.link == link:
            self.holding.neighbour = None
