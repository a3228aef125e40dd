"""MMMU: college-level questions with pictures, in 30 subjects of six domains; options or an open answer.

Yue et al., arXiv 2311.16502; the rules are those of the official scorer (eval/eval_utils.py) on raw answers: an answer
in which it finds no option is drawn by lot, from one sequence seeded with 42. The strict reading draws nothing.
"""

from __future__ import annotations

import ast
import random
import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from string import ascii_uppercase
from typing import Any

from skymm.evaluation.benchmark import Answer, Files, Question, declared, once_each
from skymm.evaluation.reading.letters import named_in, option_letter, plain, voices_doubt
from skymm.evaluation.reading.rows import (
    Given,
    given_of,
    listed,
    option_lines,
    options_of,
    picture_of,
    refuse_labels,
    rows_of,
    tables_below,
    tallies,
    tally,
)
from skymm.recipe import EvalRecipe
from skymm.tables import column, read_json, text_of
from skymm.text import normalise
from skymm.thoughts import without_thoughts

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

Value = str | float

_COMMAS = re.compile(r"-?\b\d{1,3}(?:,\d{3})+\b")
_SCIENTIFIC = re.compile(r"-?\d+(?:\.\d+)?[eE][+-]?\d+")
_SIMPLE = re.compile(r"-?(?:\d+\.\d+|\.\d+|\d+\b)(?![eE][+-]?\d+)(?![,\d])")
_SIGNS = ("could be ", "so ", "is ", "thus ", "therefore ", "final ", "answer ", "result ")
_STATED = re.compile(r"(?:答案|结果|结论)(?:应该|应|约)?(?:是|为|:|=)+ ?(?:约|大约)? ?")
_BESIDE_HAN = re.compile(r"(?<=[\u3400-\u9fff])(?=[\x00-\x7f])|(?<=[\x00-\x7f])(?=[\u3400-\u9fff])")


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
    by_letter = _options(row, where)
    numbers = list(dict.fromkeys(_IMAGE.findall(" ".join([asked, *by_letter.values()]))))
    if not numbers:
        numbers = [str(number) for number in range(1, 8) if (row.get(f"image_{number}") or {}).get("bytes")]
    pictures = tuple(picture_of(row.get(f"image_{number}"), f"{where}, image {number}") for number in numbers)
    shown = {letter: _mention(option) for letter, option in by_letter.items()}
    instruction = OPTIONS_INSTRUCTION if by_letter else OPEN_INSTRUCTION
    text = "\n".join(filter(None, [_mention(asked), option_lines(shown, "({}) {}"), instruction]))
    return _asked(name, row.get("answer", ""), by_letter, text, pictures)


def _options(row: Mapping[str, Any], where: str) -> dict[str, str]:
    """By letter; none where the question is open."""
    if row.get("question_type", "multiple-choice") != "multiple-choice":
        return {}
    try:
        by_letter = dict(zip(ascii_uppercase, map(str, listed(row.get("options")))))
        return dict(row.get("index2ans") or by_letter or options_of(row))
    except ValueError as error:
        raise ValueError(f"{where}: {error}") from error


def _asked(
    name: str,
    gold: Any,
    options: Mapping[str, str],
    text: str = "",
    pictures: tuple[bytes, ...] = (),
    **more: Any,
) -> Question:
    subject = "_".join(name.split("_")[1:-1])
    fields = {
        "subject": subject,
        "domain": _DOMAIN_OF.get(subject, ""),
        "options": options,
        "gold": _golds(gold),
        **more,
    }
    return Question(name, text, str(gold), name, pictures, tuple(options), fields)


