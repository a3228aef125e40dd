"""Multimodal gain and leakage (MMStar, arXiv 2403.20330): how much of a score comes from looking?

The same questions three times: with images (Sv), the same model without them (Swv), its base LLM alone (St).
MG = Sv - Swv is what the images are worth; ML = max(0, Swv - St) is what the model must have read in training.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from skymm.evaluation.benchmark import benchmark, value_of
from skymm.evaluation.predictions import read_predictions
from skymm.evaluation.run import score_of

PASSES = ("with_images", "without_images", "base_llm")


def refuse(name: str) -> None:
    """Raises ValueError for a benchmark that has no gain, before anything is asked."""
    one = benchmark(name)
    if one.main.lower_is_better:
        raise ValueError(f"{name}: {one.main.label} counts mistakes; gain is of scores that go up")
    if one.judge is not None or one.judges == "tower":
        raise ValueError(f"{name}: gain is of models and answers that a rule can score")


def gain(sv: float, swv: float, st: float) -> dict[str, float]:
    """`mg` and `ml` in the unit of the scores, which are points (percent, or MME's own)."""
    # Scores are published with one decimal; ten are enough to drop what binary fractions add.
    return {"mg": round(sv - swv, 10), "ml": round(max(0.0, swv - st), 10), "sv": sv, "swv": swv, "st": st}


def points(given: str) -> float:
    """A number as it stands, or the main score of stored predictions (a file or directory) in points."""
    try:
        return float(given)
    except ValueError:
        return _points_of(Path(given))


def gain_of_runs(directory: str | Path) -> dict[str, float]:
    """From the predictions of the three passes below a directory. Raises ValueError when their questions differ."""
    runs = [read_predictions(Path(directory) / name) for name in PASSES]
    asked = [{answer.question.id for answer in one.answers} for one in runs]
    for name, one in zip(PASSES, asked):
        if one != asked[0]:
            raise ValueError(f"{directory}: {PASSES[0]} answers {len(asked[0])} questions, {name} {len(one)} or others")
    return gain(*(_points_of(one.path) for one in runs))


def _points_of(path: Path) -> float:
    predictions = read_predictions(path)
    refuse(predictions.benchmark)
    main = benchmark(predictions.benchmark).main
    value: Any = value_of(score_of(predictions), main.key)
    if value is None:
        raise ValueError(f"{path}: these answers give no {main.label}, which gain is measured in")
    return value * (100 if main.unit == "rate" else 1)
