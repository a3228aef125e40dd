"""A run in numbers: its scores, whether it looks, how sure it is, and how it does in two languages; each with its resamples.

Does a model look? One that only talks says yes as often where no is right as where yes is right. The difference of the two
rates (Youden's J) is 0 for every such model, however much it leans to yes, and 1 for one that is always right. Answers that
cannot be read count as neither yes nor no. With options to choose from, the same scale is accuracy above guessing.

Twins are the same question in Chinese and in English: they carry the same `fields["twin"]` and different
`fields["language"]`.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from skymm.evaluation.benchmark import YES_NO, Answer, Benchmark, grouped, value_of
from skymm.evaluation.statistics import (
    Bootstrap,
    Calibration,
    Interval,
    McNemar,
    Rates,
    calibration,
    cluster_bootstrap,
    mcnemar,
)
from skymm.recipe import EvalRecipe
from skymm.verdict import UNKNOWN

RESAMPLES = 500
SEED = 0


@dataclass(frozen=True, slots=True)
class Run:
    """The answers of one model to one benchmark. `expected` is how many there would be if the run were complete; `mode` and
    `decoding` are as in its predictions, "" and {} where they are not known.
    """

    name: str
    model: str
    benchmark: Benchmark
    recipe: EvalRecipe
    answers: list[Answer]
    expected: int
    mode: str = ""
    decoding: Mapping[str, Any] = field(default_factory=dict)
    images: bool = True

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
_COUNTED = [f"{kind}.{what}" for kind in _KINDS for what in ("asked", "yes", "no", "unknown", "right", "chance")]
_COUNTED += ["pairs", "same"]


def seeing_counts(answers: Sequence[Answer], benchmark: Benchmark) -> np.ndarray:
    """The counts of one cluster that `seeing_rates` needs, (20,): they add up over clusters."""
    counts: Counter[str] = Counter()
    said_to: dict[str, list[str]] = {kind: [] for kind in _KINDS}
    for answer in answers:
        choice = said(answer, benchmark)
        if choice is not None:
            kind = answer.question.gold if is_yes_no(answer) else "option"
            said_to[kind].append(choice)
            counts[f"{kind}.asked"] += 1
            counts[f"{kind}.{choice}"] += choice in ("yes", "no", UNKNOWN)  # not an option that is called "right"
            counts[f"{kind}.right"] += bool(is_right(answer, benchmark))
            counts[f"{kind}.chance"] += 1 / len(answer.question.choices)
    if len(said_to["yes"]) == len(said_to["no"]) == 1:
        counts["pairs"] = 1
        counts["same"] = said_to["yes"] == said_to["no"] != [UNKNOWN]
    return np.array([counts[name] for name in _COUNTED], float)


def seeing_rates(counts: np.ndarray) -> dict[str, float | None]:
    """Rates from summed counts, each None where it has no meaning.

    `unknown`: answers from which no choice can be read. Of yes/no questions: `yes` and `no` (said), `gold_yes` (right),
    `yes_where_yes` and `yes_where_no` (said yes where that is right, where it is not), `looks` (their difference), and
    `same_answer`: of the pictures with one question of each kind, those where both got the same answer. Of questions
    with options: `right`, `chance`, and `looks` = (right - chance) / (1 - chance). Mixed benchmarks: `looks` is that of
    the yes/no questions where there are any.
    """
    of = dict(zip(_COUNTED, map(float, counts)))
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


# --- scores, tables and rates, with their resamples ----------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Measured:
    """A run with its numbers. `label` tells it from the others of its benchmark.

    `bootstrap` has "official.KEY" and "strict.KEY" of the benchmark's metrics, "table.KEY.ENTRY" of its tables and
    "seeing.NAME" of `seeing_rates`; None without answers. `error` says why the benchmark's own scorer gave no scores (a
    benchmark may need all answers about a picture); the rest is there nevertheless.
    """

    run: Run
    label: str
    bootstrap: Bootstrap | None
    calibration: Calibration | None
    about_yes: bool
    error: str | None = None

    @property
    def benchmark(self) -> Benchmark:
        return self.run.benchmark

    def interval(self, name: str) -> Interval | None:
        return self.bootstrap.interval(name) if self.bootstrap else None

    def value(self, name: str) -> float | None:
        return self.bootstrap.values.get(name) if self.bootstrap else None

    def entries(self, table: str) -> list[str]:
        """Names of a table's entries, in its own order."""
        start = f"table.{table}."
        names = self.bootstrap.values if self.bootstrap else {}
        return [name.removeprefix(start) for name in names if name.startswith(start)]