def _mention(text: str) -> str:
    """Images are structure, never part of a text; what is left of their place is their name."""
    return _IMAGE.sub(r"[image \1]", text).strip()


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
    parsed) with answer_dict_val.json as `files["labels"]`. Or tables of VLMEvalKit and lmms-eval, which hold options and right
    answer. Subjects in the official order, which is alphabetical.

    Raises ValueError naming the file and what it lacks.
    """
    found = []
    for path in paths:
        outputs = sorted(path.glob("**/output.json")) if path.is_dir() else [path]
        for file in outputs or tables_below(path, "output.json"):
            values = read_json(file) if file.suffix == ".json" else []
            if len(values) == 1 and isinstance(values[0], dict) and "response" not in values[0]:
                found += _parsed(values[0], file, files)
            else:
                found += [_raw(one) for one in given_of(file, rows_of(file), files)]
    answers = once_each(found, str(paths[0]))
    refuse_labels(answers, str(paths[0]), "response", files)
    return sorted(answers, key=lambda answer: answer.question.fields["subject"])


def _raw(one: Given) -> Answer:
    row = dict(one.row)
    name, gold = (column(row, one.where, key) for key in ("id", "answer"))
    options = _options(row, one.where)
    if not options and row.get("question_type", "multiple-choice") == "multiple-choice":
        raise ValueError(
            f"{one.where}: found fields {sorted(row)}, expected index2ans, options or A, B, ... among them"
        )
    return Answer(_asked(str(name), gold, options), one.said)


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
        found.append(Answer(_asked(name, gold, dict.fromkeys(letters, ""), parsed=True), text_of(response)))
    return found


# --- what answers say: the official reading with its quirks, and a strict one of open answers -------------------------------


def parse_multi_choice(response: str, options: Mapping[str, str]) -> str | None:
    """The option that the official scorer reads; None where it draws one by lot.

    "(A)" anywhere, else "A" between spaces, else (in more than five words) an option's text; of several the last.
    """
    return _multi_choice(response, tuple(options.items()))


@lru_cache(maxsize=1 << 14)
def _multi_choice(response: str, options: tuple[tuple[str, str], ...]) -> str | None:
    for mark in ",.!?;:'":  # one after another: "C.," loses both, "C,." only the full stop
        response = response.strip(mark)
    response = f" {response} "
    for form in ("({})", " {} "):
        places = {letter: response.rfind(form.format(letter)) for letter, _ in options}
        if max(places.values(), default=-1) >= 0:
            return max(places, key=lambda letter: places[letter])
    if len(response.split()) > 5:
        lower = response.lower()
        places = {letter: lower.rfind(text.lower()) for letter, text in options}
        if max(places.values(), default=-1) >= 0:
            return max(places, key=lambda letter: places[letter])
    return None


@lru_cache(maxsize=1 << 14)
def open_right(response: str, golds: tuple[str, ...]) -> bool:
    """The official verdict on an open answer: a text of the gold inside what was said, or the same number."""
    wanted = [value for gold in golds for value in _values(gold)]
    for said in parse_open(response):
        if isinstance(said, str) and any(isinstance(value, str) and value in said for value in wanted):
            return True
        if isinstance(said, float) and said in wanted:
            return True
    return False


def parse_open(response: str) -> list[Value]:
    """Everything that the official scorer takes an open answer to say: what follows words like "is" and "answer" on
    every line (or all of it without any), with the numbers in it, to two decimals.
    """
    response = response.strip().strip(".").lower()
    said = key_parts(response.split("\n"), _SIGNS) or [response]
    numbers = [number for part in said for rule in (_COMMAS, _SCIENTIFIC, _SIMPLE) for number in rule.findall(part)]
    return list(dict.fromkeys(value for text in said + numbers for value in _values(text)))


def key_parts(lines: Sequence[str], signs: Sequence[str], last: Sequence[str] = ("=",)) -> list[str]:
    """The shortest rest of each line behind one of the signs, in the last line also behind `last`; none that is a mark."""
    found = []
    for number, line in enumerate(lines, 1):
        shortest = ""
        for sign in (*signs, *(last if number == len(lines) else ())):
            tail = line.rpartition(sign)[2].strip()
            if sign in line and (not shortest or len(tail) < len(shortest)):
                shortest = tail
        if shortest and shortest not in (":", ",", ".", "!", "?", ";", "'"):
            found.append(shortest)
    return found


def _values(text: str) -> list[Value]:
    text = text.strip()
    try:
        return [round(float(text.replace(",", "")), 2)]
    except ValueError:
        text = text.lower()
        return [f" {text}", f"{text} "] if len(text) == 1 else [text]  # a lone letter is in every word


@lru_cache(maxsize=1 << 14)
def strict_open(response: str, golds: tuple[str, ...]) -> bool | None:
    """A strict verdict on an open answer in Chinese or English; None where it says nothing.

    Numbers compare as officially, texts as whole words that are not denied ("ion" is not in "option"), on what is stated as
    the answer where something is, with Chinese set apart from numbers. Thoughts do not count, nor does an answer that voices
    doubt.
    """
    text = normalise(without_thoughts(response).replace("\n", " ; ")).replace(" ; ", "\n")
    if not re.search(r"\w", text) or voices_doubt(text):
        return None
    stated = list(_STATED.finditer(text))
    if stated:
        text = text[stated[-1].end() :].split("\n")[0]
    said = parse_open(_BESIDE_HAN.sub(" ", text).rstrip("。"))
    wanted = {number: plain(gold) for number, gold in enumerate(golds) if isinstance(_values(gold)[0], str)}
    numbers = {value for gold in golds for value in _values(gold) if isinstance(value, float)}
    words = [value for value in said if isinstance(value, str)]
    return not numbers.isdisjoint(said) or any(
        named_in(text, {key: gold}) for text in words for key, gold in wanted.items()
    )


# --- scores -------------------------------------------------------------------------------------------------------------


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
    rows = [(answer.question.fields, one) for answer, one in zip(answers, right)]
    return {
        **tally(right),
        "multi_choice": tally([one for of, one in rows if of["options"]]),
        "open": tally([one for of, one in rows if not of["options"]]),
        "subjects": tallies((of["subject"], one) for of, one in rows),
        "domains": tallies((of["domain"], one) for of, one in rows),
    }


BENCHMARK = declared(
    "mmmu",
    load=load,
    read=read,
    score=score,
    right=official,
    strict=strict,
    part=lambda question: question.id.split("_")[0],
)
