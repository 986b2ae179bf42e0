"""The report as one HTML file that needs nothing else: no script, no font, no picture from elsewhere."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from xml.etree.ElementTree import Element

from . import timeline, topology, words
from .markup import document, element
from .model import Number, Outcome, Proof, Reach, Report, Trial
from .style import CSS


def page(report: Report) -> str:
    """The whole page."""
    title = f"Twin of {report.cluster}"
    body = (
        _head(report, title),
        _section("Topology", _topology(report)) if report.topology.nodes else None,
        _section("Reachability", _reachability(report.reach)) if report.reach else None,
        _section("Outages", _outages(report.trials)) if report.trials else None,
        _section("Timelines", (_trial(trial) for trial in report.trials)) if report.trials else None,
        _section("Numbers", _numbers(report.numbers)) if report.numbers else None,
        _section("Proofs", _proofs(report.proofs)) if report.proofs else None,
        _section("Notes", (element("p", note) for note in report.notes)) if report.notes else None,
    )
    return document(
        element(
            "html",
            element(
                "head",
                element("meta", charset="utf-8"),
                element("meta", name="viewport", content="width=device-width, initial-scale=1"),
                element("title", title),
                element("style", CSS),
            ),
            element("body", element("main", body)),
            lang="en",
        )
    )


def _head(report: Report, title: str) -> Element:
    facts = (
        element("div", element("dt", fact.what), element("dd", fact.value, class_=_style(fact.good)))
        for fact in words.summary(report)
    )
    when = f"{words.moment(report.when)}, took {words.running(report.seconds)}"
    return element(
        "header",
        element("h1", title),
        element("p", f"{when}. {report.machine}", class_="muted"),
        element("dl", facts, class_="facts"),
    )


def _section(title: str, content: Iterable[Element]) -> Element:
    return element("section", element("h2", title), content)


def _topology(report: Report) -> list[Element]:
    return [
        topology.draw(report.topology, columns=4, widest=36, style="wide"),
        topology.draw(report.topology, columns=2, widest=100, style="narrow"),
    ]


def _reachability(reach: Sequence[Reach]) -> list[Element]:
    blocks = words.blocks(reach)
    cells = (
        words.cell(source, destination, reach)
        for block in blocks
        for source in block.sources
        for destination in block.destinations
    )
    problems = [cell.says for cell in cells if cell is not None and not cell.good]
    return [
        element(
            "p",
            "ok: UDP and TCP get there and back, and the destination sees the right source address. "
            "UDP or TCP: that one fails. none: both fail. src: it sees another.",
            class_="note",
        ),
        element("div", (_matrix(block, reach) for block in blocks), class_="blocks"),
        *(element("p", problem, class_="bad") for problem in problems),
    ]


def _matrix(block: words.Block, reach: Sequence[Reach]) -> Element:
    head = (element("th", element("span", name), scope="col") for name in block.across)
    rows = (
        element(
            "tr",
            element("th", name, scope="row"),
            (_matrix_cell(block.cell(name, column, reach), name == column) for column in block.across),
        )
        for name in block.down
    )
    corner = element("td", block.corner, class_="corner")
    table = element("table", element("thead", element("tr", corner, head)), element("tbody", rows), class_="matrix")
    return element("div", table, class_="scroll", role="region", tabindex="0", aria_label="Reachability matrix")


def _matrix_cell(cell: words.Cell | None, same: bool) -> Element:
    if cell is None:
        return element("td", "·" if same else "", class_="same")
    return element("td", cell.code, class_=_style(cell.good), title=cell.says)


def _outages(trials: Sequence[Trial]) -> list[Element]:
    directions = tuple(dict.fromkeys(direction for trial in trials for direction in trial.directions))
    body = (
        element(
            "tr",
            element("th", trial.name, _clear_text(trial), scope="row"),
            (_outage_cell(trial, direction) for direction in directions),
        )
        for trial in trials
    )
    headings = ("", *(words.direction(direction) for direction in directions))
    return [
        element("p", "For how long nothing arrived, of the flow that fared worst in each direction.", class_="note"),
        _table(headings, body),
    ]


def _outage_cell(trial: Trial, direction: str) -> Element:
    if direction not in trial.directions:
        return element("td")
    measured, goal, met = trial.worst(direction).measured, trial.goal(direction), trial.met(direction)
    lines = [f"{words.packets(measured)} packets lost"] if measured.outages else []
    if goal is not None:
        wanted = f"goal {words.goal(goal)}"
        lines.append(wanted if met else f"missed, {wanted}")
        if goal.baseline is not None:
            lines.append(f"baseline {words.duration(goal.baseline)}")
    return element(
        "td",
        element("strong", words.outage(measured), class_=_style(met)),
        (element("small", line, class_="bad" if line.startswith("missed") else None) for line in lines),
    )


def _clear_text(trial: Trial) -> Element | None:
    return element("small", f"{trial.clear_text} packets in clear text", class_="bad") if trial.clear_text else None


def _trial(trial: Trial) -> Element:
    results = []
    for direction in trial.directions:
        measured = trial.worst(direction).measured
        remark = words.remarks(measured)
        results.append(
            element(
                "li",
                f"{words.direction(direction)} ",
                element("strong", words.outage(measured)),
                f" ({remark})" if remark else None,
                class_="bad" if trial.met(direction) is False else None,
            )
        )
    return element(
        "article",
        element("h3", trial.name),
        element("ul", results, class_="results"),
        timeline.draw(trial),
        class_="trial",
    )


def _numbers(numbers: Sequence[Number]) -> list[Element]:
    rows = []
    for number in numbers:
        goal = words.number_goal(number)
        wanted = f"{'missed, ' if number.met is False else ''}goal {goal}" if goal else None
        before = words.amount(number.baseline) if number.baseline is not None else ""
        rows.append(
            element(
                "tr",
                element("th", number.name, element("small", number.note) if number.note else None, scope="row"),
                element(
                    "td",
                    element("strong", f"{words.amount(number.value)} {number.unit}", class_=_style(number.met)),
                    element("small", wanted, class_="bad" if number.met is False else None) if wanted else None,
                ),
                element("td", before, element("small", f"{words.ratio(number)} better") if before else None),
            )
        )
    return [_table(("", "measured", "baseline"), rows)]


def _proofs(proofs: Sequence[Proof]) -> list[Element]:
    lists = []
    for outcome in (Outcome.FAILED, Outcome.SKIPPED):
        chosen = [proof for proof in proofs if proof.outcome is outcome]
        if chosen:
            lists.append(element("ul", (_proof(proof) for proof in chosen), class_="proofs"))
    passed = [proof for proof in proofs if proof.outcome is Outcome.PASSED]
    if passed:
        items = (
            element("li", proof.name, element("span", f" {words.duration(proof.seconds * 1000)}", class_="note"))
            for proof in passed
        )
        lists.append(
            element("details", element("summary", f"{len(passed)} passed"), element("ul", items, class_="proofs"))
        )
    return lists


def _proof(proof: Proof) -> Element:
    style = "bad" if proof.outcome is Outcome.FAILED else "muted"
    return element(
        "li",
        element("strong", proof.outcome, class_=style),
        f" {proof.name}",
        element("pre", proof.reason) if proof.reason else None,
    )


def _table(headings: Sequence[str], rows: Iterable[Element]) -> Element:
    head = (element("th", heading, scope="col") if heading else element("td") for heading in headings)
    return element(
        "table",
        element("thead", element("tr", head)),
        element("tbody", rows),
        class_="three" if len(headings) == 3 else None,
    )


def _style(good: bool | None) -> str | None:
    return {True: "good", False: "bad", None: None}[good]
