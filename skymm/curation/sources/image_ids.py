"""Lists about pictures that are called by their ids: LRV-Instruction's questions and MiniGPT-4's descriptions."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain, zip_longest
from pathlib import Path
from typing import Any

from skymm.conversation import Turn
from skymm.curation.record import Record
from skymm.curation.sources.pictures import Unusable, find, named
from skymm.curation.sources.source import (
    Join,
    JoinedSource,
    broken,
    captions_of,
    entries_of,
    identity,
    key_of,
    refused,
    text_of,
)
from skymm.text import language_of


class Lrv(JoinedSource):
    """LRV-Instruction: lists of {image_id, question, answer} about what is in Visual Genome's pictures and what is not.

    An image is a record: all that is asked about it, true and false premises by turns, so that a conversation that is cut to
    its first turns keeps both. Keys are the image ids.
    """

    default_licence = (
        "LRV-Instruction BSD 3-Clause, answers under OpenAI's terms of use; "
        "pictures of Visual Genome under Flickr's terms"
    )

    def read(self, join: Join) -> Iterator[dict[str, Any]]:
        if not self.recipe.positive and not self.recipe.negative:
            raise ValueError("lrv: no files; name some in `positive`, `negative` or both")
        for polarity, paths in (("positive", self.recipe.positive), ("negative", self.recipe.negative)):
            for path in paths:
                for _, number, said, entry in entries_of(path, {"": ["image_id", "question", "answer"]}):
                    place, image = f"entry {number}", identity(said.get("image_id"))
                    if image is None:
                        yield broken(path, place, f"found {entry!r}, expected image_id")
                        continue
                    try:
                        asked = [text_of(said.get(name), f"{name} is missing") for name in ("question", "answer")]
                    except Unusable as error:
                        yield refused(f"{Path(path).stem}-{place}", error.reason, f"{path}, {place}: {error.detail}")
                        continue
                    # The files of later releases hold both, and say which is which.
                    negative = str(said.get("task", "")).strip().lower().startswith("negative")
                    mine = "negative" if negative else polarity
                    join.add(image, mine, [*asked, mine])

    def row(self, image: int | str, said: dict[str, list[Any]]) -> dict[str, Any]:
        pairs = zip_longest(said.get("positive", []), said.get("negative", []))
        asked = [each for each in chain.from_iterable(pairs) if each is not None]
        return {"key": key_of(image), "image": str(image), "asked": asked}

    def record(self, row: dict[str, Any]) -> Record:
        image = row["image"]  # an id; the charts that came later are named with their endings
        pictures = named([find([f"{image}.jpg", image, f"{image}.png"], self.recipe.images)])
        turns: list[Turn] = []
        for question, answer, polarity in row["asked"]:
            turns.append(Turn("user", question, () if turns else tuple(pictures)))
            turns.append(Turn("assistant", answer, polarity=polarity, language=language_of(answer)))
        return Record(row["key"], pictures, turns=tuple(turns))


class MiniGpt4(JoinedSource):
    """MiniGPT-4's second stage: {"annotations": [{image_id, caption}]}, 3,439 pictures with long descriptions.

    An image is a record; descriptions of the same image come together. Keys are the image ids.
    """

    default_licence = (
        "MiniGPT-4 BSD 3-Clause, descriptions by a model under the terms of Vicuna and OpenAI; "
        "pictures of Conceptual Captions and SBU under the terms of their sites"
    )

    def read(self, join: Join) -> Iterator[dict[str, Any]]:
        path = self.recipe.table
        for _, number, said, entry in entries_of(path, {"annotations": ["image_id", "caption"]}):
            image = identity(said.get("image_id"))
            if image is None:
                yield broken(path, f"entry {number}", f"found {entry!r}, expected image_id")
            else:
                join.add(image, "captions", said.get("caption"))

    def row(self, image: int | str, said: dict[str, list[Any]]) -> dict[str, Any]:
        return {"key": key_of(image), "image": str(image), "captions": said["captions"]}

    def record(self, row: dict[str, Any]) -> Record:
        captions = captions_of(row["captions"])
        if not captions:
            raise Unusable("caption is missing")
        return Record(row["key"], named([find(f"{row['image']}.jpg", self.recipe.images)]), tuple(captions))
