"""One page that answers: does this model see, or does it only talk?

The page stands alone (no script, nothing from the network, pictures inside), in English or Chinese, and everything on it
is computed from predictions: scores with intervals, leaning to yes, confidence, comparisons, and the worst mistakes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import combinations
from pathlib import Path

from skymm.evaluation.report.findings import about_twins, comparison, finding, short_title
from skymm.evaluation.report.measured import RESAMPLES, SEED, Measured, measure
from skymm.evaluation.report.sections import section
from skymm.evaluation.report.seeing import Gain, Run
from skymm.evaluation.report.tables import gain_table, overview_table
from skymm.evaluation.report.twins import Twins, language_gaps
from skymm.evaluation.report.words import WORDS, Words
from skymm.page.drawing import swatch
from skymm.page.render import write_html

__all__ = ["Gain", "Run", "write_report"]

TEMPLATE = "page.html.jinja"


def write_report(runs: Sequence[Run], out: Path, *, language: str = "en", gains: Sequence[Gain] = ()) -> Path:
    """Write the page. Runs of one benchmark stand beside each other, in the order given.

    Raises ValueError without runs, and for a language that there are no words in.
    """
    if not runs:
        raise ValueError("no runs to report on, expected at least one directory with predictions.jsonl")
    if language not in WORDS:
        raise ValueError(f"found language {language!r}, expected one of {', '.join(WORDS)}")
    words = WORDS[language]
    groups = [_measured(group) for group in _by_benchmark(runs)]
    twins = [
        language_gaps([one.run for one in group], [one.label for one in group], RESAMPLES, SEED) for group in groups
    ]
    models = list(dict.fromkeys(run.model for run in runs))
    titles = {group[0].benchmark.name: short_title(group[0], words) for group in groups}
    values = {
        "w": words,
        "stated": words["stated"].format(
            num_runs=len(runs), num_answers=sum(len(run.answers) for run in runs), n=RESAMPLES, seed=SEED
        ),
        "method_interval": words["method_interval"].format(n=RESAMPLES, seed=SEED),
        "verdicts": [
            (model, [finding(one, words, gains) for group in groups for one in group if one.run.model == model])
            for model in models
        ],
        "comparisons": _comparisons(groups, twins, words),
        "overview": overview_table(groups, words),
        "gains": gain_table(gains, titles, words),
        "sections": [section(group, found, words) for group, found in zip(groups, twins)],
        "swatch": swatch,
    }
    return write_html(out, "skymm.evaluation.report", TEMPLATE, values)


def _by_benchmark(runs: Sequence[Run]) -> list[list[Run]]:
    groups: dict[str, list[Run]] = {}
    for run in runs:
        groups.setdefault(run.benchmark.name, []).append(run)
    return list(groups.values())


def _measured(runs: Sequence[Run]) -> list[Measured]:
    """The runs of a benchmark under labels that tell them apart: the model, with the run's name where that is not enough."""
    models = Counter(run.model for run in runs)
    labels = [run.model if models[run.model] == 1 else f"{run.model} · {run.name}" for run in runs]
    for place, label in enumerate(labels):
        if label in labels[:place]:
            labels[place] = f"{label} ({place + 1})"
    return [measure(run, label) for run, label in zip(runs, labels)]


def _comparisons(groups: Sequence[Sequence[Measured]], twins: Sequence[Sequence[Twins]], words: Words) -> list[str]:
    """Sentences about models and languages beside each other. More than three runs of a benchmark are left to its table."""
    sentences: list[str | None] = []
    for group, found in zip(groups, twins):
        if len(group) <= 3:
            sentences += [comparison(first, second, words) for first, second in combinations(group, 2)]
        sentences += [about_twins(short_title(group[0], words), one, words) for one in found]
    return [sentence for sentence in sentences if sentence]
