"""AMBER: does it exist, what state is it in, how many, what does it do, do these two touch?

Wang et al., arXiv 2311.07397; the rules are those of the official inference.py: an answer has to be exactly Yes or No, and
the positive class of precision and recall is No, the finding that something is not there. AMBER's other part, descriptions,
is neither asked nor scored: its official numbers need a tagger, a lemmatiser and word vectors.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from skymm.evaluation.benchmark import YES_NO, Answer, Answers, Benchmark, Files, Metric, Question, find_image
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
    pictures = Path(recipe.images) if recipe.images else root / "image" if (root / "image").is_dir() else root
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
        path = _below(place, name)
        if path:
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
        question, response = answer.question, answer.response
        official[question.fields["kind"], question.gold, parse_official(response)] += 1
        strictly[question.fields["kind"], question.gold, yes_no(response, question.text)] += 1
    types = {name: _official(official, *parts) for name, parts in _TYPES.items()}
    *_, other, total = _counts(official, _TYPES[""][0])
    strict_types = {name: _strict(strictly, kinds) for name, (kinds, _) in _TYPES.items()}
    return {
        **types.pop(""),
        "types": types,
        "other": other / max(1, total),
        "strict": {**strict_types.pop(""), "types": strict_types},
    }


Said = Counter[tuple[str, str, str]]  # kind of question, truth, answer -> how often


def _official(rows: Said, kinds: Sequence[str], in_denominator: float) -> dict[str, Any]:
    right, found, said_no, truly_no, _, total = _counts(rows, kinds)
    if not total:
        return {**dict.fromkeys(("acc", "precision", "recall", "f1")), "num_questions": 0}
    precision, recall = found / (said_no + _FROM), found / (truly_no + _FROM)
    p, r = round(precision * 100, 1) / 100, round(recall * 100, 1) / 100
    f1 = 2 * p * r / (p + r + in_denominator)
    return {"acc": right / (total + _FROM), "precision": precision, "recall": recall, "f1": f1, "num_questions": total}


def _strict(rows: Said, kinds: Sequence[str]) -> dict[str, Any]:
    right, found, said_no, truly_no, unknown, total = _counts(rows, kinds)
    return {
        "acc": right / max(1, total),
        "precision": found / max(1, said_no),
        "recall": found / max(1, truly_no),
        "f1": 2 * found / max(1, said_no + truly_no),
        "num_questions": total,
        "unknown": unknown / max(1, total),
    }


def _counts(rows: Said, kinds: Sequence[str]) -> tuple[int, int, int, int, int, int]:
    """Right answers, right ones of No, answers of No, truths of no, answers that say neither, all."""
    chosen = [(truth, said, number) for (kind, truth, said), number in rows.items() if kind in kinds]
    return (
        sum(number for truth, said, number in chosen if truth == said),
        sum(number for truth, said, number in chosen if truth == said == "no"),
        sum(number for _, said, number in chosen if said == "no"),
        sum(number for truth, _, number in chosen if truth == "no"),
        sum(number for _, said, number in chosen if said not in YES_NO),
        sum(number for *_, number in chosen),
    )


BENCHMARK = Benchmark(
    name="amber",
    title="AMBER: existence, attributes and relations",
    size="14216 yes/no questions, 1004 images",
    licence="Apache-2.0, images as their sources have it",
    download="github.com/junyangwang0410/AMBER: data/, and the images from the link in its README",
    layout="the repository: data/query/query_all.json, data/annotations.json, image/AMBER_1.jpg ...",
    load=load,
    read=read,
    score=score,
    metrics=(
        Metric("f1", "F1 of No"),
        Metric("acc", "accuracy"),
        Metric("precision", "precision of No"),
        Metric("recall", "recall of No"),
    ),
    right=lambda answer: parse_official(answer.response) == answer.question.gold,
    strict=lambda answer: yes_no(answer.response, answer.question.text),
    tables=("types",),
    sizes={"": 14216},
    strata="kind",
)
