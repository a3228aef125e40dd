"""GQA: questions composed from scene graphs; an answer is right where it is exactly the expected word.

Hudson and Manning, arXiv 1902.09506; the rule is that of the official eval.py (accuracy on the balanced questions) after
what everybody does to answers first: lower-case, no spaces around, no full stop at the end.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any

from skymm.evaluation.benchmark import YES_NO, Answer, Answers, Files, Question, declared, find_image, picture_folder
from skymm.evaluation.reading.rows import (
    join,
    read_answers,
    tables_below,
    tallies,
    tally,
    together,
    with_own_labels,
)
from skymm.recipe import EvalRecipe
from skymm.tables import column, read_entries
from skymm.text import normalise
from skymm.thoughts import without_thoughts
from skymm.verdict import yes_no

_AROUND = re.compile(r"^[\W_]+|[\W_]+$")
ENTRIES = "a question under every id, as GQA ships them"


def load(recipe: EvalRecipe) -> list[Question]:
    """The balanced questions of a file {id: {question, imageId, answer, ...}}: official accuracy is over these. `split`:
    testdev, val. Pictures are `images`/ID.jpg. Raises ValueError naming the question.
    """
    root = Path(recipe.root)
    path = tables_below(root, f"{recipe.split or 'testdev'}_balanced_questions.json")[0]
    directory = picture_folder(recipe, path.parent / "images")
    questions = []
    for name, entry in read_entries(path, ENTRIES).items():
        if entry.get("isBalanced", True):
            question = _question(name, entry, f"{path}, {name}")
            questions.append(replace(question, images=(find_image(directory, question.cluster, "GQA"),)))
    return together(questions)


def _question(name: str, entry: dict[str, Any], where: str) -> Question:
    text, gold, image = (str(column(entry, where, key)) for key in ("question", "answer", "imageId"))
    types = entry.get("types") or {}
    fields = {kind: str(types.get(kind) or "") for kind in ("structural", "semantic")}
    return Question(name, text, gold, f"{image}.jpg", (), YES_NO if gold in YES_NO else (), fields)


def read(paths: Sequence[Path], files: Files) -> Answers:
    """Official predictions [{questionId, prediction}], or those of a kit by question_id, with the questions as
    `files["labels"]`, or (lmms-eval) with question and right answer in their own rows. Answers to questions that are not
    balanced are not counted, as officially.
    """
    if "labels" not in files:
        given = read_answers(paths, files)
        if not all(one.gold and one.key("image") for one in given):
            raise ValueError(f"{paths[0]} holds no right answers; give testdev_balanced_questions.json with --labels")
        rows = [{**one.row, "imageId": one.key("image"), "answer": one.gold} for one in given]
        own = [_question(one.key("id"), row, one.where) for one, row in zip(given, rows)]
        return with_own_labels(given, own, files)
    entries = read_entries(files["labels"], ENTRIES)
    asked = [
        ({"id": name, "question": entry.get("question", "")}, _question(name, entry, f"{files['labels']}, {name}"))
        for name, entry in entries.items()
        if entry.get("isBalanced", True)
    ]
    given = [one for one in read_answers(paths, files) if entries.get(one.key("id"), {}).get("isBalanced", True)]
    return join(given, asked, [("id",)], files["labels"], files)


def official(answer: Answer) -> str:
    return answer.response.strip().rstrip(".").lower()


def strict(answer: Answer) -> str:
    """Yes and no as they are read in both languages; other answers normalised, and the right one where they are it."""
    gold = answer.question.gold
    if gold in YES_NO:
        return yes_no(answer.response, answer.question.text)
    text = _plain(answer.response)
    return gold if text == _plain(gold) else "" if text else "unknown"


@lru_cache(maxsize=1 << 16)
def _plain(text: str) -> str:
    return _AROUND.sub("", normalise(without_thoughts(text)).lower())


def count(answers: Sequence[Answer], said: Sequence[str]) -> dict[str, Any]:
    """`accuracy`, `correct`, `total`; where the official fields are there, `binary` and `open` accuracy (open: structural
    type "query"), and the same of `structural` and `semantic` types.
    """
    rows = [(answer.question.fields, one == answer.question.gold) for answer, one in zip(answers, said)]
    structural = tallies((of["structural"], right) for of, right in rows)
    kinds = tallies(
        ("open" if of["structural"] == "query" else "binary" if of["structural"] else "", right) for of, right in rows
    )
    return {
        **tally([right for _, right in rows]),
        **{kind: counts["accuracy"] for kind, counts in kinds.items()},
        "structural": structural,
        "semantic": tallies((of["semantic"], right) for of, right in rows),
    }


BENCHMARK = declared("gqa", load=load, read=read, official=official, strict=strict, count=count)
