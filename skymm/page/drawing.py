"""Pieces of charts as SVG, drawn by hand so that a page needs no script and no library.

Colours are classes that the style sheet beside this file fills in (`s0` ... `s5` for series, `pos`, `neg`, `unk` for
polarities, `grid`, `axis`, `faint`), so that a chart follows light and dark. Every chart is at most 400 units wide: on a
phone one unit is about one pixel. Series differ in the shape of their marks as well as in colour.
"""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from skymm.page.numbers import brief, tick

NUM_STYLES = 6
FONT = 11.5
SMALL = 10.0


def text_width(text: str, size: float = FONT) -> float:
    """About how wide a text is drawn: an ideograph is as wide as it is high, a letter a little more than half of that."""
    wide = sum(unicodedata.east_asian_width(letter) in "WF" for letter in text)
    return size * (wide + 0.57 * (len(text) - wide))


def shortened(text: str, width: float, size: float = FONT) -> str:
    """The text, with an ellipsis where it would be wider than `width`."""
    if text_width(text, size) <= width:
        return text
    while text and text_width(text + "…", size) > width:
        text = text[:-1]
    return text + "…"


def text(x: float, y: float, words: str, anchor: str = "middle", size: float = FONT, style: str = "") -> Markup:
    return Markup('<text x="{:.1f}" y="{:.1f}" text-anchor="{}" font-size="{:g}" class="{}">{}</text>').format(
        x, y, anchor, size, style, words
    )


def line(x1: float, y1: float, x2: float, y2: float, style: str) -> Markup:
    return Markup('<line x1="{:.1f}" y1="{:.1f}" x2="{:.1f}" y2="{:.1f}" class="{}"/>').format(x1, y1, x2, y2, style)


def polyline(places: Iterable[tuple[float, float]], style: str) -> Markup:
    return Markup('<polyline points="{}" class="{}"/>').format(_points(places), style)


def polygon(places: Iterable[tuple[float, float]], style: str, title: str = "") -> Markup:
    return Markup('<polygon points="{}" class="{}">{}</polygon>').format(_points(places), style, _hint(title))


def bar(x: float, y: float, width: float, height: float, style: str, title: str = "") -> Markup:
    return Markup('<rect x="{:.1f}" y="{:.1f}" width="{:.1f}" height="{:.1f}" class="{}">{}</rect>').format(
        x, y, width, height, style, _hint(title)
    )


def dot(x: float, y: float, series: int, size: float = 4.0, style: str = "mark", title: str = "") -> Markup:
    """The mark of a series: filled (`mark`) or `open`, with what it stands for as a tooltip."""
    classes, kind = f"s{series % NUM_STYLES} {style}", series % NUM_STYLES
    if kind == 0:
        return Markup('<circle cx="{:.1f}" cy="{:.1f}" r="{:.1f}" class="{}">{}</circle>').format(
            x, y, size, classes, _hint(title)
        )
    corners, turn = {1: (4, 0.785), 2: (4, 0.0), 3: (3, -1.571), 4: (3, 1.571), 5: (6, 0.0)}[kind]
    angles = [turn + 2 * math.pi * corner / corners for corner in range(corners)]
    around = [(x + size * 1.2 * math.cos(angle), y + size * 1.2 * math.sin(angle)) for angle in angles]
    return polygon(around, classes, title)


def swatch(series: int) -> Markup:
    """The mark of a series in a legend or a table."""
    return Markup('<svg class="swatch" viewBox="0 0 12 12">{}</svg>').format(dot(6, 6, series))


def _points(places: Iterable[tuple[float, float]]) -> str:
    return " ".join(f"{x:.1f},{y:.1f}" for x, y in places)


def _hint(title: str) -> Markup | str:
    return Markup("<title>{}</title>").format(title) if title else ""


