"""Captions of COCO images, what is in those images, and counting what the captions make up.

What CHAIR and Object HalBench have in common; they differ in what they divide by.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any

from skymm.evaluation.benchmark import Answer, Files, Picture, Question, once_each
from skymm.evaluation.reading.mentions import (
    Mention,
    Vocabulary,
    lemma_mentions,
    lemma_words,
    official_mentions,
    read_vocabulary,
    strict_mentions,
)
from skymm.evaluation.reading.rows import given_of
from skymm.progress import say
from skymm.recipe import EvalRecipe
from skymm.tables import column, read_json, read_rows
from skymm.text import words
from skymm.thoughts import without_thoughts

PROMPT = "Please describe this image in detail."
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


def vocabulary_of(files: Files, benchmark: str) -> Vocabulary:
    """Raises ValueError saying which option is missing."""
    if "vocab" not in files:
        raise ValueError(f"{benchmark}: needs the synonyms of COCO's classes; give --vocab synonyms.txt (CHAIR's)")
    return read_vocabulary(Path(files["vocab"]), Path(files["singular"]) if "singular" in files else None)


def objects_of(files: Files, benchmark: str, rule: str = "2018") -> Objects:
    """What is in every image, from a JSON table or as CHAIR has it from COCO's own annotations (a directory): the classes
    of the segments and those that the five captions of people mention, by a rule. Raises ValueError saying what is missing.
    """
    if "objects" not in files:
        raise ValueError(
            f"{benchmark}: needs the objects of every image; give --objects a JSON table, image number -> classes, "
            "or the directory of COCO's instances_*2014.json and captions_*2014.json"
        )
    path = Path(files["objects"])
    if path.is_dir():
        return _coco_objects(path, vocabulary_of(files, benchmark), rule)
    values = read_json(path)
    if len(values) != 1 or not isinstance(values[0], dict) or not values[0]:
        raise ValueError(f"{path}: expected one JSON object, image number -> list of classes")
    wrong = next((item for item in values[0].items() if not isinstance(item[1], list)), None)
    if wrong:
        raise ValueError(f"{path}: image {wrong[0]} has {str(wrong[1])[:40]!r}, expected a list of classes")
    return {image_number(name, str(path)): tuple(classes) for name, classes in values[0].items()}


def _coco_objects(directory: Path, vocabulary: Vocabulary, rule: str) -> Objects:
    found: dict[int, set[str]] = {}
    paths = {kind: sorted(directory.glob(f"{kind}_*.json")) for kind in ("instances", "captions")}
    for kind, there in paths.items():
        if not there:
            raise ValueError(
                f"{directory}: found no {kind}_*.json, expected COCO's instances_* and captions_*2014.json"
            )
    for path in paths["instances"]:
        (table,) = read_json(path)
        names = {category["id"]: category["name"] for category in table["categories"]}
        for image in table["images"]:
            found.setdefault(image["id"], set())
        for segment in table["annotations"]:
            name = names[segment["category_id"]]
            if name not in vocabulary.classes:
                raise ValueError(f"{path}: the class {name!r} is not among the synonyms; is --vocab CHAIR's?")
            found.setdefault(segment["image_id"], set()).add(vocabulary.classes[name])
    for path in paths["captions"]:
        (table,) = read_json(path)
        for caption in table["annotations"]:
            mentions = RULES[rule](vocabulary, caption["caption"])
            found.setdefault(caption["image_id"], set()).update(kind for _, (kind,) in mentions)
    return {number: tuple(sorted(classes)) for number, classes in found.items()}


def image_number(name: Any, where: str) -> int:
    """COCO's number of an image: 42, "42", "000000000042.jpg" or "COCO_val2014_000000000042.jpg"."""
    match = re.search(r"(\d+)(?:\.[A-Za-z]+)?$", str(name))
    if not match:
        raise ValueError(f"{where}: {str(name)[:60]!r} has no number of a COCO image in it")
    return int(match[1])


class _Asked:
    """Makes the questions about images, with what is in them."""

    def __init__(self, files: Files, benchmark: str):
        self.tables = {"objects": objects_of(files, benchmark)}
        # A table of objects is that of every rule; from COCO's annotations CHAIR's two rules make two.
        if benchmark == "chair" and Path(files["objects"]).is_dir():
            self.tables["objects_2023"] = objects_of(files, benchmark, "2023")
        self.times: dict[int, int] = {}

    def question(
        self, number: int, row: Mapping[str, Any], where: Path, pictures: tuple[Picture, ...] = ()
    ) -> Question:
        """A second question about an image is NUMBER/2."""
        if number not in self.tables["objects"]:
            total = len(self.tables["objects"])
            raise ValueError(f"{where}: image {number} is not in the table of objects ({total} images)")
        present = {name: list(table[number]) for name, table in self.tables.items()}
        count = self.times[number] = self.times.get(number, 0) + 1
        name = str(number) if count == 1 else f"{number}/{count}"
        text = row.get("question") or row.get("prompt") or PROMPT
        return Question(name, text, "", str(number), pictures, (), {"image_id": number, **present})


# --- questions and published captions -----------------------------------------------------------------------------------


