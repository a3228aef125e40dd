"""The charts of all pages: bars in rows, marks in rows, histograms, curves over steps, calibration."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from markupsafe import Markup

from skymm.page.drawing import (
    SMALL,
    Axis,
    Frame,
    bar,
    dot,
    line,
    polygon,
    polyline,
    shortened,
    text,
    text_width,
)

NUM_STRETCHES = 160  # of a curve; about two units of a chart's width for each
Points = Sequence[tuple[float, float]]


# --- rows: a name at the left, and bars or marks beside it --------------------------------------------------------------


class _Rows(Frame):
    """A frame with a name for each row; `middle(row)` is the height of its marks."""

    def __init__(self, names: Sequence[str], axis: Axis | None = None, step: float = 19.0, right: float = 396.0):
        left = min(165.0, max(map(text_width, names), default=0.0) + 2) + 8
        super().__init__(axis, None, left=left, right=right, top=4.0, bottom=6 + step * len(names))
        self.step = step
        for row, name in enumerate(names):
            self.add(text(left - 8, self.middle(row) + 3.5, shortened(name, left - 8), "end"))

    def middle(self, row: int) -> float:
        return 4 + self.step * (row + 0.5)

    def bar(self, row: int, x: float, width: float, style: str, title: str = "") -> None:
        if width:
            self.add(bar(x, self.middle(row) - 7, width, 14, f"{style} part", title))

    def number(self, row: int, x: float, count: int, anchor: str) -> None:
        self.add(text(x, self.middle(row) + 3.5, f"{count:,}", anchor, SMALL, "faint"))


def _widest(counts: Sequence[int]) -> float:
    return max((text_width(f"{count:,}", SMALL) for count in counts), default=0.0)


def share_bars(
    label: str, rows: Sequence[tuple[str, Sequence[int]]], styles: Sequence[str], show: Callable[[float], str]
) -> Markup:
    """One line for each row: its counts as shares of a whole, side by side, and the sum at the end.

    A share is written into its bar where it fits. `styles` are classes with a colour, one for each count.
    """
    frame = _Rows([name for name, _ in rows])
    room = frame.right - 8 - _widest([sum(counts) for _, counts in rows]) - frame.left
    for row, (_, counts) in enumerate(rows):
        x, whole = frame.left, sum(counts) or 1
        for count, style in zip(counts, styles):
            width, shown = room * count / whole, show(count / whole)
            frame.bar(row, x, width, style, f"{count:,}")
            if text_width(shown, SMALL) + 6 < width:
                frame.add(text(x + width / 2, frame.middle(row) + 3.5, shown, size=SMALL))
            x += width
        frame.number(row, frame.right, sum(counts), "end")
    return frame.svg(label, 2)


def paired_bars(label: str, rows: Sequence[tuple[str, int, int]], styles: tuple[str, str]) -> Markup:
    """Two counts of each row back to back."""
    frame = _Rows([name for name, _, _ in rows])
    counts = [count for _, *both in rows for count in both]
    middle, most = (frame.left + frame.right) / 2, max(counts, default=0) or 1
    longest = middle - frame.left - _widest(counts) - 6
    frame.add(line(middle, 2, middle, frame.bottom, "axis"))
    for row, (_, first, second) in enumerate(rows):
        left, right = (longest * count / most for count in (first, second))
        frame.bar(row, middle - left, left, styles[0])
        frame.bar(row, middle, right, styles[1])
        frame.number(row, middle - left - 4, first, "end")
        frame.number(row, middle + right + 4, second, "start")
    return frame.svg(label, 2)


def two_marks(label: str, rows: Sequence[tuple[str, float, float]], axis: Axis, *, series: bool = False) -> Markup:
    """Two values of each row, an open mark and a filled one, joined by a line. `series`: each row has its own colour."""
    frame = _Rows([name for name, _, _ in rows], axis, right=384.0)
    for row, (_, first, second) in enumerate(rows):
        number, y = row if series else 0, frame.middle(row)
        frame.add(
            line(frame.x(first), y, frame.x(second), y, f"s{number % 6} span"),
            dot(frame.x(second), y, number, title=axis.show(second)),
            dot(frame.x(first), y, number, style="open", title=axis.show(first)),
        )
    return frame.svg(label)


def interval_chart(
    label: str,
    rows: Sequence[tuple[str, Sequence[Any]]],
    names: Sequence[str],
    axis: Axis,
) -> Markup:
    """One line of marks for each row: for each series a mark at `value`, with its interval from `low` to `high` where these
    are not None; nothing where the series has None.
    """
    frame = _Rows([name for name, _ in rows], axis, max(24.0, 10.0 * len(names) + 8), right=384.0)
    for row, (_, intervals) in enumerate(rows):
        for series, found in enumerate(intervals):
            if found is None:
                continue
            y = frame.middle(row) + 10 * (series - (len(names) - 1) / 2)
            if found.low is not None and found.high is not None:
                frame.add(line(frame.x(found.low), y, frame.x(found.high), y, f"s{series % 6} whisker"))
            frame.add(dot(frame.x(found.value), y, series, 3.6, title=f"{names[series]}: {axis.show(found.value)}"))
    return frame.svg(label)


# --- histograms and calibration -----------------------------------------------------------------------------------------


def calibration_chart(label: str, bins: Sequence[Any], series: int, across: str, up: str, axis: Axis) -> Markup:
    """Share right against confidence, with the diagonal of perfect calibration; below, how many answers each bin has.

    A bin has `low`, `high`, `count`, `confidence` (mean of its answers) and `correct` (the share that is right).
    """
    frame = Frame(axis, axis, left=38.0, right=330.0, top=24.0, bottom=226.0)
    floor, style, most = 304.0, f"s{series % 6}", max(one.count for one in bins)
    frame.add(text(2, 12, up, "start", SMALL, "faint"), line(*frame.at(0, 0), *frame.at(1, 1), "diagonal"))
    for one in bins:
        height = 40.0 * one.count / most
        start, end = frame.x(one.low), frame.x(one.high)
        title = f"{axis.show(one.low)} – {axis.show(one.high)}: {one.count}"
        # At most four letters, so that the counts of neighbouring bins do not touch.
        count = one.count
        short = str(count) if count < 1000 else f"{count / 1000:.1f}k" if count < 9950 else f"{count / 1000:.0f}k"
        frame.add(
            bar(start + 1, floor - height, end - start - 2, height, f"{style} bar", title),
            text((start + end) / 2, floor - height - 3, short, size=8.5, style="faint"),
        )
    frame.add(
        line(frame.left, floor, frame.right, floor, "axis"),
        text((frame.left + frame.right) / 2, floor + 16, across, size=SMALL, style="faint"),
        polyline((frame.at(one.confidence, one.correct) for one in bins), f"{style} curve"),
    )
    for one in bins:
        title = f"{axis.show(one.confidence)} → {axis.show(one.correct)} ({one.count})"
        size = 2.5 + 3 * math.sqrt(one.count / most)
        frame.add(dot(*frame.at(one.confidence, one.correct), series, size, title=title))
    return frame.svg(label, floor + 24 - frame.bottom, 340)


# --- curves over steps, thinned so that a million steps draw as fast as a hundred and hide nothing -----------------------


class Stretch(NamedTuple):
    """Neighbouring points as one: where their middle is, their mean, lowest and highest value."""

    x: float
    mean: float
    low: float
    high: float


def thinned(values: Points, num_stretches: int = NUM_STRETCHES) -> list[Stretch]:
    """Points in ascending x as at most `num_stretches` stretches of equal numbers of points."""
    num_stretches = min(num_stretches, len(values))
    found = []
    for index in range(num_stretches):
        start, end = (len(values) * edge // num_stretches for edge in (index, index + 1))
        ys = [y for _, y in values[start:end]]
        found.append(Stretch((values[start][0] + values[end - 1][0]) / 2, sum(ys) / len(ys), min(ys), max(ys)))
    return found


def window_of(values: Points) -> int:
    """Over how many neighbouring points a curve is smoothed: an odd number, about a twentieth of them."""
    return 1 + 2 * (len(values) // 40)


def smoothed(values: Points) -> list[tuple[float, float]]:
    """Each point as the mean of the window around it, which is narrower at both ends so that it stays centred."""
    half = window_of(values) // 2
    sums = [0.0]
    for _, y in values:
        sums.append(sums[-1] + y)
    found = []
    for index, (x, _) in enumerate(values):
        reach = min(half, index, len(values) - 1 - index)
        found.append((x, (sums[index + reach + 1] - sums[index - reach]) / (2 * reach + 1)))
    return found


@dataclass(frozen=True, slots=True)
class Curve:
    """A series over steps, points in ascending order. Rare ones (`rare`) are drawn as marks, noisy ones smoothed.

    `raw` also draws what was smoothed away: single steps where they fit, else the band from lowest to highest.
    """

    values: Points
    series: int
    raw: bool = False
    rare: bool = False
    smooth: bool = True


def curve_chart(
    label: str, curves: Sequence[Curve], across: Axis, up: Axis, levels: Sequence[tuple[float, str]] = ()
) -> Markup:
    """Curves over steps. `levels` are broken lines across, with their names: what the values ought to be."""
    frame = Frame(across, up)
    frame.add(*(line(frame.left, frame.y(value), frame.right, frame.y(value), "diagonal") for value, _ in levels))
    for curve in curves:
        if curve.values:
            _draw(frame, curve)
    # Names come last, so that no curve crosses them out; above their line, or below it where the chart ends.
    for value, name in levels:
        y = frame.y(value)
        frame.add(text(frame.right - 8, y - 5 if y > frame.top + 12 else y + 12, name, "end", SMALL, "halo"))
    return frame.svg(label)


def _draw(frame: Frame, curve: Curve) -> None:
    style = f"s{curve.series}"
    if curve.rare:
        places = [frame.at(one.x, one.mean) for one in thinned(curve.values, 60)]
        frame.add(polyline(places, f"{style} raw"), *(dot(x, y, curve.series, 3.2, "open") for x, y in places))
        return
    stretches = thinned(curve.values)
    if curve.raw and len(stretches) < len(curve.values):
        edge = [frame.at(one.x, one.high) for one in stretches]
        frame.add(polygon(edge + [frame.at(one.x, one.low) for one in reversed(stretches)], f"{style} band"))
    elif curve.raw:
        frame.add(polyline((frame.at(x, y) for x, y in curve.values), f"{style} raw"))
    stretches = thinned(smoothed(curve.values)) if curve.smooth else stretches
    frame.add(polyline((frame.at(one.x, one.mean) for one in stretches), f"{style} curve"))
    frame.add(dot(*frame.at(stretches[-1].x, stretches[-1].mean), curve.series, 3.2))


def share_chart(label: str, rows: Sequence[tuple[float, Sequence[float]]], across: Axis, up: Axis) -> Markup:
    """Shares of a whole over steps, stacked from the floor; (step, shares) in ascending order of steps."""
    frame = Frame(across, up)
    # Shares of a stretch are means, so stretches of all series are the same ones and still add up.
    series = [thinned([(step, shares[index]) for step, shares in rows]) for index in range(len(rows[0][1]))]
    floors = [0.0] * len(series[0])
    for index, stretches in enumerate(series):
        tops = [floor + one.mean for floor, one in zip(floors, stretches)]
        xs = [frame.x(one.x) for one in stretches]
        if len(xs) == 1:
            xs, floors, tops = [frame.left, frame.right], floors * 2, tops * 2
        edge = list(zip(xs, map(frame.y, tops))) + list(zip(reversed(xs), map(frame.y, reversed(floors))))
        frame.add(polygon(edge, f"s{index} area"))
        frame.add(dot(xs[-1] - 6, frame.y((floors[-1] + tops[-1]) / 2), index, 3.2))
        floors = tops
    return frame.svg(label)
