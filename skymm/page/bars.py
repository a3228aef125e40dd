"""Bars: shares of a whole, pairs of counts back to back, numbers beside names, and histograms."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from skymm.page.drawing import SMALL, Axis, line, mark, shortened, svg, text, text_width

_WIDTH, _RIGHT = 400.0, 396.0
_ROW = 19.0
_NAMES = 165.0  # units that names may take


def share_bars(
    label: str, rows: Sequence[tuple[str, Sequence[int]]], styles: Sequence[str], show: Callable[[float], str]
) -> Markup:
    """One line for each row: its counts as shares of a whole, side by side, and the sum at the end.

    A share is written into its bar where it fits. `styles` are classes with a colour, one for each count.
    """
    left = _left([name for name, _ in rows])
    sums = [f"{sum(counts):,}" for _, counts in rows]
    right = _RIGHT - 8 - max((text_width(one, SMALL) for one in sums), default=0.0)
    parts = []
    for place, (name, counts) in enumerate(rows):
        y = 4 + _ROW * place
        parts.append(text(left - 8, y + 11.5, shortened(name, left - 8), "end"))
        parts.append(text(_RIGHT, y + 11.5, sums[place], "end", SMALL, "faint"))
        x, whole = left, sum(counts) or 1
        for count, style in zip(counts, styles):
            width = (right - left) * count / whole
            if count:
                parts.append(_rectangle(x, y + 1, width, 14, f"{style} part", f"{count:,}"))
                shown = show(count / whole)
                if text_width(shown, SMALL) + 6 < width:
                    parts.append(text(x + width / 2, y + 11.5, shown, size=SMALL))
            x += width
    return svg(_WIDTH, 8 + _ROW * len(rows), label, parts)


def paired_bars(label: str, rows: Sequence[tuple[str, int, int]], styles: tuple[str, str]) -> Markup:
    """Two counts of each row back to back, with the row's name at the left."""
    left = _left([name for name, _, _ in rows])
    most = max((max(first, second) for _, first, second in rows), default=0) or 1
    numbers = max((text_width(f"{count:,}", SMALL) for _, *counts in rows for count in counts), default=0.0)
    middle = (left + _RIGHT) / 2
    longest = middle - left - numbers - 6
    parts = [line(middle, 2, middle, 6 + _ROW * len(rows), "axis")]
    for place, (name, first, second) in enumerate(rows):
        y = 4 + _ROW * place
        parts.append(text(left - 8, y + 11.5, shortened(name, left - 8), "end"))
        for count, style, side in ((first, styles[0], -1), (second, styles[1], 1)):
            width = longest * count / most
            if count:
                parts.append(_rectangle(middle if side > 0 else middle - width, y + 1, width, 14, f"{style} part", ""))
            edge = middle + side * (width + 4)
            parts.append(text(edge, y + 11.5, f"{count:,}", "start" if side > 0 else "end", SMALL, "faint"))
    return svg(_WIDTH, 8 + _ROW * len(rows), label, parts)


def number_bars(label: str, rows: Sequence[tuple[str, int]], style: str = "s0") -> Markup:
    """A bar for each row's number, with the number at its end."""
    left = _left([name for name, _ in rows])
    most = max((count for _, count in rows), default=0) or 1
    longest = _RIGHT - left - 6 - max((text_width(f"{count:,}", SMALL) for _, count in rows), default=0.0)
    parts = []
    for place, (name, count) in enumerate(rows):
        y, width = 4 + _ROW * place, longest * count / most
        parts += [
            text(left - 8, y + 11.5, shortened(name, left - 8), "end"),
            _rectangle(left, y + 1, width, 14, f"{style} part", ""),
            text(left + width + 4, y + 11.5, f"{count:,}", "start", SMALL, "faint"),
        ]
    return svg(_WIDTH, 8 + _ROW * len(rows), label, parts)


def two_marks(label: str, rows: Sequence[tuple[str, float, float]], axis: Axis) -> Markup:
    """Two values of each row on one axis, an open mark and a filled one, joined by a line."""
    left, right = _left([name for name, _, _ in rows], 200.0), 386.0
    bottom = 6 + _ROW * len(rows)
    parts = []
    for tick in axis.ticks:
        x = axis.place(tick, left, right)
        parts += [line(x, 4, x, bottom, "grid"), text(x, bottom + 13, axis.show(tick), size=SMALL, style="faint")]
    for place, (name, first, second) in enumerate(rows):
        y = 6 + _ROW * (place + 0.5)
        start, end = axis.place(first, left, right), axis.place(second, left, right)
        parts += [
            text(left - 8, y + 4, shortened(name, left - 8), "end"),
            line(start, y, end, y, "s0 span"),
            mark(start, y, 0, 4, "open", axis.show(first)),
            mark(end, y, 0, 4, title=axis.show(second)),
        ]
    return svg(_WIDTH, bottom + 20, label, parts)


@dataclass(frozen=True, slots=True)
class Bins:
    """Where bars begin, and what is written there ("" for nothing). The last bar has no end."""

    starts: Sequence[float]
    names: Sequence[str]

    def shares(self, histogram: Mapping[int, int]) -> list[float]:
        """Of all that is counted, what falls into each bin. What lies below the first falls into it."""
        counts = [0] * len(self.starts)
        for value, count in histogram.items():
            place = sum(value >= start for start in self.starts[1:])
            counts[place] += count
        whole = sum(counts) or 1
        return [count / whole for count in counts]


def histogram_chart(
    label: str,
    bins: Bins,
    series: Sequence[tuple[Mapping[int, int], str]],
    axis_of: Callable[[float], Axis],
) -> Markup:
    """Bars side by side for each bin, as shares of each series. `axis_of` makes the axis for the highest share."""
    shares = [bins.shares(histogram) for histogram, _ in series]
    axis = axis_of(max((one for row in shares for one in row), default=0.0))
    top, bottom = 10.0, 150.0
    left = 12 + max(text_width(axis.show(tick), SMALL) for tick in axis.ticks)
    parts = []
    for tick in axis.ticks:
        y = axis.place(tick, bottom, top)
        parts += [
            line(left, y, _RIGHT, y, "grid"),
            text(left - 6, y + 3.5, axis.show(tick), "end", SMALL, "faint"),
        ]
    step = (_RIGHT - left) / len(bins.starts)
    width = (step - 3) / max(1, len(series))
    for place, name in enumerate(bins.names):
        x = left + step * place
        for number, ((_, style), row) in enumerate(zip(series, shares)):
            y = axis.place(row[place], bottom, top)
            if row[place]:
                # However rare, what is there can be seen.
                height = max(bottom - y, 0.8)
                x_bar = x + 1.5 + number * width
                parts.append(_rectangle(x_bar, bottom - height, width, height, f"{style} part", f"{row[place]:.2%}"))
        parts.append(text(x + 1.5, bottom + 14, name, "start", SMALL, "faint"))
    parts.append(line(left, bottom, _RIGHT, bottom, "axis"))
    return svg(_WIDTH, bottom + 20, label, parts)


def _left(names: Sequence[str], most: float = _NAMES) -> float:
    """Where bars begin: behind the longest name, as far as there is room for it."""
    return min(most, max((text_width(name) for name in names), default=0.0) + 2) + 8


def _rectangle(x: float, y: float, width: float, height: float, style: str, title: str) -> Markup:
    hint = Markup("<title>{}</title>").format(title) if title else ""
    return Markup('<rect x="{:.1f}" y="{:.1f}" width="{:.1f}" height="{:.1f}" class="{}">{}</rect>').format(
        x, y, width, height, style, hint
    )
