"""CHAIR and Object HalBench: objects named in captions of COCO images that are not in them.

Two rules are printed under CHAIR's name, and their numbers do not compare. That of 2018 is its authors' (Rohrbach et al.,
arXiv 1809.02156; utils/chair.py of LisaAnne/Hallucination), with a singulariser that turns "bus" into "bu" and "tennis"
into "tenni", so that these are never counted. That of 2023 came with OPERA (arXiv 2311.17911, chair.py) and is what most
papers print since: the same lists met by NLTK's tokens, tags and WordNet's lemmas, which finds buses. The strict reading
has right singulars too, and reads Chinese.

Object HalBench (Yu et al., RLHF-V, arXiv 2312.00849): 300 images, asked about with 8 different wordings. The rates are
CHAIR's with one difference: captions that name no object are left out of the rate of responses. The official scorer has
the objects of each caption listed by a language model, each once, and its synonyms are a little wider; here they are found
by CHAIR's tables, in which a repeated object counts again. So rates compare with each other, and with published ones
roughly.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache, partial
from itertools import pairwise
from pathlib import Path
from typing import Any

from skymm.evaluation.benchmark import Answer, Files, Question, declared, once_each, picture_folder
from skymm.evaluation.reading.english import INSTALL, nltk_lemmas
from skymm.evaluation.reading.mentions import (
    Mention,
    Vocabulary,
    lemma_mentions,
    lemma_words,
    official_mentions,
    read_vocabulary,
    strict_mentions,
)
from skymm.evaluation.reading.rows import given_of, picture_of, tables_below
from skymm.progress import say
from skymm.recipe import EvalRecipe
from skymm.tables import column, read_json, read_rows
from skymm.text import words
from skymm.thoughts import without_thoughts

PROMPT = "Please describe this image in detail."
NOTE = "objects are found by CHAIR's tables; published rates have them listed by a language model"
_PICTURES = ("COCO_val2014_{:012d}.jpg", "{:012d}.jpg", "COCO_train2014_{:012d}.jpg")
_IMAGE = ("image_id", "image", "file_name")

# How objects are found in a caption: by the rule of CHAIR's authors, by that which is printed since 2023, in both languages.
RULES: Mapping[str, Callable[[Vocabulary, str], tuple[Mention, ...]]] = {
    "2018": official_mentions,
    "2023": lemma_mentions,
    "strict": strict_mentions,
}
# By the rule of 2018 words lie between single spaces, by that of 2023 marks are words: neither knows Chinese.
_LENGTHS: Mapping[str, Callable[[Vocabulary, str], int]] = {
    "2018": lambda vocabulary, caption: len(caption.split(" ")),
    "2023": lambda vocabulary, caption: len(lemma_words(vocabulary, caption)),
    "strict": lambda vocabulary, caption: len(words(caption)),
}
Objects = Mapping[int, tuple[str, ...]]  # COCO's number of an image -> the classes that are in it


# --- what is in the images ----------------------------------------------------------------------------------------------


def vocabulary_of(files: Files) -> Vocabulary:
    """Raises ValueError saying which option is missing."""
    if "vocab" not in files:
        raise ValueError("CHAIR needs the synonyms of COCO's classes; give --vocab synonyms.txt")
    return read_vocabulary(Path(files["vocab"]), Path(files["singular"]) if "singular" in files else None)


def objects_of(files: Files, rule: str = "2018") -> Objects:
    """What is in every image, from a JSON table or as CHAIR has it from COCO's own annotations (a directory): the classes
    of the segments and those that the five captions of people mention, by a rule. Raises ValueError saying what is missing.
    """
    if "objects" not in files:
        raise ValueError(
            "CHAIR needs the objects of every image; give --objects a JSON table, image number -> classes, "
            "or the directory of COCO's instances_*2014.json and captions_*2014.json"
        )
    path = Path(files["objects"])
    if path.is_dir():
        return _coco_objects(path, vocabulary_of(files), rule)
    values = read_json(path)
    if len(values) != 1 or not isinstance(values[0], dict) or not values[0]:
        raise ValueError(f"{path}: expected one JSON object, image number -> list of classes")
    wrong = next((item for item in values[0].items() if not isinstance(item[1], list)), None)
    if wrong:
        raise ValueError(f"{path}: image {wrong[0]} has {str(wrong[1])[:40]!r}, expected a list of classes")
    return {image_number(name, str(path)): tuple(classes) for name, classes in values[0].items()}


def _coco_objects(directory: Path, vocabulary: Vocabulary, rule: str) -> Objects:
    found: dict[int, set[str]] = {}
    instances, captions = (_annotations(directory, kind) for kind in ("instances", "captions"))
    for path in instances:
        (table,) = read_json(path)
        names = {category["id"]: category["name"] for category in table["categories"]}
        found.update({image["id"]: set() for image in table["images"]})
        for segment in table["annotations"]:
            name = names[segment["category_id"]]
            if name not in vocabulary.classes:
                raise ValueError(f"{path}: the class {name!r} is not among the synonyms; is --vocab CHAIR's?")
            found[segment["image_id"]].add(vocabulary.classes[name])
    for path in captions:
        (table,) = read_json(path)
        for caption in table["annotations"]:
            mentions = RULES[rule](vocabulary, caption["caption"])
            found.setdefault(caption["image_id"], set()).update(kind for _, (kind,) in mentions)
    return {number: tuple(sorted(classes)) for number, classes in found.items()}


def _annotations(directory: Path, kind: str) -> list[Path]:
    found = sorted(directory.glob(f"{kind}_*.json"))
    if not found:
        raise ValueError(f"{directory}: found no {kind}_*.json, expected COCO's instances_* and captions_*2014.json")
    return found


def image_number(name: Any, where: str) -> int:
    """COCO's number of an image: 42, "42", "000000000042.jpg" or "COCO_val2014_000000000042.jpg"."""
    match = re.search(r"(\d+)(?:\.[A-Za-z]+)?$", str(name))
    if not match:
        raise ValueError(f"{where}: {str(name)[:60]!r} has no number of a COCO image in it")
    return int(match[1])


