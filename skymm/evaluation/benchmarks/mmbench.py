"""MMBench, MMBench-CN and CCBench: options asked in every rotation, right only if right in each of them.

Liu et al., arXiv 2307.06281; the rule is that of VLMEvalKit in its mode `exact matching`, without a GPT: an answer in
which it finds no letter is wrong. CCBench has the same table without rotations, so `vanilla` is its number.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from skymm.evaluation.benchmark import Answer, Answers, Files, Question, declared, grouped, of_split, scored_twice
from skymm.evaluation.reading.letters import official_mmbench, option_letter
from skymm.evaluation.reading.rows import (
    Row,
    number_of,
    option_lines,
    options_of,
    pictured_rows,
    read_answers,
    read_by_id,
    tables_below,
    texts_of,
    together,
)
from skymm.recipe import EvalRecipe
from skymm.text import language_of

ROTATION = 10**6  # the k-th rotation of question i has index i + k * ROTATION
CCBENCH = frozenset(
    ("sketch_reasoning", "scenery_building", "food_clothes", "historical_figure", "traditional_show", "cultural_relic")
) | {"calligraphy_painting"}
INSTRUCTIONS = {
    "en": "Answer with the option's letter from the given choices directly.",
    "zh": "请直接回答选项字母。",
}


def load(recipe: EvalRecipe) -> list[Question]:
    """The questions of a TSV, the rotations of each next to it. `split` is a split of the table: dev, test.

    The instruction is Chinese where most questions are. Raises ValueError naming the row and what is missing.
    """
    questions = []
    for path in tables_below(recipe.root, ".tsv"):
        rows = list(pictured_rows(path, "index", "question", "image"))
        languages = [language_of(str(row["question"])) for row, *_ in rows]
        instruction = INSTRUCTIONS[max(("en", "zh"), key=languages.count)]
        questions += [_question(row, where, instruction, picture) for row, where, picture in rows]
    return together(of_split(questions, recipe, "split"))


def _question(row: Row, where: str, instruction: str = "", *images: bytes) -> Question:
    index, options, texts = number_of(row, where), options_of(row), texts_of(row, "answer", "hint")
    if len(options) < 2:
        raise ValueError(f"{where}: found options {options}, expected columns A, B, ... with at least two")
    group = number_of({"index": row["g_index"]}, where) if "g_index" in row else index % ROTATION
    text = "\n".join(filter(None, [texts["hint"], str(row.get("question", "")), option_lines(options), instruction]))
    fields = {**texts_of(row, "category", "l2_category", "split"), "index": index, "options": options}
    return Question(str(index), text, texts["answer"].strip(), str(group), images, tuple(options), fields)


def read(paths: Sequence[Path], files: Files) -> Answers:
    """Tables of VLMEvalKit (xlsx as for the server) and other kits with index (LLaVA: question_id) and what was said. Right
    answers and options may come from `files["labels"]`, the TSV of the questions.

    Without labels as many rotations are expected of a question as it has options, in CCBench one.
    """
    given = read_answers(paths, files)
    rounds = next((one for one in given if one.key("round_id") not in ("", "0")), None)
    if rounds:
        raise ValueError(
            f"{rounds.where}: found round {rounds.key('round_id')}, expected rotations as rows of the table"
        )
    answers = read_by_id(paths, files, _question)
    if "labels" not in files:
        questions = (answer.question for answer in answers)
        answers.expected = sum({question.cluster: rotations(question) for question in questions}.values())
    return answers


def rotations(question: Question) -> int:
    """How often a question is asked in the release: in every rotation of its options, those of CCBench once."""
    return 1 if question.fields["category"] in CCBENCH else len(question.fields["options"])


def official(answer: Answer) -> str:
    return official_mmbench(answer.response, answer.question.fields["options"]) or "Z"


def strict(answer: Answer) -> str:
    return option_letter(answer.response, answer.question.fields["options"])


def right(answer: Answer) -> bool | None:
    return official(answer) == answer.question.gold if answer.question.gold else None


def score(answers: Sequence[Answer], files: Files) -> dict[str, Any]:
    """`circular`: share of the groups asked in every rotation (`complete`) that are right in each, None where there is none;
    `vanilla`: share of questions right as they stand (index below 10^6); `groups`: how many groups. The same for every
    name in `categories` (the finer ones) and `abilities` (l2-category).

    Raises ValueError for questions without a right answer: those of the test split are on the authors' server.
    """
    hidden = [answer.question.id for answer in answers if not answer.question.gold]
    if hidden:
        raise ValueError(
            f"{len(hidden)} questions ({hidden[0]} first) have no right answer in their table, expected one for each; "
            "score the dev split, submit the test split to the server, or give the answers with --labels"
        )
    return scored_twice(answers, _count, official, strict)


def _count(answers: Sequence[Answer], said: Sequence[str]) -> dict[str, Any]:
    right = zip(answers, said)
    groups = list(grouped((one.question.cluster, (one, said == one.question.gold)) for one, said in right).values())
    return {**_shares(groups), "categories": _by(groups, "category"), "abilities": _by(groups, "l2_category")}


Groups = Sequence[Sequence[tuple[Answer, bool]]]


def _by(groups: Groups, field: str) -> dict[str, dict[str, Any]]:
    """A group belongs where its first rotation does."""
    firsts = [min((answer.question for answer, _ in group), key=lambda one: one.fields["index"]) for group in groups]
    found = grouped((first.fields[field], group) for first, group in zip(firsts, groups))
    return {name: _shares(found[name]) for name in sorted(found) if name}


def _shares(groups: Groups) -> dict[str, Any]:
    plain = [right for group in groups for answer, right in group if answer.question.fields["index"] < ROTATION]
    whole = [group for group in groups if len(group) >= rotations(group[0][0].question)]
    return {
        "circular": sum(all(right for _, right in group) for group in whole) / len(whole) if whole else None,
        "vanilla": sum(plain) / len(plain) if plain else None,
        "groups": len(groups),
        "complete": len(whole),
    }


BENCHMARK = declared("mmbench", load=load, read=read, score=score, right=right, strict=strict)
