"""The figures of a run: which series of its log are drawn together, on which axes, and what is said below."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from skymm.page.curves import Curve, Points, axis_of, brief, curve_chart, share_chart, step_axis
from skymm.page.drawing import Axis
from skymm.train.history import History, is_number
from skymm.train.report.words import Words

LANGUAGES = ("en", "zh", "unknown_language")
POLARITIES = ("positive", "negative", "unknown_polarity")


@dataclass(frozen=True, slots=True)
class Figure:
    """A chart with its title, its legend (series, name; none for a single series) and a note."""

    title: str
    chart: Markup
    legend: list[tuple[int, str]]
    note: str = ""


def figures(run: History, words: Words) -> list[Figure]:
    """Those for which the log has numbers, in the order of the page."""
    return [
        one
        for one in (
            _loss(run, words),
            _losses(run, words, "by_language", LANGUAGES),
            _losses(run, words, "by_polarity", POLARITIES),
            _gradient(run, words),
            _learning_rate(run, words),
            _negative(run, words),
            _plain(run, words, "tokens_per_second", run.speeds(), brief),
            _plain(run, words, "mfu_curve", run.series("mfu"), _percent),
            _time(run, words),
            _plain(run, words, "padding", _padding(run), _percent),
            _plain(run, words, "memory", run.series("memory_gib"), brief),
        )
        if one is not None
    ]


def _loss(run: History, words: Words) -> Figure | None:
    named = [("training", "loss", False), ("held_out", "held_out_loss", True)]
    found = [(words[name], run.series(field), rare) for name, field, rare in named]
    curves = [Curve(values, series, not rare, rare) for series, (_, values, rare) in enumerate(found) if values]
    return _chart(words, words["loss"], curves, [name for name, _, _ in found])


def _losses(run: History, words: Words, title: str, groups: Sequence[str]) -> Figure | None:
    curves = []
    for series, group in enumerate(groups):
        for prefix, rare in (("loss", False), ("held_out_loss", True)):
            values = run.series(f"{prefix}_{group}")
            if values:
                curves.append(Curve(values, series, rare=rare))
    note = words["open_marks"] if any(curve.rare for curve in curves) else ""
    return _chart(words, words[title], curves, [words[group] for group in groups], note)


def _gradient(run: History, words: Words) -> Figure | None:
    clip = run.recipe.get("clip")
    levels = [(clip, f"{words['clip']} {clip:g}")] if is_number(clip) and clip > 0 else []
    return _chart(words, words["grad_norm"], [Curve(run.series("grad_norm"), 0, raw=True)], [""], levels=levels)


def _learning_rate(run: History, words: Words) -> Figure | None:
    values = run.series("learning_rate")
    if not values:
        return None
    peak = run.recipe.get("lora_learning_rate")
    note = words["learning_rate_note"].format(peak=peak) if is_number(peak) else ""
    up = axis_of([rate for _, rate in values], lambda rate: f"{rate:.3g}", zero=True)
    chart = curve_chart(words["learning_rate"], [Curve(values, 0, smooth=False)], _steps(values), up)
    return Figure(words["learning_rate"], chart, [], note)


def _negative(run: History, words: Words) -> Figure | None:
    values = run.series("negative_share")
    if not values:
        return None
    wanted = run.recipe.get("negative_share")
    levels = [(wanted, f"{words['of_recipe']} {_percent(wanted)}")] if is_number(wanted) else []
    up = Axis(0, 1, (0, 0.25, 0.5, 0.75, 1), _percent)
    chart = curve_chart(words["negative_share"], [Curve(values, 0, raw=True)], _steps(values), up, levels)
    return Figure(words["negative_share"], chart, [])


def _plain(run: History, words: Words, name: str, values: Points, show: Callable[[float], str]) -> Figure | None:
    if not values:
        return None
    up = axis_of([value for _, value in values], show, zero=True)
    chart = curve_chart(words[name], [Curve(values, 0, raw=True)], _steps(values), up)
    return Figure(words[name], chart, [])


def _time(run: History, words: Words) -> Figure | None:
    """Shares of waiting, vision (where the log tells it apart) and all else."""
    timed = [line for line in run.lines if is_number(line.get("seconds")) and is_number(line.get("data_seconds"))]
    timed = [line for line in timed if line["seconds"] > 0]
    if not timed:
        return None
    seen = any(is_number(line.get("vision_seconds")) for line in timed)
    rows = []
    for line in timed:
        parts = [line["data_seconds"], *([line.get("vision_seconds") or 0.0] if seen else [])]
        shares = [min(1.0, part / line["seconds"]) for part in parts]
        rows.append((line["step"], [*shares, max(0.0, 1 - sum(shares))]))
    names = ["waiting", *(["vision"] if seen else []), "rest"]
    up = Axis(0, 1, (0, 0.25, 0.5, 0.75, 1), _percent)
    chart = share_chart(words["time_shares"], rows, _steps([(step, 0.0) for step, _ in rows]), up)
    return Figure(words["time_shares"], chart, [(series, words[name]) for series, name in enumerate(names)])


def _padding(run: History) -> list[tuple[int, float]]:
    return [
        (line["step"], 1 - line["tokens"] / line["positions"])
        for line in run.lines
        if is_number(line.get("tokens")) and is_number(line.get("positions")) and line["positions"] > 0
    ]


def _chart(
    words: Words,
    title: str,
    curves: Sequence[Curve],
    names: Sequence[str],
    note: str = "",
    levels: Sequence[tuple[float, str]] = (),
) -> Figure | None:
    """Curves on one axis, a logarithmic one where they span more than a factor of twenty."""
    curves = [curve for curve in curves if curve.values]
    if not curves:
        return None
    across = _steps([point for curve in curves for point in curve.values])
    ys = [y for curve in curves for _, y in curve.values] + [value for value, _ in levels]
    if min(ys) > 0 and max(ys) / min(ys) > 20:
        curves = [
            Curve([(x, math.log10(y)) for x, y in curve.values], curve.series, curve.raw, curve.rare)
            for curve in curves
        ]
        levels = [(math.log10(value), name) for value, name in levels]
        up, note = _log_axis(min(ys), max(ys)), f"{note} {words['logarithmic']}".strip()
    else:
        up = axis_of(ys, lambda value: f"{value:.3g}")
    shown = sorted({curve.series for curve in curves})
    legend = [(series, names[series]) for series in shown] if len(shown) > 1 else []
    return Figure(title, curve_chart(title, curves, across, up, levels), legend, note)


def _log_axis(low: float, high: float) -> Axis:
    """Of decimal logarithms, written as the numbers themselves: whole decades, few of them."""
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
    every = math.ceil((last - first) / 5)
    return Axis(first, last, list(range(first, last + 1, every)), lambda exponent: f"{10.0**exponent:.3g}")


def _steps(values: Points) -> Axis:
    steps = [step for step, _ in values]
    return step_axis(min(steps), max(steps))


def _percent(value: float) -> str:
    return f"{value * 100:.3g}%"
