"""CMMMU: Chinese college exams with pictures, 30 subjects of six categories; options (one or several), blanks, verdicts.

Zhang et al., arXiv 2401.20847; rules of github.com/CMMMU-Benchmark/CMMMU (eval/utils/eval_utils.py) on raw answers: where they
find nothing, it is drawn by lot, from one sequence seeded with 42, category by category. The strict reading draws nothing.
"""

from __future__ import annotations

import random
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from skymm.evaluation.benchmark import Answer, Answers, Files, Question, declared, find_image
from skymm.evaluation.benchmarks.mmmu import key_parts, strict_open
from skymm.evaluation.reading.letters import option_letter
from skymm.evaluation.reading.rows import (
    Row,
    join,
    option_lines,
    picture_of,
    read_answers,
    rows_of,
    tables_below,
    tallies,
    tally,
)
from skymm.recipe import EvalRecipe
from skymm.tables import column, text_of
from skymm.text import normalise
from skymm.thoughts import without_thoughts
from skymm.verdict import yes_no

CHOICE, BLANK, JUDGEMENT = "选择", "填空", "判断"  # the kinds of questions
KINDS = {CHOICE: "options", BLANK: "blanks", JUDGEMENT: "right or wrong"}
CATEGORIES = ("艺术与设计", "商业", "科学", "健康与医学", "人文社会科学", "技术与工程")  # in the official order
SEED = 42
INSTRUCTIONS = {
    CHOICE: "请回答以下多项选择题，并选出正确选项。这些题目可能包括单选和多选题型。"
    "如果所提供的信息不足以确定一个明确的答案，那么请根据可用的数据和你的判断来选择最可能正确的选项。",
    JUDGEMENT: "请回答以下判断题，并根据题目描述和所给的信息来判断问题中陈述的对错。"
    "如果信息不完整或不足以作出绝对判断，请运用你的逻辑推理和现有信息来做出最可能的判断。",
    BLANK: "请回答以下填空题，并根据题目的要求和所提供的信息来给出最恰当的答案。"
    "如果信息不足以确切回答，那么请依据现有的数据和你的推理能力来填写最合理的答案。",
}
_IMAGE = re.compile(r'<img="([^"]+)">')
_STATED = ("是", "为", "所以")
_BLANK_SIGNS = (*_STATED, "等于", "方案", "选择", "正确答案", "因此", "最后", "答案", "结果")
_JUDGEMENT_SIGNS = (*_STATED, "判断", "陈述", "说法", "表达", "答案", "结果")
_RIGHT = ("正确", "对", "准确", "肯定")
# The official "不对" and the like have a word of _RIGHT in them, which is looked for first.
_WRONG = ("不合适", "否定", "错")
_NO_VERDICT = ("对错", "是否正确", "否正确", "或者", "是否", "正确性", "对不")
_NUMBERS = [
    r"-?\d{1,3}(?:，\d{3})+",
    r"-?\d+(?:\.\d+)?[eE][+-]?\d+",
    r"-?(?:\d+\.\d+|\.\d+|\d+)(?![eE][+-]?\d+)(?!，\d)",
]
_SEVERAL = re.compile(
    r"(?:正确|最终)?(?:的)?(?:答案|选项)?(?:应该|应)?(?:是|为|选|:)*\W*([A-D](?:\W*(?:和|与|and)?\W*[A-D])+)\W*", re.I
)


def load(recipe: EvalRecipe) -> list[Question]:
    """The questions of the repository (CATEGORY.jsonl beside its pictures) or of the hub's parquet files with pictures inside.

    `split`: "val", "dev" or "test", as folders (cmmmu-data-val/) and files (val-*.parquet) name it. Pictures come in the order
    in which a question mentions them. Raises ValueError naming the row.
    """
    root, split = Path(recipe.root), recipe.split
    chosen = [
        path
        for path in tables_below(root, ".jsonl", ".parquet")
        if split is None or f"cmmmu-data-{split}" in path.parts or path.name.startswith(f"{split}-")
    ]
    if not chosen:
        raise ValueError(f"{root}: found no file of split {split!r}, expected cmmmu-data-{split}/ or {split}-*.parquet")
    return sorted((_question(*row, pictured=True) for path in chosen for row in _rows(path)), key=_place)


