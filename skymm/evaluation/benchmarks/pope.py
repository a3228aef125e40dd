"""POPE: is there a DOG in the image? Half of the objects asked about are not, chosen at random, as popular, adversarially.

Li et al., arXiv 2305.10355; the rule is that of the official evaluate.py: of the answer up to its first full stop, a word
No, not or no makes it a no, and everything else is a yes, so that "NO", "nope" and 没有 are a yes. COCO's three files
(random, popular, adversarial), the GQA and A-OKVQA ones, and any file in their form.

RePOPE (Neuhaus and Hein, arXiv 2504.15707) looked at every picture again: its files have POPE's questions with mended labels,
without those that nobody can decide. They are labels for answers that are there, and are not asked beside POPE's own.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any

from skymm.curation.audit.reading import asked_thing
from skymm.evaluation.benchmark import (
    YES_NO,
    Answer,
    Answers,
    Files,
    Question,
    declared,
    find_image,
    once_each,
    picture_folder,
)
from skymm.evaluation.reading.rows import ENDINGS, Given, bare, given_of, join, rows_of, tables_below, with_own_labels
from skymm.recipe import EvalRecipe
from skymm.tables import column, read_rows
from skymm.verdict import yes_no

SPLITS = ("random", "popular", "adversarial")

Row = dict[str, Any]


def load(recipe: EvalRecipe) -> list[Question]:
    """The questions of a file, or of every file below a directory that is named as POPE's are (coco_pope_random.json,
    gqa_pope_seem_adversarial.json). `split` is one of random, popular, adversarial, or the name of a file without its
    ending. RePOPE's files are left out where POPE's own of their source and split are there. Raises ValueError.
    """
    root = Path(recipe.root)
    files = _question_files(root)
    asked = {(_source(path), _split(path)) for path in files if not is_repope(path)}
    files = [
        path
        for path in files
        if not is_repope(path) or recipe.split == path.stem or (_source(path), _split(path)) not in asked
    ]
    chosen = [path for path in files if recipe.split in (None, _split(path), path.stem)]
    if not chosen:
        found = [path.name for path in files] or "no file named *pope*random*.json or alike"
        raise ValueError(f"{root}: found {found}, expected questions of {recipe.split or 'POPE'}")
    pictures = picture_folder(recipe, root, root.parent)
    folders = [pictures, *sorted(path for path in pictures.glob("*") if path.is_dir())]

    def picture(name: str) -> Path:
        there = next((folder for folder in folders if (folder / name).is_file()), pictures)
        return find_image(there, name, "pope")

    return [replace(one, images=(picture(one.cluster),)) for path in chosen for _, one in _asked(path)]


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
    """What comes before "pope" or "repope" in the name: coco, gqa, aokvqa."""
    return re.split("(?:re)?pope", path.stem.lower())[0].strip("_-. ") or path.stem.lower()


def is_repope(path: Path) -> bool:
    """Whether a file has RePOPE's labels, by its name."""
    return "repope" in path.stem.lower()


def _asked(path: Path) -> list[tuple[Row, Question]]:
    """The rows of a question file, with what they ask."""
    found = []
    for number, row in enumerate(read_rows(path), 1):
        where = f"{path}, question {number}"
        label = str(column(row, where, "label")).strip().lower()
        if label not in YES_NO:
            raise ValueError(f"{where}: the label is {row['label']!r}, expected yes or no")
        text, image = str(column(row, where, "text", "question")), column(row, where, "image")
        name = str(row.get("question_id", number))
        known = {"id": name, "text": text, "image": image}
        found.append((known, _question(path, f"{path.stem}/{name}", text, label, image)))
    return found


def _question(path: Path, name: str, text: str, label: str, image: Any, split: str = "") -> Question:
    fields = {"split": split or _split(path), "source": _source(path), "image": image}
    return Question(name, text, label, str(image), (), YES_NO, fields)


