"""MathVista (testmini): 1000 questions of mathematics about pictures; options, numbers and lists.

Lu et al., arXiv 2310.02255; github.com/lupantech/MathVista (evaluation/extract_answer.py, calculate_score.py). Officially GPT-4
reads what an answer says unless a quick rule does. Here no model is asked: where the quick rules find nothing, our bilingual
reading takes its place, so the official column holds against published numbers only for result files that have `extraction`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath
from string import ascii_uppercase
from typing import Any

from skymm.evaluation.benchmark import Answer, Files, Question, declared, find_image, once_each, picture_folder
from skymm.evaluation.reading.letters import option_letter
from skymm.evaluation.reading.rows import option_lines, picture_of, rows_of, tables_below, tallies, tally, together
from skymm.recipe import EvalRecipe
from skymm.tables import column, read_entries, text_of
from skymm.text import normalise
from skymm.thoughts import without_thoughts

ENTRIES = "a problem under every id (testmini.json)"
_HINTS = {
    "text": "Please answer the question and provide the correct option letter, e.g., A, B, C, D, at the end.",
    "integer": "Please answer the question requiring an integer answer and provide the final value, "
    "e.g., 1, 2, 3, at the end.",
    "float1": "Please answer the question requiring a floating-point number with one decimal place and provide the final "
    "value, e.g., 1.2, 1.3, 1.4, at the end.",
    "float2": "Please answer the question requiring a floating-point number with two decimal places and provide the final "
    "value, e.g., 1.23, 1.34, 1.45, at the end.",
    "list": "Please answer the question requiring a Python list as an answer and provide the final list, e.g., [1, 2, 3], "
    "[1.2, 1.3, 1.4], at the end.",
}
_QUICK = re.compile(r'The answer is "(.*)"\.')
_NUMBER = r"(?<![A-Za-z0-9.])-?(?:\d{1,3}(?:,\d{3})+(?!\d)|\d+)?(?:\.\d+|(?<=\d))"
_STATED = re.compile(rf"(?:answer is|answer:|boxed\{{|(?:答案|结果)(?:是|为|:)|=)[^\d\n\[.-]{{0,12}}({_NUMBER})", re.I)
_LIST = re.compile(r"\[[^\[\]]*\]")


def load(recipe: EvalRecipe) -> list[Question]:
    """The problems of testmini.json in root, with images/, or of parquet files with pictures inside. Raises ValueError."""
    root = Path(recipe.root)
    path = root if root.is_file() else root / "testmini.json"
    if path.suffix == ".json" and path.is_file():
        folder = picture_folder(recipe, path.parent, path.parent / "images")
        entries = [(row, f"{path}, {name}") for name, row in read_entries(path, ENTRIES).items()]
        return together(
            _question(row, where, find_image(folder, str(row.get("image")), "mathvista")) for row, where in entries
        )
    rows = [
        (dict(row), f"{one}, row {at}")
        for one in tables_below(root, ".parquet")
        for at, row in enumerate(rows_of(one), 1)
    ]
    return together(_question(row, where, picture_of(row.get("decoded_image"), where)) for row, where in rows)


def _question(row: dict[str, Any], where: str, *images: Path | bytes) -> Question:
    name, asked, gold, kind = (str(column(row, where, key)) for key in ("pid", "question", "answer", "answer_type"))
    options = dict(zip(ascii_uppercase, map(str, row.get("choices") or ())))
    precision = int(row.get("precision") or 0)
    if kind not in ("text", "integer", "float", "list") or (options and gold not in options.values()):
        raise ValueError(
            f"{where}: found answer {gold!r} of type {kind!r}, expected text, integer, float, list, or an option"
        )
    hint, unit = _HINTS[kind if kind != "float" else f"float{precision}"], row.get("unit")
    asked += f" (Unit: {unit})" if unit else ""
    shown = f"Choices:\n{option_lines(options, '({}) {}')}" if options else ""
    text = row.get("query") or "\n".join(filter(None, [f"Hint: {hint}", f"Question: {asked}", shown]))
    about = row.get("metadata") or {}
    fields = {key: text_of(about.get(key)) for key in ("task", "context", "language")}
    fields |= {"skills": list(about.get("skills") or ()), "type": kind, "options": options, "precision": precision}
    if "extraction" in row:
        fields["extraction"] = text_of(row["extraction"])
    image = PurePosixPath(str(row.get("image"))).name
    return Question(name, text, _letter(gold, options) or gold, image, images, tuple(options), fields)


def _letter(text: str, options: Mapping[str, str]) -> str | None:
    return next((letter for letter, option in options.items() if option == text), None)


def read(paths: Sequence[Path], files: Files) -> list[Answer]:
    """Official result files: the problems with `response`, and `extraction` where GPT-4 read it. Raises ValueError."""
    answers = []
    for path in (file for one in paths for file in tables_below(one, ".json")):
        for name, row in read_entries(path, ENTRIES).items():
            question = _question({"pid": name, **row}, f"{path}, {name}")
            answers.append(Answer(question, text_of(row.get("response"))))
    return once_each(answers, str(paths[0]))


def extraction(answer: Answer) -> str:
    """What an answer says: as GPT-4 read it, else by the official quick rules, else by the strict reading; "" for nothing."""
    fields, response = answer.question.fields, answer.response
    if "extraction" in fields:
        return str(fields["extraction"])
    if response in fields["options"].values():
        return response
    try:
        if fields["type"] in ("integer", "float"):
            return str({"integer": int, "float": float}[fields["type"]](response))
    except ValueError:
        pass
    quick = _QUICK.search(response)
    said = quick[1] if quick else strict(answer)
    return "" if said == "unknown" else said


def official(answer: Answer) -> str:
    """What is extracted in the form of the gold: the nearest option by edit distance, a whole or rounded number, a list."""
    fields, said = answer.question.fields, extraction(answer)
    if fields["options"]:
        bracketed = re.findall(r"\(([a-zA-Z])\)", said)
        said = bracketed[0].upper() if bracketed else said.strip()
        return said if said in fields["options"] else _nearest(said, fields["options"])
    try:
        number = {"integer": lambda: int(float(said)), "float": lambda: round(float(said), fields["precision"])}
        return str(number.get(fields["type"], lambda: said)())
    except (ValueError, OverflowError):
        return "unknown"


def _nearest(said: str, options: Mapping[str, str]) -> str:
    distances = {letter: _distance(said, option) for letter, option in options.items()}
    nearest = min(distances, key=lambda letter: distances[letter])
    return _letter(options[nearest], options) or nearest


def _distance(one: str, other: str) -> int:
    """Levenshtein's."""
    row = list(range(len(other) + 1))
    for at, here in enumerate(one, 1):
        before, row[0] = row[0], at
        for to, there in enumerate(other, 1):
            before, row[to] = row[to], min(row[to] + 1, row[to - 1] + 1, before + (here != there))
    return row[-1]


