"""The report of a run: the same findings as text, as JSON and as a page that stands alone."""

from __future__ import annotations

import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest
from syrupy.assertion import SnapshotAssertion

from tests.lab.report import words
from tests.lab.report.model import Goal, Number, Outcome, Reach, Report, Topology, Trial, dump, load
from tests.lab.report.page import page
from tests.lab.report.recorder import Recorder
from tests.lab.report.text import WIDTH, text
from tests.lab.report.timeline import Axis, axis
from tests.lab.twin.reachability import Probe, probe
from tests.lab.twin.traffic import Traffic
from tests.unit.lab.samples import EMPTY, REPORT, START, seen
from tests.unit.lab.world import World


class Page(HTMLParser):
    """What stands in a page: its elements with their attributes, its texts, and whether they are nested well."""

    def __init__(self, content: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self._open: list[str] = []
        self.feed(content)
        self.close()
        assert self._open == [], f"left open: {self._open}"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag != "meta":
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


@pytest.fixture(scope="module")
def whole() -> Page:
    return Page(page(REPORT))


def test_text(snapshot: SnapshotAssertion) -> None:
    assert text(REPORT) == snapshot


def test_text_fits_the_terminal() -> None:
    wide = tuple(
        Reach(f"pod-{row}", f"host-of-a-site-{column}", "UDP", "10.234.0.10", None)
        for row in range(12)
        for column in range(12)
    )
    for report in (REPORT, EMPTY, replace(REPORT, reach=wide)):
        assert max(map(len, text(report).splitlines())) <= WIDTH


def test_json_says_everything() -> None:
    assert load(dump(REPORT)) == REPORT
    assert load(dump(EMPTY)) == EMPTY


def test_the_page_needs_nothing_else(whole: Page) -> None:
    names = {name for name, _ in whole.elements}
    assert names.isdisjoint({"script", "link", "img", "iframe", "object", "embed", "form"})
    outside = {"src", "href", "srcset", "data", "style", "xlink:href"}
    assert not [attributes for _, attributes in whole.elements if outside & attributes.keys()]
    assert not re.search(r"https?:|//|url\(|@import", page(REPORT))


def test_the_page_is_readable_by_all(whole: Page) -> None:
    assert ("html", {"lang": "en"}) in whole.elements
    assert any(attributes.get("name") == "viewport" for _, attributes in whole.elements)
    follows = list(zip(whole.elements, whole.elements[1:], strict=False))
    for (name, attributes), (inner, _) in follows:
        if name == "svg" and attributes.get("role") == "img":
            assert inner == "title", "a drawing says what it shows"
    scopes = [attributes.get("scope") for name, attributes in whole.elements if name == "th"]
    assert set(scopes) == {"row", "col"}
    assert all(inner in ("h2", "h3") for (name, _), (inner, _) in follows if name in ("section", "article"))


def test_the_page_says_what_the_text_says(whole: Page) -> None:
    said = " ".join(whole.texts)
    for fact in words.summary(REPORT):
        assert fact.value in said
    for trial in REPORT.trials:
        assert trial.name in said
        assert all(mark.what in said for mark in trial.marks)
        assert all(one.flow in said for one in trial.seen)
    assert all(proof.reason in said for proof in REPORT.proofs)
    assert "seen as <unknown> & late" in said, "what a proof says is text, not markup"
    assert [site.name in said for site in REPORT.topology.sites] == [True, True]


def test_a_run_that_found_nothing_still_has_a_page() -> None:
    assert [name for name, _ in Page(page(EMPTY)).elements].count("section") == 0


@pytest.mark.parametrize("count", [1, 2, 3, 5, 9])
def test_any_number_of_nodes_is_drawn(count: int) -> None:
    nodes = tuple(replace(REPORT.topology.nodes[-1], name=f"node-{number}") for number in range(count))
    topology = Topology(REPORT.topology.sites, (*REPORT.topology.nodes[:2], *nodes))
    drawn = " ".join(Page(page(replace(REPORT, topology=topology))).texts)
    assert all(f"node-{number}" in drawn for number in range(count))


def test_a_goal_is_missed_by_the_worst_flow() -> None:
    trial = Trial("t", (), (seen("1", "out"), seen("2", "out", (1, 2.2))), (Goal("out", 1000),))
    assert (trial.worst("out").flow, trial.met("out")) == ("2", False)
    assert replace(trial, goals=(Goal("out", 1500),)).met("out") is True
    assert replace(trial, goals=()).met("out") is None


def test_a_goal_of_no_loss_is_missed_by_one_packet() -> None:
    trial = Trial("t", (), (seen("1", "out", (1, 1.01)),), (Goal("out", 0),))
    assert trial.met("out") is False
    assert replace(trial, seen=(seen("1", "out"),)).met("out") is True


def test_an_outage_that_never_ended_meets_no_goal() -> None:
    trial = Trial("t", (), (seen("1", "out", (11.9, 12)),), (Goal("out", 1000),))
    assert (trial.worst("out").measured.milliseconds < 1000, trial.met("out")) == (True, False)


def test_what_was_not_measured_meets_no_goal() -> None:
    trial = Trial("t", (), (seen("1", "out", seconds=0),), (Goal("out", 1000),))
    assert (trial.met("out"), words.outage(trial.worst("out").measured)) == (False, "not measured")


def test_numbers_compare_in_the_right_direction() -> None:
    less = Number("cpu", 2, "%", goal=3, baseline=20)
    more = Number("rate", 20, "a second", goal=30, baseline=2, more_is_better=True)
    assert (less.met, less.ratio, words.ratio(less)) == (True, 10, "10 times")
    assert (more.met, more.ratio) == (False, 10)
    assert (Number("n", 0, "", baseline=5).ratio, Number("n", 1, "").met) == (None, None)


@pytest.mark.parametrize(
    ("milliseconds", "words_for_it"),
    [(0, "0 ms"), (619.6, "620 ms"), (999.6, "1.00 s"), (1240, "1.24 s"), (23_960, "24.0 s"), (180_000, "180 s")],
)
def test_durations(milliseconds: float, words_for_it: str) -> None:
    assert words.duration(milliseconds) == words_for_it


def test_amounts() -> None:
    assert [words.amount(value) for value in (0, 0.004, 0.26, 5, 12.44, 55_000)] == [
        "0",
        "0.004",
        "0.26",
        "5",
        "12.4",
        "55,000",
    ]


def test_the_matrix_is_cut_where_it_has_holes() -> None:
    parts = words.blocks(REPORT.reach)
    assert [(len(part.sources), len(part.destinations), part.turned) for part in parts] == [
        (8, 2, False),
        (2, 10, True),
    ]
    names = ("a", "b", "c")
    full = [Reach(one, other, "UDP", "", None) for one in names for other in names if one != other]
    assert [part.sources for part in words.blocks(full)] == [names]


def test_the_axis_shows_all_marks_and_outages() -> None:
    for trial in REPORT.trials:
        scale = axis(trial)
        assert all(0 < scale.at(mark.at) < 100 for mark in trial.marks)
        assert 2 <= len(scale.ticks()) <= 7
    quiet = axis(Trial("t", (), (seen("1", "out"),)))
    assert quiet.start == START
    assert quiet.end == pytest.approx(START + 12)
    assert Axis(0, 10, 2).at(-5) == 0


def test_a_recorder_writes_what_it_was_given(world: World, tmp_path: Path) -> None:
    pod, host = world.pod, world.host
    recorder = Recorder("iceland-gcp", "this machine")
    recorder.reach(probe([Probe(pod, host, seen=frozenset({"192.0.2.7"}))]))
    recorder.reach(probe([Probe(pod, host)]))
    leaks = iter((3, 5))
    with Traffic() as traffic:
        flow = traffic.flow("pod to host", pod.namespace, pod.address, host.namespace, host.address)
        traffic.steady([flow], seconds=0.1)
        goals = [Goal("out", 5000, 24_000)]
        with recorder.watch("cut", traffic, [flow], goals=goals, clear_text=lambda: next(leaks)) as watch:
            with pytest.raises(ValueError, match="cut has not ended"):
                _ = watch.trial
            at = watch.mark("the cable is cut")
            world.cut()
            world.mend()
            traffic.steady([flow], seconds=0.1)
    recorder.proof("cut", Outcome.PASSED, 1.0)
    recorder.note("a note")
    recorder.number(Number("n", 1, "s"))
    recorder.topology(REPORT.topology)
    recorder.write(tmp_path / "report")
    assert sorted(path.name for path in (tmp_path / "report").iterdir()) == ["report.html", "report.json", "report.txt"]
    written: Report = load((tmp_path / "report" / "report.json").read_text(encoding="utf-8"))
    assert [(one.protocol, one.seen, one.problem) for one in written.reach] == [
        ("UDP", pod.address, None),
        ("TCP", pod.address, None),
    ]
    assert written.trials == (watch.trial,)
    assert (watch.trial.marks[0].at, watch.trial.clear_text, watch.trial.met("out")) == (at, 2, True)
    assert watch.trial.worst("out").measured.sent > 5
