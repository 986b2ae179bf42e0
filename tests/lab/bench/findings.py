"""What the benchmark asks of a cluster, and how its figures go into the report. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from ..report.model import Goal, Mark, Number, Seen, Trial
from ..twin.stage import Cluster, Remote
from . import agent, outages
from .outages import Blow, Row
from .throughput import Speeds

_SECOND = 1_000.0
_FAST_BFD, _FAST = 300, 400.0
"""Milliseconds: a peer's BFD that finds a failure within the first has to be answered within the second."""
_AFTER_HOLD = 1_000.0
"""Milliseconds beyond the hold time that a peer without BFD may need to send by another tunnel."""
_IDLE_CPU = 0.5
_NO_ROUTE_CHANGES = 0


def measured_remote(cluster: Cluster) -> Remote:
    """The site that is measured: the first that speaks BFD, or else the first."""
    return next((remote for remote in cluster.remotes if remote.bfd), cluster.remotes[0])


def limit(objects: Iterable[Mapping[str, Any]], remote: Remote) -> int | None:
    """How many prefixes the rendered frr.conf takes from the site before it ends the session; None where any number."""
    peers = "|".join(re.escape(tunnel.inside_peer) for tunnel in remote.tunnels)
    wanted = re.compile(rf"neighbor (?:{peers}) maximum-prefix (\d+)")
    texts = (text for found in objects if found["kind"] == "ConfigMap" for text in (found.get("data") or {}).values())
    return min((int(number) for text in texts for number in wanted.findall(text)), default=None)


def feasible(
    trials: Sequence[outages.Trial], remote: Remote, taken: int | None, most: int
) -> tuple[outages.Trial, ...]:
    """The trials with at most `most` routes whose prefixes are all taken from the site.

    The site announces one prefix of each accepted range from its start, and those of the trial beside the first.
    """
    others = len(remote.accepted_cidrs) - 1
    return tuple(
        trial for trial in trials if trial.routes <= most and (taken is None or trial.routes + others <= taken)
    )


def left_out(chosen: Iterable[outages.Trial], taken: int | None, most: int) -> str:
    """A note on the numbers of routes that no trial has; empty where all have been tried."""
    left = sorted({trial.routes for trial in outages.TRIALS} - {trial.routes for trial in chosen})
    if not left:
        return ""
    reason = f"at most {most:,} were asked for" if min(left) > most else f"the gateways take {taken:,} from the site"
    return f"outages with {' and '.join(f'{number:,}' for number in left)} routes were not measured: {reason}"


def goals(blow: Blow, remote: Remote) -> tuple[Goal, Goal]:
    """The longest outage wanted, to the site and from it."""
    if blow is Blow.DRAINED:
        return Goal("out", 0), Goal("in", 0)
    if blow is Blow.CHARON_KILLED:
        return Goal("out", _SECOND), Goal("in", _SECOND)
    if remote.bfd is None:
        return Goal("out", _SECOND), Goal("in", remote.hold * 1_000 + _AFTER_HOLD)
    found = _FAST if remote.bfd.interval * remote.bfd.multiplier <= _FAST_BFD else _SECOND
    # whether a gateway's node lives is found by the BFD between nodes, however fast the site's is
    return Goal("out", _SECOND if blow is Blow.NODE_DIES else found), Goal("in", found)


def trials(rows: Sequence[Row], baseline: Sequence[Row], remote: Remote) -> Iterator[Trial]:
    """The rows as trials: the project's with goals and what the baseline needs, then the baseline's own."""
    for blow, routes in dict.fromkeys((row.blow, row.routes) for row in rows):
        wanted = (
            Goal(goal.direction, goal.milliseconds, _milliseconds(baseline, blow, routes, goal.direction))
            for goal in goals(blow, remote)
        )
        yield _trial(_name(blow, routes), _of(rows, blow, routes), tuple(wanted))
    for blow, routes in dict.fromkeys((row.blow, row.routes) for row in baseline):
        yield _trial(f"baseline: {_name(blow, routes)}", _of(baseline, blow, routes), ())


def unfinished(baseline: Iterable[Row]) -> Iterator[str]:
    """A note on each of the baseline's outages that was not waited for: its figure is a lower bound."""
    for row in baseline:
        if not row.ended:
            seconds = row.measured.longest / 1_000
            yield f"{row.subject}, {_name(row.blow, row.routes)}, {row.direction}: more than {seconds:.0f} s"


def agent_numbers(results: agent.Results) -> Iterator[Number]:
    """The route agent's figures, beside a polling loop's on the same node."""
    for idle, polled in zip(results.idle, results.polling, strict=True):
        what = f"route agent, {_routes(idle.routes)}, nothing changing"
        share = 100 * polled.cpu_seconds / (polled.seconds + 1)
        yield Number(f"{what}: processor", idle.cpu_percent, "% of a core", goal=_IDLE_CPU, baseline=share)
        yield Number(f"{what}: memory", idle.resident_megabytes, "MB")
    churn = f"route agent, {agent.CHURN} changes a second, {_routes(results.churn.routes)}: processor"
    yield Number(churn, results.churn.cpu_percent, "% of a core")
    last = results.polling[-1]
    yield Number(
        f"routes programmed, of {_routes(last.routes)} announced",
        results.programmed_per_second,
        "in a second",
        baseline=last.routes / last.seconds,
        more_is_better=True,
    )
    for loss in results.losses:
        what = f"{loss.what} of one of two gateways lost, {_routes(loss.routes)}"
        yield Number(
            f"{what}: routes changed", loss.route_changes, "routes", goal=_NO_ROUTE_CHANGES, baseline=loss.routes
        )
        yield Number(f"{what}: next hop objects changed", loss.nexthop_changes, "objects")
        yield Number(f"{what}: until the last change", loss.seconds, "s")


def throughput_numbers(path: Speeds, bare: Speeds, baseline: Speeds | None) -> Iterator[Number]:
    """TCP through everything, and its share of what the bare tunnel carries."""
    for direction, mine, tunnel, other in (
        ("pod → site", path.out, bare.out, baseline.out if baseline else None),
        ("site → pod", path.inwards, bare.inwards, baseline.inwards if baseline else None),
    ):
        yield Number(f"TCP, {direction}", mine, "Mbit/s", baseline=other, more_is_better=True)
        yield Number(
            f"TCP, {direction}, against the bare tunnel",
            mine / tunnel,
            "times",
            baseline=other / tunnel if other is not None else None,
            more_is_better=True,
            note=f"{mine:.1f} Mbit/s from end to end, {tunnel:.1f} Mbit/s between the tunnel's two ends",
        )


def _trial(name: str, rows: Sequence[Row], wanted: tuple[Goal, ...]) -> Trial:
    return Trial(
        name=name,
        marks=(Mark(rows[0].struck, str(rows[0].blow)),),
        seen=tuple(Seen(f"{row.subject}, {row.direction}", row.direction, row.measured) for row in rows),
        goals=wanted,
    )


def _of(rows: Iterable[Row], blow: Blow, routes: int) -> list[Row]:
    return [row for row in rows if (row.blow, row.routes) == (blow, routes)]


def _milliseconds(rows: Iterable[Row], blow: Blow, routes: int, direction: str) -> float | None:
    found = (row.measured.milliseconds for row in _of(rows, blow, routes) if row.direction == direction)
    return next(found, None)


def _name(blow: Blow, routes: int) -> str:
    return str(blow) if routes == 1 else f"{blow}, {_routes(routes)}"


def _routes(number: int) -> str:
    return f"{number:,} routes" if number != 1 else "1 route"
