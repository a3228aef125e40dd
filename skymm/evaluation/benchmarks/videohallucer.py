"""VideoHallucer: two questions about a clip, one about what is in it and one about what is made up; yes and no.

Wang et al., arXiv 2406.16338; files and rule of github.com/patrick-tssn/VideoHallucer (evaluations/evaluation_utils.py, which
changed several times: the newest that was found): the right word anywhere makes an answer right, and "yes and no" is right
twice.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from statistics import fmean
from typing import Any

from skymm.conversation import Turn
from skymm.evaluation.benchmark import YES_NO, Answer, Files, Question, declared, find_image, grouped, once_each
from skymm.evaluation.reading.rows import tables_below, together
from skymm.recipe import EvalRecipe
from skymm.tables import column, read_rows, text_of
from skymm.verdict import yes_no
from skymm.video import Frame, frames_of

# Folder and file of a category -> what the official script calls it, in names of result files too.
CATEGORIES = {
    "object_relation": "obj_rel",
    "temporal": "temporal",
    "semantic_detail": "semantic",
    "external_factual": "fact",
    "external_nonfactual": "nonfact",
}
BESIDE = {"interaction": "interaction", "fact_detect": "factdet"}  # asked by name only
HALVES = ("basic", "hallucination")
INSTRUCTION = "Answer the question using 'yes' or 'no'."


def load(recipe: EvalRecipe) -> list[Question]:
    """The pairs of CATEGORY/CATEGORY.json in root, with CATEGORY/videos: eight frames of each clip, each behind its time.

    `split` is a category; without it the five of the official mean. Clips are decoded here, which takes minutes. Raises
    ValueError for a file or a clip that is not there.
    """
    root, questions = Path(recipe.root), []
    for category in [recipe.split] if recipe.split else CATEGORIES:
        path = root / category / f"{category}.json"
        if not path.is_file():
            raise ValueError(
                f"{path}: no such file, expected those of {', '.join((*CATEGORIES, *BESIDE))} or the split's"
            )
        folder = Path(recipe.images) if recipe.images else path.parent / "videos"
        frames = cache(frames_of)
        for number, row in enumerate(read_rows(path), 1):
            where = f"{path}, pair {number}"
            for half in HALVES:
                clip = find_image(folder, str(column(_half(row, where, half), where, "video")), "videohallucer")
                questions.append(_question(row, where, category, number, half, frames(clip, str(clip))))
    return together(questions)


def _half(row: Mapping[str, Any], where: str, half: str) -> dict[str, Any]:
    asked = row.get(half)
    if not isinstance(asked, dict):
        raise ValueError(f"{where}: found {sorted(row)}, expected questions under {' and '.join(HALVES)}")
    return asked


def _question(
    row: Mapping[str, Any], where: str, category: str, number: int, half: str, frames: Sequence[Frame] = ()
) -> Question:
    asked = _half(row, where, half)
    text, gold = str(column(asked, where, "question")), str(column(asked, where, "answer")).strip().lower()
    if gold not in YES_NO:
        raise ValueError(f"{where}: the answer is {gold!r}, expected yes or no")
    seconds = {f"{place}.frame": frame.seconds for place, frame in enumerate(frames)}
    turn = Turn("user", f"{text}\n{INSTRUCTION}", tuple(seconds)).timed(seconds)
    fields = {"category": category, "pair": f"{category}/{number}", "half": half, "kind": text_of(row.get("type"))}
    clip = f"{category}/{_half(row, where, 'basic').get('video')}"
    images = tuple(frame.data for frame in frames)
    name = f"{category}/{number}/{half}"
    return Question(name, turn.text, gold, clip, images, YES_NO, fields, turn.places, tuple(seconds))


def read(paths: Sequence[Path], files: Files) -> list[Answer]:
    """Official result files, obj_rel_MODEL.json and the like: the pairs, each half with `predict`. Raises ValueError."""
    answers = []
    for path in (file for one in paths for file in tables_below(one, ".json")):
        of = [name for name, short in (CATEGORIES | BESIDE).items() if path.name.startswith(f"{short}_")]
        if not of:
            names = ", ".join(f"{short}_" for short in (*CATEGORIES.values(), *BESIDE.values()))
            raise ValueError(f"{path}: which category is it? Expected a name that begins with one of {names}")
        for number, row in enumerate(read_rows(path), 1):
            where = f"{path}, pair {number}"
            for half in HALVES:
                said = text_of(column(_half(row, where, half), where, "predict"))
                answers.append(Answer(_question(row, where, of[0], number, half), said))
    return once_each(answers, str(paths[0]))


def official(answer: Answer) -> str:
    """The right word where it stands anywhere, else the other one, else "unknown"."""
    words = set(re.findall(r"\b(yes|no)\b", answer.response.lower()))
    return answer.question.gold if answer.question.gold in words else words.pop() if words else "unknown"


def strict(answer: Answer) -> str:
    return yes_no(answer.response, answer.question.text)


def count(answers: Sequence[Answer], said: Sequence[str]) -> dict[str, Any]:
    """`basic`, `hallucination` and `overall` (both right), means of the same of `categories`; `yes_ratio` of all answers."""
    pairs: dict[tuple[str, str, str], dict[str, bool]] = {}
    for answer, one in zip(answers, said):
        of = answer.question.fields
        key = (of["category"], answer.question.cluster, of["pair"])
        pairs.setdefault(key, {})[of["half"]] = one == answer.question.gold
    by_category = grouped((category, halves) for (category, *_), halves in pairs.items())
    categories = {category: _rates(those) for category, those in by_category.items()}
    means = {
        name: fmean(one[name] for one in categories.values()) if categories else None for name in (*HALVES, "overall")
    }
    return {**means, "categories": categories, "yes_ratio": sum(one == "yes" for one in said) / max(1, len(said))}


def _rates(pairs: Sequence[Mapping[str, bool]]) -> dict[str, Any]:
    """A half that was not answered is not right."""
    halves = {half: sum(pair.get(half, False) for pair in pairs) / len(pairs) for half in HALVES}
    both = sum(all(pair.get(half, False) for half in HALVES) for pair in pairs)
    return {**halves, "overall": both / len(pairs), "num_pairs": len(pairs)}


BENCHMARK = declared("videohallucer", load=load, read=read, official=official, strict=strict, count=count)
