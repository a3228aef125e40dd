"""LLaVA-Bench (In-the-Wild): free answers to 60 questions, graded by a judge against reference answers.

Liu et al., arXiv 2304.08485 (llava/eval/eval_gpt_review_bench.py and summarize_gpt_review.py). The judge does not see
the picture but a description of it. The wording of our message to it is our own; the published numbers come from the
official one, which `files["judge_prompt"]` takes: LLaVA's rule.json, or a text with the places {context}, {question},
{reference} and {answer}.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path
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

_PREFIX = "llava_bench_"
_NUMBER = r"(\d+(?:\.\d+)?)"
_GRADES = re.compile(rf"\W*{_NUMBER}(?:/10)?\s*[,;\s]\s*{_NUMBER}(?:/10)?\W*")


def load(recipe: EvalRecipe) -> list[Question]:
    """questions.jsonl with the reference answers (answers_gpt4.jsonl) and descriptions (context.jsonl) of root.

    Raises ValueError for a question without one of them, and for pictures that are not there.
    """
    root = Path(recipe.root)
    named = {name: Path(path) for name, path in recipe.files.items()}
    references = _by(named.get("reference", root / "answers_gpt4.jsonl"), "question_id", "text")
    contexts = _by(named.get("context", root / "context.jsonl"), "image", "caption")
    directory = picture_folder(recipe, root / "images")
    questions = []
    for number, row in enumerate(read_rows(root / "questions.jsonl"), 1):
        where = f"{root / 'questions.jsonl'}, line {number}"
        name, image = str(column(row, where, "question_id")), str(column(row, where, "image"))
        if name not in references or image not in contexts:
            lacking = "reference answer" if name not in references else "description of its picture"
            raise ValueError(f"{where}: question {name} has no {lacking}; is the download complete?")
        fields = {"category": _category(column(row, where, "category")), "context": contexts[image]}
        text, picture = str(column(row, where, "text")), find_image(directory, image, "LLaVA-Bench")
        questions.append(Question(name, text, references[name], image, (picture,), (), fields))
    return together(questions)


def _by(path: Path, key: str, value: str) -> dict[str, str]:
    found = {}
    for number, row in enumerate(read_rows(path), 1):
        where = f"{path}, line {number}"
        text = column(row, where, value)
        found[str(column(row, where, key))] = "\n".join(text) if isinstance(text, list) else str(text)
    return found


def _category(text: Any) -> str:
    return str(text).removeprefix(_PREFIX)


def judge(files: Files) -> Judge:
    """The judge's messages with our own wording, or that of `files["judge_prompt"]`."""
    text = read_text(files["judge_prompt"]) if "judge_prompt" in files else own_prompt("llava_bench")
    if "judge_prompt" in files and files["judge_prompt"].suffix == ".json":
        rules = json.loads(text)
        return Judge(lambda answer: _official_message(answer, rules), read_grade)
    lacking = [name for name in ("question", "reference", "answer") if f"{{{name}}}" not in text]
    if lacking:
        raise ValueError(f"{files['judge_prompt']}: found no {{{lacking[0]}}}, expected a place for each of its parts")
    return Judge(lambda answer: fill(text, _values(answer)), read_grade)


def _values(answer: Answer) -> dict[str, str]:
    question = answer.question
    context = question.fields["context"]
    return {"context": context, "question": question.text, "reference": question.gold, "answer": answer.response}


def _official_message(answer: Answer, rules: dict[str, Any]) -> str:
    """Laid out as the official script does it, with the words of its rule file."""
    category = _PREFIX + answer.question.fields["category"]
    if category not in rules:
        raise ValueError(f"the judge's rules know {sorted(rules)}, expected {category}")
    role, values = rules[category]["role"], _values(answer)
    said = "".join(
        f"[{role} {number}]\n{values[part]}\n\n[End of {role} {number}]\n\n"
        for number, part in enumerate(("reference", "answer"), 1)
    )
    head = f"[Context]\n{values['context']}\n\n[Question]\n{values['question']}\n\n"
    return f"{head}{said}[System]\n{rules[category]['prompt']}\n\n"


def read_grade(text: str) -> Grade | None:
    """(grade of the reference, grade of the answer) from the first line; None unless it has two numbers from 1 to 10."""
    first = next((line for line in text.splitlines() if line.strip()), "")
    match = _GRADES.fullmatch(first)
    grades = tuple(map(float, match.groups())) if match else ()
    return grades if grades and all(1 <= one <= 10 for one in grades) else None


def read(paths: Sequence[Path], files: Files) -> list[Answer]:
    """Official review files: JSON lines with question_id, category and tuple (grade of the reference, of the answer).

    With questions.jsonl as `files["labels"]` intervals know which questions share a picture.
    """
    images = _by(files["labels"], "question_id", "image") if "labels" in files else {}
    answers = []
    for path in (file for one in paths for file in tables_below(one, ".jsonl", ".json")):
        for number, row in enumerate(read_rows(path), 1):
            where = f"{path}, line {number}"
            name, pair = str(column(row, where, "question_id")), column(row, where, "tuple")
            if not isinstance(pair, list) or len(pair) != 2:
                raise ValueError(f"{where}: tuple is {pair!r}, expected two grades")
            fields = {"category": _category(row.get("category", "")), "grade": [float(one) for one in pair]}
            answers.append(Answer(Question(name, "", "", images.get(name, name), (), (), fields), ""))
    return once_each(answers, str(paths[0]))


def score(answers: Sequence[Answer], files: Files) -> dict[str, Any]:
    """`score`: the answers' mean grade in percent of the references', rounded as officially; the same in `categories`.

    In official files a grade that could not be read is (-1, -1) and counts as such; the strict score leaves it out. Our
    own grades keep none instead, left out of both. `unknown`: the share of answers without a readable grade.
    """
    grades = grades_of(answers, files, "LLaVA-Bench")
    readable = [one if one is not None and min(one) >= 0 else None for one in grades]
    unknown = readable.count(None) / max(1, len(answers))
    return {**_score(answers, grades), **note_on(grades), "strict": {**_score(answers, readable), "unknown": unknown}}


def _score(answers: Sequence[Answer], grades: Sequence[Grade | None]) -> dict[str, Any]:
    graded = [(answer.question.fields["category"], one) for answer, one in zip(answers, grades) if one is not None]
    found = grouped(graded)
    categories = {name: _relative(found[name]) for name in sorted(found) if name}
    return {**_relative([one for _, one in graded]), "categories": categories}


def _relative(grades: Sequence[Grade]) -> dict[str, Any]:
    if not grades:
        return {"score": None, "reference": None, "model": None, "graded": 0}
    reference, model = (round(sum(side) / len(grades), 3) for side in zip(*grades))
    relative = round(model / reference * 100, 1) if reference else None
    return {"score": relative, "reference": reference, "model": model, "graded": len(grades)}


BENCHMARK = declared("llava_bench", load=load, read=read, score=score, judge=judge)