class _Asked:
    """Makes the questions about images, with what is in them. With `repeats` an image may be asked about again."""

    def __init__(self, files: Files, repeats: bool):
        self.tables = {"objects": objects_of(files)}
        # A table of objects is that of every rule; from COCO's annotations CHAIR's two rules make two.
        if not repeats and Path(files["objects"]).is_dir():
            self.tables["objects_2023"] = objects_of(files, "2023")
        self.times: Counter[int] = Counter()
        self.repeats = repeats

    def question(self, row: Mapping[str, Any], where: str) -> Question:
        """A second question about an image is NUMBER/2."""
        number = image_number(column(dict(row), where, *_IMAGE), where)
        if number not in self.tables["objects"]:
            total = len(self.tables["objects"])
            raise ValueError(f"{where}: image {number} is not in the table of objects ({total} images)")
        present = {name: list(table[number]) for name, table in self.tables.items()}
        self.times[number] += self.repeats or not self.times[number]
        name = str(number) if self.times[number] == 1 else f"{number}/{self.times[number]}"
        text = row.get("question") or row.get("prompt") or PROMPT
        return Question(name, text, "", str(number), fields={"image_id": number, **present})


# --- questions and published captions -----------------------------------------------------------------------------------


def load(recipe: EvalRecipe, repeats: bool = False) -> list[Question]:
    """A question for each row of root (JSON lines with image_id and, where there is one, question; Object HalBench's bring
    the picture along), or for each image of the table of objects, where root is that table or the directory of the
    pictures. With `repeats` an image may be asked about more than once. Raises ValueError.
    """
    if recipe.split is not None:
        raise ValueError(f"found split {recipe.split!r}, expected none; list the images in a file as root")
    root, files = Path(recipe.root), {name: Path(path) for name, path in recipe.files.items()}
    directory = picture_folder(recipe, root, root.parent)
    rows: Sequence[dict[str, Any]] = () if root.is_dir() else read_rows(root)
    if len(rows) == 1 and not any(name in rows[0] for name in _IMAGE):
        files["objects"], rows = root, ()
    asked = _Asked(files, repeats)
    if not rows:
        rows = [{"image_id": number} for number in sorted(asked.tables["objects"])]
    if root.is_dir():
        # COCO's annotations of train and val come together; asked is about the pictures that are there.
        there = [row for row in rows if _picture(directory, row["image_id"])]
        if there and len(there) < len(rows):
            say(f"{len(there)} of the {len(rows)} annotated images lie in {directory}; these are asked about")
        rows = there or rows
    questions = []
    for row in rows:
        question = asked.question(row, str(root))
        number = question.fields["image_id"]
        embedded = isinstance(row.get("image"), str) and len(row["image"]) > 200  # a short text is its name
        picture = picture_of(row["image"], f"image {number}") if embedded else _picture(directory, number)
        if picture is None:
            names = " or ".join(name.format(number) for name in _PICTURES[:2])
            raise ValueError(f"no picture of image {number} in {directory}, expected {names}")
        questions.append(replace(question, images=(picture,)))
    questions.sort(key=lambda question: question.fields["image_id"])
    for before, question in pairwise(questions):
        if before.id == question.id:
            raise ValueError(f"{recipe.root}: image {question.id} is asked about twice, expected one caption each")
    return questions


