"""VLMs are Biased: four stripes on a shoe that is known for three. Is what is seen said, or what is known?

Vo et al., arXiv 2505.23941; rule of lmms-eval (tasks/vlms_are_biased), which the authors name as the official one. Each of 464
pictures is asked about six times, at three sizes and in two wordings: intervals take these six together.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import PurePosixPath
from typing import Any

from skymm.evaluation.benchmark import YES_NO, Answer, Question, declared, grouped
from skymm.evaluation.reading.letters import named_in, plain
from skymm.evaluation.reading.rows import Row, picture_of, read_by_id, rows_of, tables_below, tally, together
from skymm.lexicon import CHINESE_NUMBERS, ENGLISH_NUMBERS
from skymm.recipe import EvalRecipe
from skymm.tables import column, text_of
from skymm.text import normalise
from skymm.thoughts import without_thoughts
from skymm.verdict import yes_no

SPLITS = ("main", "identification", "withtitle", "original", "remove_background_q1q2", "remove_background_q3")
_SIZE = re.compile(r"_(?:px)?(?:384|768|1152)$")
_BRACES = re.compile(r"\{([^{}]*)\}")
_NUMBERS = {"[0-9]+": {}, "[a-z]+": ENGLISH_NUMBERS, "[一二两俩三四五六七八九十]+": CHINESE_NUMBERS}


def load(recipe: EvalRecipe) -> list[Question]:
    """The questions of one split's parquet files (main-*.parquet), pictures inside. Raises ValueError."""
    paths = [path for path in tables_below(recipe.root, ".parquet") if path.name.startswith(f"{recipe.split}-")]
    if not paths:
        raise ValueError(
            f"{recipe.root}: found no files of split {recipe.split!r}, expected one of {', '.join(SPLITS)}"
        )
    questions = []
    for path in paths:
        for number, row in enumerate(rows_of(path), 1):
            where = f"{path}, row {number}"
            questions.append(replace(_question(row, where), images=(picture_of(row.get("image"), where),)))
    return together(questions)


def _question(row: Row, where: str) -> Question:
    known = dict(row)
    name, text, gold = (str(column(known, where, key)) for key in ("id", "prompt", "ground_truth"))
    fields = {"bias": _bare(text_of(row.get("expected_bias"))), "topic": str(column(known, where, "topic"))}
    case = _SIZE.sub("", PurePosixPath(text_of(row.get("image_path")) or name).stem)
    return Question(name, text, _bare(gold), case, (), YES_NO if _bare(gold) in YES_NO else (), fields)


def _bare(text: str) -> str:
    return text.strip().lower().strip("{}").strip()


def official(answer: Answer) -> str:
    """The gold or the bias, where an answer is it without braces, else where all its digits are; or "other"."""
    said, question = _bare(answer.response), answer.question
    wanted = [one for one in (question.gold, question.fields["bias"]) if one]
    digits = [re.sub(r"\D", "", one) for one in (said, *wanted)]
    same = [one for one in wanted if one == said]
    same = same or [one for one, number in zip(wanted, digits[1:]) if number and number == digits[0]]
    return same[0] if same else "other"


def strict(answer: Answer) -> str:
    """What stands in the last braces, else in the answer: yes or no, the only number in it, the gold or the bias."""
    question, text = answer.question, without_thoughts(answer.response)
    text = normalise((_BRACES.findall(text) or [text])[-1]).lower()
    if question.gold in YES_NO:
        return yes_no(text, _BRACES.sub("", question.text))
    if question.gold.isdigit():
        for form, names in _NUMBERS.items():
            found = {str(names.get(one, "") if names else int(one)) for one in re.findall(form, text)} - {""}
            if found:
                return found.pop() if len(found) == 1 else "unknown"
        return "unknown"
    named = named_in(plain(text), {one: one for one in (question.gold, question.fields["bias"]) if one})
    return named.pop() if len(named) == 1 else "other" if re.search(r"\w", text) and not named else "unknown"


def count(answers: Sequence[Answer], said: Sequence[str]) -> dict[str, Any]:
    """`accuracy`, `correct`, `total` and `bias_ratio` (None without an expected bias: of `original`); the same of `topics`."""
    rows = [(answer.question, one) for answer, one in zip(answers, said)]
    topics = grouped((question.fields["topic"], (question, one)) for question, one in rows)
    return {**_rates(rows), "topics": {topic: _rates(topics[topic]) for topic in sorted(topics)}}


def _rates(rows: Sequence[tuple[Question, str]]) -> dict[str, Any]:
    biased = [one == question.fields["bias"] for question, one in rows if question.fields["bias"]]
    ratio = sum(biased) / len(biased) if biased else None
    return {**tally([one == question.gold for question, one in rows]), "bias_ratio": ratio}


BENCHMARK = declared(
    "vlms_are_biased",
    load=load,
    # Rows of the release with a model's words beside them: lmms-eval's samples.
    read=lambda paths, files: read_by_id(paths, files, _question),
    official=official,
    strict=strict,
    count=count,
)
