"""One page that answers: does this model see, or does it only talk?

Everything on it is computed from predictions: scores with intervals, leaning to yes, confidence, comparisons, and the worst
mistakes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import combinations
from pathlib import Path

from skymm.evaluation.benchmark import benchmark, grouped
from skymm.evaluation.gain import PASSES, gain_of_runs
from skymm.evaluation.predictions import PREDICTIONS, file_of, read_predictions
from skymm.evaluation.report.findings import about_twins, comparison, short_title, verdict
from skymm.evaluation.report.measure import RESAMPLES, SEED, Gain, Measured, Run, Twins, language_gap, measure
from skymm.evaluation.report.sections import gain_section, overview, section
from skymm.evaluation.run import files_of
from skymm.page.document import Columns, Page, Remarks, Section, Sentences, Words, read_words, write_page


def write_report(
    runs: Sequence[Run],
    out: Path,
    *,
    language: str = "en",
    gains: Sequence[Gain] = (),
    lacking: Sequence[str] = (),
) -> Path:
    """Write the page. Runs of one benchmark stand beside each other, in the order given. `lacking` are the benchmarks that
    were not asked, since their files were not there.

    Raises ValueError without runs, and for a language that there are no words in.
    """
    if not runs:
        raise ValueError("no runs to report on, expected at least one directory with predictions.jsonl")
    words = read_words(__package__, "words", language)
    groups = [_measured(group) for group in grouped((run.benchmark.name, run) for run in runs).values()]
    twins = [[found for one in group if (found := language_gap(one.run, one.label))] for group in groups]
    titles = {group[0].benchmark.name: short_title(group[0], words) for group in groups}
    verdicts = [
        Section(
            model,
            [Remarks([verdict(one, words, gains) for group in groups for one in group if one.run.model == model])],
        )
        for model in dict.fromkeys(run.model for run in runs)
    ]
    compared = _comparisons(groups, twins, words)
    comparisons = [Section(words["pairs"], [Sentences(compared)])] if compared else []
    methods = [
        words["method_interval"].format(n=RESAMPLES, seed=SEED),
        words["method_level"],
        words["method_calibration"],
    ]
    sections = [
        Section(words["verdict"], [Columns(verdicts), *comparisons]),
        *overview(groups, words),
        *gain_section(gains, titles, words),
        *(section(group, found, words) for group, found in zip(groups, twins)),
        Section(words["methods"], methods),
    ]
    stated = words["stated"].format(
        num_runs=len(runs), num_answers=sum(len(run.answers) for run in runs), n=RESAMPLES, seed=SEED
    )
    stated += words["lacking"].format(names=words["between"].join(lacking)) if lacking else ""
    return write_page(Page(words["title"], words["html_language"], stated, sections), out)


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


# --- which runs lie in directories ---------------------------------------------------------------------------------------


def collect(paths: Iterable[Path]) -> tuple[list[Run], list[Gain]]:
    """Runs, and gains where the three passes of `skymm eval gain` lie side by side; directories are searched.

    Passes without images are part of a gain and no runs of their own. Raises ValueError where nothing lies.
    """
    files, gains = [], []
    for path in paths:
        file = file_of(path)
        found = [file] if file.is_file() else sorted(path.rglob(PREDICTIONS)) if path.is_dir() else []
        if not found:
            raise ValueError(f"no {PREDICTIONS} at or below {path}")
        files += [one for one in found if one not in files]
    runs = []
    for file in files:
        predictions = read_predictions(file)
        if not predictions.images:
            continue
        of_benchmark = benchmark(predictions.benchmark)
        runs.append(
            Run(
                name=file.parent.name,
                model=predictions.model,
                benchmark=of_benchmark,
                recipe=predictions.recipe.model_copy(
                    update={"files": {name: str(path) for name, path in files_of(predictions).items()}}
                ),
                answers=predictions.answers,
                expected=predictions.num_questions,
                mode=predictions.mode,
                decoding=predictions.decoding,
            )
        )
        around = file.parent.parent
        if file.parent.name == PASSES[0] and all((around / name / PREDICTIONS).is_file() for name in PASSES):
            gains.append(Gain(of_benchmark.name, predictions.model, **gain_of_runs(around)))
    short = short_names([one.model for one in runs])
    runs = [replace(one, model=short[one.model]) for one in runs]
    gains = [replace(one, model=short[one.model]) for one in gains]
    if not runs:
        raise ValueError(
            f"{files[0]}: asked without images, which is half of a gain; give the directory of all three passes"
        )
    return runs, gains


def short_names(models: Sequence[str]) -> dict[str, str]:
    """What each model is called on the page: the last part of its path; all of it where two would be called the same."""
    last = {model: model.rpartition("#")[2].removeprefix("hf:").rstrip("/").split("/")[-1] for model in models}
    return {model: name if list(last.values()).count(name) == 1 else model for model, name in last.items()}
