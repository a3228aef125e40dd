"""Curves over the steps of a run, thinned so that a million steps draw as fast as a hundred and hide nothing.

Where there are more points than the chart can show, each stretch of steps is drawn by its mean, with its lowest and highest
value as a band behind it: a spike of one step stays visible.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from skymm.page.drawing import SMALL, Axis, line, mark, points, svg, text, text_width

NUM_STRETCHES = 160  # about two units of a chart's width for each
_TOP, _BOTTOM, _RIGHT = 10.0, 172.0, 388.0

Points = Sequence[tuple[float, float]]


@dataclass(frozen=True, slots=True)
class Stretch:
    """Neighbouring points as one: where their middle is, their mean, lowest and highest value, and how many they are."""

    x: float
    mean: float
    low: float
    high: float
    count: int


def thinned(values: Points, num_stretches: int = NUM_STRETCHES) -> list[Stretch]:
    """Points in ascending x as at most `num_stretches` stretches of equal numbers of points."""
    num_stretches = min(num_stretches, len(values))
    found = []
    for index in range(num_stretches):
        start, end = (len(values) * edge // num_stretches for edge in (index, index + 1))
        ys = [y for _, y in values[start:end]]
        middle = (values[start][0] + values[end - 1][0]) / 2
        found.append(Stretch(middle, sum(ys) / len(ys), min(ys), max(ys), len(ys)))
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


def axis_of(values: Sequence[float], show: Callable[[float], str], *, zero: bool = False) -> Axis:
    """An axis with about five round numbers on it that spans the values, and 0 where that is asked."""
    low, high = min(values), max(values)
    if zero:
        low, high = min(low, 0.0), max(high, 0.0)
    if high - low < 1e-12 * max(1.0, abs(high)):
        room = abs(high) * 0.1 or 1.0
        low, high = (0.0, high + room) if zero and high >= 0 else (low - room, high + room)
    step = _round_step((high - low) / 4)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return Axis(first * step, last * step, [index * step for index in range(first, last + 1)], show)


def step_axis(low: float, high: float) -> Axis:
    """Steps from left to right, the first and last at the edges; written as 500, 20k, 1.5M."""
    high = max(high, low + 1)
    step = max(1.0, _round_step((high - low) / 4))
    first, last = math.ceil(low / step), math.floor(high / step)
    return Axis(low, high, [index * step for index in range(first, last + 1)], brief)


def brief(value: float) -> str:
    """A count in few letters."""
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= 10 * size or (abs(value) >= size and value % (size / 10) == 0):
            return f"{value / size:.3g}{letter}"
    return f"{value:.4g}"


def _round_step(rough: float) -> float:
    size = 10.0 ** math.floor(math.log10(rough))
    return next(size * factor for factor in (1, 2, 2.5, 5, 10) if size * factor >= rough * 0.999)


def curve_chart(
    label: str, curves: Sequence[Curve], across: Axis, up: Axis, levels: Sequence[tuple[float, str]] = ()
) -> Markup:
    """Curves over steps. `levels` are broken lines across, with their names: what the values ought to be."""
    left, parts = _frame(across, up)
    heights = [(up.place(value, _BOTTOM, _TOP), name) for value, name in levels]
    parts += [line(left, y, _RIGHT, y, "diagonal") for y, _ in heights]
    for curve in curves:
        parts += _drawn(curve, across, up, left)
    # Names come last, so that no curve crosses them out; above their line, or below it where the chart ends.
    for y, name in heights:
        parts.append(text(_RIGHT - 8, y - 5 if y > _TOP + 12 else y + 12, name, "end", SMALL, "halo"))
    return svg(400, _BOTTOM + 20, label, parts)


def _drawn(curve: Curve, across: Axis, up: Axis, left: float) -> list[Markup]:
    def place(x: float, y: float) -> tuple[float, float]:
        return across.place(x, left, _RIGHT), up.place(y, _BOTTOM, _TOP)

    style = f"s{curve.series}"
    if not curve.values:
        return []
    if curve.rare:
        places = [place(one.x, one.mean) for one in thinned(curve.values, 60)]
        marks = [mark(x, y, curve.series, 3.2, "open") for x, y in places]
        return [Markup('<polyline points="{}" class="{} raw"/>').format(points(places), style), *marks]
    parts = []
    stretches = thinned(curve.values)
    if curve.raw and len(stretches) < len(curve.values):
        edge = [place(one.x, one.high) for one in stretches] + [place(one.x, one.low) for one in reversed(stretches)]
        parts.append(Markup('<polygon points="{}" class="{} band"/>').format(points(edge), style))
    elif curve.raw:
        parts.append(
            Markup('<polyline points="{}" class="{} raw"/>').format(points(place(*one) for one in curve.values), style)
        )
    places = [place(one.x, one.mean) for one in thinned(smoothed(curve.values) if curve.smooth else curve.values)]
    parts.append(Markup('<polyline points="{}" class="{} curve"/>').format(points(places), style))
    return [*parts, mark(*places[-1], curve.series, 3.2)]


def share_chart(label: str, rows: Sequence[tuple[float, Sequence[float]]], across: Axis, up: Axis) -> Markup:
    """Shares of a whole over steps, stacked from the floor; (step, shares) in ascending order of steps."""
    left, parts = _frame(across, up)
    names = len(rows[0][1])
    # Shares of a stretch are means, so stretches of all series are the same ones and still add up.
    series = [thinned([(step, shares[index]) for step, shares in rows]) for index in range(names)]
    floors = [0.0] * len(series[0])
    for index, stretches in enumerate(series):
        tops = [floor + one.mean for floor, one in zip(floors, stretches)]
        xs = [across.place(one.x, left, _RIGHT) for one in stretches]
        if len(xs) == 1:
            xs, floors, tops = [left, _RIGHT], floors * 2, tops * 2
        edge = [(x, up.place(top, _BOTTOM, _TOP)) for x, top in zip(xs, tops)]
        edge += [(x, up.place(floor, _BOTTOM, _TOP)) for x, floor in zip(reversed(xs), reversed(floors))]
        parts.append(Markup('<polygon points="{}" class="s{} area"/>').format(points(edge), index))
        middle = (floors[-1] + tops[-1]) / 2
        parts.append(mark(xs[-1] - 6, up.place(middle, _BOTTOM, _TOP), index, 3.2))
        floors = tops
    return svg(400, _BOTTOM + 20, label, parts)


def _frame(across: Axis, up: Axis) -> tuple[float, list[Markup]]:
    """The left edge of the drawing, and grid and numbers of both axes."""
    left = 12 + max(text_width(up.show(tick), SMALL) for tick in up.ticks)
    parts = []
    for tick in up.ticks:
        y = up.place(tick, _BOTTOM, _TOP)
        parts += [
            line(left, y, _RIGHT, y, "grid"),
            text(left - 6, y + 3.5, up.show(tick), "end", SMALL, "faint"),
        ]
    for tick in across.ticks:
        x = across.place(tick, left, _RIGHT)
        parts += [
            line(x, _BOTTOM, x, _BOTTOM + 4, "axis"),
            text(x, _BOTTOM + 16, across.show(tick), size=SMALL, style="faint"),
        ]
    return left, parts
