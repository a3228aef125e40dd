"""AMBER: does it exist, what state is it in, how many, what does it do, do these two touch? And what do descriptions make up?

Wang et al., arXiv 2311.07397; the rules are those of the official inference.py: an answer has to be exactly Yes or No, and
the positive class of precision and recall is No, the finding that something is not there. The generative part needs a
tagger, a lemmatiser and word vectors officially; `amber_nouns` says what stands in for them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from skymm.evaluation.benchmark import YES_NO, Answer, Answers, Benchmark, Files, Metric, Question, find_image
from skymm.evaluation.reading.amber_nouns import COUNTED_FROM, description_scores
from skymm.evaluation.reading.answer_files import join, read_answers
from skymm.recipe import EvalRecipe
from skymm.tables import column, read_rows
from skymm.thoughts import without_thoughts
from skymm.verdict import yes_no

# What the official annotations call a kind of question; they have two names for relations.
_KINDS = {
    "generative": "generative",
    "discriminative-hallucination": "existence",
    "discriminative-attribute-state": "state",
    "discriminative-attribute-number": "number",
    "discriminative-attribute-action": "action",
    "discriminative-relation": "relation",
    "relation": "relation",
}
# The rows of the official printout: what each pools, and what its F1 adds to the denominator.
_TYPES: dict[str, tuple[tuple[str, ...], float]] = {
    "existence": (("existence",), 0.001),
    "attribute": (("state", "number", "action"), 0.0001),
    "state": (("state",), 0.0001),
    "number": (("number",), 0.0001),
    "action": (("action",), 0.0001),
    "relation": (("relation",), 0.0001),
}
_ALL = (("existence", "state", "number", "action", "relation"), 0.0001)


def load(recipe: EvalRecipe) -> list[Question]:
    """The questions of a query_*.json, root or in it (query_all.json), with annotations.json beside it, below root or
    named by files.labels. `split` is generative, discriminative, or one of the kinds. Questions about one picture stand
    together. Raises ValueError.
    """
    root = Path(recipe.root)
    queries = _found(root, "query_all.json") if root.is_dir() else root
    labels = Path(recipe.files["labels"]) if "labels" in recipe.files else _found(queries.parent, "annotations.json", 2)
    pictures = Path(recipe.images) if recipe.images else root / "image" if (root / "image").is_dir() else root
    annotations = _annotations(labels)
    questions = []
    for number, row in enumerate(read_rows(queries), 1):
        name, file, text = (str(column(row, f"{queries}, query {number}", key)) for key in ("id", "image", "query"))
        kind = _annotation(annotations, name, labels)["kind"]
        part = "generative" if kind == "generative" else "discriminative"
        if recipe.split in (None, part, kind) or (recipe.split == "attribute" and kind in _TYPES["attribute"][0]):
            image = find_image(pictures, file, "amber")
            questions.append(_question(name, text, file, annotations[name], (image,)))
    if not questions:
        raise ValueError(f"{queries}: found no questions of split {recipe.split!r}, expected one of {sorted(_TYPES)}")
    first_seen = {question.cluster: place for place, question in reversed(list(enumerate(questions)))}
    return sorted(questions, key=lambda question: first_seen[question.cluster])


def _found(directory: Path, name: str, up: int = 0) -> Path:
    """A file below a directory, or below one of those that it lies in."""
    for place in [directory, *directory.absolute().parents][: up + 1]:
        path = _below(place, name)
        if path:
            return path
    raise ValueError(f"{directory}: found no {name}, expected the data directory of AMBER's repository")


def _below(directory: Path, name: str) -> Path | None:
    return next((path for depth in ("", "*/", "*/*/") for path in sorted(directory.glob(depth + name))), None)


def _annotations(path: Path) -> Mapping[str, Mapping[str, Any]]:
    """Id -> kind, truth, hallu (what a description is likely to make up)."""
    found: dict[str, Mapping[str, Any]] = {}
    for number, row in enumerate(read_rows(path), 1):
        where = f"{path}, entry {number}"
        name, kind, truth = (column(row, where, key) for key in ("id", "type", "truth"))
        if kind not in _KINDS or (_KINDS[kind] != "generative" and truth not in YES_NO):
            raise ValueError(
                f"{where}: found type {kind!r} with truth {str(truth)[:40]!r}, expected one of {sorted(_KINDS)}"
            )
        if str(name) in found:
            raise ValueError(f"{where}: id {name} stands there twice")
        found[str(name)] = {"kind": _KINDS[kind], "truth": truth, "hallu": row.get("hallu", [])}
    return found


def _annotation(annotations: Mapping[str, Mapping[str, Any]], name: str, labels: Path) -> Mapping[str, Any]:
    if name not in annotations:
        raise ValueError(f"{labels}: found no annotation of question {name}; are both files of one version?")
    return annotations[name]


def _question(
    name: str, text: str, image: str, annotation: Mapping[str, Any], images: tuple[Path, ...] = ()
) -> Question:
    kind = annotation["kind"]
    if kind == "generative":
        return Question(name, text, "", image, images, (), dict(annotation))
    return Question(name, text, annotation["truth"], image, images, YES_NO, {"kind": kind})


def read(paths: Sequence[Path], files: Files) -> Answers:
    """Official answer files, [{id, response}], or those of a kit; `labels` is annotations.json. Questions and pictures are
    known where query_all.json lies near it; else only ids are, and every question is its own cluster. Raises ValueError.
    """
    if "labels" not in files:
        raise ValueError("amber: answers need the annotations; give --labels data/annotations.json")
    labels = Path(files["labels"])
    queries = _below(labels.parent, "query_all.json")
    known = {str(row["id"]): row for row in read_rows(queries)} if queries else {}
    asked = []
    for name, annotation in _annotations(labels).items():
        query = known.get(name, {"query": "", "image": name})
        row = {"id": name, "image": query["image"], "question": query["query"]}
        asked.append((row, _question(name, query["query"], query["image"], annotation)))
    return join(read_answers(paths, files), asked, [("id",), ("image", "question")], labels, files, part=_part)


def _part(question: Question) -> str:
    return "discriminative" if question.gold else "generative"


def parse_official(response: str) -> str:
    """ "yes" and "no" for exactly Yes and No, "other" (always wrong) for everything else."""
    return {"Yes": "yes", "No": "no"}.get(response, "other")


def score(answers: Sequence[Answer], files: Files) -> dict[str, Any]:
    """`acc`, `precision`, `recall` and `f1` of the yes/no questions, the positive class being No, and the same of `types`
    as in the official printout: 100 times a number, rounded to one decimal, is what it prints. It counts from 0.001, so
    that all right is a hair below 1, and its F1 is made of rounded precision and recall; `strict` does neither, reads
    answers freely in Chinese and English, and has the share of `unknown`, which are wrong and missed.

    `generative` is there when descriptions are, see `description_scores`; it needs relation.json and safe_words.txt, which
    lie beside `labels`.
    """
    asked = [answer for answer in answers if answer.question.gold]
    official = Counter((*_facts(answer), parse_official(answer.response)) for answer in asked)
    strictly = Counter((*_facts(answer), yes_no(answer.response, answer.question.text)) for answer in asked)
    described = [answer for answer in answers if not answer.question.gold]
    generative = _generative(described, files) if described else {}
    return {
        **_official(official, *_ALL),
        "types": {name: _official(official, *parts) for name, parts in _TYPES.items()},
        "other": sum(number for (*_, said), number in official.items() if said == "other") / max(1, len(asked)),
        **({"note": generative.pop("note")} if "note" in generative else {}),
        **({"generative": generative} if generative else {}),
        "strict": {
            **_strict(strictly, _ALL[0]),
            "types": {name: _strict(strictly, kinds) for name, (kinds, _) in _TYPES.items()},
        },
    }


Said = Counter[tuple[str, str, str]]  # kind of question, truth, answer -> how often


def _facts(answer: Answer) -> tuple[str, str]:
    return answer.question.fields["kind"], answer.question.gold


def _official(rows: Said, kinds: Sequence[str], in_denominator: float) -> dict[str, Any]:
    right, found, said_no, truly_no, _, total = _counts(rows, kinds)
    if not total:  # only descriptions were asked for
        return {**dict.fromkeys(("acc", "precision", "recall", "f1")), "num_questions": 0}
    precision, recall = found / (said_no + COUNTED_FROM), found / (truly_no + COUNTED_FROM)
    p, r = round(precision * 100, 1) / 100, round(recall * 100, 1) / 100
    f1 = 2 * p * r / (p + r + in_denominator)
    acc = right / (total + COUNTED_FROM)
    return {"acc": acc, "precision": precision, "recall": recall, "f1": f1, "num_questions": total}


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


def _generative(answers: Sequence[Answer], files: Files) -> dict[str, Any]:
    directory = Path(files["labels"]).parent if "labels" in files else Path()
    lists = [directory / name for name in ("relation.json", "safe_words.txt")]
    if "labels" not in files or not all(path.is_file() for path in lists):
        return {
            "note": f"not scored: {len(answers)} descriptions need relation.json and safe_words.txt beside --labels"
        }
    return description_scores(
        [(without_thoughts(answer.response), answer.question.fields) for answer in answers], *lists
    )


BENCHMARK = Benchmark(
    name="amber",
    title="AMBER: existence, attributes and relations, asked about and described",
    size="14216 yes/no questions and 1004 descriptions, 1004 images",
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
    right=lambda answer: parse_official(answer.response) == answer.question.gold if answer.question.gold else None,
    strict=lambda answer: yes_no(answer.response, answer.question.text) if answer.question.gold else None,
    tables=("types", "generative"),
    sizes={"discriminative": 14216, "generative": 1004},
    part=_part,
    strata="kind",
)
