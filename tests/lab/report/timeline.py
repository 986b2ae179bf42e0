"""Draws a trial: one lane for each flow on a common axis of time, what was lost on it, and what happened when."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from xml.etree.ElementTree import Element

from . import words
from .markup import element
from .model import Mark, Seen, Trial

_LANE = 24
_MARK = 17
_STEPS = (0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1800)
_TICKS = 6
# Width of a letter on a telephone, in percent.
_LETTER = 1.8


@dataclass(frozen=True, slots=True)
class Axis:
    """From when to when, and which moment is 0."""

    start: float
    end: float
    zero: float

    def at(self, moment: float) -> float:
        """In percent of the width, never outside it."""
        return 100 * min(1.0, max(0.0, (moment - self.start) / (self.end - self.start)))

    def ticks(self) -> list[float]:
        """Moments worth a label."""
        length = self.end - self.start
        step = next((step for step in _STEPS if length / step <= _TICKS), _STEPS[-1])
        first = -int((self.zero - self.start) / step)
        last = int((self.end - self.zero) / step)
        return [self.zero + step * number for number in range(first, last + 1)]


def axis(trial: Trial) -> Axis:
    """So long that all marks and outages are seen, and no longer."""
    since = min(seen.measured.since for seen in trial.seen)
    until = max(seen.measured.until for seen in trial.seen)
    moments = [mark.at for mark in trial.marks]
    for seen in trial.seen:
        for outage in seen.measured.outages:
            moments += [outage.start, outage.start + outage.milliseconds / 1000]
    first, last = min(moments, default=since), max(moments, default=until)
    margin = max(0.5, 0.08 * (last - first))
    start = max(first - margin, min(since, first))
    end = max(min(last + margin, until), start + 0.1)
    return Axis(start, end, trial.marks[0].at if trial.marks else since)


def draw(trial: Trial) -> Element:
    """The lanes with their names and results; empty where no flow was watched."""
    if not trial.seen:
        return element("div")
    scale = axis(trial)
    return element(
        "div",
        _marks(trial.marks, scale) if trial.marks else None,
        (_lane(seen, trial.marks, scale) for seen in trial.seen),
        _axis(scale),
        class_="lanes",
    )


def _lane(seen: Seen, marks: Sequence[Mark], scale: Axis) -> Element:
    measured = seen.measured
    found = words.outage(measured)
    if measured.outages:
        found += f", {measured.lost} lost" + (f", {measured.late} late" if measured.late else "")
    elif measured.sent:
        found = "nothing lost"
    start, end = scale.at(measured.since), scale.at(measured.until)
    parts = [element("rect", x=f"{start:.3f}%", y=10, width=f"{end - start:.3f}%", height=4, class_="delivered")]
    for outage in measured.outages:
        left = scale.at(outage.start)
        width = scale.at(outage.start + outage.milliseconds / 1000) - left
        style = "lost" if outage.lost else "late"
        what = f"{words.duration(outage.milliseconds)}: {outage.lost} lost, {outage.late} late"
        # a sliver is drawn 2 px wide: seen, not to scale
        sliver = element("rect", x=f"{left:.3f}%", y=4, width=2, height=16, class_=style)
        parts += [
            sliver,
            element(
                "rect", element("title", what), x=f"{left:.3f}%", y=4, width=f"{width:.3f}%", height=16, class_=style
            ),
        ]
    return element(
        "div",
        element("span", seen.flow, class_="flow"),
        element("span", found, class_="found" if measured.outages or not measured.sent else "found quiet"),
        element(
            "svg",
            element("title", f"{seen.flow}, {words.direction(seen.direction)}: {found}"),
            parts,
            (_line(scale.at(mark.at), 0, _LANE) for mark in marks),
            role="img",
            width="100%",
            height=_LANE,
        ),
        class_="lane",
    )


def _marks(marks: Sequence[Mark], scale: Axis) -> Element:
    height = _MARK * len(marks) + 3
    parts: list[Element] = []
    for index, mark in enumerate(marks):
        x, y = scale.at(mark.at), _MARK * index
        text = f"{mark.what}, {_seconds(mark.at - scale.zero)}"
        right = x + len(text) * _LETTER > 100
        parts.append(_line(x, y + 2, height))
        parts.append(
            element(
                "svg",
                element(
                    "text",
                    text,
                    x=-6 if right else 6,
                    y=13,
                    text_anchor="end" if right else "start",
                    class_="what",
                ),
                x=f"{x:.3f}%",
                y=y,
                overflow="visible",
            )
        )
    happened = "; ".join(f"{mark.what} at {_seconds(mark.at - scale.zero)}" for mark in marks)
    return _bare(element("svg", element("title", happened), parts, role="img", width="100%", height=height))


def _axis(scale: Axis) -> Element:
    parts = []
    for moment in scale.ticks():
        x = scale.at(moment)
        anchor = "start" if x < 4 else "end" if x > 96 else "middle"
        parts.append(element("line", x1=f"{x:.3f}%", x2=f"{x:.3f}%", y1=0, y2=4, class_="tick"))
        parts.append(
            element("text", _seconds(moment - scale.zero), x=f"{x:.3f}%", y=16, text_anchor=anchor, class_="time")
        )
    return _bare(element("svg", parts, aria_hidden="true", width="100%", height=20))


def _bare(drawing: Element) -> Element:
    return element("div", drawing, class_="lane bare")


def _line(x: float, top: float, bottom: float) -> Element:
    return element("line", x1=f"{x:.3f}%", x2=f"{x:.3f}%", y1=top, y2=bottom, class_="mark")


def _seconds(seconds: float) -> str:
    text = f"{seconds:.1f}".removesuffix(".0")
    return f"{'0' if text == '-0' else text} s".replace("-", "\N{MINUS SIGN}")
