"""MMStar: 1500 questions that cannot be answered without looking, six capabilities in three axes each.

Chen et al., arXiv 2403.20330; the rule is that of the official scorer (eval/vlmeval/evaluate/mmstar.py), which looks at
one character: "Apple" chooses A, "The answer is (A)" nothing. Multimodal gain and leakage come from running it with
images, without, and with the base LLM.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from skymm.evaluation.benchmark import Answer, Answers, Benchmark, Files, Metric, Question, scored_twice
from skymm.evaluation.reading.letters import option_letter
from skymm.evaluation.reading.rows import (
    Row,
    digest,
    is_empty,
    number_of,
    option_lines,
    options_in,
    options_of,
    pictures_of,
    read_by_id,
    rows_of,
    tables_below,
    tallies,
    together,
    totals,
)
from skymm.recipe import EvalRecipe
from skymm.tables import column

INSTRUCTION = "Answer with the option's letter from the given choices directly."
_LETTERS = ("A", "B", "C", "D")


def load(recipe: EvalRecipe) -> list[Question]:
    """The questions of the TSV (options in columns A to D) or of the parquet files (options inside the question).

    `split` chooses a capability. Raises ValueError naming the row and what is missing.
    """
    questions = []
    for path in tables_below(recipe.root, ".tsv", ".parquet"):
        rows = rows_of(path)
        if not all("index" in row for row in rows):
            raise ValueError(f"{path}: found fields {sorted(rows[0])}, expected index among them")
        for number, (row, picture) in enumerate(zip(rows, pictures_of(rows, str(path))), 1):
            question = _question(row, f"{path}, row {number}", picture)
            if recipe.split in (None, question.fields["category"]):
                questions.append(question)
    if not questions:
        raise ValueError(
            f"{recipe.root}: found no questions of split {recipe.split!r}, expected a capability of MMStar"
        )
    return together(questions)


def _question(row: Row, where: str, *images: bytes) -> Question:
    index = str(number_of(row, where))
    asked = str(row.get("question", "")).strip()
    in_columns = options_of(row)
    gold = str(column(dict(row), where, "answer")).strip().upper()
    options = in_columns or options_in(asked)
    if gold not in options:
        options = {}  # not written as options usually are: letters alone
    if gold not in (options or _LETTERS):
        raise ValueError(f"{where}: the answer is {gold!r}, expected one of {', '.join(in_columns or _LETTERS)}")
    fields = {name: "" if is_empty(row.get(name)) else str(row[name]) for name in ("category", "l2_category", "bench")}
    if isinstance(row.get("meta_info"), Mapping):
        fields["bench"] = fields["bench"] or str(row["meta_info"].get("source", ""))
    text = "\n".join(filter(None, [asked, option_lines(in_columns), INSTRUCTION]))
    choices = tuple(options or _LETTERS)
    cluster = digest(images[0]) if images else index
    return Question(index, text, gold, cluster, images, choices, {**fields, "options": options})


def read(paths: Sequence[Path], files: Files) -> Answers:
    """Result tables of VLMEvalKit and other kits: index, prediction; answer and category too, or from the questions as
    `files["labels"]`.
    """
    return read_by_id(paths, files, _question)


def matches(gold: str, response: str) -> bool:
    """The official rule: the letter is the first character, or the one behind "(", "option " or "the answer is "."""
    gold, response = (text.lower().strip().replace("\n", " ") for text in (gold, response))
    places = [0] + [len(start) for start in ("(", "option ", "the answer is ") if response.startswith(start)]
    return bool(gold) and any(response[place : place + 1] == gold for place in places)


def official(answer: Answer) -> str:
    return answer.question.gold if matches(answer.question.gold, answer.response) else "other"


def strict(answer: Answer) -> str:
    question = answer.question
    return option_letter(answer.response, question.fields["options"] or dict.fromkeys(question.choices, ""))


def score(answers: Sequence[Answer], files: Files) -> dict[str, Any]:
    """`correct`, `total`, `accuracy`; `capabilities` and `axes` ("math(geometry)") with correct, total and acc each.

    The official scorer divides by 1500 and 250 whatever the file holds; here by what it holds, the same for a whole file.
    """
    return scored_twice(answers, _score, official, strict)


def _score(answers: Sequence[Answer], said: Sequence[str]) -> dict[str, Any]:
    rows = [(answer.question.fields, answer.question.gold == one) for answer, one in zip(answers, said)]
    axes = [(f"{of['category']}({of['l2_category']})" if of["l2_category"] else "", right) for of, right in rows]
    return {
        **totals([right for _, right in rows]),
        "capabilities": tallies((of["category"], right) for of, right in rows),
        "axes": tallies(axes),
    }


BENCHMARK = Benchmark(
    name="mmstar",
    title="MMStar: options that only the picture decides between, six capabilities",
    size="1500 questions, each with an image",
    licence="none stated; the questions come from six other benchmarks",
    download="huggingface.co/datasets/Lin-Chen/MMStar (mmstar.parquet), or MMStar.tsv of VLMEvalKit",
    layout="the parquet or TSV file, or a directory with it",
    load=load,
    score=score,
    read=read,
    metrics=(Metric("accuracy", "accuracy"),),
    right=lambda answer: official(answer) == answer.question.gold,
    strict=strict,
    tables=("capabilities", "axes"),
    sizes={"": 1500},
    strata="category",
)
