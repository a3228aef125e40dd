"""Yes and no as sure as they are right: two numbers per language, fitted on pictures that a model was not trained on.

A stage knows its own pictures by heart and is unsure of new ones, and then the habit of the LLM decides: the right answers are
ranked well (AUROC), but nearly all of them are a no. So p(yes) = sigmoid((log-odds - offset) / temperature) is fitted to what
was right (Platt, "Probabilistic Outputs for Support Vector Machines", 1999). It changes no order, so no AUROC within a
language. The numbers stand in the model's configuration and are said wherever answers are kept: what is calibrated is no
secret of a score.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.optimize import minimize
from scipy.special import expit

from skymm.evaluation.benchmark import Answer, grouped
from skymm.evaluation.predictions import Predictions
from skymm.evaluation.statistics import calibration
from skymm.files import whole_file
from skymm.text import language_of
from skymm.verdict import NO, YES

_ENOUGH = 10  # of each answer in a language: fewer say too little about two numbers


@dataclass(frozen=True, slots=True)
class Fit:
    """Of one language. `changes`: what it does to the answers that it was fitted on, name -> (before, after); "calibration
    error" is the expected one of p(yes).
    """

    offset: float
    temperature: float
    num_answers: int
    changes: Mapping[str, tuple[float, float]]


def fit(answered: Predictions) -> dict[str, Fit]:
    """Language -> its numbers. Raises ValueError for answers without log-probabilities of yes and no, for some that were
    calibrated already, and where a language has too few of either.
    """
    if "calibration" in answered.decoding:
        raise ValueError(
            f"{answered.path}: these answers are calibrated already; take the model's calibration away (--reset) and ask again"
        )
    if answered.decoding.get("contrast"):
        raise ValueError(f"{answered.path}: these answers were contrasted; calibration is of plain ones")
    judged = [one for one in answered.answers if one.logits and one.logits.keys() == {YES, NO} and one.question.gold]
    if not judged:
        raise ValueError(
            f"{answered.path}: found no log-probabilities of yes and no; ask questions of yes and no with --mode logits"
        )
    of_language = grouped((language_of(one.question.text), one) for one in judged)
    return {language: _fit(language, those, answered.path) for language, those in sorted(of_language.items())}


def _fit(language: str, answers: Sequence[Answer], where: Path) -> Fit:
    odds = np.array([one.logits[YES] - one.logits[NO] for one in answers])
    truth = np.array([one.question.gold == YES for one in answers])
    if min(truth.sum(), (~truth).sum()) < _ENOUGH:
        raise ValueError(
            f"{where}: found {truth.sum()} questions in {language!r} that deserve a yes and {(~truth).sum()} that deserve a "
            f"no, expected at least {_ENOUGH} of each"
        )

    def loss(numbers: np.ndarray) -> float:
        signed = np.where(truth, 1, -1) * (odds - numbers[0]) * np.exp(-numbers[1])
        # So weak that only answers which are all right notice it: their best temperature would be 0.
        return float(np.logaddexp(0, -signed).mean() + 1e-4 * (numbers[1] - np.log(odds.std() + 1e-6)) ** 2)

    start = [float(np.median(odds)), float(np.log(odds.std() + 1e-6))]
    offset, log_temperature = minimize(loss, start, method="Nelder-Mead", options={"xatol": 1e-6, "fatol": 1e-10}).x
    temperature = float(np.exp(log_temperature))
    chances = expit(odds), expit((odds - offset) / temperature)
    before, after = (_judged(one, truth) for one in chances)
    return Fit(float(offset), temperature, len(answers), {name: (before[name], after[name]) for name in before})


def _judged(chances: np.ndarray, truth: np.ndarray) -> dict[str, float]:
    said = chances > 0.5
    error = calibration(chances.tolist(), truth.tolist()).ece
    return {"accuracy": float((said == truth).mean()), "yes": float(said.mean()), "calibration error": error}


def write(directory: Path, fits: Mapping[str, Fit] | None) -> None:
    """Into the model's configuration; None takes it away. Raises ValueError where there is no model of ours."""
    path = directory / "config.json"
    if not path.is_file() or (config := json.loads(path.read_text("utf-8"))).get("model_type") != "skymm":
        raise ValueError(f"{directory} holds no model of ours; expected the directory of a finished stage")
    numbers = fits and {name: {"offset": one.offset, "temperature": one.temperature} for name, one in fits.items()}
    with whole_file(path, "w", encoding="utf-8") as file:
        file.write(json.dumps(config | {"calibration": numbers}, indent=2, sort_keys=True) + "\n")
