"""MME: 14 subtasks of yes/no questions, two per image, one for perception and one for cognition.

Fu et al., arXiv 2306.13394; the rules are those of the official scorer (eval_tool/calculation.py), quirks included, so
that the same result files give the same digits. Beside them stands a strict reading in Chinese and English.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from skymm.evaluation.verdict import yes_no

PERCEPTION = (
    "existence",
    "count",
    "position",
    "color",
    "posters",
    "celebrity",
    "scene",
    "landmark",
    "artwork",
    "OCR",
)
COGNITION = ("commonsense_reasoning", "numerical_calculation", "text_translation", "code_reasoning")
SUBTASKS = PERCEPTION + COGNITION

_IMAGE_SUFFIXES = {".jpg", ".jpeg", ".png", ".webp"}
_ANSWERS = {"yes": "Yes", "no": "No", "是": "Yes", "否": "No"}


@dataclass(frozen=True, slots=True)
class Question:
    """One question about one image; `answer` is "Yes" or "No" in any language."""

    subtask: str
    image: Path
    question: str
    answer: str


@dataclass(frozen=True, slots=True)
class Row:
    """One line of a result file."""

    image: str
    question: str
    answer: str
    response: str


def load(directory: str | Path) -> list[Question]:
    """The questions of a release in its directory, subtask by subtask, the two about an image next to each other.

    A subtask is a folder of its name, here or further down, with images and a text file of the same stem for each:
    two lines `question TAB answer`. They may lie side by side (as the official release has it for nine subtasks), in
    `images/` and `questions_answers_YN/` (for five), or in folders of other names. Absent subtasks are left out, and
    images without questions ask nothing. Raises ValueError naming the file, what was found and what is expected.
    """
    directory = Path(directory)
    questions = [question for subtask in SUBTASKS for question in _load_subtask(directory, subtask)]
    if not questions:
        found = sorted(path.name for path in directory.iterdir())[:10] if directory.is_dir() else "no such directory"
        raise ValueError(f"{directory}: found {found}, expected folders named as MME's subtasks: {', '.join(SUBTASKS)}")
    return questions


def _load_subtask(directory: Path, subtask: str) -> list[Question]:
    folders = sorted(path for path in directory.rglob(subtask) if path.is_dir())
    if len(folders) > 1:
        raise ValueError(f"{directory}: found {subtask} more than once ({folders[0]}, {folders[1]}); name one release")
    if not folders:
        return []
    files = sorted(path for path in folders[0].rglob("*") if path.is_file() and not path.name.startswith("."))
    images: dict[str, Path] = {}
    for path in files:
        if path.suffix.lower() in _IMAGE_SUFFIXES:
            if path.stem in images:
                raise ValueError(f"{path} and {images[path.stem]}: expected one image of a name in a subtask")
            images[path.stem] = path
    questions = []
    for path in files:
        if path.suffix.lower() != ".txt":
            continue
        if path.stem not in images:
            raise ValueError(f"{path}: no image of this name in {folders[0]}; is the download complete?")
        pairs = _read_questions(path)
        questions += [Question(subtask, images[path.stem], question, answer) for question, answer in pairs]
    if not questions:
        raise ValueError(f"{folders[0]}: found no questions, expected a .txt of two lines for each image")
    return questions


def _read_questions(path: Path) -> list[tuple[str, str]]:
    lines = [(number, line) for number, line in _lines(path) if line.strip()]
    if len(lines) != 2:
        raise ValueError(f"{path}: found {len(lines)} lines, expected 2 questions about the image")
    pairs = []
    for number, line in lines:
        question, tab, answer = line.strip().rpartition("\t")
        if not tab or answer.strip().lower() not in _ANSWERS:
            raise ValueError(f"{path}, line {number}: found {line!r}, expected 'question TAB Yes' or 'question TAB No'")
        pairs.append((question.strip(), _ANSWERS[answer.strip().lower()]))
    return pairs


def _lines(path: Path) -> list[tuple[int, str]]:
    """Numbered lines, cut where the official scorer cuts them (str.splitlines would cut at rare characters too)."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"{path}: not UTF-8 text ({error})") from error
    return list(enumerate(text.removesuffix("\n").split("\n"), 1)) if text else []


def parse_official(response: str) -> str:
    """ "yes", "no" or "other", as the official scorer reads a response: after lower-casing, an exact yes or no, else
    yes or else no anywhere in the first four characters.
    """
    response = response.lower()
    if response in ("yes", "no"):
        return response
    first_four = response[:4]
    return "yes" if "yes" in first_four else "no" if "no" in first_four else "other"


def pair(questions: Sequence[Question], responses: Sequence[str]) -> dict[str, list[Row]]:
    """Result rows by subtask, from the questions and what was answered to each, in the same order."""
    if len(questions) != len(responses):
        raise ValueError(f"{len(responses)} responses to {len(questions)} questions; expected one for each")
    results: dict[str, list[Row]] = {}
    for question, response in zip(questions, responses):
        row = Row(question.image.name, question.question, question.answer, response)
        results.setdefault(question.subtask, []).append(row)
    return results


