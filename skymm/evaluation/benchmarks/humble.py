"""HumbleBench: four options and "None of the above", which is often right: does a model know that nothing fits?

Tong et al., arXiv 2509.09658; rule, wording and variants of github.com/maifoundations/HumbleBench (PyPI humblebench 1.0.2).
A letter counts where it is the only one of A to E among an answer's words, small ones too: "A dog" chooses A, "E, a dog" none.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from skymm.evaluation.benchmark import Answer, Files, Question, declared, find_image, picture_folder, scored_twice
from skymm.evaluation.reading.letters import option_letter
from skymm.evaluation.reading.rows import (
    Row,
    digest,
    picture_of,
    read_by_id,
    rows_of,
    tables_below,
    tallies,
    tally,
    together,
)
from skymm.recipe import EvalRecipe
from skymm.tables import column

LETTERS = ("A", "B", "C", "D", "E")
NONE = "E"  # none of the above
VARIANTS = ("common", "nota")
INSTRUCTION = (
    "Please respond with only the letter of the correct choice (A, B, C, D, or E). "
    "Do not include the option text or any other explanation."
)
_OPTION = re.compile(r"\s*([A-E])\.\s*(.*)")


def load(recipe: EvalRecipe) -> list[Question]:
    """The questions of parquet files with pictures inside, or of an image folder's metadata with `file_name`.

    `split`: "common", or "nota" for HumbleBench-E, where the right option is taken away. `images` is a folder, or one picture
    for all questions: with the repository's noise_image.png that is HumbleBench-GN. Raises ValueError.
    """
    if recipe.split not in (None, *VARIANTS):
        raise ValueError(f"{recipe.root}: found split {recipe.split!r}, expected one of {', '.join(VARIANTS)}")
    one_for_all = Path(recipe.images) if recipe.images and Path(recipe.images).is_file() else None
    questions = []
    for path in tables_below(recipe.root, ".parquet", ".jsonl", ".csv"):
        folder = picture_folder(recipe, path.parent)
        for number, row in enumerate(rows_of(path), 1):
            where = f"{path}, row {number}"
            picture, cluster = _picture(row, where, folder, one_for_all)
            question = replace(_question(row, where), images=(picture,), cluster=cluster)
            questions.append(without_the_right_one(question) if recipe.split == "nota" else question)
    return together(questions)


def _picture(row: Row, where: str, folder: Path, one_for_all: Path | None) -> tuple[Path | bytes, str]:
    """The picture, and the name under which its questions belong together."""
    cell = row.get("image")
    inside = cell.get("bytes") if isinstance(cell, Mapping) else cell if isinstance(cell, bytes) else None
    if inside:
        picture = picture_of(inside, where)
        return one_for_all or picture, digest(picture)
    name = str(column(dict(row), where, "file_name"))
    return one_for_all or find_image(folder, name, "humble"), Path(name).name


def _question(row: Row, where: str) -> Question:
    known = dict(row)
    asked = str(column(known, where, "question")).strip()
    gold = str(row["label"] if "label" in row else column(known, where, "answer")).strip()
    options = {match[1]: match[2].strip() for line in asked.split("\n")[1:] if (match := _OPTION.match(line))}
    if gold not in options:
        raise ValueError(
            f"{where}: the label is {gold!r}, expected one of the options {', '.join(options) or 'A to E'}"
        )
    cell = row.get("image")
    image = Path(str(cell.get("path"))).name if isinstance(cell, Mapping) else str(cell or "")
    name, text = str(column(known, where, "question_id")), f"{asked}\n{INSTRUCTION}"
    fields = {"type": str(row.get("type", "")), "options": options}
    return Question(name, text, gold, image or name, (), tuple(options), fields)


def without_the_right_one(question: Question) -> Question:
    """The question without its right option, so that none of the rest fits; as it is, where none did before."""
    if question.gold == NONE:
        return question
    first, *lines = question.text.split("\n")
    text = "\n".join([first, *(line for line in lines if not line.strip().startswith(f"{question.gold}."))])
    options = {letter: words for letter, words in question.fields["options"].items() if letter != question.gold}
    fields = {**question.fields, "options": options}
    return replace(question, text=text, gold=NONE, choices=tuple(options), fields=fields)


def official(answer: Answer) -> str:
    """The letter, or "NA" where the answer has none or several of them among its words."""
    letters = set(re.findall(r"\b\w+\b", answer.response.lower())) & {letter.lower() for letter in LETTERS}
    return letters.pop().upper() if len(letters) == 1 else "NA"


def strict(answer: Answer) -> str:
    return option_letter(answer.response, answer.question.fields["options"])


def score(answers: Sequence[Answer], files: Files) -> dict[str, Any]:
    """`accuracy`, `correct`, `total`; the same of `types` (Object, Attribute, Relation); `none_accuracy`: share right where
    none of the above is; `proportions`: how often each letter is chosen (of noise, `proportions.E` is what is right).

    Officially `none_accuracy` takes nothing but a bare "E"; the strict one takes every reading of E.
    """
    bare = [answer.response == NONE and not answer.failed for answer in answers if answer.question.gold == NONE]
    return {**scored_twice(answers, _count, official, strict), "none_accuracy": sum(bare) / max(1, len(bare))}


def _count(answers: Sequence[Answer], said: Sequence[str]) -> dict[str, Any]:
    rows = [(answer.question, answer.question.gold == one) for answer, one in zip(answers, said)]
    none = [right for question, right in rows if question.gold == NONE]
    return {
        **tally([right for _, right in rows]),
        "none_accuracy": sum(none) / max(1, len(none)),
        "types": tallies((question.fields["type"], right) for question, right in rows),
        "proportions": {letter: said.count(letter) / max(1, len(said)) for letter in LETTERS},
    }


BENCHMARK = declared(
    "humble",
    load=load,
    # Result files of the official script: label, question, type, image, question_id, prediction.
    read=lambda paths, files: read_by_id(paths, files, _question),
    score=score,
    official=official,
    strict=strict,
)