def strict(answer: Answer) -> str:
    """The letter, the gold where the same number or list is said, else what is said; "unknown" where nothing is for certain.

    A number is the last that is stated ("answer is", 答案是, "="), else the only one, of the answer or of its last sentence.
    """
    question, text = answer.question, normalise(without_thoughts(answer.response)).strip()
    if question.fields["options"]:
        return option_letter(answer.response, question.fields["options"])
    if question.fields["type"] == "list":
        said = _LIST.findall(text)[-1:]
        return question.gold if said and _numbers(said[0]) == _numbers(question.gold) else (said or ["unknown"])[0]
    last = re.split(r"[\n。!?]|\.\s", text.rstrip(".。"))[-1]
    ways = (re.findall(_STATED, text)[-1:], _numbers(text), _numbers(last))
    found = next((way[0] for way in ways if len(set(way)) == 1), None)
    if found is None:
        return "unknown"
    number, digits = float(str(found).replace(",", "")), question.fields["precision"]
    return question.gold if round(number, digits or 9) == float(question.gold) else str(number)


def _numbers(text: str) -> list[float]:
    return [float(one.replace(",", "")) for one in re.findall(_NUMBER, text)]


def count(answers: Sequence[Answer], said: Sequence[str]) -> dict[str, Any]:
    """`correct`, `total`, `accuracy`; the same of `types` (text is options), `tasks`, `skills` (several each), `languages`."""
    rows = [(answer.question.fields, answer.question.gold == one) for answer, one in zip(answers, said)]
    parts = {"types": "type", "tasks": "task", "contexts": "context", "languages": "language"}
    tables = {name: tallies((of[key], right) for of, right in rows) for name, key in parts.items()}
    skills = tallies((skill, right) for of, right in rows for skill in of["skills"])
    return {**tally([right for _, right in rows]), **tables, "skills": skills}


BENCHMARK = declared("mathvista", load=load, read=read, official=official, strict=strict, count=count)
