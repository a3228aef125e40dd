"""Captions of COCO images, what is in those images, and counting what the captions make up.

What CHAIR and Object HalBench have in common; they differ in what they divide by.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from skymm.evaluation.benchmark import Answer, Files, Picture, Question, once_each
from skymm.evaluation.reading.answer_files import given_of
from skymm.evaluation.reading.mentions import (
    Mention,
    Vocabulary,
    lemma_mentions,
    lemma_words,
    official_mentions,
    read_vocabulary,
    strict_mentions,
)
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
Objects = Mapping[int, tuple[str, ...]]  # COCO's number of an image -> the classes that are in it


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
        return _coco_objects(path, vocabulary_of(files, benchmark), RULES[rule])
    return _objects_table(path)


def _objects_table(path: Path) -> Objects:
    values = read_json(path)
    if len(values) != 1 or not isinstance(values[0], dict) or not values[0]:
        raise ValueError(f"{path}: expected one JSON object, image number -> list of classes")
    table = {}
    for number, classes in values[0].items():
        if not isinstance(classes, list):
            raise ValueError(f"{path}: image {number} has {str(classes)[:40]!r}, expected a list of classes")
        table[image_number(number, str(path))] = tuple(classes)
    return table


def _coco_objects(
    directory: Path, vocabulary: Vocabulary, mentioned: Callable[[Vocabulary, str], tuple[Mention, ...]]
) -> Objects:
    found: dict[int, set[str]] = {}
    kinds = {kind: sorted(directory.glob(f"{kind}_*.json")) for kind in ("instances", "captions")}
    for kind, paths in kinds.items():
        if not paths:
            raise ValueError(
                f"{directory}: found no {kind}_*.json, expected COCO's instances_* and captions_*2014.json"
            )
    for path in kinds["instances"]:
        (table,) = read_json(path)
        names = {category["id"]: category["name"] for category in table["categories"]}
        for image in table["images"]:
            found.setdefault(image["id"], set())
        for segment in table["annotations"]:
            name = names[segment["category_id"]]
            if name not in vocabulary.classes:
                raise ValueError(f"{path}: the class {name!r} is not among the synonyms; is --vocab CHAIR's?")
            found.setdefault(segment["image_id"], set()).add(vocabulary.classes[name])
    for path in kinds["captions"]:
        (table,) = read_json(path)
        for caption in table["annotations"]:
            mentions = mentioned(vocabulary, caption["caption"])
            found.setdefault(caption["image_id"], set()).update(kind for _, (kind,) in mentions)
    return {number: tuple(sorted(classes)) for number, classes in found.items()}


def image_number(name: Any, where: str) -> int:
    """COCO's number of an image: 42, "42", "000000000042.jpg" or "COCO_val2014_000000000042.jpg"."""
    match = re.search(r"(\d+)(?:\.[A-Za-z]+)?$", str(name))
    if not match:
        raise ValueError(f"{where}: {str(name)[:60]!r} has no number of a COCO image in it")
    return int(match[1])


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
    objects = _objects_by_rule(files, benchmark)
    if is_table or not rows:
        rows = [{"image_id": number} for number in sorted(objects["objects"])]
    if root.is_dir():
        # COCO's annotations of train and val come together; asked is about the pictures that are there.
        there = [row for row in rows if _has_picture(pictures, row["image_id"])]
        if there and len(there) < len(rows):
            say(
                f"{benchmark}: {len(there)} of the {len(rows)} annotated images lie in {pictures}; these are asked about"
            )
        rows = there or rows
    asked: dict[int, int] = {}
    questions = []
    for row in rows:
        number = image_number(column(row, str(root), *_IMAGE), str(root))
        asked[number] = asked.get(number, 0) + 1
        text = row.get("question") or row.get("prompt") or PROMPT
        present = _objects_in(objects, number, root)
        picture = _embedded(row) or _picture(pictures, number, benchmark)
        questions.append(_question(number, asked[number], text, present, (picture,)))
    return sorted(questions, key=lambda question: question.fields["image_id"])


def _question(
    number: int, count: int, text: str, objects: Mapping[str, list[str]], pictures: tuple[Picture, ...]
) -> Question:
    name = str(number) if count == 1 else f"{number}/{count}"
    return Question(name, text, "", str(number), pictures, (), {"image_id": number, **objects})


