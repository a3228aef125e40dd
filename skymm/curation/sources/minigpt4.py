"""MiniGPT-4's second stage: 3,439 pictures with long descriptions, {"annotations": [{image_id, caption}]}."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from skymm.curation.record import Record, Rejected
from skymm.curation.sources import json_stream
from skymm.curation.sources.join import Join
from skymm.curation.sources.pictures import check_directories, find, named
from skymm.curation.sources.rows import Unusable, broken, captions_of, expect_names, identity, key_of, record_of
from skymm.recipe.sources import MiniGpt4Source

LICENCE = (
    "MiniGPT-4 BSD 3-Clause, descriptions by a model under the terms of Vicuna and OpenAI; "
    "pictures of Conceptual Captions and SBU under the terms of their sites"
)


class Source:
    """An image is a record; descriptions of the same image come together. Keys are the image ids."""

    rows_per_part = 256

    def __init__(self, recipe: MiniGpt4Source) -> None:
        self.recipe = recipe
        self.licence = recipe.licence or LICENCE

    def rows(self) -> Iterator[dict[str, Any]]:
        check_directories(self.recipe.images)
        path = self.recipe.table
        names: list[str] = []
        with Join() as join:
            for entry in json_stream.entries(path):
                if entry.name not in names:
                    names.append(entry.name)
                if entry.name != "annotations":
                    continue
                said = entry.value if isinstance(entry.value, dict) else {}
                if entry.number == 1:
                    expect_names(said.keys(), ["image_id", "caption"], f"{path}, entry 1", "field")
                image = identity(said.get("image_id"))
                if image is None:
                    yield broken(path, f"entry {entry.number}", f"found {entry.value!r}, expected image_id")
                else:
                    join.add(image, "captions", said.get("caption"))
            expect_names(names, ["annotations"], path, "list")
            for image, said in join.images():
                yield {"key": key_of(image), "image": str(image), "captions": said["captions"]}

    def records(self, row: dict[str, Any]) -> Iterator[Record | Rejected]:
        yield record_of(row, self._record)

    def _record(self, row: dict[str, Any]) -> Record:
        captions = captions_of(row["captions"])
        if not captions:
            raise Unusable("caption is missing")
        return Record(row["key"], named([find(f"{row['image']}.jpg", self.recipe.images)]), tuple(captions))
