"""HallusionBench: figures and their edited twins, asked the same questions; who answers from memory is caught.

Guan et al., arXiv 2310.14566; the rules are those of the official scorer (utils.py), whose answers are judged by GPT:
1 correct, 0 incorrect, 2 unclear. Where a file holds such verdicts they are used. Else the answer is read by rule: its
first word is yes or no, anything else is unclear. Unclear is right about a visual-supplement question without its figure.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any

from skymm.evaluation.benchmark import (
    YES_NO,
    Answer,
    Answers,
    Files,
    Question,
    declared,
    find_image,
    grouped,
    of_split,
    once_each,
    picture_folder,
    scored_twice,
)
from skymm.evaluation.reading.rows import ENDINGS, Given, given_of, join, refuse_labels, rows_of, tables_below
from skymm.recipe import EvalRecipe
from skymm.tables import column, read_rows
from skymm.verdict import yes_no

TABLE = "HallusionBench.json"
_KEYS = ("category", "subcategory", "set_id", "figure_id", "question_id", "visual_input")
_GOLD = {"1": "yes", "0": "no", "yes": "yes", "no": "no"}
_FIRST_WORD = re.compile(r"\W*(yes|no)\b", re.I)

Row = Mapping[str, Any]


def load(recipe: EvalRecipe) -> list[Question]:
    """The questions of HallusionBench.json, in root or named by it; pictures lie as its `filename` says, in `images`, in
    root or in root/hallusion_bench. A question without filename is asked without picture. `split` is VD or VS.
    """
    root = Path(recipe.root)
    table = root / TABLE if root.is_dir() else root
    pictures = picture_folder(recipe, table.parent / "hallusion_bench", table.parent)
    return of_split([_question(row, str(table), pictures) for row in read_rows(table)], recipe, "category")


def _question(row: Row, where: str, pictures: Path | None = None) -> Question:
    fields = {key: str(column(dict(row), where, key)) for key in _KEYS}
    name = "_".join(fields[key] for key in _KEYS[:5])
    gold = _GOLD.get(str(row.get("gt_answer")).strip().lower())
    if gold is None:
        raise ValueError(
            f"{where}: {name} has gt_answer {row.get('gt_answer')!r}, expected 0 or 1; give --labels {TABLE}"
        )
    # Twin figures and the question without figure are one cluster: the scores compare across them.
    cluster = "/".join(fields[key] for key in _KEYS[:3])
    images: tuple[Path, ...] = ()
    if pictures is not None and row.get("filename"):
        file = re.sub(r"^(?:\./)?(?:hallusion_bench/)?", "", str(row["filename"]))
        images = (find_image(pictures, file, "hallusionbench"),)
    return Question(name, str(column(dict(row), where, "question")), gold, cluster, images, YES_NO, fields)


def read(paths: Sequence[Path], files: Files) -> Answers:
    """Official result files: the rows of HallusionBench.json with `model_prediction` (or a field ending in _output), and
    the judge's verdict in a field ending in gpt_check where it was asked; or those of a kit, VLMEvalKit's with all six
    names in the index. `labels` is HallusionBench.json, where the rows hold no right answer. Raises ValueError.
    """
    given = []
    for file in (file for path in paths for file in tables_below(path, *ENDINGS)):
        rows = rows_of(file)
        judged = any(name.endswith("gpt_check") for row in rows for name in row)
        given += [replace(one, row=_named(one.row)) for one in given_of(file, rows, files, needed=not judged)]
    if "labels" in files:
        asked = [(_named(row), _question(row, str(files["labels"]))) for row in read_rows(files["labels"])]
        return join(given, asked, [("name",)], files["labels"], files, _judged)
    questions = [_question({**one.row, "gt_answer": one.gold}, one.where) for one in given]
    answers = [_judged(one, question) for one, question in zip(given, questions)]
    if given and not any("verdict" in answer.question.fields for answer in answers):
        refuse_labels(answers, str(paths[0]), given[0].column, files)
    return Answers(once_each(answers, str(paths[0])))


def _named(row: Row) -> Row:
    """A row with its name; VLMEvalKit has all that it is made of in the index: VD_figure_1_0_2_0."""
    parts = str(row.get("index") or "").split("_")
    if "set_id" not in row and len(parts) == 6:
        names = ("category", "subcategory", "visual_input", "set_id", "figure_id", "question_id")
        row = {**row, **dict(zip(names, parts))}
    return {**row, "name": "_".join(str(row.get(key)) for key in _KEYS[:5])}


def _judged(one: Given, question: Question) -> Answer:
    checks = [name for name in one.row if name.endswith("gpt_check")]
    if len(checks) > 1:
        raise ValueError(f"{one.where}: found verdicts {checks}, expected one ..._gpt_check")
    if not checks:
        return Answer(question, one.said)
    verdict = str(one.row[checks[0]]).strip()
    if verdict not in ("0", "1", "2"):
        raise ValueError(f"{one.where}: the verdict is {verdict!r}, expected 0 (incorrect), 1 (correct) or 2 (unclear)")
    return Answer(replace(question, fields={**question.fields, "verdict": verdict}), one.said)


@lru_cache(maxsize=1 << 16)
def parse(response: str) -> str:
    """ "yes", "no" or "unknown": the first word, or the official numbers 1, 0 and 2."""
    bare = response.strip()
    if bare in ("0", "1", "2"):
        return _GOLD.get(bare, "unknown")
    match = _FIRST_WORD.match(bare)
    return match[1].lower() if match else "unknown"


def strict(answer: Answer) -> str:
    bare = answer.response.strip()
    return parse(bare) if bare in ("0", "1", "2") else yes_no(answer.response, answer.question.text)


def official(answer: Answer) -> str:
    """ "yes", "no" or "unknown", as the judge's verdict has it; by the rule where no judge was asked."""
    gold = answer.question.gold
    judged = {"1": gold, "0": "no" if gold == "yes" else "yes", "2": "unknown"}
    verdict = answer.question.fields.get("verdict")
    return judged[verdict] if verdict else parse(answer.response)


