"""MMMU: college-level questions with pictures, in 30 subjects of six domains; options or an open answer.

Yue et al., arXiv 2311.16502; the rules are those of the official scorer (eval/eval_utils.py) on raw answers: an answer
in which it finds no option is drawn by lot, from one sequence seeded with 42. The strict reading draws nothing.
"""

from __future__ import annotations

import ast
import random
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from skymm.evaluation.benchmark import Answer, Benchmark, Files, Metric, Question, once_each
from skymm.evaluation.reading.letters import option_letter
from skymm.evaluation.reading.mmmu_parsing import open_right, parse_multi_choice, strict_open
from skymm.evaluation.reading.rows import (
    Given,
    given_of,
    option_lines,
    picture_of,
    refuse_labels,
    rows_of,
    tables_below,
    tallies,
    tally,
    totals,
)
from skymm.recipe import EvalRecipe
from skymm.tables import column, read_json, text_of

DOMAINS = {
    "Art and Design": "Art Art_Theory Design Music",
    "Business": "Accounting Economics Finance Manage Marketing",
    "Science": "Biology Chemistry Geography Math Physics",
    "Health and Medicine": (
        "Basic_Medical_Science Clinical_Medicine Diagnostics_and_Laboratory_Medicine Pharmacy Public_Health"
    ),
    "Humanities and Social Science": "History Literature Sociology Psychology",
    "Tech and Engineering": (
        "Agriculture Architecture_and_Engineering Computer_Science Electronics Energy_and_Power Materials "
        "Mechanical_Engineering"
    ),
}
_DOMAIN_OF = {subject: domain for domain, subjects in DOMAINS.items() for subject in subjects.split()}
SEED = 42
OPTIONS_INSTRUCTION = "Answer with the option's letter from the given choices directly."
OPEN_INSTRUCTION = "Answer the question using a single word or phrase."
_IMAGE = re.compile(r"<image (\d+)>")


def load(recipe: EvalRecipe) -> list[Question]:
    """The questions of the release on the hub: a folder for each subject with SPLIT-*.parquet. `split`: dev, validation.

    Pictures come in the order in which question and options mention them. Raises ValueError naming the row.
    """
    paths = [
        path
        for path in tables_below(recipe.root, ".parquet")
        if recipe.split is None or path.name.startswith(f"{recipe.split}-")
    ]
    if not paths:
        raise ValueError(f"{recipe.root}: found no parquet files of split {recipe.split!r}, expected {recipe.split}-*")
    questions = [
        _question(dict(row), f"{path}, row {number}") for path in paths for number, row in enumerate(rows_of(path), 1)
    ]
    return sorted(questions, key=lambda question: question.fields["subject"])


def _question(row: dict[str, Any], where: str) -> Question:
    name, asked = str(column(row, where, "id")), str(column(row, where, "question"))
    options = row.get("options") or []
    if isinstance(options, str):
        try:
            options = ast.literal_eval(options)
        except (SyntaxError, ValueError) as error:
            raise ValueError(f"{where}: the options are {options[:60]!r}, expected a list of texts") from error
    by_letter = {chr(ord("A") + place): str(option) for place, option in enumerate(options)}
    if row.get("question_type", "multiple-choice") != "multiple-choice":
        by_letter = {}
    numbers = list(dict.fromkeys(_IMAGE.findall(" ".join([asked, *by_letter.values()]))))
    if not numbers:
        numbers = [str(number) for number in range(1, 8) if (row.get(f"image_{number}") or {}).get("bytes")]
    pictures = tuple(picture_of(row.get(f"image_{number}"), f"{where}, image {number}") for number in numbers)
    shown = {letter: _mention(option) for letter, option in by_letter.items()}
    instruction = OPTIONS_INSTRUCTION if by_letter else OPEN_INSTRUCTION
    text = "\n".join(filter(None, [_mention(asked), option_lines(shown, "({}) {}"), instruction]))
    fields = {**_fields(name), "options": by_letter, "gold": _golds(row.get("answer", ""))}
    return Question(name, text, str(row.get("answer", "")), name, pictures, tuple(by_letter), fields)


def _mention(text: str) -> str:
    """Images are structure, never part of a text; what is left of their place is their name."""
    return _IMAGE.sub(r"[image \1]", text).strip()


def _fields(name: str) -> dict[str, Any]:
    subject = "_".join(name.split("_")[1:-1])
    return {"subject": subject, "domain": _DOMAIN_OF.get(subject, "")}


def _golds(answer: Any) -> list[str]:
    """Right answers: a text, a list, or (on the hub) the text of a list."""
    if isinstance(answer, str) and answer.startswith("["):
        try:
            answer = ast.literal_eval(answer)
        except (SyntaxError, ValueError):
            return [str(answer)]
    return [str(one) for one in answer] if isinstance(answer, list) else [str(answer)]


def read(paths: Sequence[Path], files: Files) -> list[Answer]:
    """Official outputs: a directory with SUBJECT/output.json (raw answers), or total_val_output.json (id -> answer as
    parsed) with answer_dict_val.json as `files["labels"]`. Subjects in the official order, which is alphabetical.

    Raises ValueError naming the file and what it lacks.
    """
    found = []
    for path in paths:
        outputs = sorted(path.glob("**/output.json")) if path.is_dir() else [path]
        for file in outputs or tables_below(path, "output.json"):
            values = read_json(file)
            if len(values) == 1 and isinstance(values[0], dict) and "response" not in values[0]:
                found += _parsed(values[0], file, files)
            else:
                found += [_raw(one) for one in given_of(file, rows_of(file), files)]
    answers = once_each(found, str(paths[0]))
    refuse_labels(answers, str(paths[0]), "response", files)
    return sorted(answers, key=lambda answer: answer.question.fields["subject"])


