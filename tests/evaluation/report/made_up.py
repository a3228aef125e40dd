"""Made-up benchmarks, questions and answers for the tests of statistics and of the report."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from skymm.evaluation.benchmark import YES_NO, Answer, Benchmark, Metric, Question
from skymm.evaluation.benchmarks.mme import SUBTASKS
from skymm.evaluation.report.measure import Run
from skymm.recipe import EvalRecipe
from skymm.verdict import yes_no


def ask(name: str, gold: str = "yes", cluster: str = "", **given: Any) -> Question:
    """`given` may have text, choices; everything else goes into the fields."""
    text, choices = given.pop("text", f"Is {name} there?"), given.pop("choices", YES_NO)
    return Question(name, text, gold, cluster or name, (), choices, given)


def reply(question: Question, response: str, p_yes: float | None = None) -> Answer:
    logits = None if p_yes is None else {"yes": math.log(p_yes), "no": math.log(1 - p_yes)}
    return Answer(question, response, logits)


def official(answer: Answer) -> str:
    return answer.response.strip().lower()


def _score_with(answers: Sequence[Answer], reading: Callable[[Answer], str]) -> dict[str, Any]:
    """Points per group: 100 times accuracy and 100 times the share of clusters that are all right, as in MME."""
    groups: dict[str, dict[str, list[bool]]] = {}
    for answer in answers:
        group = groups.setdefault(str(answer.question.fields.get("subtask", "all")), {})
        group.setdefault(answer.question.cluster, []).append(reading(answer) == answer.question.gold)
    scores = {}
    for name, clusters in groups.items():
        rows = [right for cluster in clusters.values() for right in cluster]
        plus = sum(map(all, clusters.values())) / len(clusters)
        scores[name] = {"score": 100 * sum(rows) / len(rows) + 100 * plus, "num_questions": len(rows)}
    right = sum(reading(answer) == answer.question.gold for answer in answers)
    return {
        "perception": sum(one["score"] for name, one in scores.items() if name in SUBTASKS[:10]),
        "cognition": sum(one["score"] for name, one in scores.items() if name in SUBTASKS[10:]),
        "acc": right / max(1, len(answers)),
        "subtasks": scores,
    }


def score(answers: Sequence[Answer], files: Mapping[str, Any]) -> dict[str, Any]:
    strict = _score_with(answers, lambda answer: yes_no(answer.response))
    return {**_score_with(answers, official), "strict": strict}


def benchmark(name: str = "looking", **changes: Any) -> Benchmark:
    """Yes/no questions; "mme" has MME's metrics and subtasks."""
    points = (
        Metric("perception", "perception (of 2000)", "points"),
        Metric("cognition", "cognition (of 800)", "points"),
    )
    of_mme = name == "mme"
    return replace(
        Benchmark(
            name=name,
            title=f"{name.upper() if of_mme else name.capitalize()}: questions of yes and no",
            size="as many as there are",
            licence="none",
            download="nothing",
            layout="nothing",
            load=lambda recipe: [],
            score=score,
            metrics=points if of_mme else (Metric("acc", "accuracy"),),
            right=lambda answer: official(answer) == answer.question.gold,
            strict=lambda answer: yes_no(answer.response),
            tables={"subtasks": "score"} if of_mme else {},
            strata="subtask" if of_mme else None,
        ),
        **changes,
    )


def run(answers: Sequence[Answer], of: Benchmark | None = None, **changes: Any) -> Run:
    of = of or benchmark()
    made = Run("run", "model", of, EvalRecipe(benchmark=of.name, root="nowhere"), list(answers), len(answers))
    return replace(made, **changes)


def pairs(count: int, says: Callable[[Question], str], subtasks: Sequence[str] = ("existence",)) -> list[Answer]:
    """`count` pictures with a question where yes is right and one where no is, the subtasks taking turns."""
    answers = []
    for index in range(count):
        subtask = subtasks[index % len(subtasks)]
        for number, gold in ((1, "yes"), (2, "no")):
            question = ask(f"{subtask}/{index}/{number}", gold, f"{subtask}/{index}", subtask=subtask)
            answers.append(Answer(question, says(question)))
    return answers