def write_results(results: Mapping[str, Iterable[Row]], directory: str | Path) -> list[Path]:
    """The official result files, `SUBTASK.txt` with `image TAB question TAB answer TAB response` in each line.

    Tabs and line ends inside a field become one space each: lines stay whole and keep their official reading.
    """
    directory = Path(directory)
    directory.mkdir(parents=True, exist_ok=True)
    paths = []
    for subtask, rows in results.items():
        _check_subtask(subtask)
        fields = ((row.image, row.question, row.answer, row.response) for row in rows)
        lines = ["\t".join(re.sub(r"[\t\r\n]", " ", field) for field in line) + "\n" for line in fields]
        paths.append(directory / f"{subtask}.txt")
        paths[-1].write_text("".join(lines), encoding="utf-8", newline="\n")
    return paths


def read_results(directory: str | Path) -> dict[str, list[Row]]:
    """The result files of the official layout that are in a directory, by subtask, in the official order.

    Raises ValueError naming file and line: not four fields, an answer that is not Yes or No, an odd number of lines.
    """
    directory = Path(directory)
    results = {}
    for subtask in SUBTASKS:
        path = directory / f"{subtask}.txt"
        if path.exists():
            results[subtask] = [_read_row(path, number, line) for number, line in _lines(path)]
            _check_pairs(results[subtask], str(path))
    if not results:
        found = sorted(path.name for path in directory.iterdir())[:10] if directory.is_dir() else "no such directory"
        raise ValueError(f"{directory}: found {found}, expected result files such as {SUBTASKS[0]}.txt")
    return results


def _read_row(path: Path, number: int, line: str) -> Row:
    fields = line.split("\t")
    if len(fields) != 4:
        raise ValueError(
            f"{path}, line {number}: found {len(fields)} tab-separated fields, expected 4 "
            "(image, question, answer, response); a response must not contain tabs or line ends"
        )
    return Row(*fields)


def _check_subtask(subtask: str) -> None:
    if subtask not in SUBTASKS:
        raise ValueError(f"{subtask!r} is no subtask of MME, expected one of {', '.join(SUBTASKS)}")


def _check_pairs(rows: Sequence[Row], where: str) -> None:
    if not rows or len(rows) % 2:
        raise ValueError(f"{where}: found {len(rows)} lines, expected two for each image, so an even number above 0")
    for number, row in enumerate(rows, 1):
        if row.answer.lower() not in ("yes", "no"):
            raise ValueError(f"{where}, line {number}: the answer is {row.answer!r}, expected Yes or No")


def score(results: Mapping[str, Sequence[Row]]) -> dict[str, Any]:
    """Scores as plain JSON types.

    `perception` (of 2000) and `cognition` (of 800) sum the subtasks that are there; None where there is none. `missing`
    names the others: a sum over fewer subtasks is not comparable. `subtasks.NAME` has `score` (of 200: 100 acc + 100
    acc_plus), `acc`, `acc_plus` (share of images with both answers right), `other` (answers that are neither yes nor
    no: wrong, and left out of `precision` and `recall`, whose positive class is yes), `num_questions`, `num_images`,
    `num_yes` and `yes_ratio` (predicted yes among all questions). `strict` has the same from the strict bilingual
    reading; there `unknown` is the share of answers that say neither.
    """
    for subtask, rows in results.items():
        _check_subtask(subtask)
        _check_pairs(rows, subtask)
    official, strict = _score_with(results, parse_official), _score_with(results, yes_no)
    strict["unknown"] = strict.pop("other_ratio")
    del official["other_ratio"]
    for scores in strict["subtasks"].values():
        scores["unknown"] = scores.pop("other") / scores["num_questions"]
    return {**official, "missing": [subtask for subtask in SUBTASKS if subtask not in results], "strict": strict}


def _score_with(results: Mapping[str, Sequence[Row]], reading: Callable[[str], str]) -> dict[str, Any]:
    # In the official order: the order in which floats are summed is part of the last digit.
    subtasks = {name: _score_subtask(results[name], reading) for name in SUBTASKS if name in results}
    num_questions = sum(scores["num_questions"] for scores in subtasks.values())

    def total(names: Sequence[str]) -> float | None:
        present = [subtasks[name]["score"] for name in names if name in subtasks]
        return sum(present) if present else None

    def share(counted: str) -> float:
        return sum(scores[counted] for scores in subtasks.values()) / max(1, num_questions)

    return {
        "perception": total(PERCEPTION),
        "cognition": total(COGNITION),
        "yes_ratio": share("num_yes"),
        "other_ratio": share("other"),
        "num_questions": num_questions,
        "subtasks": subtasks,
    }


def _score_subtask(rows: Sequence[Row], reading: Callable[[str], str]) -> dict[str, Any]:
    answers = [row.answer.lower() for row in rows]
    predictions = [reading(row.response) for row in rows]
    right = [answer == prediction for answer, prediction in zip(answers, predictions)]
    # Two consecutive lines are one image, whatever its name: the official rule.
    both_right = [first and second for first, second in zip(right[::2], right[1::2])]
    pairs = list(zip(answers, predictions))
    true_yes, false_yes, false_no = pairs.count(("yes", "yes")), pairs.count(("no", "yes")), pairs.count(("yes", "no"))
    acc, acc_plus = sum(right) / len(right), sum(both_right) / len(both_right)
    return {
        "score": acc * 100 + acc_plus * 100,
        "acc": acc,
        "acc_plus": acc_plus,
        "other": sum(prediction not in ("yes", "no") for prediction in predictions),
        "precision": true_yes / max(1, true_yes + false_yes),
        "recall": true_yes / max(1, true_yes + false_no),
        "num_yes": predictions.count("yes"),
        "yes_ratio": predictions.count("yes") / len(rows),
        "num_questions": len(rows),
        "num_images": len(both_right),
    }