def read(paths: Sequence[Path], files: Files) -> Answers:
    """Answer files of any kit beside `labels`: a question file (POPE's or RePOPE's), or a directory with several. Without
    labels the right answers are those of the rows themselves (VLMEvalKit, lmms-eval, PAI).

    One file may answer several parts, where its rows have a `category` or a file of questions below the labels knows
    their ids (LLaVA's llava_pope_test.jsonl). Questions are matched by id, else by picture and words, else by order.
    Scored is what both sides have. Raises ValueError where nothing says what belongs together.
    """
    answer_files = [file for path in paths for file in tables_below(path, *ENDINGS)]
    given = {file: given_of(file, rows_of(file), files) for file in answer_files}
    if "labels" not in files:
        return _own_labels(given, files)
    labels = _question_files(Path(files["labels"]))
    if not labels:
        raise ValueError(f"{files['labels']}: found no file named *pope*random*.json or alike")
    known, splits, left_over = _llava_questions(Path(files["labels"])), list(map(_split, labels)), 0
    parts: list[tuple[list[Given], Path]] = []
    for file, rows in given.items():
        rows = _with_pictures(rows, known)
        categories = [_category(one) for one in rows]
        if all(categories) and sorted(splits) == sorted(set(splits) & set(SPLITS)):
            left_over += sum(category not in splits for category in categories)
            for path, split in zip(labels, splits):
                mine = [one for one, category in zip(rows, categories) if category == split]
                parts += [(mine, path)] if mine else []
        else:
            parts.append((rows, _labels_of(file, labels, len(answer_files))))
    joined = [join(rows, _asked(path), _WAYS, path, files) for rows, path in parts]
    if not joined:
        raise ValueError(f"{answer_files[0]}: found no answers to {[path.name for path in labels]}")
    return Answers(
        once_each((answer for part in joined for answer in part), ", ".join(map(str, answer_files))),
        expected=sum(part.expected or 0 for part in joined),
        left_over=left_over + sum(part.left_over for part in joined),
    )


_WAYS = (("id",), ("image", "question"), ("part_id",))


def labels_at(path: Path) -> dict[tuple[str, str, str, str], str]:
    """(source, split, picture, words) -> yes or no, of a question file or of all in a directory. Raises ValueError for none."""
    found = {_place(one): one.gold for file in _question_files(path) for _, one in _asked(file)}
    if not found:
        raise ValueError(
            f"{path}: found no file named *pope*random*.json or alike, expected questions with their labels"
        )
    return found


def _place(one: Question) -> tuple[str, str, str, str]:
    return one.fields["source"], one.fields["split"], one.cluster, _bare(one.text)


_bare = lru_cache(maxsize=10_000)(bare)  # the same hundred questions are asked of every picture


def relabel(answers: Sequence[Answer], path: Path) -> Answers:
    """Stored answers under the labels of other files; what these do not have is left out (RePOPE: nobody can decide it).

    Raises ValueError where none of the answers is to a question of theirs.
    """
    labels, parts = labels_at(path), {_place(one.question)[:2] for one in answers}
    found = [
        replace(one, question=replace(one.question, gold=labels[_place(one.question)]))
        for one in answers
        if _place(one.question) in labels
    ]
    if not found:
        asked = sorted({" ".join(part) for part in parts})
        has = sorted({" ".join(place[:2]) for place in labels})
        raise ValueError(
            f"{path}: found labels of {', '.join(has)}, expected some of what was asked: {', '.join(asked)}"
        )
    return Answers(found, sum(place[:2] in parts for place in labels), len(answers) - len(found))


def _own_labels(given: Mapping[Path, Sequence[Given]], files: Files) -> Answers:
    rows, questions = [], []
    for file, those in given.items():
        for number, one in enumerate(those, 1):
            label = one.gold.lower()
            if label not in YES_NO:
                raise ValueError(
                    f"{one.where}: found no right answer (label or answer: {label!r}); give --labels coco_pope_random.json "
                    "or a directory of them"
                )
            split = _category(one) or _split(file)
            name = f"{_source(file)}_pope_{split}/{one.key('id') or number}"
            image = str(one.row.get("image") or one.key("image") or number)
            questions.append(_question(file, name, one.key("question"), label, image, split))
            rows.append(one)
    return with_own_labels(rows, questions, files)


def _category(one: Given) -> str:
    """Which part a row is of, where it says so."""
    category = str(one.row.get("category") or "").lower()
    return next((split for split in SPLITS if split in category), "")


def _with_pictures(given: list[Given], known: Mapping[str, Row]) -> list[Given]:
    """With the picture and the part that LLaVA's file of questions has under their ids, which are not POPE's own."""
    if not all(one.key("id") in known for one in given):
        return given
    more = [{name: known[one.key("id")].get(name) for name in ("image", "category")} for one in given]
    return [replace(one, row={**one.row, **row}) for one, row in zip(given, more)]


def _llava_questions(labels: Path) -> dict[str, Row]:
    """Id -> row of the files of questions beside the labels that have none themselves, and number all parts through."""
    found = {}
    beside = labels.rglob("*pope*.jsonl") if labels.is_dir() else labels.parent.glob("*pope*.jsonl")
    for path in sorted(beside):
        for row in read_rows(path):
            if {"question_id", "category"} <= row.keys():
                found[str(row["question_id"])] = row
    return found