def _picture(directory: Path, number: int) -> Path | None:
    paths = (directory / name.format(number) for name in _PICTURES)
    return next((path for path in paths if path.is_file()), None)


def read(paths: Sequence[Path], files: Files, repeats: bool = False) -> list[Answer]:
    """Captions as they are published: {image_id, text or caption} in JSON lines or an array, or CHAIR's own output with
    the array under "sentences" (or "imgToEval"). Where the rows do not say which image, `labels` are the questions that
    they answer, in the same order. With `repeats` an image may have several. Raises ValueError.
    """
    asked = _Asked(files, repeats)
    answers = []
    for path in (file for one in paths for file in tables_below(one, ".json", ".jsonl")):
        for one in given_of(path, _with_images(_caption_rows(path), path, files), files):
            answers.append(Answer(asked.question(one.row, one.where), one.said))
    return once_each(answers, str(paths[0]))


def _with_images(rows: list[dict[str, Any]], path: Path, files: Files) -> list[dict[str, Any]]:
    if "labels" not in files or any(name in row for row in rows for name in _IMAGE):
        return rows
    asked = read_rows(files["labels"])
    if len(asked) != len(rows):
        raise ValueError(f"{path}: found {len(rows)} captions, expected {len(asked)} as in {files['labels']}")
    where = str(files["labels"])
    return [{"image_id": column(question, where, *_IMAGE), **row} for question, row in zip(asked, rows)]


def _caption_rows(path: Path) -> list[dict[str, Any]]:
    rows = read_rows(path)
    name = next((name for name in ("sentences", "imgToEval") if len(rows) == 1 and name in rows[0]), None)
    if name is None:
        return rows
    inner = rows[0][name]
    return list(inner.values()) if isinstance(inner, dict) else inner


# --- scores -------------------------------------------------------------------------------------------------------------


def count(answers: Sequence[Answer], vocabulary: Vocabulary, rule: str) -> dict[str, Any]:
    """What all captions together mention: `captions`, `captions_with_objects`, `hallucinated_captions`; `mentions` and
    `hallucinated_mentions`; `recall`, the share of the classes in the images that are mentioned; `len`, words per caption.

    A mention is hallucinated where none of the classes that it may be is in the image. Repeated mentions count,
    thoughts do not: they are no part of a caption, by either rule.
    """
    # Where objects come from people's captions, these are read by the rule that the answers are read by.
    fields = [(answer, answer.question.fields) for answer in answers]
    rows = [
        _counted(vocabulary, rule, without_thoughts(one.response), tuple(of.get(f"objects_{rule}", of["objects"])))
        for one, of in fields
    ]
    made_up, mentions, recalled, present, lengths = zip(*rows, strict=True) if rows else [()] * 5
    return {
        "captions": len(rows),
        "captions_with_objects": sum(number > 0 for number in mentions),
        "hallucinated_captions": sum(number > 0 for number in made_up),
        "mentions": sum(mentions),
        "hallucinated_mentions": sum(made_up),
        "recall": _share(sum(recalled), sum(present)),
        "len": sum(lengths) / max(1, len(rows)),
    }


