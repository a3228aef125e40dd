"""MMStar: 1500 questions that cannot be answered without looking, six capabilities in three axes each.

Chen et al., arXiv 2403.20330; the rule is that of the official scorer (eval/vlmeval/evaluate/mmstar.py), which looks at
one character: "Apple" chooses A, "The answer is (A)" nothing. Multimodal gain and leakage come from running it with
images, without, and with the base LLM.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from skymm.evaluation.benchmark import Answer, Question, declared, of_split
from skymm.evaluation.reading.letters import option_letter
from skymm.evaluation.reading.rows import (
    Row,
    digest,
    number_of,
    option_lines,
    options_in,
    options_of,
    pictured_rows,
    read_by_id,
    tables_below,
    tallies,
    tally,
    texts_of,
    together,
)
from skymm.recipe import EvalRecipe
from skymm.tables import column

INSTRUCTION = "Answer with the option's letter from the given choices directly."
_LETTERS = ("A", "B", "C", "D")


def load(recipe: EvalRecipe) -> list[Question]:
    """The questions of the TSV (options in columns A to D) or of the parquet files (options inside the question).

    `split` chooses a capability. Raises ValueError naming the row and what is missing.
    """
    paths = tables_below(recipe.root, ".tsv", ".parquet")
    questions = [_question(*row) for path in paths for row in pictured_rows(path, "index")]
    return together(of_split(questions, recipe, "category"))


def _question(row: Row, where: str, *images: bytes) -> Question:
    index = str(number_of(row, where))
    asked = str(row.get("question", "")).strip()
    in_columns = options_of(row)
    gold = str(column(dict(row), where, "answer")).strip().upper()
    options = in_columns or options_in(asked)
    if gold not in options:
        options = {}  # not written as options usually are: letters alone
    choices = tuple(options or _LETTERS)
    if gold not in choices:
        raise ValueError(f"{where}: the answer is {gold!r}, expected one of {', '.join(in_columns or _LETTERS)}")
    fields = texts_of(row, "category", "l2_category", "bench")
    if isinstance(row.get("meta_info"), Mapping):
        fields["bench"] = fields["bench"] or str(row["meta_info"].get("source", ""))
    text = "\n".join(filter(None, [asked, option_lines(in_columns), INSTRUCTION]))
    cluster = digest(images[0]) if images else index
    return Question(index, text, gold, cluster, images, choices, {**fields, "options": options})


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


def count(answers: Sequence[Answer], said: Sequence[str]) -> dict[str, Any]:
    """`correct`, `total`, `accuracy`; the same of `capabilities` and `axes` ("math(geometry)").

    The official scorer divides by 1500 and 250 whatever the file holds; here by what it holds, the same for a whole file.
    """
    rows = [(answer.question.fields, answer.question.gold == one) for answer, one in zip(answers, said)]
    axes = [(f"{of['category']}({of['l2_category']})" if of["l2_category"] else "", right) for of, right in rows]
    return {
        **tally([right for _, right in rows]),
        "capabilities": tallies((of["category"], right) for of, right in rows),
        "axes": tallies(axes),
    }


BENCHMARK = declared(
    "mmstar",
    load=load,
    # Result tables of VLMEvalKit and other kits: index, prediction; answer and category there or in the labels.
    read=lambda paths, files: read_by_id(paths, files, _question),
    official=official,
    strict=strict,
    count=count,
)
