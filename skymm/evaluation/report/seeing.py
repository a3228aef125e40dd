"""Does a model look? What its choices say about that, whatever benchmark asked.

A model that only talks says yes as often where no is right as where yes is right. The difference of the two rates
(Youden's J) is 0 for every such model, however much it leans to yes, and 1 for one that is always right. Answers that
cannot be read count as neither yes nor no. With options to choose from, the same scale is accuracy above guessing.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from skymm.evaluation.benchmark import YES_NO, Answer, Benchmark
from skymm.recipe import EvalRecipe

UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Run:
    """The answers of one model to one benchmark. `expected` is how many there would be if the run were complete."""

    name: str
    model: str
    benchmark: Benchmark
    recipe: EvalRecipe
    answers: list[Answer]
    expected: int

    @property
    def files(self) -> dict[str, Path]:
        return {name: Path(path) for name, path in self.recipe.files.items()}


@dataclass(frozen=True, slots=True)
class Gain:
    """What the picture is worth (Chen et al., arXiv 2403.20330): mg = sv - swv, ml = max(0, swv - st).

    Scores of the benchmark's main metric: `sv` with pictures, `swv` without, `st` of the base LLM on the text alone.
    """

    benchmark: str
    model: str
    mg: float
    ml: float | None
    sv: float
    swv: float
    st: float | None


def said(answer: Answer, benchmark: Benchmark) -> str | None:
    """The choice that an answer makes, "unknown" where none can be read, None where there is nothing to choose from."""
    return benchmark.strict(answer) if answer.question.choices else None


def probabilities(answer: Answer) -> dict[str, float] | None:
    """Softmax of the log-probabilities over the question's choices; None where they were not recorded for each."""
    choices = answer.question.choices
    if not answer.logits or not choices or any(choice not in answer.logits for choice in choices):
        return None
    values = [float(answer.logits[choice]) for choice in choices]
    top = max(values)
    if any(math.isnan(value) for value in values) or math.isinf(top):
        return None
    weights = [math.exp(value - top) for value in values]
    return {choice: weight / sum(weights) for choice, weight in zip(choices, weights)}


def is_right(answer: Answer, benchmark: Benchmark) -> bool | None:
    """Right by the bilingual reading, so that neither language is at a disadvantage; by the official where there is none."""
    choice, question = said(answer, benchmark), answer.question
    return (
        benchmark.right(answer) if choice is None or question.gold not in question.choices else choice == question.gold
    )


def is_yes_no(answer: Answer) -> bool:
    question = answer.question
    return len(question.choices) == 2 and set(question.choices) == set(YES_NO) and question.gold in YES_NO


# Where yes is right, where no is right, with options; for each: how many, and how many of them say what.
_KINDS = ("yes", "no", "option")
_COUNTED = ("asked", "yes", "no", "unknown", "right", "chance")
_PLACES = {name: place for place, name in enumerate([f"{kind}.{what}" for kind in _KINDS for what in _COUNTED])}
_PLACES |= {"pairs": len(_PLACES), "same": len(_PLACES) + 1}


def seeing_counts(answers: Sequence[Answer], benchmark: Benchmark) -> np.ndarray:
    """The counts of one cluster that `seeing_rates` needs, (20,): they add up over clusters."""
    counts = np.zeros(len(_PLACES))
    said_to: dict[str, list[str]] = {kind: [] for kind in _KINDS}
    for answer in answers:
        choice = said(answer, benchmark)
        if choice is None:
            continue
        kind = answer.question.gold if is_yes_no(answer) else "option"
        said_to[kind].append(choice)
        counts[_PLACES[f"{kind}.asked"]] += 1
        counts[_PLACES[f"{kind}.right"]] += bool(is_right(answer, benchmark))
        counts[_PLACES[f"{kind}.chance"]] += 1 / len(answer.question.choices)
        if choice in ("yes", "no", UNKNOWN):
            counts[_PLACES[f"{kind}.{choice}"]] += 1
    if len(said_to["yes"]) == len(said_to["no"]) == 1:
        counts[_PLACES["pairs"]] = 1
        counts[_PLACES["same"]] = said_to["yes"] == said_to["no"] != [UNKNOWN]
    return counts


def seeing_rates(counts: np.ndarray) -> dict[str, float | None]:
    """Rates from summed counts, each None where it has no meaning.

    `unknown`: answers from which no choice can be read. Of yes/no questions: `yes` and `no` (said), `gold_yes` (right),
    `yes_where_yes` and `yes_where_no` (said yes where that is right, where it is not), `looks` (their difference), and
    `same_answer`: of the pictures with one question of each kind, those where both got the same answer. Of questions
    with options: `right`, `chance`, and `looks` = (right - chance) / (1 - chance). Mixed benchmarks: `looks` is that of
    the yes/no questions where there are any.
    """
    of = {name: float(counts[place]) for name, place in _PLACES.items()}
    asked = of["yes.asked"] + of["no.asked"]
    found: dict[str, float | None] = {
        "unknown": _share(sum(of[f"{kind}.unknown"] for kind in _KINDS), asked + of["option.asked"]),
        "yes": _share(of["yes.yes"] + of["no.yes"], asked),
        "no": _share(of["yes.no"] + of["no.no"], asked),
        "gold_yes": _share(of["yes.asked"], asked),
        "yes_where_yes": _share(of["yes.yes"], of["yes.asked"]),
        "yes_where_no": _share(of["no.yes"], of["no.asked"]),
        "same_answer": _share(of["same"], of["pairs"]),
        "right": _share(of["option.right"], of["option.asked"]),
        "chance": _share(of["option.chance"], of["option.asked"]),
        "looks": None,
    }
    hits, false_alarms, right, chance = (found[name] for name in ("yes_where_yes", "yes_where_no", "right", "chance"))
    if hits is not None and false_alarms is not None:
        found["looks"] = hits - false_alarms
    elif not asked and right is not None and chance is not None and chance < 1:
        found["looks"] = (right - chance) / (1 - chance)
    return found


def _share(part: float, whole: float) -> float | None:
    return part / whole if whole else None


def confidences(answers: Sequence[Answer]) -> tuple[list[float], list[bool], bool]:
    """Confidence and outcome of every answer with recorded log-probabilities, and whether they are about "yes".

    Yes/no questions: p(yes) against whether yes is right. Otherwise: the most likely choice against whether it is right.
    """
    about_yes = all(is_yes_no(answer) for answer in answers if answer.question.choices)
    confidence, outcome = [], []
    for answer in answers:
        chances = probabilities(answer)
        if chances is None or answer.question.gold not in chances:
            continue
        choice = "yes" if about_yes else max(chances, key=chances.__getitem__)
        confidence.append(chances[choice])
        outcome.append(answer.question.gold == choice)
    return confidence, outcome, about_yes
