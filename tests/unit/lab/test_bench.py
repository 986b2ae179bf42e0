"""What the benchmark asks of a cluster, and how its figures go into the report."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from tests.lab.bench import findings
from tests.lab.bench.__main__ import Bench
from tests.lab.bench.agent import Cost, Results, Round, Switch
from tests.lab.bench.findings import feasible, goals, left_out, limit, measured_remote, throughput_numbers, unfinished
from tests.lab.bench.outages import TRIALS, Blow, Row, Trial
from tests.lab.bench.parts import Part
from tests.lab.bench.subject import addresses
from tests.lab.bench.throughput import Speeds
from tests.lab.report.recorder import Recorder
from tests.lab.report.text import text
from tests.lab.twin.outages import measure
from tests.lab.twin.stage import Bfd, Stage
from tests.unit.lab.clusters import CLUSTER

REMOTE = CLUSTER.remotes[0]
_BEAT = 10_000_000


def row(subject: str, direction: str, fates: str, *, routes: int = 1, blow: Blow = Blow.NODE_DIES) -> Row:
    """Packets each 10 ms: `.` arrived, `x` did not."""
    sent = [_BEAT * (number + 1) for number in range(len(fates))]
    arrived = [time + 1 if fate == "." else 0 for time, fate in zip(sent, fates, strict=True)]
    return Row(subject, blow, routes, direction, 0.02, 10.0, measure(sent, arrived, 0, sent[-1] / 1e9 + 0.01))


def test_a_site_with_bfd_is_measured_where_there_is_one() -> None:
    fast = replace(REMOTE, name="fast", bfd=Bfd(100, 3))

    assert measured_remote(CLUSTER) == REMOTE
    assert measured_remote(replace(CLUSTER, remotes=(REMOTE, fast))) == fast


def test_the_limit_is_that_of_the_site_itself() -> None:
    frr = " neighbor 169.254.10.1 maximum-prefix 1000 80 restart 5\n neighbor 169.254.60.1 maximum-prefix 10"
    objects: list[dict[str, object]] = [
        {"kind": "ConfigMap", "data": {"frr.conf": frr}},
        {"kind": "ConfigMap"},
        {"kind": "Deployment"},
    ]

    assert limit(objects, REMOTE) == 1_000
    assert limit([], REMOTE) is None


@pytest.mark.parametrize(
    ("taken", "most", "sizes"),
    [
        (1_001, 10_000, {1, 1_000}),
        # the site announces one of its second range too
        (1_000, 10_000, {1}),
        (None, 10_000, {1, 1_000, 10_000}),
        (None, 1, {1}),
    ],
)
def test_trials_are_those_whose_prefixes_are_taken(taken: int | None, most: int, sizes: set[int]) -> None:
    assert {trial.routes for trial in feasible(TRIALS, REMOTE, taken, most)} == sizes


def test_what_was_left_out_is_said() -> None:
    one = [Trial(Blow.NODE_DIES)]

    assert left_out(TRIALS, 1_000, 10_000) == ""
    assert left_out([*one, Trial(Blow.NODE_DIES, 1_000)], 1_000, 10_000) == (
        "outages with 10,000 routes were not measured: the gateways take 1,000 from the site"
    )
    assert left_out(one, 1_000, 1) == (
        "outages with 1,000 and 10,000 routes were not measured: at most 1 were asked for"
    )


@pytest.mark.parametrize(
    ("blow", "bfd", "wanted"),
    [
        (Blow.DRAINED, None, (0, 0)),
        (Blow.CHARON_KILLED, None, (1_000, 1_000)),
        (Blow.NODE_DIES, None, (1_000, 31_000)),
        (Blow.NODE_DIES, Bfd(300, 3), (1_000, 1_000)),
        (Blow.NODE_DIES, Bfd(100, 3), (1_000, 400)),
        (Blow.PATH_BLACKHOLED, Bfd(100, 3), (400, 400)),
    ],
)
def test_goals_depend_on_what_the_site_speaks(blow: Blow, bfd: Bfd | None, wanted: tuple[float, float]) -> None:
    assert tuple(goal.milliseconds for goal in goals(blow, replace(REMOTE, bfd=bfd))) == wanted


def test_the_report_has_both_side_by_side_and_each_with_its_flows() -> None:
    ours = [row("tunnelfleet", "out", "..x..", routes=1_000), row("tunnelfleet", "in", ".....", routes=1_000)]
    theirs = [row("baseline", "out", "..xx..", routes=1_000)]

    project, baseline = findings.trials(ours, theirs, REMOTE)

    assert (project.name, baseline.name) == (
        "gateway node dies, 1,000 routes",
        "baseline: gateway node dies, 1,000 routes",
    )
    assert [(goal.direction, goal.baseline) for goal in project.goals] == [("out", pytest.approx(20)), ("in", None)]
    assert project.met("out")
    assert project.marks[0].at == 0.02
    assert baseline.goals == ()


def test_an_outage_that_was_not_waited_for_is_a_lower_bound() -> None:
    rows = [row("baseline", "in", "." + "x" * 300), row("baseline", "out", ".x.")]

    assert list(unfinished(rows)) == ["baseline, gateway node dies, in: more than 3 s"]


def test_the_agents_figures_stand_beside_the_polling_loops() -> None:
    results = Results(
        idle=(Cost(10_000, 0.25, 30.0),),
        churn=Cost(10_000, 4.0, 31.0),
        programmed_per_second=50_000,
        losses=(Switch("gateway", 10_000, 0, 1, 0.9),),
        polling=(Round(10_000, 9.0, 8.0),),
    )

    numbers = {number.name: number for number in findings.agent_numbers(results)}

    idle = numbers["route agent, 10,000 routes, nothing changing: processor"]
    assert (idle.value, idle.baseline, idle.met) == (0.25, 80, True)
    changed = numbers["gateway of one of two gateways lost, 10,000 routes: routes changed"]
    assert (changed.value, changed.baseline, changed.met) == (0, 10_000, True)
    assert numbers["routes programmed, of 10,000 routes announced"].ratio == pytest.approx(45)


def test_throughput_is_a_share_of_the_bare_tunnels() -> None:
    speed, share, *_ = throughput_numbers(Speeds(80, 60), Speeds(100, 100), Speeds(40, 30))

    assert (speed.value, speed.ratio) == (80, 2)
    assert (share.value, share.baseline) == (0.8, 0.4)


def test_the_host_behind_a_site_has_more_addresses_than_one() -> None:
    assert addresses("10.0.0.10")[:2] == ("10.0.0.10", "10.0.0.11")
    assert len(set(addresses("10.0.0.10"))) == 8


def bench(most: int = 10_000) -> Bench:
    return Bench(Stage(CLUSTER, (), {}), Path(), list(Part), most, Recorder("example", "a machine"))


def broken(error: Exception) -> None:
    """Something that raises it."""
    raise error


def test_a_part_that_fails_is_noted_and_the_others_are_measured() -> None:
    run = bench()

    with run.going_on("baseline"):
        broken(AssertionError("wanted: routes\nfound after 60 s: none\nand its whole log"))

    assert run.failed
    assert run.recorder.report.notes == ("baseline, not all measured: wanted: routes; found after 60 s: none",)


def test_a_figure_that_a_cluster_cannot_have_is_no_failure() -> None:
    run = bench()

    with run.going_on("baseline"):
        broken(ValueError("the baseline cannot connect to azure"))

    assert not run.failed
    assert run.recorder.report.notes == ("baseline, not all measured: the baseline cannot connect to azure",)


def test_the_report_shows_what_was_measured_before_the_end() -> None:
    run = bench(most=1)
    run.rows += [row("tunnelfleet", "out", "..x..")]
    run.path, run.bare = Speeds(80, 60), Speeds(100, 100)

    run.conclude()

    shown = text(run.recorder.report)
    assert "gateway node dies" in shown
    assert "TCP, pod → site, against the bare tunnel" in shown
    assert "outages with 1,000 and 10,000 routes were not measured: at most 1 were asked for" in shown
