"""COCO: captions and boxes of 80 kinds of things, which annotators looked for in every picture."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from dataclasses import replace
from functools import cache
from typing import Any

from skymm.curation.record import Facts, Record, Thing
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
)
from skymm.lexicon import vocabulary

_OWN = "coco80"  # the vocabulary of the lexicon that has COCO's 80 categories, under their own names
_NEITHER = ("iscrowd", "difficult", "ignore", "ignored")
# As Pascal VOC writes them.
_RUN_TOGETHER = {"diningtable": "dining table", "pottedplant": "potted plant", "tvmonitor": "tv"}


class Source(JoinedSource):
    """An image is a record: its captions, and how many there are of each kind of thing. Keys are the image ids.

    Boxes of a crowd, and those marked `difficult`, `ignore` or `ignored`, say neither that their kind is there nor that it is
    not, and beside other boxes of it its number is not known.

    Of tables in COCO's format with other kinds of things nobody knows what was looked for, so nothing is absent and no number
    is exact, but where an image lists what is `absent`, or the recipe says that the table is complete. `difficult_only` are
    kinds that are neither; a table that has such lists leaves difficult boxes out, so its numbers are not exact.
    """

    rows_per_part = 512
    default_licence = "COCO annotations CC-BY 4.0; pictures under Flickr's terms of use"

    def read(self, join: Join) -> Iterator[dict[str, Any]]:
        if self.recipe.captions is None and self.recipe.instances is None:
            raise ValueError("coco: no files; name `captions`, `instances` or both")
        self._kinds: dict[int | str | None, str] = {}
        if self.recipe.captions is not None:
            yield from self._read(self.recipe.captions, "caption", "captioned", join)
        if self.recipe.instances is not None:
            yield from self._read(self.recipe.instances, "category_id", "searched", join)

    def _read(self, path: str, field: str, by: str, join: Join) -> Iterator[dict[str, Any]]:
        """Puts a file's images (under `by`) and a field of its annotations into the join; gives what is broken."""
        lists = {"images": [], "annotations": ["image_id", field], **({"categories": []} if by == "searched" else {})}
        for part, number, said, entry in entries_of(path, lists):
            image = identity(said.get("image_id" if part == "annotations" else "id"))
            name = said.get("file_name" if part == "images" else "name")
            if image is None or (part != "annotations" and not isinstance(name, str)):
                yield broken(path, f"{part} {number}", f"found {entry!r}")
            elif part == "images":
                join.add(image, by, [name, _names(said.get("absent")), _names(said.get("difficult_only"))])
            elif part == "annotations":
                join.add(image, field, [said.get(field), any(said.get(mark) for mark in _NEITHER)])
            else:
                self._kinds[image] = plain(name)

    def row(self, image: int | str, said: dict[str, list[Any]]) -> dict[str, Any]:
        files = [*said.get("captioned", []), *said.get("searched", [])]
        if not files:
            return refused(image, "picture has no name", f"image {image} is annotated and not among the images")
        counts: Counter[str] = Counter()
        neither: set[str] = set()
        for category, marked in said.get("category_id", []):
            name = self._kinds.get(identity(category))
            if name is None:
                return refused(image, "unknown category", f"image {image}: category {category!r} has no name")
            if marked:
                neither.add(name)
            else:
                counts[name] += 1
        _, absent, difficult = said.get("searched", [(None, None, None)])[0]
        neither.update(difficult or (), counts if difficult is not None else ())
        named_kinds = sorted(set(self._kinds.values()))
        sought = named_kinds if self.recipe.complete or {*named_kinds} == _own() else None
        return {
            "key": key_of(image),
            "file": files[0][0],
            "captions": [caption for caption, _ in said.get("caption", [])],
            "searched": "searched" in said,
            "counts": dict(sorted(counts.items())),
            "neither": sorted(neither),
            "sought": sought if absent is None else absent,
        }

    def record(self, row: dict[str, Any]) -> Record:
        captions = captions_of(row["captions"])
        facts = boxed(row["counts"], row["neither"], row["sought"]) if row["searched"] else Facts()
        if captions and row["sought"] is None:  # captions may tell of what is absent; boxes alone, of nothing, do not
            facts = replace(facts, absent=None)
        if not captions and not (facts.things or facts.complete or facts.absent):
            raise Unusable("caption is missing", "and there are no things")
        return Record(row["key"], named([find(row["file"], self.recipe.images)]), tuple(captions), facts=facts)


@cache
def _own() -> frozenset[str]:
    """COCO's 80 categories."""
    return frozenset(word.en for word in vocabulary(_OWN))


def boxed(counts: Mapping[str, int], neither: Collection[str], sought: Collection[str] | None) -> Facts:
    """What boxes say. `counts`: of sure boxes, by name; `neither`: names with boxes that are hard to tell or stand for a crowd,
    whose number is not known; `sought`: all that was looked for, None where nobody knows.
    """
    things = tuple(
        Thing(name, counts[name] if sought is not None and name not in neither else None) for name in sorted(counts)
    )
    if sought is None:
        return Facts(things, absent=())
    if {*sought} == _own() and not {*neither} - counts.keys():
        return Facts(things, complete=_OWN)
    searched = (name for name in sorted(sought) if not name.startswith("_"))  # _background_ is no thing
    return Facts(things, absent=tuple(name for name in searched if name not in counts and name not in neither))


def plain(name: str) -> str:
    """The name of a kind of thing as it is compared: in small letters, Pascal VOC's as COCO's."""
    return _RUN_TOGETHER.get(name.strip().lower(), name.strip().lower())


def _names(value: Any) -> list[str] | None:
    return [plain(name) for name in value if isinstance(name, str)] if isinstance(value, list) else None
