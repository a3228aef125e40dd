"""DASH-B: can you see a VASE in this image? Half of the pictures have none, and were searched for to make models say yes.

Neuhaus, Augustin et al., arXiv 2503.23573; files and rule of github.com/YanNeu/DASH-B (src/data/dash_b.py, src/eval_utils.py):
"yes" anywhere in an answer, in "eyes" too, makes it a yes, else "no" anywhere ("I do not know") a no; else it is wrong.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
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
    picture_folder,
)
from skymm.evaluation.reading.recalls import recalls
from skymm.evaluation.reading.rows import read_answers, together, with_own_labels
from skymm.recipe import EvalRecipe
from skymm.tables import column, read_json
from skymm.verdict import yes_no

PARTS = {"neg": "no", "pos": "yes"}  # file and folder -> the right answer
PROMPT = "Can you see a {} in this image? Please answer only with yes or no."


def load(recipe: EvalRecipe) -> list[Question]:
    """The questions of both files below `root` (the repository, or its images/): {source: {object: [picture, ...]}}.

    Raises ValueError where a file, what is in it, or a picture is not as published.
    """
    root = Path(recipe.root)
    root = root if (root / "dash_benchmark_neg.json").is_file() else root / "images"
    pictures = picture_folder(recipe, root)
    questions = []
    for part, gold in PARTS.items():
        path = root / f"dash_benchmark_{part}.json"
        for source, objects in _tree(path).items():
            for thing, names in objects.items():
                folder = pictures / part / source / thing
                for name in names:
                    image = find_image(folder, name, "dash_b")
                    questions.append(_question(f"{part}/{source}/{thing}/{name}", thing, gold, name, source, image))
    return together(questions)


def _tree(path: Path) -> Mapping[str, Mapping[str, Sequence[str]]]:
    if not path.is_file():
        raise ValueError(f"{path}: found no such file, expected the file of the repository's images/")
    (tree,) = read_json(path) or ({},)
    if not isinstance(tree, Mapping) or not tree or not all(isinstance(one, Mapping) for one in tree.values()):
        raise ValueError(f"{path}: found {str(tree)[:40]!r}, expected {{source: {{object: [picture, ...]}}}}")
    return tree


def _question(name: str, thing: str, gold: str, image: str, source: str = "", *images: Path) -> Question:
    fields = {"object": thing, "source": source}
    return Question(name, PROMPT.format(thing), gold, image, images, YES_NO, fields)


def read(paths: Sequence[Path], files: Files) -> Answers:
    """Answer files of the official script: img_id, object_name, gt, response. Raises ValueError for other ones."""
    given = read_answers(paths, files)
    questions = []
    for one in given:
        thing, image = (str(column(dict(one.row), one.where, name)) for name in ("object_name", "img_id"))
        if one.gold not in YES_NO:
            raise ValueError(f"{one.where}: found gt {one.gold!r}, expected yes or no")
        questions.append(_question(f"{one.gold}/{thing}/{image}", thing, one.gold, image))
    return with_own_labels(given, questions, files)


def parse_official(response: str) -> str:
    text = response.lower()
    return "yes" if "yes" in text else "no" if "no" in text else "unknown"


def count(answers: Sequence[Answer], said: Sequence[str]) -> dict[str, Any]:
    """`recalls` of all, and of the answers about each of `objects`."""
    rows = grouped((answer.question.fields["object"], pair) for answer, pair in zip(answers, zip(answers, said)))
    return {**recalls(answers, said), "objects": {name: recalls(*zip(*rows[name])) for name in sorted(rows)}}


BENCHMARK = declared(
    "dash_b",
    load=load,
    read=read,
    official=lambda answer: parse_official(answer.response),
    strict=lambda answer: yes_no(answer.response, answer.question.text),
    count=count,
)
