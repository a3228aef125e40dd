"""MMVP: 150 pairs of pictures that look alike to CLIP, one question about both; right only where both answers are.

Tong et al., arXiv 2401.06209. The published numbers had GPT-4 grade every answer. Here a rule does: `official_letter`
reads the option's letter; the strict reading knows the options' words too, in Chinese and English, which comes closer to
what a grader accepts.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

from skymm.evaluation.benchmark import (
    Answer,
    Answers,
    Benchmark,
    Files,
    Metric,
    Question,
    find_image,
    first_folder,
    scored_twice,
)
from skymm.evaluation.reading.letters import option_letter
from skymm.evaluation.reading.rows import read_answers, tables_below, with_own_labels
from skymm.recipe import EvalRecipe
from skymm.tables import column, read_rows

_OPTION = re.compile(r"\(([a-z])\)\s*(.*?)\s*(?=\([a-z]\)|$)", re.S)
_BRACKETED = re.compile(r"\(\s*([a-z])\s*\)")
_LEADING = re.compile(r"([a-z])(?:\s*$|\s*[.:),])")
_FOLDERS = ("MMVP Images", "MMVP Imgaes")  # the second is how the official script spells it


def load(recipe: EvalRecipe) -> list[Question]:
    """The rows of Questions.csv (Question, Options, Correct Answer); the n-th is about N.jpg, two and two are a pair.

    Raises ValueError for an odd number of rows, an answer that is no option, and pictures that are not there.
    """
    root = Path(recipe.root)
    table = tables_below(root, "Questions.csv")[0]
    directory = Path(recipe.images) if recipe.images else first_folder(table.parent, _FOLDERS)
    rows = read_rows(table)
    if len(rows) % 2:
        raise ValueError(f"{table}: found {len(rows)} rows, expected two for each pair")
    questions = []
    for number, row in enumerate(rows, 1):
        where = f"{table}, row {number}"
        text = f"{str(column(row, where, 'Question')).strip()} {str(column(row, where, 'Options')).strip()}"
        image = find_image(directory, f"{number}.jpg", "MMVP")
        questions.append(_question(number, text, str(column(row, where, "Correct Answer")), where, (image,)))
    return questions


def _question(number: int, text: str, gold: str, where: str, images: tuple[Path, ...] = ()) -> Question:
    options = dict(_OPTION.findall(text))
    letter = gold.strip().lower().strip("()")
    if letter not in options:
        raise ValueError(f"{where}: the answer is {gold!r}, the options are {options}; expected one of them")
    pair = str((number + 1) // 2)
    return Question(str(number), text, letter, pair, images, tuple(options), {"options": options})


def read(paths: Sequence[Path], files: Files) -> Answers:
    """The JSON lines of the official script: question_id, prompt, answer (the right one) and response."""
    given = read_answers(paths, files)
    questions = []
    for one in given:
        if not one.key("id").isdigit():
            raise ValueError(f"{one.where}: question_id is {one.key('id')!r}, expected the number of a picture")
        text, gold = (str(column(dict(one.row), one.where, *names)) for names in (("prompt", "question"), ("answer",)))
        questions.append(_question(int(one.key("id")), text, gold, one.where))
    answers = with_own_labels(given, questions, files)
    return Answers(sorted(answers, key=lambda answer: int(answer.question.id)))


@lru_cache(maxsize=1 << 14)
def official_letter(response: str) -> str | None:
    """The option's letter in either case: the only one that stands in brackets, else one that leads ("b", "b.", "b) ...").

    None for anything else, "a cat" among it.
    """
    response = response.strip().lower()
    bracketed = set(_BRACKETED.findall(response))
    if bracketed:
        return bracketed.pop() if len(bracketed) == 1 else None
    leading = _LEADING.match(response)
    return leading[1] if leading else None


def official(answer: Answer) -> str:
    return official_letter(answer.response) or "other"


def strict(answer: Answer) -> str:
    return option_letter(answer.response, answer.question.fields["options"])


def score(answers: Sequence[Answer], files: Files) -> dict[str, Any]:
    """`pair_acc`: share of pairs with both answers right (random: 0.25); `acc`: share of right answers; `num_pairs`."""
    return scored_twice(answers, _score, official, strict)


def _score(answers: Sequence[Answer], said: Sequence[str]) -> dict[str, Any]:
    pairs: dict[str, list[bool]] = {}
    for answer, one in zip(answers, said):
        pairs.setdefault(answer.question.cluster, []).append(one == answer.question.gold)
    both = [all(pair) for pair in pairs.values() if len(pair) == 2]  # half a pair, in a run that was cut off, is none
    return {
        "pair_acc": sum(both) / max(1, len(both)),
        "acc": sum(map(sum, pairs.values())) / max(1, len(answers)),
        "num_pairs": len(both),
    }


BENCHMARK = Benchmark(
    name="mmvp",
    title="MMVP: pairs of pictures that look alike to CLIP",
    size="300 questions, 150 pairs",
    licence="MIT",
    download="huggingface.co/datasets/MMVP/MMVP",
    layout="Questions.csv and 'MMVP Images/1.jpg' to 300.jpg",
    load=load,
    score=score,
    read=read,
    metrics=(Metric("pair_acc", "pairs right"), Metric("acc", "answers right")),
    right=lambda answer: official(answer) == answer.question.gold,
    strict=strict,
    sizes={"": 300},
)
