"""Chinese SimpleVQA: what is it, and what is known about it? Short facts in Chinese: correct, wrong or not attempted.

Gu et al., arXiv 2502.11718; rule of github.com/OpenStellarTeam/ChineseSimpleVQA (judge/opensource_eval.py). The judge does not
see the picture. The wording of our message to it is our own; the published numbers come from the official one with its
examples, which `files["judge_prompt"]` takes: a text with {url}, {question}, {target} and {predicted_answer}.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
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
from skymm.evaluation.reading.rows import Row, rows_of, tables_below
from skymm.recipe import EvalRecipe
from skymm.tables import column, read_text, text_of

CORRECT, WRONG, NOT_ATTEMPTED = 1.0, 0.0, -1.0
_GRADES = {"A": CORRECT, "B": WRONG, "C": NOT_ATTEMPTED}
_WORDS = {"正确": CORRECT, "错误": WRONG, "未尝试": NOT_ATTEMPTED}
HOPS = ("recognition", "final")  # what it is, and what is asked about it
_GRADE = re.compile(
    r"\W*(?:(?:答案|评定|结果|评级|grade)\W*(?:是|为)?\W*)?(?:([ABC])(?![A-Za-z])|(正确|错误|未尝试))", re.I
)


def load(recipe: EvalRecipe) -> list[Question]:
    """Both questions of each row of chinese_simplevqa.jsonl in root; images/ has what `matched_image` names.

    Raises ValueError for pictures that are not there: the release has addresses, or the hub the files.
    """
    questions = []
    for path in tables_below(recipe.root, ".jsonl"):
        folder = picture_folder(recipe, path.parent / "images", path.parent)
        for number, row in enumerate(rows_of(path), 1):
            where = f"{path}, row {number}"
            picture = find_image(folder, str(column(dict(row), where, "matched_image")), "chinese_simplevqa")
            questions += [_question(row, where, hop, picture) for hop in HOPS]
    return questions


def _question(row: Row, where: str, hop: str, *images: Path) -> Question:
    known = dict(row)
    name, text, gold = (str(column(known, where, key)) for key in ("id", f"{hop}_question", f"{hop}_answer"))
    topic = text_of(row.get("topic")).split("|")[0]
    fields = {"hop": hop, "topic": topic, "url": text_of(row.get("image_url"))}
    return Question(f"{name}/{hop}", text, gold, name, images, (), fields)


def judge(files: Files) -> Judge:
    """The judge's messages with our own wording, or that of `files["judge_prompt"]`."""
    path = files.get("judge_prompt")
    text = read_text(path) if path else own_prompt("chinese_simplevqa")
    lacking = [name for name in ("question", "target", "predicted_answer") if f"{{{name}}}" not in text]
    if lacking:
        raise ValueError(f"{path}: found no {{{lacking[0]}}}, expected a place for each of its parts")

    def message(answer: Answer) -> str:
        asked = answer.question
        given = {"url": asked.fields["url"], "question": asked.text, "target": asked.gold}
        return fill(text, {**given, "predicted_answer": answer.response})

    return Judge(message, read_grade)


def read_grade(text: str) -> Grade | None:
    """What the judge's words begin with: A, B or C (or 正确, 错误, 未尝试); None where they do not."""
    match = _GRADE.match(text)
    return (_GRADES[match[1].upper()] if match[1] else _WORDS[match[2]],) if match else None


def read(paths: Sequence[Path], files: Files) -> list[Answer]:
    """Official result files: the release's rows with model_output1, score1 (of what it is), model_output2 and score2."""
    answers = []
    for path in (file for one in paths for file in tables_below(one, ".jsonl")):
        for number, row in enumerate(rows_of(path), 1):
            where = f"{path}, row {number}"
            for at, hop in enumerate(HOPS, 1):
                question, score = _question(row, where, hop), text_of(column(dict(row), where, f"score{at}"))
                if score not in _GRADES:
                    raise ValueError(f"{where}: found score{at} {score!r}, expected A, B or C")
                question = replace(question, fields={**question.fields, "grade": [_GRADES[score]]})
                answers.append(Answer(question, text_of(row.get(f"model_output{at}"))))
    return once_each(answers, str(paths[0]))


def score(answers: Sequence[Answer], files: Files) -> dict[str, Any]:
    """Of `recognition` and `final` questions the shares `correct`, `wrong` and `not_attempted`, `given_attempted` (correct of
    those attempted) and `f`, its harmonic mean with correct; the same of `topics` (final) and `recognition_topics`.

    Answers without a readable grade are left out and noted; officially a judge that says none of A, B and C says C.
    `strict.unknown` is their share.
    """
    grades = grades_of(answers, files, "Chinese SimpleVQA")
    graded = [(answer.question.fields, one[0]) for answer, one in zip(answers, grades) if one is not None]
    scores: dict[str, Any] = {}
    for hop, name in zip(HOPS, ("recognition_topics", "topics")):
        rows = [(of["topic"], one) for of, one in graded if of["hop"] == hop]
        topics = grouped(rows)
        scores |= {
            hop: _rates([one for _, one in rows]),
            name: {topic: _rates(topics[topic]) for topic in sorted(topics)},
        }
    return {**scores, **note_on(grades), "strict": {**scores, "unknown": grades.count(None) / max(1, len(grades))}}


def _rates(grades: Sequence[float]) -> dict[str, Any]:
    total, correct, wrong = max(1, len(grades)), grades.count(CORRECT), grades.count(WRONG)
    share, given = correct / total, correct / max(1, correct + wrong)
    return {
        "correct": share,
        "wrong": wrong / total,
        "not_attempted": grades.count(NOT_ATTEMPTED) / total,
        "given_attempted": given,
        "f": 2 * share * given / (share + given) if correct else 0.0,
        "graded": len(grades),
    }


BENCHMARK = declared("chinese_simplevqa", load=load, read=read, score=score, judge=judge)