def _objects_by_rule(files: Files, benchmark: str) -> dict[str, Objects]:
    """A table of objects is that of every rule; from COCO's annotations CHAIR's two rules make two."""
    tables = {"objects": objects_of(files, benchmark)}
    if benchmark == "chair" and Path(files["objects"]).is_dir():
        tables["objects_2023"] = objects_of(files, benchmark, "2023")
    return tables


def _objects_in(tables: Mapping[str, Objects], number: int, where: Path) -> dict[str, list[str]]:
    if number not in tables["objects"]:
        raise ValueError(f"{where}: image {number} is not in the table of objects ({len(tables['objects'])} images)")
    return {name: list(table[number]) for name, table in tables.items()}


def _has_picture(directory: Path, number: int) -> bool:
    return any((directory / name.format(number)).is_file() for name in _PICTURES)


def _picture(directory: Path, number: int, benchmark: str) -> Path:
    names = [name.format(number) for name in _PICTURES]
    for name in names:
        if (directory / name).is_file():
            return directory / name
    raise ValueError(f"{benchmark}: no picture of image {number} in {directory}, expected {' or '.join(names[:2])}")


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
    objects = _objects_by_rule(files, benchmark)
    counts: dict[int, int] = {}
    answers = []
    for path in _each_file(paths):
        for one in given_of(path, _with_images(_caption_rows(path), path, files), files):
            number = image_number(column(dict(one.row), one.where, *_IMAGE), one.where)
            counts[number] = counts.get(number, 0) + 1 if repeats else 1
            text = one.row.get("prompt") or one.row.get("question") or PROMPT
            question = _question(number, counts[number], text, _objects_in(objects, number, path), ())
            answers.append(Answer(question, one.said))
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
    if len(rows) == 1:
        for name in ("sentences", "imgToEval"):
            if name in rows[0]:
                inner = rows[0][name]
                return list(inner.values()) if isinstance(inner, dict) else inner
    return rows


@dataclass(frozen=True, slots=True)
class Counts:
    """What all captions together mention. `recalled` of `present`: classes in the images that are mentioned."""

    captions: int
    captions_with_objects: int
    hallucinated_captions: int
    mentions: int
    hallucinated_mentions: int
    recalled: int
    present: int
    length: float  # words per caption


def count(answers: Sequence[Answer], vocabulary: Vocabulary, rule: str) -> Counts:
    """A mention is hallucinated where none of the classes that it may be is in the image. Repeated mentions count,
    thoughts do not: they are no part of a caption, by either rule.
    """
    rows = [
        _counted(vocabulary, rule, without_thoughts(answer.response), _present(answer.question, rule))
        for answer in answers
    ]
    made_up, mentions, recalled, present, lengths = zip(*rows, strict=True) if rows else [()] * 5
    return Counts(
        captions=len(rows),
        captions_with_objects=sum(number > 0 for number in mentions),
        hallucinated_captions=sum(number > 0 for number in made_up),
        mentions=sum(mentions),
        hallucinated_mentions=sum(made_up),
        recalled=sum(recalled),
        present=sum(present),
        length=sum(lengths) / max(1, len(rows)),
    )


def _present(question: Question, rule: str) -> tuple[str, ...]:
    """Where objects come from people's captions, these are read by the rule that the answers are read by."""
    return tuple(question.fields.get(f"objects_{rule}", question.fields["objects"]))


@lru_cache(maxsize=1 << 17)
def _counted(vocabulary: Vocabulary, rule: str, caption: str, objects: tuple[str, ...]) -> tuple[int, ...]:
    present = frozenset(objects)
    mentions = RULES[rule](vocabulary, caption)
    seen = [present.intersection(classes) for _, classes in mentions]
    # By the rule of 2018 words lie between single spaces, by that of 2023 marks are words: neither knows Chinese.
    length = {
        "2018": lambda: len(caption.split(" ")),
        "2023": lambda: len(lemma_words(vocabulary, caption)),
        "strict": lambda: len(words(caption)),
    }[rule]()
    return sum(not classes for classes in seen), len(seen), len(frozenset().union(*seen)), len(present), length


def share(part: int, whole: int) -> float:
    return part / whole if whole else 0.0
