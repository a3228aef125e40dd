"""One page about a run: what it learned, how fast, and what was set. It can be written while the run still goes on."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median
from typing import Any

from skymm.page.charts import NUM_STRETCHES, Curve, Points, curve_chart, share_chart, window_of
from skymm.page.document import Columns, Figure, Figures, Page, Section, Table, Words, read_words
from skymm.page.document import write_page as write_html
from skymm.page.drawing import PERCENT, axis_of, log_axis, step_axis
from skymm.page.numbers import brief, duration, rate, tick
from skymm.recipe import leaves
from skymm.train.runlog import History, is_number, read_history

PAGE = "run.html"
LANGUAGES = ("en", "zh", "unknown_language")
POLARITIES = ("positive", "negative", "unknown_polarity")
PREFERENCES = {
    "accuracy": ["accuracy"],
    "reward_margin": ["reward_margin"],
    "log_ratios": ["chosen_log_ratio", "rejected_log_ratio"],
}


def write_page(run_dir: str | Path, *, language: str = "en") -> Path:
    """Write RUN/run.html from the log, the card and the recipe that lie in RUN.

    Raises ValueError where there is no log with a step in it, and for a language that there are no words in.
    """
    words = read_words("skymm.train", "run_page", language)
    directory = Path(run_dir)
    run = read_history(directory)
    skipped = Table([words[name] for name in ("reason", "count", "share")], skipped_rows(run))
    settings = [
        Section(words[name], [Table([words["key"], words["value"]], _settings(data), wordy=frozenset([1]))])
        for name, data in (
            ("card", {name: value for name, value in run.card.items() if name != "recipe"}),
            ("recipe", run.recipe),
        )
        if data
    ]
    sections = [
        Section(
            words["curves"],
            [_how_drawn(run, words), Figures(figures(run, words)), words["more"].format(directory=directory)],
        ),
        Section(words["skipped"], [skipped if skipped.rows else words["none_skipped"]]),
        Section("", [Columns(settings)]),
    ]
    stated = words["finished" if run.finished else "unfinished"].format(
        step=run.step, steps=run.recipe.get("steps", "?")
    )
    page = Page(directory.resolve().name, words["html_language"], stated, sections, numbers(run, words))
    return write_html(page, directory / PAGE)


def numbers(run: History, words: Words) -> list[tuple[str, str]]:
    """(name, number) of what one wants to know first."""
    found = []
    losses, held_out = run.series("loss"), run.series("held_out_loss")
    if losses:
        window = min(len(losses), max(10, window_of(losses)))
        last = [loss for _, loss in losses[-window:]]
        found.append((words["loss_now"].format(window=window), f"{sum(last) / len(last):.4f}"))
    if held_out:
        step, loss = min(held_out, key=lambda point: point[1])
        found.append((words["held_out_best"].format(step=step), f"{loss:.4f}"))
    negative, speeds, mfu = (
        [value for _, value in series] for series in (run.series("negative_share"), run.speeds(), run.series("mfu"))
    )
    seconds = run.total("seconds")
    return [
        *found,
        *([(words["negative_realised"], rate(sum(negative) / len(negative)))] if negative else []),
        *([(words["speed"], brief(round(median(speeds))))] if speeds else []),
        *([(words["mfu"], rate(median(mfu)))] if mfu else []),
        *([(words["samples_seen"], f"{run.samples():,.0f}")] if run.samples() else []),
        *([(words["time"], duration(seconds))] if seconds else []),
    ]


def skipped_rows(run: History) -> list[tuple[str, str, str]]:
    """(reason, samples, share of all samples that were met), the most frequent first."""
    skipped = run.skipped()
    met = run.samples() + sum(skipped.values())
    ordered = sorted(skipped.items(), key=lambda item: -item[1])
    return [(reason, f"{count:,}", f"{count / met * 100:.2f}%") for reason, count in ordered if count]


def _how_drawn(run: History, words: Words) -> str:
    losses = run.series("loss")
    told = words["how_thinned" if len(losses) > NUM_STRETCHES else "how_drawn"].format(
        window=max(1, window_of(losses)), count=math.ceil(len(losses) / NUM_STRETCHES)
    )
    odd = sum(isinstance(line.get("loss"), float) and not is_number(line["loss"]) for line in run.lines)
    return " ".join([told, *([words["not_finite"].format(count=odd)] if odd else [])])


def _settings(data: Any) -> list[tuple[str, str]]:
    """Nested data as (section.key, value)."""
    return [(name, _written(value)) for name, value in leaves(data).items()]


def _written(value: Any) -> str:
    if isinstance(value, bool) or value is None or isinstance(value, list | dict):
        return json.dumps(value, ensure_ascii=False)
    if isinstance(value, int):
        return f"{value:,}"
    return f"{value:.6g}" if isinstance(value, float) else str(value)


# --- figures: which series of the log are drawn together, on which axes --------------------------------------------------


def figures(run: History, words: Words) -> list[Figure]:
    """Those for which the log has numbers, in the order of the page."""
    loss = [(words["training"], run.series("loss"), False), (words["held_out"], run.series("held_out_loss"), True)]
    curves = [Curve(values, series, raw=not rare, rare=rare) for series, (_, values, rare) in enumerate(loss)]
    clip, peak = run.recipe.get("clip"), run.recipe.get("lora_learning_rate")
    levels = [(clip, f"{words['clip']} {clip:g}")] if is_number(clip) and clip > 0 else []
    course = words["learning_rate_note"].format(peak=peak) if is_number(peak) else ""
    padding = [
        (line["step"], 1 - line["tokens"] / line["positions"])
        for line in run.lines
        if is_number(line.get("tokens")) and is_number(line.get("positions")) and line["positions"] > 0
    ]
    found = [
        _losses(words, words["loss"], curves, [name for name, _, _ in loss]),
        _grouped(run, words, "by_language", LANGUAGES, "loss_"),
        _grouped(run, words, "by_polarity", POLARITIES, "loss_"),
        *(_grouped(run, words, *compared) for compared in PREFERENCES.items()),
        _losses(words, words["grad_norm"], [Curve(run.series("grad_norm"), 0, raw=True)], [""], levels=levels),
        _plain(words["learning_rate"], run.series("learning_rate"), lambda value: f"{value:.3g}", course, smooth=False),
        _negative(run, words),
        _plain(words["tokens_per_second"], run.speeds(), brief),
        _plain(words["mfu_curve"], run.series("mfu"), tick),
        _time(run, words),
        _plain(words["padding"], padding, tick),
        _plain(words["memory"], run.series("memory_gib"), brief),
    ]
    return [one for one in found if one is not None]


def _grouped(run: History, words: Words, title: str, groups: Sequence[str], prefix: str = "") -> Figure | None:
    """Losses by what conversations say of themselves, or what else the log has by name, in training and held out."""
    curves = [
        Curve(run.series(f"{whose}{prefix}{group}"), series, rare=rare)
        for series, group in enumerate(groups)
        for whose, rare in (("", False), ("held_out_", True))
    ]
    note = words["open_marks"] if any(curve.rare and curve.values for curve in curves) else ""
    return _losses(words, words[title], curves, [words[group] for group in groups], note)


def _losses(
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
    across = step_axis(x for curve in curves for x, _ in curve.values)
    ys = [y for curve in curves for _, y in curve.values] + [value for value, _ in levels]
    if min(ys) > 0 and max(ys) / min(ys) > 20:
        curves = [
            Curve([(x, math.log10(y)) for x, y in curve.values], curve.series, curve.raw, curve.rare)
            for curve in curves
        ]
        levels = [(math.log10(value), name) for value, name in levels]
        up, note = log_axis(min(ys), max(ys)), f"{note} {words['logarithmic']}".strip()
    else:
        up = axis_of(ys, lambda value: f"{value:.3g}")
    shown = sorted({curve.series for curve in curves})
    legend = [(series, names[series]) for series in shown] if len(shown) > 1 else []
    return Figure(title, curve_chart(title, curves, across, up, levels), legend, note)


def _plain(
    title: str, values: Points, show: Callable[[float], str], note: str = "", *, smooth: bool = True
) -> Figure | None:
    """One curve on an axis that begins at 0."""
    if not values:
        return None
    up = axis_of((value for _, value in values), show, zero=True)
    curve = Curve(values, 0, raw=smooth, smooth=smooth)
    return Figure(title, curve_chart(title, [curve], step_axis(step for step, _ in values), up), note=note)


def _negative(run: History, words: Words) -> Figure | None:
    """The realised share of negative answers, and that of the recipe as a level."""
    values, wanted = run.series("negative_share"), run.recipe.get("negative_share")
    if not values:
        return None
    levels = [(wanted, f"{words['of_recipe']} {tick(wanted)}")] if is_number(wanted) else []
    across, title = step_axis(step for step, _ in values), words["negative_share"]
    return Figure(title, curve_chart(title, [Curve(values, 0, raw=True)], across, PERCENT, levels))


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
    chart = share_chart(words["time_shares"], rows, step_axis(step for step, _ in rows), PERCENT)
    return Figure(words["time_shares"], chart, [(series, words[name]) for series, name in enumerate(names)])
