"""AMBER: does it exist, what state is it in, how many, what does it do, do these two touch?

Wang et al., arXiv 2311.07397; the rules are those of the official inference.py: an answer has to be exactly Yes or No, and
the positive class of precision and recall is No, the finding that something is not there. AMBER's other part, descriptions,
is neither asked nor scored: its official numbers need a tagger, a lemmatiser and word vectors.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from skymm.evaluation.benchmark import YES_NO, Answer, Answers, Files, Question, declared, find_image, picture_folder
from skymm.evaluation.reading.rows import join, read_answers, together
from skymm.recipe import EvalRecipe
from skymm.tables import column, read_rows
from skymm.verdict import yes_no

_DESCRIPTION = "generative"
# What the official annotations call a kind of question; they have two names for relations.
_KINDS = {
    _DESCRIPTION: _DESCRIPTION,
    "discriminative-hallucination": "existence",
    "discriminative-attribute-state": "state",
    "discriminative-attribute-number": "number",
    "discriminative-attribute-action": "action",
    "discriminative-relation": "relation",
    "relation": "relation",
}
# The rows of the official printout, the first at its top: what each pools, and what its F1 adds to the denominator.
_TYPES: Mapping[str, tuple[tuple[str, ...], float]] = {
    "": (("existence", "state", "number", "action", "relation"), 0.0001),
    "existence": (("existence",), 0.001),
    "attribute": (("state", "number", "action"), 0.0001),
    "state": (("state",), 0.0001),
    "number": (("number",), 0.0001),
    "action": (("action",), 0.0001),
    "relation": (("relation",), 0.0001),
}
_FROM = 0.001  # where the official counts begin that something is divided by, so that nothing is divided by zero


def load(recipe: EvalRecipe) -> list[Question]:
    """The questions of a query_*.json, root or in it (query_all.json), with annotations.json beside it, below root or
    named by files.labels. `split` is one of the kinds, or "discriminative" for all. Questions about one picture stand
    together. Raises ValueError.
    """
    root = Path(recipe.root)
    queries = _found(root, "query_all.json") if root.is_dir() else root
    labels = Path(recipe.files["labels"]) if "labels" in recipe.files else _found(queries.parent, "annotations.json", 2)
    pictures = picture_folder(recipe, root / "image", root)
    annotations = _annotations(labels)
    wanted = None if recipe.split == "discriminative" else recipe.split
    questions = []
    for number, row in enumerate(read_rows(queries), 1):
        name, file, text = (str(column(row, f"{queries}, query {number}", key)) for key in ("id", "image", "query"))
        if name not in annotations:
            raise ValueError(f"{labels}: found no annotation of question {name}; are both files of one version?")
        kind, truth = annotations[name]
        if kind != _DESCRIPTION and (wanted is None or kind in _TYPES.get(wanted, ((),))[0]):
            questions.append(_question(name, text, file, kind, truth, find_image(pictures, file, "amber")))
    if not questions:
        expected = sorted(filter(None, _TYPES))
        raise ValueError(f"{queries}: found no questions of split {recipe.split!r}, expected one of {expected}")
    return together(questions)


def _found(directory: Path, name: str, up: int = 0) -> Path:
    """A file below a directory, or below one of those that it lies in."""
    for place in [directory, *directory.absolute().parents][: up + 1]:
        if path := _below(place, name):
            return path
    raise ValueError(f"{directory}: found no {name}, expected the data directory of AMBER's repository")


def _below(directory: Path, name: str) -> Path | None:
    return next((path for depth in ("", "*/", "*/*/") for path in sorted(directory.glob(depth + name))), None)


def _annotations(path: Path) -> Mapping[str, tuple[str, str]]:
    """Id -> kind of question, right answer."""
    found: dict[str, tuple[str, str]] = {}
    for number, row in enumerate(read_rows(path), 1):
        where = f"{path}, entry {number}"
        name, kind, truth = (column(row, where, key) for key in ("id", "type", "truth"))
        if kind not in _KINDS or (kind != _DESCRIPTION and truth not in YES_NO):
            raise ValueError(
                f"{where}: found type {kind!r} with truth {str(truth)[:40]!r}, expected one of {sorted(_KINDS)}"
            )
        if str(name) in found:
            raise ValueError(f"{where}: id {name} stands there twice")
        found[str(name)] = (_KINDS[kind], truth)
    return found


def _question(name: str, text: str, image: str, kind: str, truth: str, *pictures: Path) -> Question:
    return Question(name, text, truth, image, pictures, YES_NO, {"kind": kind})


def read(paths: Sequence[Path], files: Files) -> Answers:
    """Official answer files, [{id, response}], or those of a kit; `labels` is annotations.json. Questions and pictures are
    known where query_all.json lies near it; else only ids are, and every question is its own cluster. Descriptions are
    passed over. Raises ValueError.
    """
    if "labels" not in files:
        raise ValueError("amber: answers need the annotations; give --labels data/annotations.json")
    labels = Path(files["labels"])
    queries = _below(labels.parent, "query_all.json")
    known = {str(row["id"]): row for row in read_rows(queries)} if queries else {}
    annotations = _annotations(labels)
    asked = []
    for name, (kind, truth) in annotations.items():
        query = known.get(name, {"query": "", "image": name})
        row = {"id": name, "image": query["image"], "question": query["query"]}
        if kind != _DESCRIPTION:
            asked.append((row, _question(name, query["query"], query["image"], kind, truth)))
    given = [one for one in read_answers(paths, files) if annotations.get(one.key("id"), ("",))[0] != _DESCRIPTION]
    return join(given, asked, [("id",), ("image", "question")], labels, files)


def parse_official(response: str) -> str:
    """ "yes" and "no" for exactly Yes and No, "other" (always wrong) for everything else."""
    return {"Yes": "yes", "No": "no"}.get(response, "other")


def score(answers: Sequence[Answer], files: Files) -> dict[str, Any]:
    """`acc`, `precision`, `recall` and `f1`, the positive class being No, and the same of `types` as in the official
    printout: 100 times a number, rounded to one decimal, is what it prints. It counts from 0.001, so that all right is a
    hair below 1, and its F1 is made of rounded precision and recall; `strict` does neither, reads answers freely in Chinese
    and English, and has the share of `unknown`, which are wrong and missed.
    """
    official: Said = Counter()
    strictly: Said = Counter()
    for answer in answers:
        kind, gold = answer.question.fields["kind"], answer.question.gold
        official[kind, gold, parse_official(answer.response)] += 1
        strictly[kind, gold, strict(answer)] += 1
    types = {name: _official(_counts(official, kinds), extra) for name, (kinds, extra) in _TYPES.items()}
    strict_types = {name: _strict(_counts(strictly, kinds)) for name, (kinds, _) in _TYPES.items()}
    counts = _counts(official, _TYPES[""][0])
    return {
        **types.pop(""),
        "types": types,
        "other": counts.neither / max(1, counts.total),
        "strict": {**strict_types.pop(""), "types": strict_types},
    }


def strict(answer: Answer) -> str:
    return yes_no(answer.response, answer.question.text)


Said = Counter[tuple[str, str, str]]  # kind of question, truth, answer -> how often


class _Counts(NamedTuple):
    right: int
    found: int  # No that is right
    said_no: int
    truly_no: int
    neither: int  # answers that are no yes and no no
    total: int


def _counts(rows: Said, kinds: Sequence[str]) -> _Counts:
    chosen = [(truth, said, number) for (kind, truth, said), number in rows.items() if kind in kinds]
    return _Counts(
        right=sum(number for truth, said, number in chosen if truth == said),
        found=sum(number for truth, said, number in chosen if truth == said == "no"),
        said_no=sum(number for _, said, number in chosen if said == "no"),
        truly_no=sum(number for truth, _, number in chosen if truth == "no"),
        neither=sum(number for _, said, number in chosen if said not in YES_NO),
        total=sum(number for *_, number in chosen),
    )


def _official(of: _Counts, in_denominator: float) -> dict[str, Any]:
    if not of.total:
        return {**dict.fromkeys(("acc", "precision", "recall", "f1")), "num_questions": 0}
    precision, recall = of.found / (of.said_no + _FROM), of.found / (of.truly_no + _FROM)
    p, r = round(precision * 100, 1) / 100, round(recall * 100, 1) / 100
    f1, acc = 2 * p * r / (p + r + in_denominator), of.right / (of.total + _FROM)
    return {"acc": acc, "precision": precision, "recall": recall, "f1": f1, "num_questions": of.total}


def _strict(of: _Counts) -> dict[str, Any]:
    return {
        "acc": of.right / max(1, of.total),
        "precision": of.found / max(1, of.said_no),
        "recall": of.found / max(1, of.truly_no),
        "f1": 2 * of.found / max(1, of.said_no + of.truly_no),
        "num_questions": of.total,
        "unknown": of.neither / max(1, of.total),
    }


BENCHMARK = declared(
    "amber",
    load=load,
    read=read,
    score=score,
    official=lambda answer: parse_official(answer.response),
    strict=strict,
)
