"""What the route agent costs and how fast it is, beside a polling loop on the same node.

`python3 -m tests.lab.bench.agent STAGE --image TREE` prints a table, or JSON with `--json`; root is needed.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from ..twin.stage import Stage, load
from ..twin.waiting import until
from .agent_nodes import Bench, main_process
from .agent_watch import cpu_seconds, resident_bytes
from .outages import more_specifics

SIZES = (1, 1_000, 10_000)
CHURN = 100
"""Changes in a second."""
_IDLE_SECONDS, _CHURN_SECONDS = 20.0, 10.0
_QUIET = 4.5
"""Seconds: the agent reads all tables again 3 s after a session came or went."""
_POLLING_METRIC = 900
_POLLING = Path(__file__).with_name("polling.sh")


@dataclass(frozen=True, slots=True)
class Cost:
    """A process, or a loop with all that it starts, over some seconds."""

    routes: int
    cpu_percent: float
    """Of one core."""
    resident_megabytes: float
    """0 where it was not measured."""


@dataclass(frozen=True, slots=True)
class Switch:
    """A loss of one of two gateways, as the node's kernel sees it."""

    what: str
    routes: int
    route_changes: int
    nexthop_changes: int
    seconds: float
    """From the loss to the last change."""


@dataclass(frozen=True, slots=True)
class Round:
    """One round of the polling loop."""

    routes: int
    seconds: float
    cpu_seconds: float


@dataclass(frozen=True, slots=True)
class Results:
    """Everything that was measured."""

    idle: tuple[Cost, ...]
    churn: Cost
    programmed_per_second: float
    losses: tuple[Switch, ...]
    polling: tuple[Round, ...]


def measure(stage: Stage, image: Path, sizes: Sequence[int] = SIZES) -> Results:
    """Measures it all, in about three minutes. Raises AssertionError where a state is not reached."""
    prefixes = more_specifics(stage.cluster.accepted[0], max(sizes))
    with Bench(stage, image) as bench:
        try:
            return _measure(bench, prefixes, sizes)
        except AssertionError as error:
            raise AssertionError(f"{error}\n{bench.node.log()}") from error


def _measure(bench: Bench, prefixes: Sequence[str], sizes: Sequence[int]) -> Results:
    bench.up()
    idle, polling = [], []
    for size in sizes:
        bench.announce(prefixes[:size])
        bench.wait_for(size)
        bench.watch.quiet(_QUIET)
        idle.append(cost(bench, size, _IDLE_SECONDS))
        polling.append(poll(bench, size))
    churned = churn(bench, prefixes)
    rate = programming(bench, prefixes)
    losses = (lose_tunnels(bench, len(prefixes), prefixes), lose_gateway(bench, len(prefixes)))
    return Results(tuple(idle), churned, rate, losses, tuple(polling))


def cost(bench: Bench, routes: int, seconds: float) -> Cost:
    """What the agent takes in this time."""
    pid = main_process(bench.agent, "python3")
    before, start = cpu_seconds(pid), time.monotonic()
    time.sleep(seconds)
    used = (cpu_seconds(pid) - before) / (time.monotonic() - start)
    return Cost(routes, 100 * used, resident_bytes(pid) / 1e6)


def churn(bench: Bench, prefixes: Sequence[str]) -> Cost:
    """What the agent takes while a hundred prefixes come or go each second."""
    pid = main_process(bench.agent, "python3")
    before, start = cpu_seconds(pid), time.monotonic()
    steps = int(_CHURN_SECONDS * CHURN)
    for step in range(steps):
        change = bench.announce if step // CHURN % 2 else bench.withdraw
        change(prefixes[step % CHURN : step % CHURN + 1])
        time.sleep(max(0.0, start + (step + 1) / CHURN - time.monotonic()))
    used = (cpu_seconds(pid) - before) / (time.monotonic() - start)
    bench.announce(prefixes[:CHURN])
    bench.wait_for(len(prefixes))
    return Cost(len(prefixes), 100 * used, resident_bytes(pid) / 1e6)


def programming(bench: Bench, prefixes: Sequence[str]) -> float:
    """Routes in a second, from the announcement at one gateway to the node's kernel."""
    bench.withdraw(prefixes)
    bench.wait_for(0)
    bench.watch.quiet(_QUIET)
    start = time.monotonic()
    bench.peers[0].announce(prefixes)
    bench.wait_for(len(prefixes))
    seen = bench.watch.quiet(1)
    bench.peers[1].announce(prefixes)
    bench.watch.quiet(_QUIET)
    return len(prefixes) / (seen.last - start)


def lose_tunnels(bench: Bench, routes: int, prefixes: Sequence[str]) -> Switch:
    """The tunnels of one gateway end; its node lives."""
    bench.watch.changes()
    start = time.monotonic()
    bench.peers[0].reset()
    seen = bench.watch.quiet(2)
    until("the tunnels' session", bench.peers[0].established.is_set)
    bench.peers[0].announce(prefixes)
    bench.watch.quiet(_QUIET)
    return Switch("tunnels", routes, seen.routes, seen.nexthops, seen.last - start)


def lose_gateway(bench: Bench, routes: int) -> Switch:
    """A gateway's cable is cut; BFD has to notice."""
    bench.watch.changes()
    start = time.monotonic()
    bench.bridge.ip("link", "set", bench.gateways[0].name, "down")
    seen = bench.watch.quiet(2)
    return Switch("gateway", routes, seen.routes, seen.nexthops, seen.last - start)


def poll(bench: Bench, routes: int) -> Round:
    """One round of a polling loop on the same node, beside the agent and with routes of its own."""
    seconds, used = bench.node.polling(_POLLING, _POLLING_METRIC)
    bench.watch.quiet(1)
    return Round(routes, seconds, used)


def table(results: Results) -> str:
    """The results as text."""
    lines = [f"{'':34}{'agent':>22}{'polling each second':>26}"]
    for one, polled in zip(results.idle, results.polling, strict=True):
        share = 100 * polled.cpu_seconds / max(1.0, polled.seconds + 1)
        lines.append(
            f"{one.routes:>6} routes, nothing changing     {one.cpu_percent:>6.2f} % {one.resident_megabytes:>6.1f} MB"
            f"{share:>14.0f} % {polled.seconds:>6.1f} s a round"
        )
    lines.append(f"{CHURN} changes/s, {results.churn.routes} routes".ljust(34) + f"{results.churn.cpu_percent:>9.2f} %")
    last = results.polling[-1]
    lines.append(
        "routes programmed in a second".ljust(34)
        + f"{results.programmed_per_second:>9.0f}"
        + f"{last.routes / last.seconds:>22.0f}"
    )
    for loss in results.losses:
        lines.append(
            f"{loss.what} lost, {loss.routes} routes".ljust(34)
            + f"{loss.nexthop_changes} nexthop objects, {loss.route_changes} routes, {loss.seconds:.2f} s"
            + f"{loss.routes:>10} routes"
        )
    return "\n".join(lines)


def main() -> int:
    """0 where it could be measured."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("stage", type=Path)
    parser.add_argument("--image", type=Path, required=True, help="the tree of the container image")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    results = measure(load(arguments.stage), arguments.image)
    print(json.dumps(asdict(results)) if arguments.json else table(results))
    return 0


if __name__ == "__main__":
    sys.exit(main())
