"""Charts as SVG strings, drawn by hand so that a page needs no script and no library.

Colours are classes that the page's style sheet fills in (`s0` ... `s5` for series, `grid`, `axis`, `faint`), so that a
chart follows light and dark. Every chart is at most 400 units wide: on a phone one unit is about one pixel. Series differ
in the shape of their marks as well as in colour.
"""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from skymm.evaluation.statistics import Calibration, Interval

NUM_STYLES = 6
_FONT = 11.5
_SMALL = 10.0


def text_width(text: str, size: float = _FONT) -> float:
    """About how wide a text is drawn: an ideograph is as wide as it is high, a letter a little more than half of that."""
    wide = sum(unicodedata.east_asian_width(letter) in "WF" for letter in text)
    return size * (wide + 0.57 * (len(text) - wide))


def shortened(text: str, width: float, size: float = _FONT) -> str:
    """The text, with an ellipsis where it would be wider than `width`."""
    if text_width(text, size) <= width:
        return text
    while text and text_width(text + "…", size) > width:
        text = text[:-1]
    return text + "…"


def _svg(width: float, height: float, label: str, parts: Iterable[Markup]) -> Markup:
    return Markup('<svg viewBox="0 0 {:g} {:g}" style="max-width:{:g}px" role="img" aria-label="{}">{}</svg>').format(
        width, height, width * 1.1, label, Markup("").join(parts)
    )


def _text(x: float, y: float, text: str, anchor: str = "middle", size: float = _FONT, style: str = "") -> Markup:
    return Markup('<text x="{:.1f}" y="{:.1f}" text-anchor="{}" font-size="{:g}" class="{}">{}</text>').format(
        x, y, anchor, size, style, text
    )


def _line(x1: float, y1: float, x2: float, y2: float, style: str) -> Markup:
    return Markup('<line x1="{:.1f}" y1="{:.1f}" x2="{:.1f}" y2="{:.1f}" class="{}"/>').format(x1, y1, x2, y2, style)


def _mark(x: float, y: float, series: int, size: float = 4.5, style: str = "mark", title: str = "") -> Markup:
    """The mark of a series, with what it stands for as a tooltip."""
    classes, hint = f"s{series % NUM_STYLES} {style}", Markup("<title>{}</title>").format(title) if title else ""
    if series % NUM_STYLES == 0:
        return Markup('<circle cx="{:.1f}" cy="{:.1f}" r="{:.1f}" class="{}">{}</circle>').format(
            x, y, size, classes, hint
        )
    corners, turn = {1: (4, 0.785), 2: (4, 0.0), 3: (3, -1.571), 4: (3, 1.571), 5: (6, 0.0)}[series % NUM_STYLES]
    return Markup('<polygon points="{}" class="{}">{}</polygon>').format(
        _points(_around(x, y, size * 1.2, turn + 2 * math.pi * corner / corners) for corner in range(corners)),
        classes,
        hint,
    )


def _around(x: float, y: float, radius: float, angle: float) -> tuple[float, float]:
    return x + radius * math.cos(angle), y + radius * math.sin(angle)


def _points(points: Iterable[tuple[float, float]]) -> str:
    return " ".join(f"{x:.1f},{y:.1f}" for x, y in points)


def swatch(series: int, published: bool = False) -> Markup:
    """What stands for a series in a legend: its mark, or a piece of the broken line of a published model."""
    if published:
        return Markup('<svg class="swatch" viewBox="0 0 22 12">{}</svg>').format(
            _line(1, 6, 21, 6, f"p{series % 2} published")
        )
    return Markup('<svg class="swatch" viewBox="0 0 12 12">{}</svg>').format(_mark(6, 6, series))


@dataclass(frozen=True, slots=True)
class Axis:
    """The span that a chart shows, the numbers that are written on it, and how a number is written."""

    low: float
    high: float
    ticks: Sequence[float]
    show: Callable[[float], str]

    def place(self, value: float, start: float, end: float) -> float:
        share = (value - self.low) / (self.high - self.low)
        return start + (end - start) * min(1.0, max(0.0, share))


def interval_chart(
    label: str, rows: Sequence[tuple[str, Sequence[Interval | None]]], names: Sequence[str], axis: Axis
) -> Markup:
    """One line of marks for each row, a mark with its interval for each series."""
    width, right = 400.0, 384.0
    left = min(150.0, max([text_width(name) for name, _ in rows], default=0.0) + 10)
    step = max(24.0, 10.0 * len(names) + 8)
    bottom = 8 + step * len(rows)
    parts = []
    for tick in axis.ticks:
        x = axis.place(tick, left, right)
        parts += [_line(x, 6, x, bottom, "grid"), _text(x, bottom + 14, axis.show(tick), size=_SMALL, style="faint")]
    for row, (name, intervals) in enumerate(rows):
        middle = 8 + step * (row + 0.5)
        parts.append(_text(left - 8, middle + 4, shortened(name, left - 10), "end"))
        for series, interval in enumerate(intervals):
            if interval is None:
                continue
            y = middle + 10 * (series - (len(names) - 1) / 2)
            if interval.low is not None and interval.high is not None:
                ends = (axis.place(bound, left, right) for bound in (interval.low, interval.high))
                parts.append(_line(next(ends), y, next(ends), y, f"s{series % NUM_STYLES} whisker"))
            title = f"{names[series]}: {axis.show(interval.value)}"
            parts.append(_mark(axis.place(interval.value, left, right), y, series, 3.6, title=title))
    return _svg(width, bottom + 20, label, parts)