def _rows(path: Path) -> list[tuple[Row, Path, str]]:
    return [(row, path, f"{path}, row {number}") for number, row in enumerate(rows_of(path), 1)]


def _place(question: Question) -> int:
    category = question.fields["category"]
    return CATEGORIES.index(category) if category in CATEGORIES else len(CATEGORIES)


def _question(row: Row, path: Path, where: str, pictured: bool = False) -> Question:
    known = dict(row)
    name, kind, asked = (str(column(known, where, key)) for key in ("id", "type", "question"))
    if kind not in KINDS:
        raise ValueError(f"{where}: found type {kind!r}, expected one of {', '.join(KINDS)}")
    options = (
        {letter: text_of(row.get(f"option{number}")) for number, letter in enumerate("ABCD", 1)}
        if kind == CHOICE
        else {}
    )
    shown = f"选项：\n{option_lines(options, '({}) {}')}\n" if options else ""
    text = f"{INSTRUCTIONS[kind]}\n\n问题：{asked}\n{shown}正确答案：\n"
    files = list(dict.fromkeys(_IMAGE.findall(text)))
    text = _IMAGE.sub(lambda match: f"<图片 {files.index(match[1]) + 1}>", text)
    pictures = tuple(_picture(row, file, path.parent, where) for file in files) if pictured else ()
    gold = text_of(row.get("answer")).strip()
    fields = {
        "kind": kind,
        "options": options,
        "category": text_of(row.get("category")),
        "subject": text_of(row.get("subcategory")),
    }
    return Question(name, text, gold, name, pictures, tuple(options) if len(gold) == 1 else (), fields)


def _picture(row: Row, file: str, folder: Path, where: str) -> Path | bytes:
    for number in range(1, 6):
        if row.get(f"image_{number}_filename") == file:
            return picture_of(row.get(f"image_{number}"), f"{where}, {file}")
    return find_image(folder, file, "cmmmu")


def read(paths: Sequence[Path], files: Files) -> Answers:
    """Official response files (id, type, response); `labels` is the release, or one of its files. Raises ValueError.

    In the official order: category by category, as the answers stand.
    """
    if "labels" not in files:
        raise ValueError(f"{paths[0]} holds answers without the right ones; give the release's questions with --labels")
    given = read_answers(paths, files)
    rows = [row for path in tables_below(files["labels"], ".jsonl", ".parquet") for row in _rows(path)]
    places = {one.key("id"): place for place, one in enumerate(given)}
    found = join(given, [(row[0], _question(*row)) for row in rows], [("id",)], files["labels"], files)
    found.sort(key=lambda answer: (_place(answer.question), places[answer.question.id]))
    return found


# --- what answers say -------------------------------------------------------------------------------------------------------


def parse_letters(response: str, options: Mapping[str, str]) -> str | None:
    """The letters that are there most often, as "(A)", else anywhere, else by the option's text; of equals all ("AC")."""
    for mark in ",.!?;:'":
        response = response.strip(mark)
    ways = (map("({})".format, options), options, options.values() if response.strip() else ())
    for way in ways:
        counts = dict(zip(options, (f" {response} ".count(text) for text in way)))
        if any(counts.values()):
            return "".join(letter for letter in options if counts[letter] == max(counts.values()))
    return None


def parse_verdict(response: str) -> str | None:
    """对 or 错, what more of the parts of an answer say that are stated; None where as many say either, or none."""
    said = [part for part in dict.fromkeys(_parts(response, _JUDGEMENT_SIGNS, ())) if not _has(part, _NO_VERDICT)]
    right = sum(_has(part, _RIGHT) for part in said)
    wrong = sum(_has(part, _WRONG) and not _has(part, _RIGHT) for part in said)
    return None if right == wrong else "对" if right > wrong else "错"


def blank_right(response: str, gold: str) -> bool:
    """The gold inside what is stated, unless that is much longer, or the same number to two decimals."""
    said = _parts(response, _BLANK_SIGNS, ("=",))
    said += [number for part in said for rule in _NUMBERS for number in re.findall(rule, part)]
    (wanted,) = _value(gold, gold)
    found = [value for text in said for value in _value(text, gold)]
    return any(wanted == one if isinstance(one, float) else isinstance(wanted, str) and wanted in one for one in found)


