"""COCO: captions and boxes of 80 kinds of things, which annotators looked for in every picture."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from functools import cache
from typing import Any

from skymm.curation.record import Facts, Thing
from skymm.curation.sources.pictures import Unusable
from skymm.curation.sources.source import Join, JoinedSource, broken, entries_of, identity
from skymm.lexicon import vocabulary

_OWN = "coco80"  # the vocabulary of the lexicon that has COCO's 80 categories, under their own names
_NEITHER = ("iscrowd", "difficult", "ignore", "ignored")
# As Pascal VOC writes them.
_RUN_TOGETHER = {"diningtable": "dining table", "pottedplant": "potted plant", "tvmonitor": "tv"}


class Source(JoinedSource):
    """An image is a record: its captions, and how many there are of each kind of thing.

    Boxes of a crowd, and those marked `difficult`, `ignore` or `ignored`, say neither that their kind is there nor that it is
    not, and beside other boxes of it its number is not known.

    Of tables in COCO's format with other kinds of things nobody knows what was looked for, so nothing is absent and no number
    is exact, but where an image lists what is `absent`, or the recipe says that the table is complete. `difficult_only` are
    kinds that are neither; a table that has such lists leaves difficult boxes out, so its numbers are not exact.
    """

    nothing_said = ("caption is missing", "and there are no things")
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
            raise Unusable("picture has no name", f"image {image} is annotated and not among the images")
        boxes = []
        for category, marked in said.get("category_id", []):
            name = self._kinds.get(identity(category))
            if name is None:
                raise Unusable("unknown category", f"image {image}: category {category!r} has no name")
            boxes.append((name, not marked))
        _, absent, difficult = said.get("searched", [(None, None, None)])[0]
        sought = absent
        if absent is None and (self.recipe.complete or {*self._kinds.values()} == _own()):
            sought = [*self._kinds.values()]
        if difficult is not None:
            boxes += [(name, False) for name in (*difficult, *(name for name, _ in boxes))]
        facts = boxed(boxes, sought) if "searched" in said else Facts()
        row = self.row_of(image, files[0][0], [caption for caption, _ in said.get("caption", [])], facts)
        if row.get("captions") and sought is None:  # they may tell of what is absent; boxes alone, of nothing, do not
            row.get("facts", {}).pop("absent", None)
        return row


@cache
def _own() -> frozenset[str]:
    """COCO's 80 categories."""
    return frozenset(word.en for word in vocabulary(_OWN))


def boxed(boxes: Sequence[tuple[str, bool]], sought: Collection[str] | None) -> Facts:
    """What boxes say: (name, whether it is sure) of each. Of a name with one that is hard to tell, or stands for a crowd, the
    number is not known. `sought`: all that was looked for, None where nobody knows.
    """
    counts = Counter(name for name, sure in boxes if sure)
    neither = {name for name, sure in boxes if not sure}
    things = tuple(
        Thing(name, count if sought is not None and name not in neither else None)
        for name, count in sorted(counts.items())
    )
    if sought is None:
        return Facts(things, absent=())
    if {*sought} == _own() and neither <= counts.keys():
        return Facts(things, complete=_OWN)
    missing = sorted({*sought} - counts.keys() - neither)
    return Facts(things, absent=tuple(name for name in missing if not name.startswith("_")))  # _background_ is no thing


def plain(name: str) -> str:
    """The name of a kind of thing as it is compared: in small letters, Pascal VOC's as COCO's."""
    return _RUN_TOGETHER.get(name.strip().lower(), name.strip().lower())


def _names(value: Any) -> list[str] | None:
    return [plain(name) for name in value if isinstance(name, str)] if isinstance(value, list) else None
