"""Lists about pictures that are called by their ids: LRV-Instruction's questions and MiniGPT-4's descriptions."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain, zip_longest
from pathlib import Path
from typing import Any

from skymm.conversation import Turn
from skymm.curation.sources.pictures import Unusable
from skymm.curation.sources.source import Join, JoinedSource, broken, entries_of, identity, refused, text_of
from skymm.text import language_of


class Lrv(JoinedSource):
    """LRV-Instruction: lists of {image_id, question, answer} about what is in Visual Genome's pictures and what is not.

    An image is a record: all that is asked about it, true and false premises by turns, so that a conversation that is cut to
    its first turns keeps both.
    """

    default_licence = (
        "LRV-Instruction BSD 3-Clause, answers under OpenAI's terms of use; "
        "pictures of Visual Genome under Flickr's terms"
    )

    def read(self, join: Join) -> Iterator[dict[str, Any]]:
        paths = {"positive": self.recipe.positive, "negative": self.recipe.negative}
        if not any(paths.values()):
            raise ValueError("lrv: no files; name some in `positive`, `negative` or both")
        for polarity, path in ((polarity, path) for polarity, those in paths.items() for path in those):
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
                join.add(image, "negative" if negative else polarity, asked)

    def row(self, image: int | str, said: dict[str, list[Any]]) -> dict[str, Any]:
        told = [[(*asked, polarity) for asked in said.get(polarity, [])] for polarity in ("positive", "negative")]
        turns: list[Turn] = []
        for question, answer, polarity in filter(None, chain.from_iterable(zip_longest(*told))):
            turns += [Turn("user", question)]
            turns += [Turn("assistant", answer, polarity=polarity, language=language_of(answer))]
        # Charts came later, and are named with their endings.
        return self.row_of(image, [f"{image}.jpg", f"{image}", f"{image}.png"], turns=turns)


class MiniGpt4(JoinedSource):
    """MiniGPT-4's second stage: {"annotations": [{image_id, caption}]}, 3,439 pictures with long descriptions.

    An image is a record; descriptions of the same image come together.
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
        return self.row_of(image, f"{image}.jpg", said["captions"])
