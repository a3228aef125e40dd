"""Which runs lie in the directories that a report is asked for."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from skymm.evaluation.gain import PASSES, gain_of_runs
from skymm.evaluation.predictions import PREDICTIONS, file_of, read_predictions
from skymm.evaluation.registry import benchmark
from skymm.evaluation.report.seeing import Gain, Run


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
                recipe=predictions.recipe,
                answers=predictions.answers,
                expected=predictions.num_questions,
            )
        )
        around = file.parent.parent
        if file.parent.name == PASSES[0] and all((around / name / PREDICTIONS).is_file() for name in PASSES):
            gains.append(Gain(of_benchmark.name, predictions.model, **gain_of_runs(around)))
    if not runs:
        raise ValueError(
            f"{files[0]}: asked without images, which is half of a gain; give the directory of all three passes"
        )
    return runs, gains
