"""Pieces of charts as SVG, drawn by hand so that a page needs no script and no library.

Colours are classes that the style sheet beside this file fills in (`s0` ... `s5` for series, `grid`, `axis`, `faint`), so
that a chart follows light and dark. Every chart is at most 400 units wide: on a phone one unit is about one pixel. Series
differ in the shape of their marks as well as in colour.
"""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from markupsafe import Markup

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


def svg(width: float, height: float, label: str, parts: Iterable[Markup]) -> Markup:
    return Markup('<svg viewBox="0 0 {:g} {:g}" style="max-width:{:g}px" role="img" aria-label="{}">{}</svg>').format(
        width, height, width * 1.1, label, Markup("").join(parts)
    )


def text(x: float, y: float, words: str, anchor: str = "middle", size: float = FONT, style: str = "") -> Markup:
    return Markup('<text x="{:.1f}" y="{:.1f}" text-anchor="{}" font-size="{:g}" class="{}">{}</text>').format(
        x, y, anchor, size, style, words
    )


def line(x1: float, y1: float, x2: float, y2: float, style: str) -> Markup:
    return Markup('<line x1="{:.1f}" y1="{:.1f}" x2="{:.1f}" y2="{:.1f}" class="{}"/>').format(x1, y1, x2, y2, style)


def mark(x: float, y: float, series: int, size: float = 4.5, style: str = "mark", title: str = "") -> Markup:
    """The mark of a series, with what it stands for as a tooltip."""
    classes, hint = f"s{series % NUM_STYLES} {style}", Markup("<title>{}</title>").format(title) if title else ""
    if series % NUM_STYLES == 0:
        return Markup('<circle cx="{:.1f}" cy="{:.1f}" r="{:.1f}" class="{}">{}</circle>').format(
            x, y, size, classes, hint
        )
    corners, turn = {1: (4, 0.785), 2: (4, 0.0), 3: (3, -1.571), 4: (3, 1.571), 5: (6, 0.0)}[series % NUM_STYLES]
    return Markup('<polygon points="{}" class="{}">{}</polygon>').format(
        points(around(x, y, size * 1.2, turn + 2 * math.pi * corner / corners) for corner in range(corners)),
        classes,
        hint,
    )


def around(x: float, y: float, radius: float, angle: float) -> tuple[float, float]:
    return x + radius * math.cos(angle), y + radius * math.sin(angle)


def points(places: Iterable[tuple[float, float]]) -> str:
    return " ".join(f"{x:.1f},{y:.1f}" for x, y in places)


def swatch(series: int, published: bool = False) -> Markup:
    """What stands for a series in a legend: its mark, or a piece of the broken line of a published model."""
    if published:
        return Markup('<svg class="swatch" viewBox="0 0 22 12">{}</svg>').format(
            line(1, 6, 21, 6, f"p{series % 2} published")
        )
    return Markup('<svg class="swatch" viewBox="0 0 12 12">{}</svg>').format(mark(6, 6, series))


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