def _right(question: Question, said: str) -> bool:
    """Unclear is right about a visual-supplement question without its figure."""
    return said == question.gold or (said == "unknown" and _without_figure(question))


def _without_figure(question: Question) -> bool:
    return question.fields["category"] == "VS" and question.fields["figure_id"] == "0"


def score(answers: Sequence[Answer], files: Files) -> dict[str, Any]:
    """`a_acc`: of all questions; `q_acc`: questions right about every figure of their set (and without); `f_acc`: figures
    with all questions right; `easy` and `hard`: the same as q_acc, of questions about originals or no figure, and about
    edited ones. Of the figures: `figure_score`, the mean share of right answers; `figures_wrong`, `figures_inconsistent`:
    with none, and with some right. `yes_diff`: share of yes answered less share of yes in truth; `yes_fp`: share of the
    wrong answers where no is true, None where nothing is wrong. `categories` has the same of VD and VS.

    `yes_diff` follows the official rule, by which a wrong answer is the opposite of the truth: an unclear one too.
    `strict` reads the answers themselves, in Chinese too, whatever a judge said; `unknown` is the share of unclear ones.
    """
    judged = sum("verdict" in answer.question.fields for answer in answers)
    all_judged = judged == len(answers) > 0
    return {
        **scored_twice(answers, _score, official, strict),
        "unclear": sum(official(answer) == "unknown" for answer in answers) / max(1, len(answers)),
        "judged": judged,
        "note": "verdicts of a judge" if all_judged else "read by rule where no judge was asked",
    }


def _score(answers: Sequence[Answer], said: Sequence[str]) -> dict[str, Any]:
    rows = [(answer.question, _right(answer.question, one)) for answer, one in zip(answers, said)]
    categories = sorted({question.fields["category"] for question, _ in rows})
    return {
        **_rates(rows),
        "categories": {name: _rates([row for row in rows if row[0].fields["category"] == name]) for name in categories},
    }


def _rates(rows: Sequence[tuple[Question, bool]]) -> dict[str, Any]:
    def groups(field: str, chosen: Callable[[Question], bool]) -> list[list[bool]]:
        return list(grouped(((one.cluster, one.fields[field]), right) for one, right in rows if chosen(one)).values())

    def pairs(*inputs: str) -> list[list[bool]]:
        return groups("question_id", lambda question: question.fields["visual_input"] in inputs)

    figures = groups("figure_id", lambda question: not _without_figure(question))
    wrong = [question for question, right in rows if not right]
    # The official rule: right where yes is true, or wrong where no is.
    said_yes = sum(right == (question.gold == "yes") for question, right in rows)
    true_yes = sum(question.gold == "yes" for question, _ in rows)
    return {
        "a_acc": _share(right for _, right in rows),
        "q_acc": _share(map(all, pairs("0", "1", "2"))),
        "f_acc": _share(map(all, figures)),
        "easy": _share(map(all, pairs("0", "1"))),
        "hard": _share(map(all, pairs("2"))),
        "figure_score": sum(sum(group) / len(group) for group in figures) / max(1, len(figures)),
        "figures_wrong": sum(not any(group) for group in figures),
        "figures_inconsistent": sum(any(group) and not all(group) for group in figures),
        "yes_diff": said_yes / max(1, len(rows)) - true_yes / max(1, len(rows)),
        "yes_fp": _share(question.gold == "no" for question in wrong) if wrong else None,
        "num_questions": len(rows),
        "num_pairs": len(pairs("0", "1", "2")),
        "num_figures": len(figures),
    }


def _share(values: Iterable[bool]) -> float:
    values = list(values)
    return sum(values) / max(1, len(values))


BENCHMARK = declared(
    "hallusionbench",
    load=load,
    read=read,
    score=score,
    right=lambda answer: _right(answer.question, official(answer)),
    strict=strict,
)
