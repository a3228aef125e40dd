"""How much of a benchmark is answered: a part is never scored as if it were all."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from skymm.evaluation.benchmark import Answer, Benchmark, Files


def covered_scores(
    one: Benchmark, answers: Sequence[Answer], files: Files, expected: int | None = None
) -> dict[str, Any]:
    """The benchmark's scores of what is there, with `answered` of `expected` questions and `left_over`, the answers to
    questions that the labels do not have.

    `expected` is how many were asked; else what the answer files' labels say, else the size of the parts of the release
    that any answer is of.
    """
    answered = sum(not answer.failed for answer in answers)
    if expected is None:
        expected = getattr(answers, "expected", None)
    if expected is None:
        expected = sum(one.sizes.get(part, 0) for part in {one.part(answer.question) for answer in answers})
    counts = {"answered": answered, "expected": max(expected, len(answers))}
    left_over = getattr(answers, "left_over", 0)
    return {**one.score(answers, files), **counts, **({"left_over": left_over} if left_over else {})}


def coverage_line(scores: Mapping[str, Any]) -> str:
    """The counts in words; "" where everything is answered and everything belongs."""
    answered, expected, left_over = scores["answered"], scores["expected"], scores.get("left_over", 0)
    parts = []
    if answered < expected:
        parts.append(
            f"only {answered} of {expected} questions are answered ({answered / expected:.1%}): scored on these"
        )
    if left_over:
        parts.append(f"{left_over} answers are to no question of the labels, and left out")
    return "; ".join(parts)