def load_questions(recipe: EvalRecipe, benchmark: str) -> list[Question]:
    """A question for each row of root (JSON lines with image_id and, where there is one, question), or for each image of
    the table of objects, where root is that table or the directory of the pictures. Raises ValueError.
    """
    if recipe.split is not None:
        raise ValueError(f"{benchmark}: found split {recipe.split!r}, expected none; list the images in a file as root")
    root, files = Path(recipe.root), {name: Path(path) for name, path in recipe.files.items()}
    pictures = Path(recipe.images) if recipe.images else root if root.is_dir() else root.parent
    rows: Sequence[dict[str, Any]] = () if root.is_dir() else read_rows(root)
    is_table = len(rows) == 1 and not any(name in rows[0] for name in _IMAGE)
    if is_table:
        files["objects"] = root
    asked = _Asked(files, benchmark)
    if is_table or not rows:
        rows = [{"image_id": number} for number in sorted(asked.tables["objects"])]
    if root.is_dir():
        # COCO's annotations of train and val come together; asked is about the pictures that are there.
        there = [row for row in rows if _picture(pictures, row["image_id"])]
        if there and len(there) < len(rows):
            say(
                f"{benchmark}: {len(there)} of the {len(rows)} annotated images lie in {pictures}; these are asked about"
            )
        rows = there or rows
    questions = []
    for row in rows:
        number = image_number(column(row, str(root), *_IMAGE), str(root))
        question = asked.question(number, row, root)
        picture = _embedded(row) or _picture(pictures, number)
        if picture is None:
            names = " or ".join(name.format(number) for name in _PICTURES[:2])
            raise ValueError(f"{benchmark}: no picture of image {number} in {pictures}, expected {names}")
        questions.append(replace(question, images=(picture,)))
    return sorted(questions, key=lambda question: question.fields["image_id"])


def _picture(directory: Path, number: int) -> Path | None:
    paths = (directory / name.format(number) for name in _PICTURES)
    return next((path for path in paths if path.is_file()), None)


def _embedded(row: Mapping[str, Any]) -> bytes | None:
    """A picture that travels in the row as base64, which is long; a short text is its name."""
    image = row.get("image")
    if not isinstance(image, str) or len(image) < 200:
        return None
    try:
        return base64.b64decode(image, validate=True)
    except binascii.Error as error:
        raise ValueError(f"image {row.get('image_id')}: its picture is not base64 ({error})") from error


def read_captions(paths: Sequence[Path], files: Files, benchmark: str, repeats: bool = False) -> list[Answer]:
    """Captions as they are published: {image_id, text or caption} in JSON lines or an array, or CHAIR's own output with
    the array under "sentences" (or "imgToEval"). Where the rows do not say which image, `labels` are the questions that
    they answer, in the same order. With `repeats` an image may have several. Raises ValueError.
    """
    asked = _Asked(files, benchmark)
    answers = []
    for path in _each_file(paths):
        for one in given_of(path, _with_images(_caption_rows(path), path, files), files):
            number = image_number(column(dict(one.row), one.where, *_IMAGE), one.where)
            if not repeats:
                asked.times.clear()
            answers.append(Answer(asked.question(number, one.row, path), one.said))
    return once_each(answers, str(paths[0]))


def _with_images(rows: list[dict[str, Any]], path: Path, files: Files) -> list[dict[str, Any]]:
    if "labels" not in files or any(name in row for row in rows for name in _IMAGE):
        return rows
    asked = read_rows(files["labels"])
    if len(asked) != len(rows):
        raise ValueError(f"{path}: found {len(rows)} captions, expected {len(asked)} as in {files['labels']}")
    where = str(files["labels"])
    return [{"image_id": column(question, where, *_IMAGE), **row} for question, row in zip(asked, rows)]


def _each_file(paths: Sequence[Path]) -> list[Path]:
    files = []
    for path in paths:
        inside = sorted(file for file in path.glob("*.json*") if file.is_file()) if path.is_dir() else [path]
        if not inside:
            raise ValueError(f"{path}: found no .json or .jsonl file of captions")
        files += inside
    return files


def _caption_rows(path: Path) -> list[dict[str, Any]]:
    rows = read_rows(path)
    name = next((name for name in ("sentences", "imgToEval") if len(rows) == 1 and name in rows[0]), None)
    if name is None:
        return rows
    inner = rows[0][name]
    return list(inner.values()) if isinstance(inner, dict) else inner


# --- counting -----------------------------------------------------------------------------------------------------------


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
        "recall": share(sum(recalled), sum(present)),
        "len": sum(lengths) / max(1, len(rows)),
    }


@lru_cache(maxsize=1 << 17)
def _counted(vocabulary: Vocabulary, rule: str, caption: str, objects: tuple[str, ...]) -> tuple[int, ...]:
    present = frozenset(objects)
    seen = [present.intersection(classes) for _, classes in RULES[rule](vocabulary, caption)]
    length = _LENGTHS[rule](vocabulary, caption)
    return sum(not classes for classes in seen), len(seen), len(frozenset().union(*seen)), len(present), length


def share(part: int, whole: int) -> float:
    return part / whole if whole else 0.0


def silent(counts: Mapping[str, Any]) -> float:
    """The share of captions that name none of the 80 classes, in which nothing can be wrong."""
    return share(counts["captions"] - counts["captions_with_objects"], counts["captions"])