def _parts(response: str, signs: Sequence[str], last: Sequence[str]) -> list[str]:
    response = response.strip("。").strip()
    return key_parts(re.split(r"。|\n", response), signs, last) or [response]


def _has(text: str, words: Sequence[str]) -> bool:
    return any(word in text for word in words)


def _value(text: str, gold: str) -> list[str | float]:
    """A number to two decimals, or the text; nothing for a text that says much more than the gold."""
    text = text.strip()
    try:
        return [round(float(text.replace(",", "")), 2)]
    except ValueError:
        letters = [len(re.findall("[a-zA-Z]", one)) for one in (text, gold)]
        return [] if len(text) > len(gold) + 20 or letters[0] > letters[1] + 2 else [text]


def official(answer: Answer) -> bool | None:
    """The official verdict; None where it is drawn by lot."""
    question, kind = answer.question, answer.question.fields["kind"]
    if answer.failed or (kind == CHOICE and not answer.response):
        return False
    if kind == BLANK:
        return blank_right(answer.response, question.gold)
    options = question.fields["options"]
    said = parse_letters(answer.response, options) if kind == CHOICE else parse_verdict(answer.response)
    return None if said is None else said == question.gold


def strict(answer: Answer) -> str:
    """The letters ("AC"), 对 or 错, or "right" and "wrong" of a blank; "unknown"."""
    question, text = answer.question, without_thoughts(answer.response)
    if question.fields["kind"] == BLANK:
        verdict = strict_open(answer.response, (question.gold,))
        return {True: "right", False: "wrong", None: "unknown"}[verdict]
    if question.fields["kind"] == JUDGEMENT:
        return {"yes": "对", "no": "错"}.get(yes_no(answer.response, question.text), "unknown")
    lines = [re.match(r"\W*([A-D])(?![A-Za-z])", line) for line in text.splitlines() if line.strip()]
    several = _SEVERAL.fullmatch(normalise(text).strip())
    letters = re.findall("[A-D]", several[1].upper()) if several else [line[1] for line in lines if line]
    if several or (len(lines) > 1 and all(lines)):
        return "".join(sorted(set(letters)))
    return option_letter(answer.response, question.fields["options"])


def score(answers: Sequence[Answer], files: Files) -> dict[str, Any]:
    """`correct`, `total`, `accuracy`; the same of `kinds`, `categories` and `subjects`; `random_fallbacks`: drawn by lot.

    Raises ValueError for questions whose right answer is not known.
    """
    hidden = [answer.question.id for answer in answers if answer.question.gold in ("", "?")]
    if hidden:
        raise ValueError(f"{hidden[0]} and {len(hidden) - 1} more have no right answer; score the val split")
    lots, fallbacks, right = random.Random(SEED), 0, []
    for answer in answers:
        verdict = official(answer)
        if verdict is None:
            fallbacks += 1
            verdict = (
                lots.choice("ABCD" if answer.question.fields["kind"] == CHOICE else "对错") == answer.question.gold
            )
        right.append(verdict)
    said = list(map(strict, answers))
    strictly = [one in (answer.question.gold, "right") for one, answer in zip(said, answers)]
    return {
        **_score(answers, right),
        "random_fallbacks": fallbacks,
        **(
            {"note": f"{fallbacks} answers say nothing to choose by: officially they are drawn by lot"}
            if fallbacks
            else {}
        ),
        "strict": {**_score(answers, strictly), "unknown": said.count("unknown") / max(1, len(said))},
    }


def _score(answers: Sequence[Answer], right: Sequence[bool]) -> dict[str, Any]:
    rows = [(answer.question.fields, one) for answer, one in zip(answers, right)]
    return {
        **tally(right),
        "kinds": tallies((KINDS[of["kind"]], one) for of, one in rows),
        "categories": tallies((of["category"], one) for of, one in rows),
        "subjects": tallies((of["subject"], one) for of, one in rows),
    }


BENCHMARK = declared(
    "cmmmu",
    load=load,
    read=read,
    score=score,
    right=official,
    strict=lambda answer: strict(answer) if answer.question.choices else None,
)
