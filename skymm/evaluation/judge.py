"""Judged benchmarks: another model grades every answer once, and scores are computed from the grades that were kept.

`grade` asks the judge and appends to grades.jsonl beside the predictions: id, the answer that was graded, what the judge
said, and the grade in it (null where it cannot be read: asked again the next time). A judge is not sent
thoughts. Whoever has that file has the score.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from importlib.resources import files
from pathlib import Path
from typing import Any

from skymm.evaluation.benchmark import Answer, Files, Judge
from skymm.evaluation.predictions import read_entries_with
from skymm.files import Journal
from skymm.thoughts import without_thoughts

GRADES = "grades.jsonl"
Grade = tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Graded:
    """Where the grades are, and how many of them could not be read."""

    path: Path
    num_bad: int


def grade(
    predictions: str | Path,
    ask: Callable[[list[str]], Iterable[tuple[int, str]]],
    answers: Sequence[Answer],
    judge: Judge,
    *,
    name: str,
    batch_size: int = 16,
    advance: Callable[[int], None] = lambda answers: None,
) -> Graded:
    """Have every answer graded that has no grade yet.

    Args:
        predictions: the predictions file or its directory; grades.jsonl lies beside it. ask: messages -> what the judge
            says, with the index of its message, in any order. name: of the judge, which is kept with its grades.
        advance: is called with numbers of answers.

    Raises ValueError where grades of another judge are there, or the judge gives more or fewer replies than it was asked.
    """
    path = Path(predictions)
    path = (path if path.is_dir() else path.parent) / GRADES
    kept = _grades_in(path)
    other = next((line["judge"] for line in kept if line.get("judge") != name), None)
    if other is not None:
        raise ValueError(f"{path} holds grades by {other!r}, this judge is {name!r}; move that file away first")
    current = {answer.question.id: answer.response for answer in answers}
    done = {line["id"]: line for line in kept if line["grade"] and current.get(line["id"]) == line["response"]}
    waiting = [answer for answer in answers if answer.question.id not in done]
    advance(len(answers) - len(waiting))
    journal = Journal(path)
    journal.rewrite(done.values())
    num_bad = 0
    for start in range(0, len(waiting), batch_size):
        batch = waiting[start : start + batch_size]
        num_said = 0
        for index, text in ask([judge.message(_without_thoughts(answer)) for answer in batch]):
            answer, read = batch[index], judge.read(without_thoughts(text).strip())
            num_bad += read is None
            # A judge that fails later has been paid for this one.
            line = {"id": answer.question.id, "judge": name, "response": answer.response, "text": text}
            journal.add({**line, "grade": read})
            num_said += 1
            advance(1)
        if num_said != len(batch):
            raise ValueError(f"the judge {name} gave {num_said} replies to {len(batch)} messages")
    return Graded(path, num_bad)


def grades_of(answers: Sequence[Answer], tables: Files, benchmark: str) -> list[Grade | None]:
    """The grade of every answer: as an official file has it (`fields["grade"]`), else from `tables["grades"]`.

    None where the judge's words could not be read, or it was not asked. Raises ValueError without any grades, and for
    grades of other answers than these.
    """
    found: list[Grade | None] = []
    for answer in answers:
        if "grade" in answer.question.fields:
            found.append(tuple(answer.question.fields["grade"]))
            continue
        if "grades" not in tables:
            raise ValueError(f"{benchmark}: answers are graded by a judge; expected its {GRADES}, which --grades names")
        line = _graded(tables["grades"]).get(answer.question.id)
        if line is not None and line["response"] != answer.response:
            raise ValueError(
                f"{tables['grades']}: the grade of {answer.question.id} is of another answer; let these answers be graded"
            )
        found.append(tuple(line["grade"]) if line is not None and line["grade"] else None)
    return found


def note_on(grades: Sequence[Grade | None]) -> dict[str, str]:
    """A note for the scores where answers have no grade: they are left out, which has to be seen."""
    missing = sum(one is None for one in grades)
    text = f"{missing} of {len(grades)} answers have no readable grade and are left out; let the judge go on"
    return {"note": text} if missing else {}


def own_prompt(benchmark: str) -> str:
    """Our own wording of what the judge is sent, with {places}."""
    return tomllib.loads((files("skymm.evaluation") / "judge_prompts.toml").read_text("utf-8"))[benchmark]


def fill(template: str, values: Mapping[str, str]) -> str:
    """A template with its {places} filled in one pass, so that what is filled in is never taken for a place."""
    places = "|".join(map(re.escape, values))
    return re.sub(rf"\{{({places})\}}", lambda match: values[match[1]], template)


def _without_thoughts(answer: Answer) -> Answer:
    return replace(answer, response=without_thoughts(answer.response).strip())


def _graded(path: Path) -> dict[str, dict[str, Any]]:
    path = path / GRADES if path.is_dir() else path
    if not path.is_file():
        raise ValueError(f"no grades at {path}")
    stat = path.stat()
    return _graded_at(path, stat.st_mtime_ns, stat.st_size)


@lru_cache(maxsize=8)
def _graded_at(path: Path, changed: int, size: int) -> dict[str, dict[str, Any]]:
    return {line["id"]: line for line in _grades_in(path)}


def _grades_in(path: Path) -> list[dict[str, Any]]:
    return read_entries_with({"id", "judge", "response", "grade"}, path, "grade of a judge")
