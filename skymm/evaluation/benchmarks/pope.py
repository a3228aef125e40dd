"""POPE: is there a DOG in the image? Half of the objects asked about are not, chosen at random, as popular, adversarially.

Li et al., arXiv 2305.10355; the rule is that of the official evaluate.py: of the answer up to its first full stop, a word
No, not or no makes it a no, and everything else is a yes, so that "NO", "nope" and 没有 are a yes. COCO's three files
(random, popular, adversarial), the GQA and A-OKVQA ones, and any file in their form.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from skymm.evaluation.benchmark import YES_NO, Answer, Benchmark, Files, Metric, Question, find_image, once_each
from skymm.evaluation.files import column, read_rows
from skymm.evaluation.reading.verdict import yes_no
from skymm.recipe import EvalRecipe
from skymm.text import normalise

SPLITS = ("random", "popular", "adversarial")

Row = dict[str, Any]


def load(recipe: EvalRecipe) -> list[Question]:
    """The questions of a file, or of every file below a directory that is named as POPE's are (coco_pope_random.json,
    gqa_pope_seem_adversarial.json). `split` is one of random, popular, adversarial, or the name of a file without its
    ending. Raises ValueError.
    """
    root = Path(recipe.root)
    files = _question_files(root)
    chosen = [path for path in files if recipe.split in (None, _split(path), path.stem)]
    if not chosen:
        found = [path.name for path in files] or "no file named *pope*random*.json or alike"
        raise ValueError(f"{root}: found {found}, expected questions of {recipe.split or 'POPE'}")
    pictures = Path(recipe.images) if recipe.images else root if root.is_dir() else root.parent
    folders = [pictures, *sorted(path for path in pictures.glob("*") if path.is_dir())]

    def picture(name: str) -> Path:
        return next((folder / name for folder in folders if (folder / name).is_file()), None) or find_image(
            pictures, name, "pope"
        )

    return [
        question
        for path in chosen
        for row in _label_rows(path)
        for question in [_question(path, row, (picture(str(row["image"])),))]
    ]


def _question_files(root: Path) -> list[Path]:
    """In the official order of splits; those of one source (coco, gqa, ...) together."""
    if not root.is_dir():
        return [root]
    named = [path for path in root.rglob("*.json*") if "pope" in path.name.lower() and _split(path) in SPLITS]
    return sorted(named, key=lambda path: (_source(path), SPLITS.index(_split(path)), path))


def _split(path: Path) -> str:
    """Which sampling a file is of, by its name; the name where it says none."""
    return next((split for split in SPLITS if split in path.stem.lower()), path.stem)


def _source(path: Path) -> str:
    """What comes before "pope" in the name: coco, gqa, aokvqa."""
    return path.stem.lower().partition("pope")[0].strip("_-. ") or path.stem.lower()


def _label_rows(path: Path) -> list[Row]:
    rows = []
    for number, row in enumerate(read_rows(path), 1):
        where = f"{path}, question {number}"
        label = str(column(row, where, "label")).strip().lower()
        if label not in YES_NO:
            raise ValueError(f"{where}: the label is {row['label']!r}, expected yes or no")
        text = str(column(row, where, "text", "question"))
        name = row.get("question_id", number)
        rows.append({"id": str(name), "text": text, "label": label, "image": column(row, where, "image")})
    return rows


def _question(path: Path, row: Row, images: tuple[Path, ...] = ()) -> Question:
    fields = {"split": _split(path), "source": _source(path), "image": row["image"]}
    return Question(f"{path.stem}/{row['id']}", row["text"], row["label"], str(row["image"]), images, YES_NO, fields)


def read(paths: Sequence[Path], files: Files) -> list[Answer]:
    """Answer files, JSON lines of {question, answer} (POPE) or {question_id, text} (LLaVA), beside `labels`: the question
    file, or a directory with several, whose names then say which belongs to which.

    By question_id where both have it, else by order; questions that stand on both sides must be the same. One file with
    the answers to all of them needs a `category` in each line, or in a file of questions below the labels (LLaVA's
    llava_pope_test.jsonl). Raises ValueError for different numbers, ids or questions.
    """
    if "labels" not in files:
        raise ValueError(
            "pope: answers need their questions; give --labels coco_pope_random.json or a directory of them"
        )
    labels = _question_files(Path(files["labels"]))
    if not labels:
        raise ValueError(f"{files['labels']}: found no file named *pope*random*.json or alike")
    answer_files = [file for path in paths for file in (sorted(path.glob("*.json*")) if path.is_dir() else [path])]
    if not answer_files:
        raise ValueError(f"{paths[0]}: found no .json or .jsonl file of answers")
    if len(answer_files) == 1 and len(labels) > 1 and _split(answer_files[0]) not in SPLITS:
        parts = _by_category(answer_files[0], labels, Path(files["labels"]))
    else:
        parts = [(file, read_rows(file), _labels_of(file, labels, len(answer_files))) for file in answer_files]
    answers = [answer for file, rows, label in parts for answer in _aligned(file, rows, label)]
    return once_each(answers, ", ".join(str(file) for file in answer_files))


def _labels_of(file: Path, labels: Sequence[Path], num_files: int) -> Path:
    if len(labels) == 1 and num_files == 1:
        return labels[0]
    fitting = [path for path in labels if _split(path) == _split(file)]
    if len(fitting) > 1:
        fitting = [path for path in fitting if _source(path) in file.stem.lower()]
    if len(fitting) != 1:
        raise ValueError(
            f"{file}: found labels {[path.name for path in labels]}, expected one of its split by name (random, popular, "
            "adversarial); give one file of answers with one of labels"
        )
    return fitting[0]


def _by_category(file: Path, labels: Sequence[Path], directory: Path) -> list[tuple[Path, list[Row], Path]]:
    """The answers to each question file out of one file with all of them, in its order."""
    rows = read_rows(file)
    categories = {
        str(row["question_id"]): str(row["category"])
        for path in sorted(directory.rglob("*.jsonl"))
        if path != file
        for row in read_rows(path)
        if {"question_id", "category"} <= row.keys()
    }
    parts: dict[Path, list[Row]] = {path: [] for path in labels}
    for number, row in enumerate(rows, 1):
        category = row.get("category", categories.get(str(row.get("question_id"))))
        fitting = [path for path in labels if _split(path) == category]
        if len(fitting) != 1:
            raise ValueError(
                f"{file}, entry {number}: its category is {category!r}, expected one of "
                f"{[_split(path) for path in labels]}; one file for all needs a category in each line, or "
                f"llava_pope_test.jsonl below {directory}"
            )
        # The ids are those of all questions together, and not those of the labels.
        parts[fitting[0]].append({name: value for name, value in row.items() if name != "question_id"})
    return [(file, part, path) for path, part in parts.items() if part]


def _aligned(file: Path, rows: Sequence[Row], labels: Path) -> list[Answer]:
    asked = _label_rows(labels)
    if len(rows) != len(asked):
        raise ValueError(f"{file}: found {len(rows)} answers, expected {len(asked)} as in {labels}")
    if all("question_id" in row for row in rows):
        by_id = {str(row["question_id"]): row for row in rows}
        if len(by_id) < len(rows):
            raise ValueError(f"{file}: found {len(by_id)} ids in {len(rows)} answers; a question is answered twice")
        missing = [row["id"] for row in asked if row["id"] not in by_id]
        if missing:
            raise ValueError(f"{file}: question_id {missing[0]} of {labels} is not answered ({len(missing)} are not)")
        rows = [by_id[row["id"]] for row in asked]
    answers = []
    for number, (row, label) in enumerate(zip(rows, asked), 1):
        given = row.get("question", row.get("prompt"))
        if given is not None and normalise(label["text"]).lower() not in normalise(str(given)).lower():
            raise ValueError(
                f"{file}, answer {number}: it answers {str(given)[:80]!r}, {labels} asks {label['text']!r}; the order differs"
            )
        said = column(row, f"{file}, answer {number}", "answer", "text", "response")
        answers.append(Answer(_question(labels, label), "" if said is None else str(said)))
    return answers


def parse_official(response: str) -> str:
    """ "yes" or "no", as the official script reads an answer."""
    words = response.split(".")[0].replace(",", "").split(" ")
    return "no" if {"No", "not", "no"}.intersection(words) else "yes"


def strict(answer: Answer) -> str:
    return yes_no(answer.response)


def score(answers: Sequence[Answer], files: Files) -> dict[str, Any]:
    """`acc`, `precision`, `recall`, `f1` (positive is yes), `yes_ratio` (answered yes / n), `tp`, `fp`, `tn`, `fn`; the
    same of each of `splits` and, where there are several, `sources`. The paper's numbers are those of a split.

    Where the official script divides by zero the number is 0, and `note` says so. In `strict` an answer that says neither
    is `unknown`: wrong in `acc`, missed in `recall`, and in none of the four counts.
    """
    official = _score(answers, lambda answer: parse_official(answer.response))
    strictly = _score(answers, strict)
    for one in (official, *official["splits"].values(), *official.get("sources", {}).values()):
        del one["unknown"]
    return {**official, "strict": strictly}


Said = Counter[tuple[str, str, str, str]]  # source, split, label, answer (yes, no or unknown) -> how often


def _score(answers: Sequence[Answer], reading: Callable[[Answer], str]) -> dict[str, Any]:
    rows: Said = Counter(
        (
            answer.question.fields["source"],
            answer.question.fields["split"],
            answer.question.gold,
            _said(answer, reading),
        )
        for answer in answers
    )
    splits = sorted({split for _, split, *_ in rows}, key=lambda split: (*SPLITS, split).index(split))
    sources = sorted({source for source, *_ in rows})
    scores = _rates(rows)
    scores["splits"] = {name: _rates(_part(rows, 1, name)) for name in splits}
    if len(sources) > 1:
        scores["sources"] = {name: _rates(_part(rows, 0, name)) for name in sources}
    return scores


def _said(answer: Answer, reading: Callable[[Answer], str]) -> str:
    """The official rule takes an empty answer for a yes, but where there is no answer there is none to take."""
    return "unknown" if answer.failed else reading(answer)


def _part(rows: Said, place: int, name: str) -> Said:
    return Counter({row: number for row, number in rows.items() if row[place] == name})


def _rates(rows: Said) -> dict[str, Any]:
    counts: Counter[tuple[str, str]] = Counter()
    for (*_, label, said), number in rows.items():
        counts[label, said] += number
    total = counts.total()
    tp, fp, tn, fn = (counts[pair] for pair in (("yes", "yes"), ("no", "yes"), ("no", "no"), ("yes", "no")))
    labelled_yes = sum(number for (label, _), number in counts.items() if label == "yes")
    precision, recall = tp / max(1, tp + fp), tp / max(1, labelled_yes)
    scores = {
        "acc": (tp + tn) / max(1, total),
        "precision": precision,
        "recall": recall,
        "f1": 2 * precision * recall / (precision + recall) if tp else 0.0,
        "yes_ratio": (tp + fp) / max(1, total),
        "tp": tp,
        "fp": fp,
        "tn": tn,
        "fn": fn,
        "unknown": sum(number for (_, said), number in counts.items() if said == "unknown") / max(1, total),
    }
    if not tp:
        why = "nothing is labelled yes" if not labelled_yes else "no yes is right" if fp else "no answer is yes"
        scores["note"] = f"{why}: the official script divides by zero, the number is 0 here"
    return scores


BENCHMARK = Benchmark(
    name="pope",
    title="POPE: is there a ... in the image? Half are not",
    size="9000 questions, 500 images of COCO val2014; GQA and A-OKVQA as many",
    licence="questions MIT, images under Flickr's terms",
    download="questions: github.com/RUCAIBox/POPE (output/coco, output/seem); images: cocodataset.org, val2014",
    layout="coco_pope_{random,popular,adversarial}.json, one of them or a directory; images: the directory of val2014",
    load=load,
    read=read,
    score=score,
    metrics=(
        Metric("f1", "F1"),
        Metric("acc", "accuracy"),
        Metric("precision", "precision"),
        Metric("recall", "recall"),
        Metric("yes_ratio", "says yes"),
    ),
    right=lambda answer: not answer.failed and parse_official(answer.response) == answer.question.gold,
    strict=strict,
    tables=("splits", "sources"),
    strata="split",
)
