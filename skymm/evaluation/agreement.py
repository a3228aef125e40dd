"""How far comparing choices agrees with writing answers, on a sample: what logits mode owes its readers."""

from __future__ import annotations

import hashlib
import json
import random
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from skymm.answering.protocol import Answerer
from skymm.evaluation.benchmark import Answer, Question
from skymm.evaluation.predictions import read_predictions
from skymm.evaluation.registry import benchmark
from skymm.evaluation.run import ask_of, questions_of
from skymm.recipe import EvalRecipe

AGREEMENT = "agreement.json"


@dataclass(frozen=True, slots=True)
class Agreement:
    """Of `num_sampled` questions, `num_equal` were generated to the same verdict, `num_unknown` to none."""

    num_sampled: int
    num_equal: int
    num_unknown: int

    @property
    def sentence(self) -> str:
        return (
            f"logits and generate agree on {self.num_equal} of {self.num_sampled} sampled questions; "
            f"{self.num_unknown} generated answers say nothing readable"
        )


def agreement(
    recipe: EvalRecipe,
    answerer: Answerer,
    path: Path,
    num_sampled: int,
    *,
    seed: int = 0,
    questions: Sequence[Question] | None = None,
) -> Agreement:
    """Generate answers to a sample of the questions in a predictions file and compare verdicts, read strictly and
    bilingually. Written to agreement.json beside the file; a second call about the same answers reads it from there.
    """
    stored = path.with_name(AGREEMENT)
    of = hashlib.sha256(f"{num_sampled} {seed}".encode() + path.read_bytes()).hexdigest()[:16]
    if stored.exists():
        found = json.loads(stored.read_text("utf-8"))
        if found.pop("of") == of:
            return Agreement(**found)
    strict = benchmark(recipe.benchmark).strict
    predictions = read_predictions(path)
    compared = {answer.question.id: answer for answer in predictions.answers}
    asked = questions_of(recipe) if questions is None else questions
    eligible = [question for question in asked if question.choices and question.id in compared]
    sample = random.Random(seed).sample(eligible, min(num_sampled, len(eligible)))
    found = []
    for start in range(0, len(sample), recipe.batch_size):
        batch = sample[start : start + recipe.batch_size]
        asks = [ask_of(question, recipe, predictions.images) for question in batch]
        for index, reply in answerer.answer(asks, "generate"):
            if reply.error is not None:
                continue
            written = strict(Answer(batch[index], reply.text))
            found.append((written, strict(compared[batch[index].id])))
    result = Agreement(
        num_sampled=len(found),
        num_equal=sum(written == chosen for written, chosen in found),
        num_unknown=sum(written in (None, "unknown") for written, _ in found),
    )
    stored.write_text(json.dumps({**asdict(result), "of": of}, indent=2) + "\n", "utf-8")
    return result
