"""Runs of one benchmark beside each other: is the second better than the first, or does it only say yes more often?

What is published for decoding against hallucination often is a shift towards one answer, or a gain over sampling that greedy
decoding has as well (Yin et al., "The Mirage of Performance Gains", arXiv 2504.10020). So differences are to the first run,
which should be plain greedy decoding, paired by picture; and where log-probabilities of yes and no were recorded, runs are
also compared without a threshold (AUROC) and with thresholds at which all say yes as often as the first run does.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from skymm.evaluation.benchmark import Answer, value_of
from skymm.evaluation.predictions import PREDICTIONS, Predictions, file_of, read_predictions
from skymm.evaluation.report.measure import is_right, is_yes_no, said
from skymm.evaluation.run import files_of
from skymm.evaluation.statistics import Interval, McNemar, auroc, cluster_bootstrap, mcnemar, paired_difference
from skymm.page import numbers
from skymm.page.document import Cell, Section, Sentences, Table, Words, read_words

RESAMPLES = 500


@dataclass(frozen=True, slots=True)
class Compared:
    """A run: its numbers, their differences to the first run (empty for that one), and what to know about both.

    `numbers` are the benchmark's "score", and of the strict bilingual reading the share that is "right" and that says "yes";
    "auroc" of the log-odds of yes, and "right_at_equal_yes"; None where there is no such number.
    """

    name: str
    decoding: str
    numbers: Mapping[str, Interval | None]
    differences: Mapping[str, Interval | None]
    test: McNemar | None
    tokens_per_second: float | None
    answers_per_second: float | None
    notes: tuple[str, ...]

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True, slots=True)
class _Verdict:
    """One answer: is it right, does it say yes; its log-odds of yes and whether yes is right, where that can be said."""

    right: bool | None
    yes: bool | None
    odds: float | None
    positive: bool


def compare(paths: Sequence[str | Path], *, n: int = RESAMPLES, language: str = "en") -> list[Compared]:
    """The first run and what differs from it in each of the others, told in English or Chinese.

    Raises ValueError for fewer than two runs, and where they are not of the same questions.
    """
    if len(paths) < 2:
        raise ValueError(
            f"found {len(paths)} run, expected two or more: the first is what the others are compared with"
        )
    words = words_in(language)
    runs = [read_predictions(path) for path in paths]
    names = _names(paths)
    for name, run in zip(names, runs):
        if run.benchmark != runs[0].benchmark:
            raise ValueError(f"{name} is of {run.benchmark}, {names[0]} of {runs[0].benchmark}; expected one benchmark")
        if {answer.question.id for answer in run.answers} != {answer.question.id for answer in runs[0].answers}:
            raise ValueError(
                f"{name} answers {len(run.answers)} questions, {names[0]} {len(runs[0].answers)} or others; "
                "expected the same questions in both: finish the runs first"
            )
    verdicts = [_verdicts(run) for run in runs]
    # What is compared by log-odds has to have them in every run.
    told = {key for key in verdicts[0] if all(of_one[key].odds is not None for of_one in verdicts)}
    yes = [one.yes for key, one in verdicts[0].items() if key in told]
    rate = sum(map(bool, yes)) / len(yes) if yes else None
    boots = [
        cluster_bootstrap(run.answers, _statistics(run, of_one, told, rate), run.definition.strata, n)
        for run, of_one in zip(runs, verdicts)
    ]
    found = []
    for name, run, of_one, boot in zip(names, runs, verdicts, boots):
        is_first = run is runs[0]
        differences = {} if is_first else {key: paired_difference(boot, boots[0], key) for key in boot.values}
        right = [
            (bool(of_one[key].right), bool(one.right)) for key, one in verdicts[0].items() if one.right is not None
        ]
        seconds = run.seconds or None
        found.append(
            Compared(
                name,
                decoding_of(run, words),
                {key: boot.interval(key) for key in boot.values},
                differences,
                None if is_first or not right else mcnemar(*zip(*right)),
                run.num_tokens / seconds if seconds and run.num_tokens else None,
                len(run.answers) / seconds if seconds else None,
                tuple(
                    _about_logits(of_one, told, words)
                    if is_first
                    else [*_beware(runs[0], run, words), *_judged(differences, words)]
                ),
            )
        )
    return found


def pairs_below(a: Path, b: Path) -> tuple[list[tuple[Path, Path]], list[str]]:
    """Two whole runs: the predictions below both directories that lie in the same place, or are each side's only ones of
    their benchmark; and the places of those without a partner. Two of one benchmark lie in each: (a, b).

    Raises ValueError where no benchmark is in both.
    """
    lying = [{str(one.parent.relative_to(top)): one.parent for one in sorted(top.rglob(PREDICTIONS))} for top in (a, b)]
    of = [{place: read_predictions(path).benchmark for place, path in those.items()} for those in lying]
    same = {place: place for place in lying[0] if of[0][place] == of[1].get(place)}
    for place, name in of[0].items():
        alone = [[one for one, other in those.items() if other == name] for those in of]
        if place not in same and list(map(len, alone)) == [1, 1]:
            same[place] = alone[1][0]
    if not same:
        has = [", ".join(sorted(set(those.values()))) or "none" for those in of]
        raise ValueError(
            f"{a} has predictions of {has[0]}, {b} of {has[1]}; expected a benchmark in the same place of both"
        )
    left = [str(a / place) for place in lying[0] if place not in same]
    left += [str(b / place) for place in lying[1] if place not in same.values()]
    return [(lying[0][place], lying[1][other]) for place, other in same.items()], left


def _names(paths: Sequence[str | Path]) -> list[str]:
    """The last parts of the directories, as many as tell them apart."""
    parts = [file_of(path).resolve().parent.parts for path in paths]
    longest = max(map(len, parts))
    length = next((n for n in range(1, longest) if len({one[-n:] for one in parts}) == len(parts)), longest)
    return ["/".join(one[-length:]) for one in parts]


def _verdicts(run: Predictions) -> dict[str, _Verdict]:
    found = {}
    for answer in run.answers:
        positive = answer.question.gold == "yes"
        yes = said(answer, run.definition) == "yes" if is_yes_no(answer) else None
        odds = _log_odds(answer) if is_yes_no(answer) else None
        found[answer.question.id] = _Verdict(is_right(answer, run.definition), yes, odds, positive)
    return found


def _log_odds(answer: Answer) -> float | None:
    logits = answer.logits or {}
    odds = logits.get("yes", math.nan) - logits.get("no", math.nan)
    return odds if math.isfinite(odds) else None


def _statistics(run: Predictions, verdicts: Mapping[str, _Verdict], told: set[str], rate: float | None) -> Any:
    benchmark, files = run.definition, files_of(run)

    def statistics(answers: Sequence[Answer]) -> dict[str, float | None]:
        found = [verdicts[answer.question.id] for answer in answers]
        right = [one.right for one in found if one.right is not None]
        yes = [one.yes for one in found if one.yes is not None]
        known = [verdicts[answer.question.id] for answer in answers if answer.question.id in told]
        odds, positive = [one.odds for one in known], [one.positive for one in known]
        return {
            "score": value_of(benchmark.score(answers, files), benchmark.main.key),
            "right": sum(right) / len(right) if right else None,
            "yes": sum(yes) / len(yes) if yes else None,
            "auroc": auroc(odds, positive) if known else None,
            "right_at_equal_yes": right_at_rate(odds, positive, rate) if known else None,
        }

    return statistics


def right_at_rate(odds: Sequence[float], positive: Sequence[bool], rate: float) -> float:
    """The share that is right where the share `rate` with the highest log-odds says yes.

    Among equal log-odds that the threshold falls on, yes is said to a part of each alike: the expectation over coins.
    """
    values, place = np.unique(-np.asarray(odds, float), return_inverse=True)
    size = np.bincount(place, minlength=len(values)).astype(float)
    share = np.bincount(place, np.asarray(positive, float), minlength=len(values)) / size
    yes = np.clip(rate * size.sum() - (size.cumsum() - size), 0, size)
    return float((yes * share + (size - yes) * (1 - share)).sum() / size.sum())


# --- in words -------------------------------------------------------------------------------------------------------------


def words_in(language: str) -> Words:
    return read_words(__package__, "compare", language)


def decoding_of(run: Any, words: Words) -> str:
    """How the answers of a run (its `mode`, `decoding`, `images`) were chosen, in `words_in` a language."""
    how, contrast = run.decoding, run.decoding.get("contrast")
    written = words["logits" if run.mode == "logits" else "greedy"]
    if run.mode != "logits" and (how.get("do_sample") or how.get("temperature")):
        written = words["sampled"]
    if contrast:
        written += words["contrast"].format(**contrast)
        written += words["growth"].format(**contrast) if contrast.get("growth") else ""
        written += words["gate"].format(**contrast) if contrast["gate"] < 1 else ""
    return written if run.images else written + words["blindly"]


def _about_logits(verdicts: Mapping[str, _Verdict], told: set[str], words: Words) -> list[str]:
    asked = [key for key, one in verdicts.items() if one.yes is not None]
    if not asked or not told:
        return [words["no_logits" if asked else "no_yes_no"]]
    return [words["some_logits"].format(known=len(told), asked=len(asked))] if len(told) < len(asked) else []


def _beware(first: Predictions, run: Predictions, words: Words) -> list[str]:
    found, decoding = [], decoding_of(first, words)
    if decoding not in (words["greedy"], words["logits"]):
        found.append(words["not_plain"].format(decoding=decoding))
    if (first.model, first.weights) != (run.model, run.weights):
        found.append(words["other_model"])
    return found


def _judged(differences: Mapping[str, Interval | None], words: Words) -> list[str]:
    """What the differences say together."""
    sure = {key: one.value for key, one in differences.items() if one is not None and one.excludes(0)}
    told = []
    if "auroc" in sure:
        told.append(words["auroc_up" if sure["auroc"] > 0 else "auroc_down"])
    if "yes" in sure:
        told.append(words["yes_moved"].format(points=numbers.difference(sure["yes"], "rate")))
    if "right" not in sure:
        return [*told, words["by_chance"]]
    how = "also_equal" if sure["right"] * sure.get("right_at_equal_yes", 0) > 0 else "a_shift"
    if differences["right_at_equal_yes"] is None:
        how = "than_first"
    return [*told, words[how].format(more=words["more" if sure["right"] > 0 else "less"])]


_ROWS = ("score", "right", "yes", "auroc", "right_at_equal_yes")


def sections(found: Sequence[Compared], title: str, unit: str, language: str = "en", name: str = "") -> list[Section]:
    """Under `name`: a table with a column for each run, differences to the first below, and what they mean."""
    words = words_in(language)
    rows: list[list[str | Cell]] = []
    for key in _ROWS:
        of = unit if key == "score" else "rate"
        if any(one.numbers[key] for one in found):
            cells = [_cell(one.numbers[key], one.differences.get(key), of) for one in found]
            rows.append([title if key == "score" else words[key], *cells])
    tests = [one.test and f"{one.test.only_b} : {one.test.only_a}, p {numbers.p_value(one.test.p)}" for one in found]
    rows.append([words["only_one"], *(test or numbers.NONE for test in tests)])
    for rate in ("tokens_per_second", "answers_per_second"):
        speeds = [getattr(one, rate) for one in found]
        if any(speeds):
            rows.append([words[rate], *(numbers.NONE if speed is None else f"{speed:.3g}" for speed in speeds)])
    header = ["", *(Cell(one.name, one.decoding) for one in found)]
    sentences = [f"{one.name}{words['says']}{note}" for one in found for note in one.notes]
    return [Section(name, [Table(header, rows, [words["intervals"]]), Sentences(sentences)])]


def _cell(number: Interval | None, change: Interval | None, unit: str) -> Cell:
    if number is None:
        return Cell(numbers.NONE)
    text = f"{numbers.score(number.value, unit)} {numbers.bounds(number.low, number.high, unit)}".strip()
    if change is None:
        return Cell(text)
    return Cell(
        text, f"{numbers.difference(change.value, unit)} {numbers.bounds(change.low, change.high, unit)}".strip()
    )
