"""MMVP and MMVP-VLM: pairs of pictures that look alike to CLIP, asked about to a model, and matched with texts by a tower.

Tong et al., arXiv 2401.06209. MMVP: one question about both pictures of a pair, right only where both answers are. The
published numbers had GPT-4 grade every answer. Here a rule does: `official_letter` reads the option's letter; the strict
reading knows the options' words too, in Chinese and English, which comes closer to what a grader accepts. The paper also
counts by visual pattern, but no release says which question has which: only sheets with a column Pattern are counted so.

MMVP-VLM (scripts/evaluate_vlm.py): which of two pictures does a text describe? Nine visual patterns. It judges a tower: a
text's probability is a softmax over the similarities to both pictures, and a pair is right where both of its texts find
their picture.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

from skymm.evaluation.benchmark import (
    Answer,
    Answers,
    Files,
    Question,
    declared,
    find_image,
    grouped,
    once_each,
    picture_folder,
)
from skymm.evaluation.reading.letters import option_letter
from skymm.evaluation.reading.rows import Row, read_answers, tables_below, with_own_labels
from skymm.recipe import EvalRecipe
from skymm.tables import column, read_rows

_OPTION = re.compile(r"\(([a-z])\)\s*(.*?)\s*(?=\([a-z]\)|$)", re.S)
_BRACKETED = re.compile(r"\(\s*([a-z])\s*\)")
_LEADING = re.compile(r"([a-z])(?:\s*$|\s*[.:),])")
_FOLDERS = ("MMVP Images", "MMVP Imgaes")  # the second is how the official script spells it
_TOWER_FOLDERS = ("MLLM_VLM Images", "MLLM_VLM_Images", "MMVP_VLM_Images", "MMVP_VLM Images")

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


def _table(recipe: EvalRecipe, folders: Sequence[str]) -> tuple[Path, Sequence[dict[str, Any]], Path]:
    """Questions.csv, its rows, of which two are a pair, and the directory of the pictures."""
    table = tables_below(recipe.root, "Questions.csv")[0]
    rows = read_rows(table)
    if len(rows) % 2:
        raise ValueError(f"{table}: found {len(rows)} rows, expected two for each pair")
    return table, rows, picture_folder(recipe, *(table.parent / name for name in folders))


def _scored_pairs(answers: Sequence[Answer], said: Sequence[str]) -> dict[tuple[str, str], list[bool]]:
    """(pattern, pair) -> which of its answers are right."""
    questions = [answer.question for answer in answers]
    return grouped(((of.fields.get("pattern", ""), of.cluster), one == of.gold) for of, one in zip(questions, said))


# --- MMVP ---------------------------------------------------------------------------------------------------------------


def load(recipe: EvalRecipe) -> list[Question]:
    """The rows of Questions.csv (Index, Question, Options, Correct Answer): INDEX.jpg is the picture, two and two are a pair.

    In the release the n-th row has index n; a sheet of one's own may lack pairs, and name a Pattern. Raises ValueError for
    rows that are no pairs or name two patterns, an answer that is no option, and pictures that are not there.
    """
    table, rows, directory = _table(recipe, _FOLDERS)
    questions = []
    for place, row in enumerate(rows, 1):
        where = f"{table}, row {place}"
        index = str(column({"Index": place} | row, where, "lndex", "Index")).strip()  # the release has an l
        if not index.isdigit():
            raise ValueError(f"{where}: the index is {index!r}, expected the number of a picture")
        number = int(index)
        if number % 2 != place % 2 or (place % 2 == 0 and questions[-1].id != str(number - 1)):
            raise ValueError(f"{where} is about picture {number}; two and two rows are a pair, an odd one and the next")
        text = f"{str(column(row, where, 'Question')).strip()} {str(column(row, where, 'Options')).strip()}"
        image = find_image(directory, f"{number}.jpg", "MMVP")
        question = _question(number, text, str(column(row, where, "Correct Answer")), where, image)
        if named := str(row.get("Pattern") or "").strip():
            question.fields["pattern"] = _pattern(named)
        if place % 2 == 0 and (one := questions[-1].fields.get("pattern")) != question.fields.get("pattern"):
            raise ValueError(
                f"{where}: the pattern is {named!r}, that of the row before {one!r}; a pair has one pattern"
            )
        questions.append(question)
    return questions


def _question(number: int, text: str, gold: str, where: str, *images: Path) -> Question:
    options = dict(_OPTION.findall(text))
    letter = gold.strip().lower().strip("()")
    if letter not in options:
        raise ValueError(f"{where}: the answer is {gold!r}, the options are {options}; expected one of them")
    pair = str((number + 1) // 2)
    return Question(str(number), text, letter, pair, images, tuple(options), {"options": options})


def read(paths: Sequence[Path], files: Files) -> Answers:
    """The JSON lines of the official script: question_id, prompt, answer (the right one) and response."""
    given = read_answers(paths, files)
    questions = []
    for one in given:
        if not one.key("id").isdigit():
            raise ValueError(f"{one.where}: question_id is {one.key('id')!r}, expected the number of a picture")
        text, gold = (str(column(dict(one.row), one.where, *names)) for names in (("prompt", "question"), ("answer",)))
        questions.append(_question(int(one.key("id")), text, gold, one.where))
    answers = with_own_labels(given, questions, files)
    return Answers(sorted(answers, key=lambda answer: int(answer.question.id)))


@lru_cache(maxsize=1 << 14)
def official_letter(response: str) -> str | None:
    """The option's letter in either case: the only one that stands in brackets, else one that leads ("b", "b.", "b) ...").

    None for anything else, "a cat" among it.
    """
    response = response.strip().lower()
    bracketed = set(_BRACKETED.findall(response))
    if bracketed:
        return bracketed.pop() if len(bracketed) == 1 else None
    leading = _LEADING.match(response)
    return leading[1] if leading else None


def count(answers: Sequence[Answer], said: Sequence[str]) -> dict[str, Any]:
    """`pair_acc`: share of pairs with both answers right (random: 0.25); `acc`: share of right answers; `num_pairs`; where
    patterns are known, `patterns`: `pair_acc` of each.
    """
    pairs = _scored_pairs(answers, said)
    # Half a pair, in a run that was cut off, is none.
    both = {place: all(pair) for place, pair in pairs.items() if len(pair) == 2}
    patterns = _shares({(pattern, pair): right for (pattern, pair), right in both.items() if pattern})
    return {
        "pair_acc": sum(both.values()) / max(1, len(both)),
        "acc": sum(map(sum, pairs.values())) / max(1, len(answers)),
        "num_pairs": len(both),
    } | ({"patterns": patterns} if patterns else {})


def _shares(pairs: Mapping[tuple[str, str], bool]) -> dict[str, float]:
    """Of (pattern, pair) -> whether it is right: the share of right ones by pattern, in the paper's order."""
    found = grouped((pattern, right) for (pattern, _), right in pairs.items())
    return {name: sum(found[name]) / len(found[name]) for name in dict.fromkeys([*PATTERNS, *found]) if name in found}


