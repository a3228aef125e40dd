"""SEED-Bench (its pictures), AI2D and ScienceQA: options asked once, in VLMEvalKit's tables; good for gain and leakage.

Li et al., arXiv 2307.16125; Kembhavi et al., 1603.07396; Lu et al., 2209.09513. Tables and rule are VLMEvalKit's
(ImageMCQDataset, `exact matching`, mcq_vanilla_eval), without a GPT: an answer in which it finds no letter is wrong.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from skymm.evaluation.benchmark import Answer, Benchmark, Question, declared, of_split
from skymm.evaluation.reading.letters import official_mmbench, option_letter
from skymm.evaluation.reading.rows import (
    Row,
    digest,
    number_of,
    option_lines,
    options_of,
    pictured_rows,
    read_by_id,
    tables_below,
    tallies,
    tally,
    texts_of,
    together,
)
from skymm.recipe import EvalRecipe

INSTRUCTION = "Answer with the option's letter from the given choices directly."


def load(recipe: EvalRecipe) -> list[Question]:
    """The questions of the TSV, those about one picture next to each other. `split` is a category.

    Raises ValueError naming the row and what is missing.
    """
    rows = (
        row for path in tables_below(recipe.root, ".tsv") for row in pictured_rows(path, "index", "question", "image")
    )
    return together(of_split([_question(*row) for row in rows], recipe, "category"))


def _question(row: Row, where: str, *images: bytes) -> Question:
    index, options, texts = number_of(row, where), options_of(row), texts_of(row, "answer", "hint")
    gold = texts["answer"].strip()
    if len(options) < 2 or gold not in options:
        found = f"options {', '.join(options) or 'none'} and the answer {gold!r}"
        raise ValueError(f"{where}: found {found}, expected columns A, B, ... and one of them as the answer")
    text = "\n".join(filter(None, [texts["hint"], str(row.get("question", "")), option_lines(options), INSTRUCTION]))
    fields = {**texts_of(row, "category", "l2_category"), "options": options}
    cluster = digest(images[0]) if images else str(index)
    return Question(str(index), text, gold, cluster, images, tuple(options), fields)


def official(answer: Answer) -> str:
    return official_mmbench(answer.response, answer.question.fields["options"]) or "Z"


def count(answers: Sequence[Answer], said: Sequence[str]) -> dict[str, Any]:
    """`correct`, `total`, `accuracy`; the same of `categories`."""
    right = [answer.question.gold == one for answer, one in zip(answers, said)]
    fields = [answer.question.fields["category"] for answer in answers]
    return {**tally(right), "categories": tallies(sorted(zip(fields, right), key=lambda row: row[0]))}


def _table(name: str) -> Benchmark:
    return declared(
        name,
        load=load,
        # Result tables of VLMEvalKit and other kits: index, prediction; the rest there or in the labels.
        read=lambda paths, files: read_by_id(paths, files, _question),
        official=official,
        strict=lambda answer: option_letter(answer.response, answer.question.fields["options"]),
        count=count,
    )


SEED_BENCH, AI2D, SCIENCEQA = map(_table, ("seed_bench", "ai2d", "scienceqa"))
