"""MM-Vet: 218 open questions that take several capabilities at once, graded from 0 to 1 by a judge.

Yu et al., arXiv 2308.02490 (mm-vet_evaluator.py). The wording of our message to the judge is our own; the published
numbers come from the official one with its worked examples, which `files["judge_prompt"]` takes: the table as a text,
below which the row to be graded is put, or a text with the places {question}, {reference} and {answer}.
"""

from __future__ import annotations

import re
import statistics
from collections.abc import Callable, Sequence
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
from skymm.tables import column, read_entries, read_text

_GRADE = re.compile(
    r"[^\w.-]*(?:(?:correctness|score|grade)\W+)?([01](?:\.\d+)?|\.\d+)(?![\d/%.]*\d|\.\s*[A-Za-z])", re.I
)
ENTRIES = "an entry under every id (v1_0, v1_1, ...)"


def load(recipe: EvalRecipe) -> list[Question]:
    """The questions of mm-vet.json in root, with `images/`. Raises ValueError for pictures that are not there."""
    root = Path(recipe.root)
    path = root if root.is_file() else root / "mm-vet.json"
    directory = picture_folder(recipe, path.parent / "images")
    questions = []
    for name, entry in read_entries(path, ENTRIES).items():
        where = f"{path}, {name}"
        image = str(column(entry, where, "imagename"))
        picture, text = find_image(directory, image, "MM-Vet"), str(column(entry, where, "question"))
        fields = {"capability": _capabilities(entry, where)}
        questions.append(Question(name, text, str(column(entry, where, "answer")), image, (picture,), (), fields))
    return together(questions)


def _capabilities(entry: dict[str, Any], where: str) -> list[str]:
    return sorted(set(map(str, column(entry, where, "capability"))))


def judge(files: Files) -> Judge:
    """The judge's messages with our own wording, or that of `files["judge_prompt"]`."""
    template = read_text(files["judge_prompt"]) if "judge_prompt" in files else own_prompt("mm_vet")
    if "{question}" in template:
        return Judge(lambda answer: fill(template, _values(answer)), read_grade)
    return Judge(lambda answer: template + "\n" + " | ".join([*_values(answer).values(), ""]), read_grade)


def _values(answer: Answer) -> dict[str, str]:
    reference = answer.question.gold.replace("<AND>", " <AND> ").replace("<OR>", " <OR> ")
    return {"question": answer.question.text, "reference": reference, "answer": answer.response}


def read_grade(text: str) -> Grade | None:
    """The number from 0 to 1 that the judge's words begin with; None where they do not."""
    match = _GRADE.match(text)
    grade = float(match[1]) if match else None
    return (grade,) if grade is not None and grade <= 1 else None


def read(paths: Sequence[Path], files: Files) -> list[Answer]:
    """Official grade files: {id: {"score": [grade of each run], ...}}; mm-vet.json as `files["labels"]` has the capabilities.

    Raises ValueError where questions were graded in different numbers of runs.
    """
    labels = read_entries(files["labels"], ENTRIES) if "labels" in files else {}
    answers = []
    for path in (file for one in paths for file in tables_below(one, ".json")):
        for name, entry in read_entries(path, ENTRIES).items():
            where = f"{path}, {name}"
            runs = column(entry, where, "score")
            if not isinstance(runs, list) or not runs:
                raise ValueError(f"{where}: score is {runs!r}, expected a list of grades, one for each run")
            if labels and name not in labels:
                raise ValueError(f"{where} is not in {files['labels']}")
            label = labels.get(name, {})
            known = _capabilities(label, f"{files['labels']}, {name}") if label else []
            fields = {"capability": known, "grade": [float(one) for one in runs]}
            image = str(label.get("imagename", name))
            question = Question(
                name, str(label.get("question", "")), str(label.get("answer", "")), image, fields=fields
            )
            answers.append(Answer(question, ""))
    lengths = {len(answer.question.fields["grade"]) for answer in answers}
    if len(lengths) > 1:
        raise ValueError(f"{paths[0]}: found between {min(lengths)} and {max(lengths)} runs, expected as many for each")
    return once_each(answers, str(paths[0]))


def score(answers: Sequence[Answer], files: Files) -> dict[str, Any]:
    """`score`: 100 times the mean grade, not rounded (officially to one decimal); `capabilities` (a question counts in
    each of its own) and `integrations` (in exactly this set of them); `runs` and their `std` where there are several.

    Answers without a readable grade are left out and noted; `strict.unknown` is their share.
    """
    grades = grades_of(answers, files, "MM-Vet")
    graded = [(answer, one) for answer, one in zip(answers, grades) if one is not None]
    runs = [_points([one[run : run + 1] for _, one in graded]) for run in range(len(graded[0][1]))] if graded else []
    scores = {
        "score": sum(runs) / len(runs) if runs else None,
        "capabilities": _by(graded, lambda names: names),
        "integrations": _by(graded, lambda names: ["+".join(names)] if names else []),
    }
    several = {"runs": runs, "std": statistics.pstdev(runs)} if len(runs) > 1 else {}
    unknown = grades.count(None) / max(1, len(answers))
    return {**scores, **several, "graded": len(graded), **note_on(grades), "strict": {**scores, "unknown": unknown}}


def _points(grades: Sequence[Grade]) -> float:
    return sum(sum(one) / len(one) for one in grades) / max(1, len(grades)) * 100


def _by(
    graded: Sequence[tuple[Answer, Grade]], names_of: Callable[[list[str]], list[str]]
) -> dict[str, dict[str, Any]]:
    """The largest first, as officially."""
    found = grouped((name, one) for answer, one in graded for name in names_of(answer.question.fields["capability"]))
    order = sorted(found, key=lambda name: (-len(found[name]), name))
    return {name: {"score": _points(found[name]), "total": len(found[name])} for name in order}


BENCHMARK = declared("mm_vet", load=load, read=read, score=score, judge=judge)
