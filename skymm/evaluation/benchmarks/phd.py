"""PhD: each question once so that yes is right and once so that no is; alone, after a context that is inaccurate (iac) or
incorrect (icc), and about pictures against common sense (ccs).

Liu et al., arXiv 2403.11116; files, wording and measure of github.com/jiazhen-code/PhD. The PhD Index is the harmonic mean of
the recalls of yes and no. How words become yes and no is not published: the strict bilingual reading is the only one here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from skymm.evaluation.benchmark import (
    YES_NO,
    Answer,
    Files,
    Question,
    declared,
    find_image,
    grouped,
    of_split,
    picture_folder,
)
from skymm.evaluation.reading.recalls import recalls
from skymm.evaluation.reading.rows import together
from skymm.recipe import EvalRecipe
from skymm.tables import column, read_rows
from skymm.verdict import yes_no

CONTEXTS = ("iac", "icc")
MODES = ("base", *CONTEXTS, "ccs")
INSTRUCTION = (
    " In case there is an inconsistency between the context and the image content, you should follow the image. "
)


def load(recipe: EvalRecipe) -> list[Question]:
    """The questions of data.json in the four modes, pictures below `images` (train2014/, val2014/ of COCO, CCS_images/).
    `split` is a mode: base, iac, icc, ccs. Raises ValueError naming the row and what is missing.
    """
    root = Path(recipe.root)
    path = root / "data.json" if root.is_dir() else root
    pictures = picture_folder(recipe, path.parent / "images")
    rows = enumerate(read_rows(path), 1)
    asked = [question for number, row in rows for question in _of_row(row, f"{path}, row {number}", number)]
    chosen = of_split(asked, recipe, "mode")
    found = {name: _picture(pictures, name) for name in dict.fromkeys(question.cluster for question in chosen)}
    return together(replace(question, images=(found[question.cluster],)) for question in chosen)


def _picture(pictures: Path, name: str) -> Path:
    """COCO's picture lies in train2014 or val2014; the official script looks there in this order."""
    if name.endswith(".png"):
        return find_image(pictures / "CCS_images", name, "phd")
    train = pictures / "train2014" / f"COCO_train2014_{name}.jpg"
    return train if train.is_file() else find_image(pictures / "val2014", f"COCO_val2014_{name}.jpg", "phd")


def _of_row(row: dict[str, Any], where: str, number: int) -> list[Question]:
    """The questions of a row, two in each of its modes; their cluster is the name of the picture."""
    image = str(column(row, where, "image_id"))
    against_sense = "ccs_description" in row
    name = f"{image}.png" if against_sense else image.zfill(12)
    found = []
    for mode in ("ccs",) if against_sense else ("base", *CONTEXTS):
        before = ""
        if mode in CONTEXTS:
            context = column(row, where, "context")
            if not isinstance(context, dict) or not isinstance(context.get(mode), str):
                raise ValueError(f"{where}: found context {str(context)[:40]!r}, expected texts under iac and icc")
            before = context[mode] + INSTRUCTION
        for gold in YES_NO:
            text = before + str(column(row, where, f"{gold}_question"))
            fields = {"mode": mode, "task": str(column(row, where, "task"))}
            found.append(Question(f"{number}/{mode}/{gold}", text, gold, name, (), YES_NO, fields))
    return found


def said(answer: Answer) -> str:
    return yes_no(answer.response, answer.question.text)


def score(answers: Sequence[Answer], files: Files) -> dict[str, Any]:
    """`index`: mean of the PhD Index over the modes that were asked; `modes`: `recalls` of each, whose `harmonic` is its
    index, and the same of its `tasks`; `acc`, `yes_ratio` and `unknown` of all answers.
    """
    read = ["unknown" if answer.failed else said(answer) for answer in answers]
    rows = grouped((answer.question.fields["mode"], (answer, one)) for answer, one in zip(answers, read))
    modes = {mode: {**recalls(*zip(*rows[mode])), "tasks": _tasks(rows[mode])} for mode in MODES if mode in rows}
    whole = recalls(answers, read)
    index = sum(one["harmonic"] for one in modes.values()) / max(1, len(modes))
    return {"index": index, **{name: whole[name] for name in ("acc", "yes_ratio", "unknown")}, "modes": modes}


def _tasks(rows: Sequence[tuple[Answer, str]]) -> dict[str, Any]:
    of_task = grouped((answer.question.fields["task"], (answer, one)) for answer, one in rows)
    return {task: recalls(*zip(*of_task[task])) for task in sorted(of_task)}


BENCHMARK = declared(
    "phd",
    load=load,
    score=score,
    right=lambda answer: not answer.failed and said(answer) == answer.question.gold,
    strict=said,
    part=lambda question: question.fields["mode"],
)
