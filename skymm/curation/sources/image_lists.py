"""Lists about pictures that are called by their names or ids: captions in Chinese, LRV-Instruction's questions, and MiniGPT-4's
descriptions.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from itertools import chain, zip_longest
from typing import Any

from skymm.conversation import Turn
from skymm.curation.sources.pictures import Unusable
from skymm.curation.sources.source import Join, JoinedSource, Listed, broken, id_in, text_of
from skymm.text import language_of
from skymm.text_files import opened

_LINE = re.compile(r"(?P<image>[^#\s]+)#(?:(?P<kind>[^#\s]+)#)?(?P<number>\d+)(?:[ \t]+(?P<text>.*))?")
_COCO = re.compile(r"COCO_(?P<split>\w+)_(?P<number>\d{12})")
_TAGGED = re.compile(r"(?P<word>\S+):[A-Za-z_]{1,6}")
_BETWEEN_LETTERS = re.compile(r"(?<=[A-Za-z0-9]) (?=[A-Za-z0-9])|(?P<space> )")
_LONGEST = 64 * 1024  # characters of a line


class ChineseCaptions(JoinedSource):
    """COCO-CN, Flickr8k-CN, Flickr30k-CN: lines `IMAGE#KIND#N caption` or, in COCO-CN's human-written file, `IMAGE#N caption`.

    The kinds are zhc (written by people), zhm (translated by people), zhb (by Baidu) and zhg (by Google); enc is the English.
    Some files are published as words with their parts of speech only (`一:m 只:q 狗:n`); these are sentences again afterwards.

    An image is a record with all captions of the kinds that the recipe wants, from all tables. Lines without a kind are
    wanted always. Keys are the image names without `.jpg`, in order: most files have an image's captions together, not all.
    """

    default_licence = "COCO-CN MIT; Flickr8k-CN and Flickr30k-CN for research; pictures under Flickr's terms of use"

    def read(self, join: Join) -> Iterator[dict[str, Any]]:
        tables = self.recipe.table if isinstance(self.recipe.table, list) else [self.recipe.table]
        for path in tables:
            yield from self._read(path, join)

    def _read(self, path: str, join: Join) -> Iterator[dict[str, Any]]:
        wanted, kinds = False, dict[str, None]()
        with opened(path) as file:
            for number, line in enumerate(iter(lambda: file.readline(_LONGEST), ""), 1):
                match = _LINE.fullmatch(line.strip())
                if match is None:
                    if line.strip():
                        yield broken(path, f"line {number}", f"found {line.strip()!r}")
                    continue
                image = match["image"].removesuffix(".jpg")
                if match["kind"] is None or match["kind"] in self.recipe.kinds:
                    wanted = True
                    join.add(image, "wanted", _sentence(match["text"] or ""))
                else:
                    kinds[match["kind"]] = None
                    join.add(image, "unwanted", match["kind"])
        if not wanted:
            found = f"only lines of the kinds {', '.join(kinds)}" if kinds else "no such line"
            raise ValueError(
                f"{path}: found {found}, expected lines like `IMAGE#KIND#N caption` of the kinds {', '.join(self.recipe.kinds)}"
            )

    def row(self, image: int | str, said: dict[str, list[Any]]) -> dict[str, Any]:
        if "wanted" not in said:
            kinds = ", ".join(dict.fromkeys(said["unwanted"]))
            raise Unusable("no caption of these kinds", f"{image}: found {kinds}")
        return self.row_of(image, _files(str(image)), said["wanted"])


def _files(image: str) -> list[str]:
    """What the picture may be called: as published, in the directory of its split, or by COCO's newer names."""
    match = _COCO.fullmatch(image)
    newer = [f"{match['split']}/{image}.jpg", f"{match['number']}.jpg"] if match else []
    return [f"{image}.jpg", image, *newer]


def _sentence(text: str) -> str:
    """The text of words with their parts of speech; other texts as they are."""
    words = [_TAGGED.fullmatch(part) for part in text.split()]
    if not words or not all(words):
        return text
    return _BETWEEN_LETTERS.sub(
        lambda match: "" if match["space"] else " ", " ".join(word["word"] for word in words if word)
    )


class Lrv(JoinedSource):
    """LRV-Instruction: lists of {image_id, question, answer} about what is in Visual Genome's pictures and what is not.

    An image is a record: all that is asked about it, true and false premises by turns, so that a conversation that is cut to
    its first turns keeps both.
    """

    default_licence = (
        "LRV-Instruction BSD 3-Clause, answers under OpenAI's terms of use; "
        "pictures of Visual Genome under Flickr's terms"
    )

    def files(self) -> Iterator[Listed]:
        if not self.recipe.positive and not self.recipe.negative:
            raise ValueError("lrv: no files; name some in `positive`, `negative` or both")
        for polarity in ("positive", "negative"):
            for path in getattr(self.recipe, polarity):
                yield polarity, path, {"": ["image_id", "question", "answer"]}

    def take(self, join: Join, kind: str, part: str, said: Mapping[str, Any]) -> None:
        image = id_in(said, "image_id")
        asked = [text_of(said.get(name), f"{name} is missing") for name in ("question", "answer")]
        # The files of later releases hold both, and say which is which.
        negative = str(said.get("task", "")).strip().lower().startswith("negative")
        join.add(image, "negative" if negative else kind, asked)

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

    def files(self) -> Iterator[Listed]:
        yield "captions", self.recipe.table, {"annotations": ["image_id", "caption"]}

    def take(self, join: Join, kind: str, part: str, said: Mapping[str, Any]) -> None:
        join.add(id_in(said, "image_id"), kind, said.get("caption"))

    def row(self, image: int | str, said: dict[str, list[Any]]) -> dict[str, Any]:
        return self.row_of(image, f"{image}.jpg", said["captions"])
