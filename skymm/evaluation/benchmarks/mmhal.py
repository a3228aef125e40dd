"""MMHal-Bench: free answers to 96 questions of eight kinds, which a judge rates from 0 to 6: is anything made up?

Sun et al., arXiv 2309.14525; rule of github.com/llava-rlhf/LLaVA-RLHF (MMHal-Bench-eval/eval_gpt4.py): from 3 on nothing is.
The judge does not see the picture but what is in it. The wording of our message to it is our own; the published numbers come
from the official template, which `files["judge_prompt"]` takes with its four {}: content, question, reference, answer.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from skymm.evaluation.benchmark import (
    Answer,
    Files,
    Judge,
    Question,
    declared,
    find_image,
    grouped,
    once_each,
    picture_folder,
)
from skymm.evaluation.judge import Grade, fill, grades_of, note_on, own_prompt
from skymm.evaluation.reading.rows import tables_below, together
from skymm.recipe import EvalRecipe
from skymm.tables import column, read_rows, read_text

TYPES = ("attribute", "adversarial", "comparison", "counting", "relation", "environment", "holistic", "other")
HONEST = 3  # from this rating on nothing is made up
_NAMES = ("content", "question", "reference", "answer")
_RATING = re.compile(r"(?:rating|评分|评级|得分)\W{0,8}?([0-6])(?![\d/%]|\.\d)", re.I)


def load(recipe: EvalRecipe) -> list[Question]:
    """The questions of response_template.json in root; images/ has the pictures under the last name of image_src.

    Raises ValueError for pictures that are not there.
    """
    root = Path(recipe.root)
    path = root if root.is_file() else root / "response_template.json"
    directory = picture_folder(recipe, path.parent / "images")
    questions = []
    for number, row in enumerate(read_rows(path), 1):
        where = f"{path}, entry {number}"
        name = PurePosixPath(str(column(row, where, "image_src"))).name
        content = ", ".join(map(str, column(row, where, "image_content")))
        fields = {"type": str(column(row, where, "question_type")), "content": content}
        text, gold = (str(column(row, where, key)) for key in ("question", "gt_answer"))
        picture = find_image(directory, name, "MMHal-Bench")
        questions.append(Question(str(number), text, gold, name, (picture,), (), fields))
    return together(questions)


def judge(files: Files) -> Judge:
    """The judge's messages with our own wording, or that of `files["judge_prompt"]`: four {}, or the same with names."""
    path = files.get("judge_prompt")
    text = read_text(path) if path else own_prompt("mmhal")
    if text.count("{}") == len(_NAMES):
        for name in _NAMES:
            text = text.replace("{}", f"{{{name}}}", 1)
    lacking = [name for name in _NAMES if f"{{{name}}}" not in text]
    if lacking:
        places = ", ".join(_NAMES)
        raise ValueError(f"{path}: found no {{{lacking[0]}}}, expected a place for each of {places}, or four {{}}")

    def message(answer: Answer) -> str:
        asked = answer.question
        return fill(text, dict(zip(_NAMES, (asked.fields["content"], asked.text, asked.gold, answer.response))))

    return Judge(message, read_grade)


def read_grade(text: str) -> Grade | None:
    """The rating that the judge's words name ("Rating: 4", "**Rating**: 4", 评分：4); None where they name none, or several."""
    found = set(_RATING.findall(text))
    return (float(found.pop()),) if len(found) == 1 else None


def read(paths: Sequence[Path], files: Files) -> list[Answer]:
    """Official evaluations: the replies that OpenAI's judge gave, in the order of the questions, whose kinds take turns."""
    answers = []
    for path in (file for one in paths for file in tables_below(one, ".json")):
        for number, reply in enumerate(read_rows(path)):
            try:
                said = str(reply["choices"][0]["message"]["content"]).lower()
            except (KeyError, IndexError, TypeError) as error:
                raise ValueError(f"{path}, entry {number + 1}: no judge's reply, {error!r} is missing") from error
            found = [rating for rating in range(7) if f"rating: {rating}" in said]
            fields = {"type": TYPES[number % len(TYPES)], "grade": found if len(found) == 1 else [-1]}
            answers.append(Answer(Question(str(number + 1), "", "", str(number + 1), fields=fields), ""))
    return once_each(answers, str(paths[0]))


def score(answers: Sequence[Answer], files: Files) -> dict[str, Any]:
    """`score`: mean rating, not rounded (officially to two decimals); `hallucination`: share rated below 3; both in `types`.

    In official files a rating that could not be read counts as 0; the strict score leaves it out. Our own grades keep none
    instead, left out of both. `unknown`: the share of answers without a readable rating.
    """
    grades = grades_of(answers, files, "MMHal-Bench")
    official = [one and max(0.0, one[0]) for one in grades]
    readable = [one[0] if one and one[0] >= 0 else None for one in grades]
    unknown = readable.count(None) / max(1, len(answers))
    return {**_score(answers, official), **note_on(grades), "strict": {**_score(answers, readable), "unknown": unknown}}


def _score(answers: Sequence[Answer], ratings: Sequence[float | None]) -> dict[str, Any]:
    rated = [(answer.question.fields["type"], one) for answer, one in zip(answers, ratings) if one is not None]
    types = grouped(rated)
    return {**_means([one for _, one in rated]), "types": {name: _means(those) for name, those in types.items()}}


def _means(ratings: Sequence[float]) -> dict[str, Any]:
    made_up = [one < HONEST for one in ratings]
    mean, share = (sum(those) / len(those) if those else None for those in (ratings, made_up))
    return {"score": mean, "hallucination": share, "graded": len(ratings)}


BENCHMARK = declared("mmhal", load=load, read=read, score=score, judge=judge)
