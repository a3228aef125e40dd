"""COCO: captions and boxes of 80 kinds of things, which annotators looked for in every picture."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

from skymm.curation.record import Facts, Record, Rejected, Thing
from skymm.curation.sources import json_stream
from skymm.curation.sources.join import Join
from skymm.curation.sources.pictures import check_directories, find, named
from skymm.curation.sources.rows import (
    Unusable,
    broken,
    captions_of,
    expect_names,
    identity,
    key_of,
    record_of,
    refused,
)
from skymm.recipe.sources import CocoSource

LICENCE = "COCO annotations CC-BY 4.0; pictures under Flickr's terms of use"
VOCABULARY = "coco80"
_IN_ORDER = (
    "person, bicycle, car, motorcycle, airplane, bus, train, truck, boat, traffic light, fire hydrant, "
    "stop sign, parking meter, bench, bird, cat, dog, horse, sheep, cow, elephant, bear, zebra, giraffe, "
    "backpack, umbrella, handbag, tie, suitcase, frisbee, skis, snowboard, sports ball, kite, baseball bat, "
    "baseball glove, skateboard, surfboard, tennis racket, bottle, wine glass, cup, fork, knife, spoon, "
    "bowl, banana, apple, sandwich, orange, broccoli, carrot, hot dog, pizza, donut, cake, chair, couch, "
    "potted plant, bed, dining table, toilet, tv, laptop, mouse, remote, keyboard, cell phone, microwave, "
    "oven, toaster, sink, refrigerator, book, clock, vase, scissors, teddy bear, hair drier, toothbrush"
)
NAMES = tuple(_IN_ORDER.split(", "))
"""The 80 categories, in the order of their ids."""


class Source:
    """An image is a record: its captions, and how many there are of each kind of thing. Where some are only marked as a
    crowd the number is not known. Keys are the image ids.

    Tables in COCO's format with other kinds of things give facts that are not complete: what was looked for is not known.
    """

    rows_per_part = 512

    def __init__(self, recipe: CocoSource) -> None:
        self.recipe = recipe
        self.licence = recipe.licence or LICENCE
        if recipe.captions is None and recipe.instances is None:
            raise ValueError("coco: no files; name `captions`, `instances` or both")

    def rows(self) -> Iterator[dict[str, Any]]:
        check_directories(self.recipe.images)
        with Join() as join:
            kinds: dict[int | str, str] = {}
            if self.recipe.captions is not None:
                yield from _read(self.recipe.captions, ["caption"], "captioned", join, {})
            if self.recipe.instances is not None:
                yield from _read(self.recipe.instances, ["category_id", "iscrowd"], "searched", join, kinds)
            complete = set(kinds.values()) == set(NAMES)
            for image, said in join.images():
                yield _row(image, said, kinds, complete)

    def records(self, row: dict[str, Any]) -> Iterator[Record | Rejected]:
        yield record_of(row, self._record)

    def _record(self, row: dict[str, Any]) -> Record:
        captions = captions_of(row["captions"])
        facts = Facts(tuple(Thing(name, count) for name, count in row["things"]), complete=row["complete"])
        if not captions and not facts.to_json():
            raise Unusable("caption is missing", "and there are no things")
        return Record(row["key"], named([find(row["file"], self.recipe.images)]), tuple(captions), facts=facts)


def _read(
    path: str, fields: Sequence[str], by: str, join: Join, kinds: dict[int | str, str]
) -> Iterator[dict[str, Any]]:
    """Puts a file's images (under `by`) and annotations into the join, its categories into `kinds`; yields what is broken."""
    lists: list[str] = []
    for entry in json_stream.entries(path):
        if entry.name not in lists:
            lists.append(entry.name)
        if entry.name not in ("images", "annotations", "categories"):
            continue
        said = entry.value if isinstance(entry.value, dict) else {}
        place = f"{entry.name} {entry.number}"
        if entry.name == "annotations" and entry.number == 1:
            expect_names(said.keys(), ["image_id", *fields], f"{path}, {place}", "field")
        image = identity(said.get("image_id" if entry.name == "annotations" else "id"))
        name = said.get("file_name" if entry.name == "images" else "name")
        if image is None or (entry.name != "annotations" and not isinstance(name, str)):
            yield broken(path, place, f"found {entry.value!r}")
        elif entry.name == "images":
            join.add(image, by, name)
        elif entry.name == "annotations":
            join.add(image, fields[0], [said.get(field) for field in fields])
        else:
            kinds[image] = name.strip().lower()
    expect_names(lists, ["images", "annotations", *(["categories"] if by == "searched" else [])], path, "list")


def _row(image: int | str, said: dict[str, list[Any]], kinds: dict[int | str, str], complete: bool) -> dict[str, Any]:
    files = [*said.get("captioned", []), *said.get("searched", [])]
    if not files:
        return refused(image, "picture has no name", f"image {image} is annotated and not among the images")
    counts: Counter[str] = Counter()
    crowds: set[str] = set()
    for category, crowd in said.get("category_id", []):
        name = kinds.get(identity(category) or "")
        if name is None:
            return refused(image, "unknown category", f"image {image}: category {category!r} has no name")
        counts[name] += 1
        if crowd:
            crowds.add(name)
    return {
        "key": key_of(image),
        "file": files[0],
        "captions": [caption for (caption,) in said.get("caption", [])],
        "things": [[name, None if name in crowds else counts[name]] for name in sorted(counts)],
        "complete": VOCABULARY if complete and "searched" in said else None,
    }