def measure(run: Run, label: str, n: int = RESAMPLES, seed: int = SEED) -> Measured:
    """Score a run and n resamples of it. An error of the scorer is kept, not raised."""
    if not run.answers:
        return Measured(run, label, None, None, False)
    benchmark, error = run.benchmark, None

    def statistics(answers: Sequence[Answer]) -> dict[str, float | None]:
        return _official(benchmark.score(answers, run.files), benchmark)

    def count(answers: Sequence[Answer]) -> np.ndarray:
        return seeing_counts(answers, benchmark)

    def rates(counts: np.ndarray) -> dict[str, float | None]:
        return {f"seeing.{name}": value for name, value in seeing_rates(counts).items()}

    try:
        statistics(run.answers)
    except ValueError as reason:
        error = str(reason)
    drawn = cluster_bootstrap(
        run.answers, None if error else statistics, benchmark.strata, n, seed, Rates(count, rates)
    )
    confidence, outcome, about_yes = confidences(run.answers)
    return Measured(run, label, drawn, calibration(confidence, outcome), about_yes, error)


def _official(scores: Mapping[str, Any], benchmark: Benchmark) -> dict[str, float | None]:
    found: dict[str, float | None] = {}
    for metric in benchmark.metrics:
        found[f"official.{metric.key}"] = _number(value_of(scores, metric.key))
        found[f"strict.{metric.key}"] = _number(value_of(scores, f"strict.{metric.key}"))
    for table, shown in benchmark.tables.items():
        for name, entry in (value_of(scores, table) or {}).items():
            found[f"table.{table}.{name}"] = _number(value_of(entry, shown) if shown else entry)
    return found


def _number(value: Any) -> float | None:
    is_number = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    return float(value) if is_number else None


# --- the same question in two languages ----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Twins:
    """Accuracy on twins, by the bilingual reading. `gap` is zh - en; `alike` the share right in both or wrong in both."""

    label: str
    count: int
    zh: Interval
    en: Interval
    gap: Interval
    alike: float
    test: McNemar


def language_gap(run: Run, label: str) -> Twins | None:
    """Of the twins with a verdict on both, which are about one picture; None without any. One that is asked twice in a
    language is no twin: which one would it be?
    """
    known = grouped(
        ((str(fields["twin"]), str(fields.get("language"))), answer)
        for answer, fields in ((answer, answer.question.fields) for answer in run.answers)
        if fields.get("twin") not in (None, "") and is_right(answer, run.benchmark) is not None
    )
    names = [twin for twin, language in known if language == "zh"]
    twins = [(known[twin, "zh"][0], known[twin, "en"][0]) for twin in names if _single(known, twin)]
    if not twins:
        return None

    def count(answers: Sequence[Answer]) -> np.ndarray:
        """Right in Chinese, right in English, asked in each."""
        right = Counter(answer.question.fields["language"] for answer in answers if is_right(answer, run.benchmark))
        return np.array([right["zh"], right["en"], len(answers) / 2])

    def numbers(counts: np.ndarray) -> dict[str, float | None]:
        zh, en = float(counts[0] / counts[2]), float(counts[1] / counts[2])
        return {"zh": zh, "en": en, "gap": zh - en}

    both = [answer for pair in twins for answer in pair]
    drawn = cluster_bootstrap(both, None, None, RESAMPLES, SEED, Rates(count, numbers))
    zh, en, gap = (drawn.interval(name) for name in ("zh", "en", "gap"))
    verdicts = [tuple(bool(is_right(answer, run.benchmark)) for answer in pair) for pair in twins]
    alike = sum(one == other for one, other in verdicts) / len(verdicts)
    return Twins(label, len(twins), zh, en, gap, alike, mcnemar(*zip(*verdicts)))


def _single(known: Mapping[tuple[str, str], Sequence[Answer]], twin: str) -> bool:
    return all(len(known.get((twin, language), ())) == 1 for language in ("zh", "en"))
