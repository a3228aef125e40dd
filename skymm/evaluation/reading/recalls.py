"""Recall of yes and of no, and their harmonic mean: a score that who always says the same cannot have."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from skymm.evaluation.benchmark import Answer


def recalls(answers: Sequence[Answer], said: Sequence[str]) -> dict[str, Any]:
    """`acc`, `tpr` (of what deserves yes, the share that got it), `tnr` (the same of no), `harmonic` of the two, `yes_ratio`
    and the share of `unknown`, each a fraction of 1. `said`: yes, no or unknown of each answer; unknown is wrong.

    A recall of nothing is 0, and so is the mean where the official scripts divide by zero.
    """
    golds = [answer.question.gold for answer in answers]

    def recall(label: str) -> float:
        return sum(gold == one == label for gold, one in zip(golds, said)) / max(1, golds.count(label))

    tpr, tnr, total = recall("yes"), recall("no"), max(1, len(answers))
    return {
        "acc": sum(gold == one for gold, one in zip(golds, said)) / total,
        "tpr": tpr,
        "tnr": tnr,
        "harmonic": 2 * tpr * tnr / (tpr + tnr) if tpr + tnr else 0.0,
        "yes_ratio": sum(one == "yes" for one in said) / total,
        "unknown": sum(one == "unknown" for one in said) / total,
    }