@lru_cache(maxsize=1 << 17)
def _counted(vocabulary: Vocabulary, rule: str, caption: str, objects: tuple[str, ...]) -> tuple[int, ...]:
    present = frozenset(objects)
    seen = [present.intersection(classes) for _, classes in RULES[rule](vocabulary, caption)]
    length = _LENGTHS[rule](vocabulary, caption)
    return sum(not classes for classes in seen), len(seen), len(frozenset().union(*seen)), len(present), length


def _share(part: int, whole: int) -> float:
    return part / whole if whole else 0.0


def _silent(counts: Mapping[str, Any]) -> float:
    """The share of captions that name none of the 80 classes, in which nothing can be wrong."""
    return _share(counts["captions"] - counts["captions_with_objects"], counts["captions"])


def score(answers: Sequence[Answer], files: Files) -> dict[str, Any]:
    """`chair_i`: hallucinated mentions / mentions, repeated ones too; `chair_s`: captions with one / captions; `recall`:
    classes in the images that are mentioned / all of them; `len`: words per caption, cut at single spaces (2018), or
    with marks and pairs as one each (2023). At the top by the rule of 2018; `rules` has both, "2018" and "2023", and
    `lemmas` says what the latter's come from.

    `files`: `vocab`, the official synonyms.txt; `singular`, a table word -> singular as the official scorer of 2018 makes
    it (without it rules make the same). `strict` has the same with right singulars and in Chinese too; its `unknown` is
    the share of captions that name none of the 80 classes, in which nothing can be wrong. Denials are mentions in all
    columns, as they are officially ("there are no people").
    """
    vocabulary = vocabulary_of(files)
    counts = {rule: count(answers, vocabulary, rule) for rule in RULES}
    rules = {rule: _chair(counts[rule]) for rule in ("2018", "2023")}
    lemmas, exact = nltk_lemmas()
    notes = [] if exact else [f"the rule of 2023 by a table of lemmas, near the printed numbers; exact with {INSTALL}"]
    if not counts["2018"]["mentions"]:
        notes.append("no object is mentioned: the official scorer divides by zero, chair_i is 0 here")
    return {
        **rules["2018"],
        "rules": rules,
        "lemmas": lemmas,
        **({"note": "; ".join(notes)} if notes else {}),
        "strict": {**_chair(counts["strict"]), "unknown": _silent(counts["strict"])},
    }


def _chair(counts: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "chair_i": _share(counts["hallucinated_mentions"], counts["mentions"]),
        "chair_s": _share(counts["hallucinated_captions"], counts["captions"]),
        "recall": counts["recall"],
        "len": counts["len"],
        **{name: value for name, value in counts.items() if name != "captions_with_objects"},
    }


def score_responses(answers: Sequence[Answer], files: Files) -> dict[str, Any]:
    """`response_rate`: captions with a hallucinated object / captions that name one at all; `object_rate`: hallucinated
    mentions / mentions; `recall` and `len` as in CHAIR. `strict` has the same with right singulars and in Chinese too; its
    `unknown` is the share of captions that name no object, which `response_rate` leaves out.
    """
    vocabulary = vocabulary_of(files)
    official, strict = (count(answers, vocabulary, rule) for rule in ("2018", "strict"))
    return {**_responses(official), "note": NOTE, "strict": {**_responses(strict), "unknown": _silent(strict)}}


def _responses(counts: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "response_rate": _share(counts["hallucinated_captions"], counts["captions_with_objects"]),
        "object_rate": _share(counts["hallucinated_mentions"], counts["mentions"]),
        **counts,
    }


CHAIR = declared("chair", load=load, read=read, score=score)
OBJECT_HAL = declared(
    "object_hal", load=partial(load, repeats=True), read=partial(read, repeats=True), score=score_responses
)
