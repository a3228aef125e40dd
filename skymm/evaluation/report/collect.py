"""Which runs lie in the directories that a report is asked for."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from skymm.evaluation.benchmark import benchmark
from skymm.evaluation.gain import PASSES, gain_of_runs
from skymm.evaluation.predictions import PREDICTIONS, file_of, read_predictions
from skymm.evaluation.report.seeing import Gain, Run
from skymm.evaluation.run import files_of


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
    """What each model is called on the page: as many of its last path parts as tell it from the others."""
    parts = {model: model.rpartition("#")[2].removeprefix("hf:").rstrip("/").split("/") for model in models}
    names = {}
    for model, own in parts.items():
        others = [other for name, other in parts.items() if name != model]
        length = next((n for n in range(1, len(own)) if not any(other[-n:] == own[-n:] for other in others)), len(own))
        names[model] = "/".join(own[-length:])
    # Two endpoints may serve a model of one name.
    return {model: name if list(names.values()).count(name) == 1 else model for model, name in names.items()}
