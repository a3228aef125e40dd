"""The charts of the report: intervals, leaning to yes, calibration, profiles."""

from __future__ import annotations

import math
from collections.abc import Sequence

from markupsafe import Markup

from skymm.evaluation.statistics import Calibration, Interval
from skymm.page.drawing import (
    NUM_STYLES,
    SMALL,
    Axis,
    around,
    line,
    mark,
    points,
    shortened,
    svg,
    text,
    text_width,
)


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
        parts += [line(x, 6, x, bottom, "grid"), text(x, bottom + 14, axis.show(tick), size=SMALL, style="faint")]
    for row, (name, intervals) in enumerate(rows):
        middle = 8 + step * (row + 0.5)
        parts.append(text(left - 8, middle + 4, shortened(name, left - 10), "end"))
        for series, interval in enumerate(intervals):
            if interval is None:
                continue
            y = middle + 10 * (series - (len(names) - 1) / 2)
            if interval.low is not None and interval.high is not None:
                ends = (axis.place(bound, left, right) for bound in (interval.low, interval.high))
                parts.append(line(next(ends), y, next(ends), y, f"s{series % NUM_STYLES} whisker"))
            title = f"{names[series]}: {axis.show(interval.value)}"
            parts.append(mark(axis.place(interval.value, left, right), y, series, 3.6, title=title))
    return svg(width, bottom + 20, label, parts)


def yes_chart(label: str, rows: Sequence[tuple[str, float, float]], axis: Axis) -> Markup:
    """How often each row says yes where no is right (open mark) and where yes is right (filled), joined by a line.

    The longer the line, the more the picture decides; a model that does not look has both marks in one place.
    """
    width, left, right = 400.0, 8.0, 386.0
    bottom = 4 + 36.0 * len(rows)
    parts = []
    for tick in axis.ticks:
        x = axis.place(tick, left, right)
        parts += [line(x, 6, x, bottom, "grid"), text(x, bottom + 14, axis.show(tick), size=SMALL, style="faint")]
    for row, (name, where_no, where_yes) in enumerate(rows):
        y = 4 + 36 * row + 26
        start, end = axis.place(where_no, left, right), axis.place(where_yes, left, right)
        parts += [
            text(0, y - 13, shortened(name, width), "start"),
            line(start, y, end, y, f"s{row % NUM_STYLES} span"),
            mark(end, y, row, 4.5, title=axis.show(where_yes)),
            mark(start, y, row, 4.5, "open", title=axis.show(where_no)),
        ]
    return svg(width, bottom + 20, label, parts)


def calibration_chart(label: str, found: Calibration, series: int, across: str, up: str, axis: Axis) -> Markup:
    """Share right against confidence, with the diagonal of perfect calibration; below, how many answers each bin has."""
    left, right, top, bottom, floor = 38.0, 330.0, 24.0, 226.0, 278.0
    parts = [text(2, 12, up, "start", SMALL, "faint"), line(left, bottom, right, top, "diagonal")]
    for tick in axis.ticks:
        x, y = axis.place(tick, left, right), axis.place(tick, bottom, top)
        parts += [
            line(left, y, right, y, "grid"),
            text(left - 6, y + 3.5, axis.show(tick), "end", SMALL, "faint"),
            text(x, floor + 14, axis.show(tick), size=SMALL, style="faint"),
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
            text((start + end) / 2, floor - height - 3, _brief(one.count), size=8.5, style="faint"),
        ]
        centres.append((axis.place(one.confidence, left, right), axis.place(one.correct, bottom, top), one))
    parts += [
        line(left, floor, right, floor, "axis"),
        Markup('<polyline points="{}" class="{} curve"/>').format(points((x, y) for x, y, _ in centres), style),
        text((left + right) / 2, floor + 30, across, size=SMALL, style="faint"),
    ]
    for x, y, one in centres:
        title = f"{axis.show(one.confidence)} → {axis.show(one.correct)} ({one.count})"
        parts.append(mark(x, y, series, 2.5 + 3 * math.sqrt(one.count / most), title=title))
    return svg(340, floor + 38, label, parts)


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
        corners = points(around(x0, y0, radius * ring, angle) for angle in angles)
        parts.append(Markup('<polygon points="{}" class="ring"/>').format(corners))
    for angle, name in zip(angles, axes):
        parts.append(line(x0, y0, *around(x0, y0, radius, angle), "grid"))
        x, y = around(x0, y0, radius + 11, angle)
        side = math.cos(angle)
        anchor = "middle" if abs(side) < 0.1 else "start" if side > 0 else "end"
        lift = 0 if math.sin(angle) < -0.95 else 9 if math.sin(angle) > 0.95 else 4
        parts.append(text(x, y + lift, shortened(name, 86), anchor))
    for index, profile in enumerate(published):
        corners = points(around(x0, y0, radius * value / top, angle) for angle, value in zip(angles, profile))
        parts.append(Markup('<polygon points="{}" class="p{} published"/>').format(corners, index % 2))
    places = [
        None if value is None else around(x0, y0, radius * min(value, top) / top, angle)
        for angle, value in zip(angles, values)
    ]
    style = f"s{series % NUM_STYLES}"
    if None not in places:
        parts.append(Markup('<polygon points="{}" class="{} profile"/>').format(points(filter(None, places)), style))
    for index, place in enumerate(places):
        after = places[(index + 1) % len(places)]
        if place is not None and after is not None:
            parts.append(line(*place, *after, f"{style} whisker"))
    for name, value, place in zip(axes, values, places):
        if place is not None:
            parts.append(mark(*place, series, 2.6, title=f"{name}: {value:.1f}"))
    for ring in (0.25, 0.5, 0.75, 1.0):
        parts.append(text(x0 + 3, y0 - radius * ring + 10, f"{top * ring:g}", "start", 8.5, "faint halo"))
    return svg(400, 298, label, parts)