@dataclass(frozen=True, slots=True)
class Axis:
    """The span that a chart shows, the numbers that are written on it, and how a number is written."""

    low: float
    high: float
    ticks: Sequence[float]
    show: Callable[[float], str]

    def place(self, value: float, start: float, end: float) -> float:
        """Where a value lies between two ends of a chart; at an end, where it is beyond."""
        share = (value - self.low) / (self.high - self.low)
        return start + (end - start) * min(1.0, max(0.0, share))


PERCENT = Axis(0, 1, (0, 0.25, 0.5, 0.75, 1), tick)


def axis_of(values: Iterable[float], show: Callable[[float], str], *, zero: bool = False) -> Axis:
    """An axis with about five round numbers on it that spans the values, and 0 where that is asked."""
    values = list(values)
    low, high = min(values), max(values)
    if zero:
        low, high = min(low, 0.0), max(high, 0.0)
    if high - low < 1e-12 * max(1.0, abs(high)):
        room = abs(high) * 0.1 or 1.0
        low, high = (0.0, high + room) if zero and high >= 0 else (low - room, high + room)
    step = _round_step((high - low) / 4)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return Axis(first * step, last * step, [index * step for index in range(first, last + 1)], show)


def log_axis(low: float, high: float) -> Axis:
    """Of decimal logarithms, written as the numbers themselves: whole decades, few of them."""
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
    every = math.ceil((last - first) / 5)
    return Axis(first, last, list(range(first, last + 1, every)), lambda exponent: f"{10.0**exponent:.3g}")


def step_axis(steps: Iterable[float]) -> Axis:
    """Steps from left to right, the first and last at the edges."""
    steps = list(steps)
    low, high = min(steps), max(max(steps), min(steps) + 1)
    step = max(1.0, _round_step((high - low) / 4))
    first, last = math.ceil(low / step), math.floor(high / step)
    return Axis(low, high, [index * step for index in range(first, last + 1)], brief)


def _round_step(rough: float) -> float:
    size = 10.0 ** math.floor(math.log10(rough))
    return next(size * factor for factor in (1, 2, 2.5, 5, 10) if size * factor >= rough * 0.999)


class Frame:
    """A chart's rectangle with its axes; marks are added in the order in which they are drawn.

    With an `up` axis its numbers stand at the left with lines across, and those of `across` below; with `across` alone its
    lines go from top to bottom. `left` is where the rectangle begins; None: as far to the left as the numbers allow.
    """

    def __init__(
        self,
        across: Axis | None,
        up: Axis | None,
        *,
        left: float | None = None,
        right: float = 388.0,
        top: float = 10.0,
        bottom: float = 172.0,
    ):
        if left is None:
            left = 12 + max((text_width(up.show(one), SMALL) for one in up.ticks), default=0.0) if up else 0.0
        self.across, self.up, self.left, self.right, self.top, self.bottom = across, up, left, right, top, bottom
        self.parts: list[Markup] = []
        for one in up.ticks if up else ():
            y = self.y(one)
            self.add(line(left, y, right, y, "grid"), text(left - 6, y + 3.5, up.show(one), "end", SMALL, "faint"))
        for one in across.ticks if across else ():
            x = self.x(one)
            mark = line(x, bottom, x, bottom + 4, "axis") if up else line(x, top, x, bottom, "grid")
            self.add(mark, text(x, bottom + 15, across.show(one), size=SMALL, style="faint"))

    def add(self, *parts: Markup) -> None:
        self.parts += parts

    def x(self, value: float) -> float:
        return self.across.place(value, self.left, self.right)

    def y(self, value: float) -> float:
        return self.up.place(value, self.bottom, self.top)

    def at(self, x: float, y: float) -> tuple[float, float]:
        return self.x(x), self.y(y)

    def svg(self, label: str, below: float = 20.0, width: float = 400.0) -> Markup:
        """The chart, with room for what is written below the rectangle."""
        return Markup(
            '<svg viewBox="0 0 {:g} {:g}" style="max-width:{:g}px" role="img" aria-label="{}">{}</svg>'
        ).format(width, self.bottom + below, width * 1.1, label, Markup("").join(self.parts))
