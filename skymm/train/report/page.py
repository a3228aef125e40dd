"""One page about a run: what it learned, how fast, and what was set. It stands alone and can be written at any time."""

from __future__ import annotations

import json
import math
from pathlib import Path
from statistics import median
from typing import Any

from skymm.page.curves import NUM_STRETCHES, brief, window_of
from skymm.page.drawing import swatch
from skymm.page.render import write_html
from skymm.recipe import leaves
from skymm.train.history import History, is_number, read_history
from skymm.train.report.figures import figures
from skymm.train.report.words import WORDS, Words

PAGE, TEMPLATE = "run.html", "page.html.jinja"


def write_page(run_dir: str | Path, *, language: str = "en") -> Path:
    """Write RUN/run.html from the log, the card and the recipe that lie in RUN; a run that still goes on may be shown too.

    Raises ValueError where there is no log with a step in it, and for a language that there are no words in.
    """
    if language not in WORDS:
        raise ValueError(f"found language {language!r}, expected one of {', '.join(WORDS)}")
    words = WORDS[language]
    directory = Path(run_dir)
    run = read_history(directory)
    values = {
        "w": words,
        "title": directory.resolve().name,
        "state": words["finished" if run.finished else "unfinished"].format(
            step=run.step, steps=run.recipe.get("steps", "?")
        ),
        "more": words["more"].format(directory=directory),
        "numbers": numbers(run, words),
        "how_drawn": _how_drawn(run, words),
        "figures": figures(run, words),
        "skipped": skipped_rows(run),
        "card": _rows({name: value for name, value in run.card.items() if name != "recipe"}),
        "recipe": _rows(run.recipe),
        "swatch": swatch,
    }
    return write_html(directory / PAGE, "skymm.train.report", TEMPLATE, values)


def numbers(run: History, words: Words) -> list[tuple[str, str]]:
    """(name, number) of what one wants to know first."""
    found = []
    losses = run.series("loss")
    if losses:
        window = min(len(losses), max(10, window_of(losses)))
        last = [loss for _, loss in losses[-window:]]
        found.append((words["loss_now"].format(window=window), f"{sum(last) / len(last):.4f}"))
    held_out = run.series("held_out_loss")
    if held_out:
        step, loss = min(held_out, key=lambda point: point[1])
        found.append((words["held_out_best"].format(step=step), f"{loss:.4f}"))
    shares = [share for _, share in run.series("negative_share")]
    if shares:
        found.append((words["negative_realised"], f"{sum(shares) / len(shares) * 100:.1f}%"))
    speeds = [speed for _, speed in run.speeds()]
    if speeds:
        found.append((words["speed"], brief(round(median(speeds)))))
    mfu = [share for _, share in run.series("mfu")]
    if mfu:
        found.append((words["mfu"], f"{median(mfu) * 100:.1f}%"))
    if run.samples():
        found.append((words["samples_seen"], f"{run.samples():,.0f}"))
    if run.total("seconds"):
        found.append((words["time"], duration(run.total("seconds"))))
    return found


def skipped_rows(run: History) -> list[tuple[str, str, str]]:
    """(reason, samples, share of all samples that were met), the most frequent first."""
    skipped = run.skipped()
    met = run.samples() + sum(skipped.values())
    ordered = sorted(skipped.items(), key=lambda item: -item[1])
    return [(reason, f"{count:,}", f"{count / met * 100:.2f}%") for reason, count in ordered if count]


def duration(seconds: float) -> str:
    """Hours, minutes and seconds, as 1:02:03."""
    whole = round(seconds)
    return f"{whole // 3600}:{whole // 60 % 60:02d}:{whole % 60:02d}"


def _how_drawn(run: History, words: Words) -> str:
    losses = run.series("loss")
    window = max(1, window_of(losses))
    thinned = len(losses) > NUM_STRETCHES
    count = math.ceil(len(losses) / NUM_STRETCHES)
    told = words["how_thinned" if thinned else "how_drawn"].format(window=window, count=count)
    odd = sum(isinstance(line.get("loss"), float) and not is_number(line["loss"]) for line in run.lines)
    return " ".join([told, *([words["not_finite"].format(count=odd)] if odd else [])])


def _rows(data: Any) -> list[tuple[str, str]]:
    """Nested data as (section.key, value) for a table."""
    return [(name, _written(value)) for name, value in leaves(data).items()] if data else []


def _written(value: Any) -> str:
    if isinstance(value, bool) or value is None or isinstance(value, list | dict):
        return json.dumps(value, ensure_ascii=False)
    if isinstance(value, int):
        return f"{value:,}"
    return f"{value:.6g}" if isinstance(value, float) else str(value)
