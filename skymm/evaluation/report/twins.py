"""The same question in Chinese and in English: does it see as well in one language as in the other?

Twins carry the same `fields["twin"]` and different `fields["language"]`. They may lie in one run, or in two runs of one
benchmark by one model.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from skymm.evaluation.benchmark import Answer, Benchmark
from skymm.evaluation.report.seeing import Run, is_right
from skymm.evaluation.statistics import Interval, McNemar, Rates, cluster_bootstrap, mcnemar

LANGUAGES = ("zh", "en")


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


def language_gaps(runs: Sequence[Run], labels: Sequence[str], n: int = 500, seed: int = 0) -> list[Twins]:
    """Gaps of the runs that have twins in themselves, then of pairs of runs by one model that have them between them.

    The runs are of one benchmark; `labels` are their names on the page.
    """
    found, between = [], []
    for run, label in zip(runs, labels, strict=True):
        twins = _pairs(run.answers, run.answers, run.benchmark)
        if twins:
            found.append(_gap(label, run.benchmark, twins, n, seed))
        else:
            between.append((run, label))
    for first, chinese in between:
        for second, english in between:
            if first is not second and first.model == second.model:
                twins = _pairs(first.answers, second.answers, first.benchmark)
                if twins:
                    found.append(_gap(f"{chinese} + {english}", first.benchmark, twins, n, seed))
    return found


def _pairs(chinese: Sequence[Answer], english: Sequence[Answer], benchmark: Benchmark) -> list[tuple[Answer, Answer]]:
    """Twins with a verdict on both. A twin that is asked twice in one language is no twin: which one would it be?"""
    by_language = []
    for language, answers in zip(LANGUAGES, (chinese, english)):
        known: dict[str, list[Answer]] = {}
        for answer in answers:
            fields = answer.question.fields
            is_twin = fields.get("twin") not in (None, "") and _language(answer) == language
            if is_twin and is_right(answer, benchmark) is not None:
                known.setdefault(str(fields["twin"]), []).append(answer)
        by_language.append({twin: found[0] for twin, found in known.items() if len(found) == 1})
    return [(answer, by_language[1][twin]) for twin, answer in by_language[0].items() if twin in by_language[1]]


def _language(answer: Answer) -> str:
    return str(answer.question.fields.get("language"))


def _gap(label: str, benchmark: Benchmark, twins: list[tuple[Answer, Answer]], n: int, seed: int) -> Twins:
    # Both twins go into the cluster of the English one, so that they are drawn together.
    both = [
        replace(answer, question=replace(answer.question, cluster=english.question.cluster))
        for chinese, english in twins
        for answer in (chinese, english)
    ]

    def count(answers: Sequence[Answer]) -> np.ndarray:
        """Right and asked, in Chinese and in English."""
        right = [[is_right(answer, benchmark) for answer in answers if _language(answer) == one] for one in LANGUAGES]
        return np.array([number for of_one in right for number in (sum(map(bool, of_one)), len(of_one))])

    def numbers(counts: np.ndarray) -> dict[str, float | None]:
        zh, en = float(counts[0] / counts[1]), float(counts[2] / counts[3])
        return {"zh": zh, "en": en, "gap": zh - en}

    drawn = cluster_bootstrap(both, None, None, n, seed, Rates(count, numbers))
    zh, en, gap = (drawn.interval(name) for name in ("zh", "en", "gap"))
    verdicts = [tuple(bool(is_right(answer, benchmark)) for answer in pair) for pair in twins]
    alike = sum(one == other for one, other in verdicts) / len(verdicts)
    return Twins(label, len(twins), zh, en, gap, alike, mcnemar(*zip(*verdicts)))
