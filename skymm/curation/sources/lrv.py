"""LRV-Instruction: questions about what is in Visual Genome's pictures and about what is not, with GPT-4's answers."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain, zip_longest
from pathlib import Path
from typing import Any

from skymm.conversation import Turn
from skymm.curation.record import Record, Rejected
from skymm.curation.sources import json_stream
from skymm.curation.sources.join import Join
from skymm.curation.sources.pictures import check_directories, find, named
from skymm.curation.sources.rows import Unusable, broken, expect_names, identity, key_of, record_of, refused, text_of
from skymm.recipe.sources import LrvSource
from skymm.text import language_of

LICENCE = (
    "LRV-Instruction BSD 3-Clause, answers under OpenAI's terms of use; pictures of Visual Genome under Flickr's terms"
)


class Source:
    """An image is a record: all that is asked about it, true and false premises by turns, so that a conversation that is
    cut to its first turns keeps both. Keys are the image ids.
    """

    rows_per_part = 256

    def __init__(self, recipe: LrvSource) -> None:
        self.recipe = recipe
        self.licence = recipe.licence or LICENCE
        if not recipe.positive and not recipe.negative:
            raise ValueError("lrv: no files; name some in `positive`, `negative` or both")

    def rows(self) -> Iterator[dict[str, Any]]:
        check_directories(self.recipe.images)
        with Join() as join:
            for polarity, paths in (("positive", self.recipe.positive), ("negative", self.recipe.negative)):
                for path in paths:
                    yield from _read(path, polarity, join)
            for image, said in join.images():
                pairs = zip_longest(said.get("positive", []), said.get("negative", []))
                asked = [each for each in chain.from_iterable(pairs) if each is not None]
                yield {"key": key_of(image), "image": str(image), "asked": asked}

    def records(self, row: dict[str, Any]) -> Iterator[Record | Rejected]:
        yield record_of(row, self._record)

    def _record(self, row: dict[str, Any]) -> Record:
        image = row["image"]  # an id; the charts that came later are named with their endings
        pictures = named([find([f"{image}.jpg", image, f"{image}.png"], self.recipe.images)])
        turns: list[Turn] = []
        for question, answer, polarity in row["asked"]:
            shown = () if turns else tuple(pictures)
            turns.append(Turn("user", question, shown))
            turns.append(Turn("assistant", answer, polarity=polarity, language=language_of(answer)))
        return Record(row["key"], pictures, turns=tuple(turns))


def _read(path: str, polarity: str, join: Join) -> Iterator[dict[str, Any]]:
    """Puts what a file says into the join; yields what cannot be used."""
    number = 0
    for number, entry in enumerate(json_stream.values(path), 1):
        said = entry.value if isinstance(entry.value, dict) else {}
        if number == 1:
            expect_names(said.keys(), ["image_id", "question", "answer"], f"{path}, entry 1", "field")
        place = f"entry {entry.number}"
        image = identity(said.get("image_id"))
        if image is None:
            yield broken(path, place, f"found {entry.value!r}, expected image_id")
            continue
        try:
            question, answer = (text_of(said.get(name), f"{name} is missing") for name in ("question", "answer"))
        except Unusable as error:
            yield refused(f"{Path(path).stem}-{place}", error.reason, f"{path}, {place}: {error.detail}")
            continue
        # The files of later releases hold both, and say which is which.
        mine = "negative" if str(said.get("task", "")).strip().lower().startswith("negative") else polarity
        join.add(image, mine, [question, answer, mine])
    if not number:
        raise ValueError(f"{path}: found no entries")