def yes_chart(label: str, rows: Sequence[tuple[str, float, float]], axis: Axis) -> Markup:
    """How often each row says yes where no is right (open mark) and where yes is right (filled), joined by a line.

    The longer the line, the more the picture decides; a model that does not look has both marks in one place.
    """
    width, left, right = 400.0, 8.0, 386.0
    bottom = 4 + 36.0 * len(rows)
    parts = []
    for tick in axis.ticks:
        x = axis.place(tick, left, right)
        parts += [_line(x, 6, x, bottom, "grid"), _text(x, bottom + 14, axis.show(tick), size=_SMALL, style="faint")]
    for row, (name, where_no, where_yes) in enumerate(rows):
        y = 4 + 36 * row + 26
        start, end = axis.place(where_no, left, right), axis.place(where_yes, left, right)
        parts += [
            _text(0, y - 13, shortened(name, width), "start"),
            _line(start, y, end, y, f"s{row % NUM_STYLES} span"),
            _mark(end, y, row, 4.5, title=axis.show(where_yes)),
            _mark(start, y, row, 4.5, "open", title=axis.show(where_no)),
        ]
    return _svg(width, bottom + 20, label, parts)


def calibration_chart(label: str, found: Calibration, series: int, across: str, up: str, axis: Axis) -> Markup:
    """Share right against confidence, with the diagonal of perfect calibration; below, how many answers each bin has."""
    left, right, top, bottom, floor = 38.0, 330.0, 24.0, 226.0, 278.0
    parts = [_text(2, 12, up, "start", _SMALL, "faint"), _line(left, bottom, right, top, "diagonal")]
    for tick in axis.ticks:
        x, y = axis.place(tick, left, right), axis.place(tick, bottom, top)
        parts += [
            _line(left, y, right, y, "grid"),
            _text(left - 6, y + 3.5, axis.show(tick), "end", _SMALL, "faint"),
            _text(x, floor + 14, axis.show(tick), size=_SMALL, style="faint"),
        ]
    most = max(one.count for one in found.bins)
    style = f"s{series % NUM_STYLES}"
    centres = []
    for one in found.bins:
        height = (floor - bottom - 22) * one.count / most
        start, end = axis.place(one.low, left, right), axis.place(one.high, left, right)
        title = f"{axis.show(one.low)} – {axis.show(one.high)}: {one.count}"
        parts += [
            Markup(
                '<rect x="{:.1f}" y="{:.1f}" width="{:.1f}" height="{:.1f}" class="{} bar"><title>{}</title></rect>'
            ).format(start + 1, floor - height, end - start - 2, height, style, title),
            _text((start + end) / 2, floor - height - 3, _brief(one.count), size=8.5, style="faint"),
        ]
        centres.append((axis.place(one.confidence, left, right), axis.place(one.correct, bottom, top), one))
    parts += [
        _line(left, floor, right, floor, "axis"),
        Markup('<polyline points="{}" class="{} curve"/>').format(_points((x, y) for x, y, _ in centres), style),
        _text((left + right) / 2, floor + 30, across, size=_SMALL, style="faint"),
    ]
    for x, y, one in centres:
        title = f"{axis.show(one.confidence)} → {axis.show(one.correct)} ({one.count})"
        parts.append(_mark(x, y, series, 2.5 + 3 * math.sqrt(one.count / most), title=title))
    return _svg(340, floor + 38, label, parts)


def _brief(count: int) -> str:
    """At most four letters, so that the counts of neighbouring bins do not touch."""
    return str(count) if count < 1000 else f"{count / 1000:.1f}k" if count < 9950 else f"{count / 1000:.0f}k"


def radar(
    label: str,
    axes: Sequence[str],
    values: Sequence[float | None],
    series: int,
    published: Sequence[Sequence[float]] = (),
    top: float = 200,
) -> Markup:
    """A model's profile, filled, over those of published models, as broken lines. A missing value leaves a gap."""
    x0, y0, radius = 200.0, 150.0, 108.0
    angles = [2 * math.pi * index / len(axes) - math.pi / 2 for index in range(len(axes))]
    parts = []
    for ring in (0.25, 0.5, 0.75, 1.0):
        corners = _points(_around(x0, y0, radius * ring, angle) for angle in angles)
        parts.append(Markup('<polygon points="{}" class="ring"/>').format(corners))
    for angle, name in zip(angles, axes):
        parts.append(_line(x0, y0, *_around(x0, y0, radius, angle), "grid"))
        x, y = _around(x0, y0, radius + 11, angle)
        side = math.cos(angle)
        anchor = "middle" if abs(side) < 0.1 else "start" if side > 0 else "end"
        lift = 0 if math.sin(angle) < -0.95 else 9 if math.sin(angle) > 0.95 else 4
        parts.append(_text(x, y + lift, shortened(name, 86), anchor))
    for index, profile in enumerate(published):
        corners = _points(_around(x0, y0, radius * value / top, angle) for angle, value in zip(angles, profile))
        parts.append(Markup('<polygon points="{}" class="p{} published"/>').format(corners, index % 2))
    places = [
        None if value is None else _around(x0, y0, radius * min(value, top) / top, angle)
        for angle, value in zip(angles, values)
    ]
    style = f"s{series % NUM_STYLES}"
    if None not in places:
        parts.append(Markup('<polygon points="{}" class="{} profile"/>').format(_points(filter(None, places)), style))
    for index, place in enumerate(places):
        after = places[(index + 1) % len(places)]
        if place is not None and after is not None:
            parts.append(_line(*place, *after, f"{style} whisker"))
    for name, value, place in zip(axes, values, places):
        if place is not None:
            parts.append(_mark(*place, series, 2.6, title=f"{name}: {value:.1f}"))
    for ring in (0.25, 0.5, 0.75, 1.0):
        parts.append(_text(x0 + 3, y0 - radius * ring + 10, f"{top * ring:g}", "start", 8.5, "faint halo"))
    return _svg(400, 298, label, parts)