def _raw(one: Given) -> Answer:
    row, name = dict(one.row), str(column(dict(one.row), one.where, "id"))
    gold, kind = column(row, one.where, "answer"), column(row, one.where, "question_type")
    options = dict(column(row, one.where, "index2ans")) if kind == "multiple-choice" else {}
    fields = {**_fields(name), "options": options, "gold": _golds(gold)}
    return Answer(Question(name, "", str(gold), name, (), tuple(options), fields), one.said)


def _parsed(answers: dict[str, Any], path: Path, files: Files) -> list[Answer]:
    if "labels" not in files:
        raise ValueError(f"{path} holds answers without the right ones; give answer_dict_val.json with --labels")
    labels = read_json(files["labels"])[0]
    found = []
    for name, response in answers.items():
        if name not in labels:
            raise ValueError(f"{path}: {name} is not in {files['labels']}")
        gold = column(labels[name], f"{files['labels']}, {name}", "ground_truth")
        letters = "ABCDEFGHI" if labels[name].get("question_type") == "multiple-choice" else ""
        fields = {**_fields(name), "options": dict.fromkeys(letters, ""), "gold": _golds(gold), "parsed": True}
        found.append(Answer(Question(name, "", str(gold), name, (), tuple(letters), fields), text_of(response)))
    return found


def official(answer: Answer) -> bool | None:
    """The official verdict; None where it is drawn by lot."""
    fields = answer.question.fields
    if answer.failed:
        return False  # there is no answer to draw lots for
    if not fields["options"]:
        return open_right(answer.response, tuple(fields["gold"]))
    letter = answer.response if fields.get("parsed") else parse_multi_choice(answer.response, fields["options"])
    return None if letter is None else letter in fields["gold"]


def strict(answer: Answer) -> str | None:
    options = answer.question.fields["options"]
    return option_letter(answer.response, options) if options else None


def score(answers: Sequence[Answer], files: Files) -> dict[str, Any]:
    """`correct`, `total`, `accuracy`; `multi_choice` and `open` with correct, total and acc; `random_fallbacks`: answers
    that were drawn by lot; `subjects` and `domains`.

    Lots are drawn in the order of the answers. Raises ValueError for questions whose right answer is not known ("?").
    """
    hidden = [answer.question.id for answer in answers if answer.question.gold in ("", "?")]
    if hidden:
        raise ValueError(f"{hidden[0]} and {len(hidden) - 1} more have no right answer; score the validation split")
    lots, fallbacks, right = random.Random(SEED), 0, []
    for answer in answers:
        verdict = official(answer)
        if verdict is None:
            fallbacks += 1
            verdict = lots.choice(list(answer.question.fields["options"])) in answer.question.fields["gold"]
        right.append(verdict)
    strictly, unknown = zip(*map(_strict_verdict, answers)) if answers else ((), ())
    return {
        **_score(answers, right),
        "random_fallbacks": fallbacks,
        **({"note": f"{fallbacks} answers choose no option: officially they are drawn by lot"} if fallbacks else {}),
        "strict": {**_score(answers, strictly), "unknown": sum(unknown) / max(1, len(answers))},
    }


def _strict_verdict(answer: Answer) -> tuple[bool, bool]:
    """(right, unknown)"""
    letter, fields = strict(answer), answer.question.fields
    if letter is not None:
        return letter in fields["gold"], letter == "unknown"
    verdict = strict_open(answer.response, tuple(fields["gold"]))
    return bool(verdict), verdict is None


def _score(answers: Sequence[Answer], right: Sequence[bool]) -> dict[str, Any]:
    kinds: Mapping[bool, list[bool]] = {True: [], False: []}
    for answer, one in zip(answers, right):
        kinds[bool(answer.question.fields["options"])].append(one)
    fields = [answer.question.fields for answer in answers]
    return {
        **totals(right),
        "multi_choice": tally(kinds[True]),
        "open": tally(kinds[False]),
        "subjects": tallies((one["subject"], each) for one, each in zip(fields, right)),
        "domains": tallies((one["domain"], each) for one, each in zip(fields, right)),
    }


BENCHMARK = Benchmark(
    name="mmmu",
    title="MMMU: college exams with pictures, 30 subjects",
    size="validation: 900 questions, 847 of them with options",
    licence="Apache-2.0",
    download="huggingface.co/datasets/MMMU/MMMU (validation-*.parquet of every subject)",
    layout="a folder for each subject with its parquet files",
    load=load,
    score=score,
    read=read,
    metrics=(
        Metric("accuracy", "accuracy"),
        Metric("multi_choice.acc", "with options"),
        Metric("open.acc", "open"),
    ),
    right=official,
    strict=strict,
    tables=("domains", "subjects"),
    sizes={"dev": 150, "validation": 900, "test": 10500},
    part=lambda question: question.id.split("_")[0],
    strata="subject",
)
