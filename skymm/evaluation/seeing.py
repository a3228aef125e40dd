"""Does a model look? What its choices say about that, whatever benchmark asked.

A model that only talks says yes as often where no is right as where yes is right. The difference of the two rates
(Youden's J) is 0 for every such model, however much it leans to yes, and 1 for one that is always right. Answers that
cannot be read count as neither yes nor no. With options to choose from, the same scale is accuracy above guessing.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

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


@dataclass(slots=True)
class _Count:
    """Answers of one kind (yes is right, no is right, options) and what they say."""

    asked: int = 0
    yes: int = 0
    no: int = 0
    unknown: int = 0
    right: int = 0
    chance: float = 0.0
    clusters: dict[str, list[str]] = field(default_factory=dict)

    def add(self, answer: Answer, choice: str, right: bool) -> None:
        self.asked += 1
        self.yes += choice == "yes"
        self.no += choice == "no"
        self.unknown += choice == UNKNOWN
        self.right += right
        self.chance += 1 / len(answer.question.choices)
        self.clusters.setdefault(answer.question.cluster, []).append(choice)


def seeing(answers: Sequence[Answer], benchmark: Benchmark) -> dict[str, float | None]:
    """Rates, each None where it has no meaning.

    `unknown`: answers from which no choice can be read. Of yes/no questions: `yes` and `no` (said), `gold_yes` (right),
    `yes_where_yes` and `yes_where_no` (said yes where that is right, where it is not), `looks` (their difference), and
    `same_answer`: of the pictures with one question of each kind, those where both got the same answer. Of questions
    with options: `right`, `chance`, and `looks` = (right - chance) / (1 - chance). Mixed benchmarks: `looks` is that of
    the yes/no questions where there are any.
    """
    counts = {"yes": _Count(), "no": _Count(), "option": _Count()}
    for answer in answers:
        choice = said(answer, benchmark)
        if choice is not None:
            counts[answer.question.gold if is_yes_no(answer) else "option"].add(
                answer, choice, bool(is_right(answer, benchmark))
            )
    where_yes, where_no, option = counts.values()
    asked = where_yes.asked + where_no.asked
    found: dict[str, float | None] = {
        "unknown": _share(sum(one.unknown for one in counts.values()), asked + option.asked),
        "yes": _share(where_yes.yes + where_no.yes, asked),
        "no": _share(where_yes.no + where_no.no, asked),
        "gold_yes": _share(where_yes.asked, asked),
        "yes_where_yes": _share(where_yes.yes, where_yes.asked),
        "yes_where_no": _share(where_no.yes, where_no.asked),
        "same_answer": _same_answer(where_yes.clusters, where_no.clusters),
        "right": _share(option.right, option.asked),
        "chance": _share(option.chance, option.asked),
        "looks": None,
    }
    hits, false_alarms, right, chance = (found[name] for name in ("yes_where_yes", "yes_where_no", "right", "chance"))
    if hits is not None and false_alarms is not None:
        found["looks"] = hits - false_alarms
    elif not asked and right is not None and chance is not None and chance < 1:
        found["looks"] = (right - chance) / (1 - chance)
    return found


def _share(part: float, whole: int) -> float | None:
    return part / whole if whole else None


def _same_answer(where_yes: Mapping[str, list[str]], where_no: Mapping[str, list[str]]) -> float | None:
    pairs = [
        (choices[0], where_no[cluster][0])
        for cluster, choices in where_yes.items()
        if len(choices) == 1 and len(where_no.get(cluster, ())) == 1
    ]
    return _share(sum(one == other != UNKNOWN for one, other in pairs), len(pairs))


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
