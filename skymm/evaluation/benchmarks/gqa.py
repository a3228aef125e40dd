"""GQA: questions composed from scene graphs; an answer is right where it is exactly the expected word.

Hudson and Manning, arXiv 1902.09506; the rule is that of the official eval.py (accuracy on the balanced questions) after
what everybody does to answers first: lower-case, no spaces around, no full stop at the end.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

from skymm.evaluation.benchmark import (
    YES_NO,
    Answer,
    Answers,
    Benchmark,
    Files,
    Metric,
    Question,
    find_image,
    scored_twice,
)
from skymm.evaluation.reading.rows import join, read_answers, tables_below, tallies, together, totals
from skymm.recipe import EvalRecipe
from skymm.tables import column, read_entries
from skymm.text import normalise
from skymm.thoughts import without_thoughts
from skymm.verdict import yes_no

_AROUND = re.compile(r"^[\W_]+|[\W_]+$")
ENTRIES = "a question under every id, as GQA ships them"


def load(recipe: EvalRecipe) -> list[Question]:
    """The balanced questions of a file {id: {question, imageId, answer, ...}}: official accuracy is over these.

    Pictures are `recipe.images`/ID.jpg (default: root's directory, `images/`). Raises ValueError naming the question.
    """
    path = _questions_file(Path(recipe.root), recipe.split)
    directory = Path(recipe.images) if recipe.images else path.parent / "images"
    return together(
        _question(name, entry, f"{path}, {name}", (find_image(directory, _image(entry, str(path)), "GQA"),))
        for name, entry in read_entries(path, ENTRIES).items()
        if entry.get("isBalanced", True)
    )


def _questions_file(root: Path, split: str | None) -> Path:
    if root.is_file():
        return root
    wanted = f"{split or 'testdev'}_balanced_questions.json"
    return tables_below(root, wanted)[0]


def _question(name: str, entry: dict[str, Any], where: str, images: tuple[Path, ...] = ()) -> Question:
    gold = str(column(entry, where, "answer"))
    types = entry.get("types") or {}
    fields = {kind: str(types.get(kind) or "") for kind in ("structural", "semantic")}
    text, choices = str(column(entry, where, "question")), YES_NO if gold in YES_NO else ()
    return Question(name, text, gold, _image(entry, where), images, choices, fields)


def _image(entry: dict[str, Any], where: str) -> str:
    return f"{column(entry, where, 'imageId')}.jpg"


def read(paths: Sequence[Path], files: Files) -> Answers:
    """Official predictions [{questionId, prediction}], or those of a kit by question_id, with the questions as
    `files["labels"]`. Answers to questions that are not balanced are not counted, as officially.
    """
    if "labels" not in files:
        raise ValueError(f"{paths[0]} holds no right answers; give testdev_balanced_questions.json with --labels")
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


def score(answers: Sequence[Answer], files: Files) -> dict[str, Any]:
    """`accuracy`, `correct`, `total`; where the official fields are there, `binary` and `open` accuracy (open: structural
    type "query"), and `structural` and `semantic` types with correct, total and acc each.
    """
    return scored_twice(answers, _score, official, strict)


def _score(answers: Sequence[Answer], said: Sequence[str]) -> dict[str, Any]:
    rows = [(answer.question.fields, one == answer.question.gold) for answer, one in zip(answers, said)]
    structural = tallies((of["structural"], right) for of, right in rows)
    kinds = tallies(
        ("open" if of["structural"] == "query" else "binary" if of["structural"] else "", right) for of, right in rows
    )
    return {
        **totals([right for _, right in rows]),
        **{kind: counts["acc"] for kind, counts in kinds.items()},
        "structural": structural,
        "semantic": tallies((of["semantic"], right) for of, right in rows),
    }


BENCHMARK = Benchmark(
    name="gqa",
    title="GQA: composed questions about real scenes",
    size="testdev, balanced: 12578 questions, 398 images",
    licence="CC BY 4.0",
    download="cs.stanford.edu/people/dorarad/gqa/download.html (questions1.2.zip, images.zip)",
    layout="testdev_balanced_questions.json, with `images` in the recipe for the directory of pictures",
    load=load,
    score=score,
    read=read,
    metrics=(Metric("accuracy", "accuracy"), Metric("binary", "yes/no and choices"), Metric("open", "open")),
    right=lambda answer: official(answer) == answer.question.gold,
    strict=lambda answer: strict(answer) if answer.question.gold in YES_NO else None,
    tables=("structural", "semantic"),
    sizes={"": 12578},
)