BENCHMARK = declared(
    "mmvp",
    load=load,
    read=read,
    official=lambda answer: official_letter(answer.response) or "other",
    strict=lambda answer: option_letter(answer.response, answer.question.fields["options"]),
    count=count,
)


# --- MMVP-VLM -----------------------------------------------------------------------------------------------------------


def load_texts(recipe: EvalRecipe) -> list[Question]:
    """One question for every text, about both pictures of its pair.

    Questions.csv has Question ID, Type and Statement; two and two rows are a pair, an odd ID its first. The pictures are
    'MLLM_VLM Images/TYPE/ID.jpg'. Raises ValueError naming the row and what is wrong with it.
    """
    table, rows, directory = _table(recipe, _TOWER_FOLDERS)
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
            text, fields = f"a photo of {statement}", {"pattern": _pattern(kind)}
            questions.append(Question(str(name), text, gold, str((name + 1) // 2), images, CHOICES, fields))
    return questions


def _row(row: Row, where: str) -> tuple[int, str, str]:
    """(ID, type, statement): the first three columns, whatever the header calls them, as for the official script."""
    name, kind, statement, *_ = (*(str(cell).strip() for cell in row.values()), "", "", "")
    if not name.isdigit():
        raise ValueError(f"{where}: the ID is {name!r}, expected the number of a picture")
    if not kind or not statement:
        raise ValueError(f"{where}: found {list(row)}, expected Question ID, Type and Statement")
    return int(name), kind, statement


def _pattern(kind: str) -> str:
    """The paper's name of a type; the type itself where it is none of the release's."""
    plain = kind.lower().replace("_", " ")
    return next((name for name, word in PATTERNS.items() if plain == name.lower() or plain.startswith(word)), kind)


def read_choices(paths: Sequence[Path], files: Files) -> list[Answer]:
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


def count_patterns(answers: Sequence[Answer], said: Sequence[str]) -> dict[str, Any]:
    """`patterns`: share of pairs right for each pattern (k/15 of the whole release); `average`: their mean."""
    pairs = _scored_pairs(answers, said)
    patterns = _shares({place: len(pair) == 2 and all(pair) for place, pair in pairs.items()})
    return {"average": sum(patterns.values()) / max(1, len(patterns)), "patterns": patterns}


TOWERS = declared("mmvp_vlm", load=load_texts, read=read_choices, official=chosen, strict=chosen, count=count_patterns)