def _labels_of(file: Path, labels: Sequence[Path], num_files: int) -> Path:
    if len(labels) == 1 and num_files == 1:
        return labels[0]
    fitting = [path for path in labels if _split(path) == _split(file)]
    if len(fitting) > 1:
        fitting = [path for path in fitting if _source(path) in file.stem.lower()]
    if len(fitting) != 1:
        raise ValueError(
            f"{file}: found labels {[path.name for path in labels]}, expected one of its split by name (random, popular, "
            "adversarial), or a category in each row; give one file of answers with one of labels"
        )
    return fitting[0]


def parse_official(response: str) -> str:
    """ "yes" or "no", as the official script reads an answer."""
    words = response.split(".")[0].replace(",", "").split(" ")
    return "no" if {"No", "not", "no"}.intersection(words) else "yes"


def strict(answer: Answer) -> str:
    return yes_no(answer.response, answer.question.text)


Said = Counter[tuple[str, str]]  # label, answer (yes, no or unknown) -> how often


def count(answers: Sequence[Answer], said: Sequence[str]) -> dict[str, Any]:
    """`acc`, `precision`, `recall`, `f1` (positive is yes), `yes_ratio` (answered yes / n), `tp`, `fp`, `tn`, `fn`; the
    same of each of `splits` and, where there are several, `sources`. The paper's numbers are those of a split.

    `once` are the same numbers of each question counted once (the splits share theirs: of 9,000 of COCO 5,127 differ), by
    the first answer to it. `blind`: see `blind_share`, each file by itself (`never_looks`); together their
    mean by size.

    Where the official script divides by zero the number is 0, and `note` says so. By the strict reading an answer that says
    neither is `unknown`: wrong in `acc`, missed in `recall`, and in none of the four counts.
    """
    # One pass over the answers, for scores are recomputed hundreds of times; the parts are sums of its few rows.
    fields = [answer.question.fields for answer in answers]
    rows = Counter(
        (of["source"], of["split"], answer.question.gold, one) for of, answer, one in zip(fields, answers, said)
    )
    everything: Said = Counter()
    by_source: dict[str, Said] = {}
    by_split: dict[str, Said] = {}
    for (source, split, *pair), number in rows.items():
        of_parts = by_source.setdefault(source, Counter()), by_split.setdefault(split, Counter())
        for counts in (everything, *of_parts):
            counts[tuple(pair)] += number
    splits = sorted(by_split, key=lambda split: (*SPLITS, split).index(split))
    several = {"sources": {name: _rates(by_source[name]) for name in sorted(by_source)}} if len(by_source) > 1 else {}
    # The first answer to a question counts: it is the one that a reversed walk writes last.
    first = {
        (answer.question.cluster, answer.question.text): (answer.question.gold, one)
        for answer, one in zip(reversed(answers), reversed(said))
    }
    scores = {**_rates(everything), "once": _rates(Counter(first.values()))}
    of_splits = {name: _rates(by_split[name]) for name in splits}
    if blind := blind_share(answers):
        sizes = {name: by_split[name].total() for name in splits}
        scores["blind"] = sum(blind[name] * sizes[name] for name in splits) / max(1, len(answers))
        scores["never_looks"] = {name: blind[name] for name in splits}
        of_splits = {name: rates | {"blind": blind[name]} for name, rates in of_splits.items()}
    return {**scores, "splits": of_splits, **several}


def blind_share(answers: Sequence[Answer]) -> dict[str, float] | None:
    """What a rule gets right that never looks: it knows how often each thing deserves a yes in the file (source and split),
    without the question itself, and says what is more frequent; no where both are. By split.

    None for a resample (`cluster` is then no picture): copies of a question would tell each other's label.
    """
    if any(one.question.cluster != str(one.question.fields["image"]) for one in answers):
        return None
    labels: dict[tuple[str, str, str], Counter[str]] = {}
    for one in answers:
        of = one.question.fields
        labels.setdefault((of["split"], of["source"], _thing(one.question.text)), Counter())[one.question.gold] += 1
    right: Counter[str] = Counter()
    total: Counter[str] = Counter()
    for (split, *_), counts in labels.items():
        yes, no = counts["yes"], counts["no"]
        right[split] += yes * (yes - 1 > no) + no * (yes <= no - 1)
        total[split] += yes + no
    return {split: right[split] / total[split] for split in total}


@lru_cache(maxsize=10_000)
def _thing(text: str) -> str:
    """What is asked for ("a traffic light" and "an traffic light" are one); the whole question where it asks otherwise."""
    words = _bare(text)
    return asked_thing(words, "existence") or words


def _rates(counts: Said) -> dict[str, Any]:
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


BENCHMARK = declared(
    "pope",
    load=load,
    read=read,
    official=lambda answer: parse_official(answer.response),
    strict=strict,
    count=count,
    relabel=relabel,
    part=lambda question: question.fields["split"],
)
