"""MMVP-VLM: which of two pictures does a text describe? Nine visual patterns that CLIP-like towers are blind to.

Tong et al., arXiv 2401.06209 (scripts/evaluate_vlm.py). It judges a tower, not a model that answers: a text's probability
is a softmax over the similarities to both pictures, and a pair is right where both of its texts find their picture.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from skymm.evaluation.benchmark import (
    Answer,
    Benchmark,
    Files,
    Metric,
    Question,
    find_image,
    first_folder,
    once_each,
    scored_twice,
)
from skymm.evaluation.reading.rows import tables_below
from skymm.recipe import EvalRecipe
from skymm.tables import column, read_rows

# The paper's names in the order of its tables and of the official script, with the release's own word for each.
PATTERNS = {
    "Orientation and Direction": "orientation",
    "Presence of Specific Features": "presence",
    "State and Condition": "state",
    "Quantity and Count": "quantity",
    "Positional and Relational Context": "spatial",
    "Color and Appearance": "color",
    "Structural and Physical Characteristics": "structural character",
    "Text": "text",
    "Viewpoint and Perspective": "camera perspective",
}
PAIRS = 15  # of each pattern
CHOICES = ("first", "second")
_FOLDERS = ("MLLM_VLM Images", "MLLM_VLM_Images", "MMVP_VLM_Images", "MMVP_VLM Images")


def load(recipe: EvalRecipe) -> list[Question]:
    """One question for every text, about both pictures of its pair.

    Questions.csv has Question ID, Type and Statement; two and two rows are a pair, an odd ID its first. The pictures are
    'MLLM_VLM Images/TYPE/ID.jpg'. Raises ValueError naming the row and what is wrong with it.
    """
    table = tables_below(recipe.root, "Questions.csv")[0]
    directory = Path(recipe.images) if recipe.images else first_folder(table.parent, _FOLDERS)
    rows = read_rows(table)
    if len(rows) % 2:
        raise ValueError(f"{table}: found {len(rows)} rows, expected two for each pair")
    questions = []
    for number in range(0, len(rows), 2):
        pair = [_row(row, f"{table}, row {number + place}") for place, row in enumerate(rows[number : number + 2], 1)]
        (first, kind, _), (second, _, _) = pair
        if first % 2 == 0 or second != first + 1:
            raise ValueError(
                f"{table}, row {number + 1}: found IDs {first} and {second}, expected an odd one and the next"
            )
        folder = directory / kind if (directory / kind).is_dir() else directory / kind.replace(" ", "_")
        images = tuple(find_image(folder, f"{name}.jpg", "MMVP-VLM") for name in (first, second))
        for gold, (name, _, statement) in zip(CHOICES, pair):
            fields = {"pattern": _pattern(kind)}
            questions.append(
                Question(str(name), f"a photo of {statement}", gold, str((name + 1) // 2), images, CHOICES, fields)
            )
    return questions


def _row(row: dict[str, Any], where: str) -> tuple[int, str, str]:
    """(ID, type, statement), whatever the header calls them: the official script takes the first three columns."""
    name = str(column(row, where, "Question ID", "Question_ID", "question_id", "Index", "lndex", "ID", "id")).strip()
    if not name.isdigit():
        raise ValueError(f"{where}: the ID is {name!r}, expected the number of a picture")
    kind = column(row, where, "Type", "type", "Pattern", "pattern", "Category", "category")
    statement = column(row, where, "Statement", "statement", "Text", "text", "Caption", "caption")
    return int(name), str(kind).strip(), str(statement).strip()


def _pattern(kind: str) -> str:
    """The paper's name of a type; the type itself where it is none of the release's."""
    plain = kind.lower().replace("_", " ")
    return next((name for name, word in PATTERNS.items() if plain == name.lower() or plain.startswith(word)), kind)


def read(paths: Sequence[Path], files: Files) -> list[Answer]:
    """The official script's output.csv: qid1, qid2, pred1, pred2 ("img1", "img2") for every pair, patterns by position."""
    answers = []
    for path in (file for one in paths for file in tables_below(one, ".csv")):
        for place, row in enumerate(read_rows(path)):
            where, pattern = f"{path}, row {place + 1}", list(PATTERNS)[min(place // PAIRS, len(PATTERNS) - 1)]
            for gold, side in zip(CHOICES, "12"):
                said = {"img1": "first", "img2": "second"}.get(column(row, where, f"pred{side}"), "")
                name = str(column(row, where, f"qid{side}"))
                question = Question(name, "", gold, f"{place + 1}", (), CHOICES, {"pattern": pattern})
                answers.append(Answer(question, said))
    return once_each(answers, str(paths[0]))


def chosen(answer: Answer) -> str:
    """ "first" or "second": the likelier one, the second where both are alike (official); else what stands there."""
    if answer.logits and set(CHOICES) <= set(answer.logits):
        return CHOICES[0] if answer.logits["first"] > answer.logits["second"] else CHOICES[1]
    said = answer.response.strip().lower()
    return said if said in CHOICES else "unknown"


def score(answers: Sequence[Answer], files: Files) -> dict[str, Any]:
    """`patterns`: share of pairs right for each pattern (k/15 of the whole release); `average`: their mean.

    `strict` is the same, since nothing is parsed; its `unknown` are answers that choose no picture.
    """
    return scored_twice(answers, _score, chosen, chosen)


def _score(answers: Sequence[Answer], said: Sequence[str]) -> dict[str, Any]:
    pairs: dict[tuple[str, str], list[bool]] = {}
    for answer, choice in zip(answers, said):
        key = (answer.question.fields["pattern"], answer.question.cluster)
        pairs.setdefault(key, []).append(choice == answer.question.gold)
    found: dict[str, list[bool]] = {}
    for (pattern, _), pair in pairs.items():
        found.setdefault(pattern, []).append(len(pair) == 2 and all(pair))
    order = [name for name in dict.fromkeys([*PATTERNS, *found]) if name in found]
    patterns = {name: sum(found[name]) / len(found[name]) for name in order}
    return {"average": sum(patterns.values()) / max(1, len(patterns)), "patterns": patterns}


BENCHMARK = Benchmark(
    name="mmvp_vlm",
    title="MMVP-VLM: pairs that a CLIP-like tower confuses, nine visual patterns",
    size="135 pairs, 270 texts",
    licence="MIT",
    download="huggingface.co/datasets/MMVP/MMVP_VLM",
    layout="Questions.csv and 'MLLM_VLM Images/TYPE/ID.jpg'",
    load=load,
    score=score,
    read=read,
    metrics=(Metric("average", "pairs right, mean of patterns"),),
    right=lambda answer: chosen(answer) == answer.question.gold,
    strict=chosen,
    tables=("patterns",),
    sizes={"": 270},
    judges="tower",
    strata="pattern",
)
