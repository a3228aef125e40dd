"""Things that people marked in pictures: COCO's tables, a file per picture of Pascal VOC or YOLO, and Visual Genome."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from functools import cache
from itertools import chain
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from skymm.curation.record import Facts, Thing
from skymm.curation.sources.pictures import Unusable
from skymm.curation.sources.source import BROKEN, Join, JoinedSource, Listed, broken, id_in, identity, is_unicode
from skymm.lexicon import vocabulary
from skymm.text_files import opened

_OWN = "coco80"  # the vocabulary of the lexicon that has COCO's 80 categories, under their own names
_NEITHER = ("iscrowd", "difficult", "ignore", "ignored", "crowd")
# As Pascal VOC writes them.
_RUN_TOGETHER = {"diningtable": "dining table", "pottedplant": "potted plant", "tvmonitor": "tv"}
_JOINED = re.compile(r"(?<=[a-z])_(?=[a-z(])")
_LISTS = ("classes.txt", "obj.names", "data.yaml", "dataset.yaml")
_NO_LABELS = ("classes.txt", "train.txt", "val.txt", "test.txt", "readme.txt")
_ENDINGS = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".JPG", ".JPEG", ".PNG")
_LARGEST = 16 * 1024 * 1024  # bytes of a file
_GENOME = {
    "objects": "objects.json",
    "attributes": "attributes.json",
    "relationships": "relationships.json",
    "regions": "region_descriptions.json",
}


class Coco(JoinedSource):
    """An image is a record: its captions, and how many there are of each kind of thing.

    Boxes of a crowd, and those marked `difficult`, `ignore` or `ignored`, say neither that their kind is there nor that it is
    not, and beside other boxes of it its number is not known.

    Of tables in COCO's format with other kinds of things nobody knows what was looked for, so nothing is absent and no number
    is exact, but where an image lists what is `absent`, or the recipe says that the table is complete. `difficult_only` are
    kinds that are neither; a table that has such lists leaves difficult boxes out, so its numbers are not exact. LVIS lists by
    their ids what is absent (neg_category_ids), and of what not all was marked.
    """

    nothing_said = ("caption is missing", "and there are no things")
    default_licence = "COCO annotations CC-BY 4.0; pictures under Flickr's terms of use"

    def files(self) -> Iterator[Listed]:
        if self.recipe.captions is None and self.recipe.instances is None:
            raise ValueError("coco: no files; name `captions`, `instances` or both")
        self._kinds: dict[int | str | None, str] = {}
        if self.recipe.captions is not None:
            yield "captioned", self.recipe.captions, {"images": [], "annotations": ["image_id", "caption"]}
        if self.recipe.instances is not None:
            lists = {"images": [], "annotations": ["image_id", "category_id"], "categories": []}
            yield "searched", self.recipe.instances, lists

    def take(self, join: Join, kind: str, part: str, said: Mapping[str, Any]) -> None:
        image = id_in(said, "image_id" if part == "annotations" else "id")
        name = said.get("file_name" if part == "images" else "name")
        if part == "annotations":
            field = "caption" if kind == "captioned" else "category_id"
            join.add(image, field, [said.get(field), any(said.get(mark) for mark in _NEITHER)])
        elif not isinstance(name, str):
            raise Unusable(BROKEN)
        elif part == "images":
            ids = [said.get("neg_category_ids"), said.get("not_exhaustive_category_ids")]
            join.add(image, kind, [name, _names(said.get("absent")), _names(said.get("difficult_only")), ids])
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
        _, absent, difficult, (never, not_all) = said.get("searched", [(None, None, None, (None, None))])[0]
        if absent is None and isinstance(never, list):  # LVIS
            absent, partly = (
                [name for one in ids or [] if (name := self._kinds.get(identity(one)))] for ids in (never, not_all)
            )
            boxes += [(name, False) for name in partly]
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
    """The name of a kind of thing as it is compared: in small letters, Pascal VOC's and LVIS's as COCO's."""
    name = _JOINED.sub(" ", name.strip().lower())
    return _RUN_TOGETHER.get(name, name)


def _names(value: Any) -> list[str] | None:
    return [plain(name) for name in value if isinstance(name, str)] if isinstance(value, list) else None


# --- a file per picture -----------------------------------------------------------------------------------------------------


class Boxes(JoinedSource):
    """Pascal VOC's XML and YOLO's text. A file is a record, its picture found under the file's own name or, in XML, under the
    one it says. Keys are the paths of the files.

    Nothing is absent and no number is exact where the recipe does not say that the annotation is complete.
    """

    nothing_said = ("nothing is annotated", "and the recipe does not say that the annotation is complete")

    def read(self, join: Join) -> Iterator[dict[str, Any]]:
        root = Path(self.recipe.annotations)
        if not root.exists():
            raise ValueError(f"no annotations at {root}")
        below, root = ([root], root.parent) if root.is_file() else (sorted(root.rglob("*")), root)
        below = [path for path in below if path.name.lower() not in _NO_LABELS]
        files = [path for path in below if path.suffix.lower() in (".xml", ".txt") and path.is_file()]
        kinds = {path.suffix.lower() for path in files}
        if len(kinds) != 1:
            found = "both .xml and .txt" if kinds else "neither .xml nor .txt"
            raise ValueError(f"{root}: found {found}, expected files of Pascal VOC (.xml) or of YOLO (.txt)")
        voc = kinds == {".xml"}
        self.forms = Counter({"Pascal VOC" if voc else "YOLO": len(files)})
        names = list(self.recipe.names) or ([] if voc else _names_beside(root))
        # Of XML files nobody says what was looked for, but that it was all that any of them has.
        self._sought = {*map(plain, names)}
        for path in files:
            place = path.relative_to(root).as_posix()
            try:
                boxes, called = _voc(path) if voc else (_yolo(path, names), "")
            except (ValueError, ElementTree.ParseError, OSError) as error:
                yield broken(root, place, error)
                continue
            self._sought.update(name for name, _ in boxes)
            join.add(place, "said", [called, boxes])

    def row(self, image: int | str, said: dict[str, list[Any]]) -> dict[str, Any]:
        ((called, boxes),) = said["said"]
        stem = str(image).rpartition(".")[0]
        files = [name + ending for name in (called, stem) if name for ending in ("", *_ENDINGS)]
        facts = boxed(boxes, self._sought if self.recipe.complete else None)
        return self.row_of(stem, files, facts=facts)


def _voc(path: Path) -> tuple[list[tuple[str, bool]], str]:
    """(name, whether it is sure) of each object, and the name of the picture."""
    data = _bytes(path)
    if b"<!DOCTYPE" in data or b"<!ENTITY" in data:
        raise ValueError("an XML file with a document type, expected plain <annotation>")
    root = ElementTree.fromstring(data)
    if root.tag != "annotation":
        raise ValueError(f"found <{root.tag}>, expected <annotation>")
    boxes = []
    for one in root.findall("object"):
        name = (one.findtext("name") or "").strip()
        if not name or not is_unicode(name):
            raise ValueError("an <object> without a <name>")
        marks = [(one.findtext(mark) or "0").strip().lower() for mark in _NEITHER]
        boxes.append((plain(name), all(mark in ("", "0", "false", "unspecified") for mark in marks)))
    return boxes, (root.findtext("filename") or "").strip().replace("\\", "/").rpartition("/")[2]


def _yolo(path: Path, names: list[str]) -> list[tuple[str, bool]]:
    """Lines `class x y width height`, or with the corners of a polygon in the place of a box."""
    boxes = []
    for number, line in enumerate(_bytes(path).decode("utf-8-sig").splitlines(), 1):
        cells = line.split()
        if not cells:
            continue
        if len(cells) < 5 or not all(-0.01 <= float(cell) <= 1.01 for cell in cells[1:]):
            raise ValueError(f"line {number}: found {line[:60]!r}, expected class x y width height, from 0 to 1")
        kind = int(cells[0])
        if not 0 <= kind < len(names):
            raise ValueError(f"line {number}: class {kind}, and there are names for {len(names)}")
        boxes.append((plain(names[kind]), True))
    return boxes


def _names_beside(root: Path) -> list[str]:
    """The names of YOLO's classes, from a list or a data.yaml in the folder of the labels or above it."""
    for path in (folder / name for folder in (root, root.parent, root.parent.parent) for name in _LISTS):
        if not path.is_file():
            continue
        if path.suffix != ".yaml":
            with opened(path) as file:
                return [line.strip() for line in file.read().splitlines() if line.strip()]
        import yaml

        try:
            said = yaml.safe_load(path.read_text("utf-8"))
        except (yaml.YAMLError, UnicodeDecodeError) as error:
            raise ValueError(f"{path}: not YAML ({error})") from error
        names = said.get("names") if isinstance(said, dict) else None
        names = [names[key] for key in sorted(names)] if isinstance(names, dict) else names
        if isinstance(names, list) and names:
            return [str(name) for name in names]
    raise ValueError(
        f"{root}: YOLO's classes are numbers, and no {', '.join(_LISTS)} is beside them; name them in the recipe: "
        'names = ["person", ...]'
    )


def _bytes(path: Path) -> bytes:
    with path.open("rb") as file:
        data = file.read(_LARGEST + 1)
    if len(data) > _LARGEST:
        raise ValueError(f"longer than {_LARGEST} bytes")
    return data


# --- Visual Genome ------------------------------------------------------------------------------------------------------------


class VisualGenome(JoinedSource):
    """Things, their attributes, what they do to each other, and phrases about parts of the pictures. An image is a record; of
    several names for one thing ("monitor", "computer") all are there.

    Boxes of one name overlap as they please (the same tree is there once for each worker who drew it), and nobody looked for
    everything: so counts are not known and the facts are not complete.
    """

    nothing_said = ("nothing is said", "no things, relations or regions")
    default_licence = "Visual Genome CC-BY 4.0; pictures under Flickr's terms of use"

    def files(self) -> Iterator[Listed]:
        root, wanted = Path(self.recipe.root), dict(_GENOME)
        if not self.recipe.regions_per_image:
            del wanted["regions"]
        missing = [name for name in wanted.values() if not (root / name).is_file()]
        if missing:
            raise ValueError(f"{root}: {', '.join(missing)} not there, expected {', '.join(wanted.values())}")
        for kind, name in wanted.items():
            yield kind, str(root / name), {"": [kind]}

    def take(self, join: Join, kind: str, part: str, said: Mapping[str, Any]) -> None:
        """No more than is needed."""
        image = id_in(said, "image_id", "id")  # region_descriptions.json says id
        if not isinstance(said.get(kind), list):
            raise Unusable(BROKEN)
        found = [each for each in said[kind] if isinstance(each, dict)]
        if kind == "regions":
            join.add(image, kind, _largest(filter(None, map(_region, found)), self.recipe.regions_per_image))
        elif kind == "relationships":
            join.add(image, kind, [_relation(each) for each in found])
        else:
            join.add(image, kind, [[_names_of(each), _texts(each.get("attributes"))] for each in found])

    def row(self, image: int | str, said: dict[str, list[Any]]) -> dict[str, Any]:
        objects, attributes, relations, regions = (list(chain.from_iterable(said.get(kind, []))) for kind in _GENOME)
        ends = ((names, []) for subject, _, other in relations for names in (subject, other))
        things: dict[str, dict[str, None]] = {}
        for names, described in (*objects, *attributes, *ends):
            for name in names:
                things.setdefault(name, {}).update(dict.fromkeys(described))
        facts = Facts(
            tuple(Thing(name, None, tuple(described)) for name, described in things.items()),
            tuple({(one[0], verb, other[0]): None for one, verb, other in relations if one and verb and other}),
        )
        phrases = [phrase for _, _, phrase in _largest(regions, self.recipe.regions_per_image)]
        return self.row_of(image, f"{image}.jpg", phrases, facts)


def _region(said: dict[str, Any]) -> tuple[float, int, str] | None:
    """(negative area, id, phrase)"""
    width, height, number, phrase = (said.get(name) for name in ("width", "height", "region_id", "phrase"))
    sized = isinstance(width, int | float) and isinstance(height, int | float)
    if not sized or not isinstance(phrase, str) or not phrase.strip():
        return None
    return -float(width * height), number if isinstance(number, int) else 0, phrase.strip()


def _largest(regions: Iterable[Sequence[Any]], count: int) -> list[Sequence[Any]]:
    """So many of the largest; of those with the same phrase, one."""
    phrases: dict[str, Sequence[Any]] = {}
    for region in sorted(map(tuple, regions)):
        phrases.setdefault(" ".join(region[2].lower().split()).rstrip("."), region)
    return list(phrases.values())[:count]


def _relation(said: dict[str, Any]) -> list[Any]:
    """[names of the subject, predicate, names of the object]"""
    subject, other = (end if isinstance(end := said.get(name), dict) else {} for name in ("subject", "object"))
    return [_names_of(subject), "".join(_texts([said.get("predicate")])), _names_of(other)]


def _names_of(thing: dict[str, Any]) -> list[str]:
    """Its names; in relationships.json some have one `name` instead of `names`."""
    return _texts(thing.get("names")) or _texts([thing.get("name")])


def _texts(values: Any) -> list[str]:
    """In small letters, each once."""
    texts = [value for value in values if isinstance(value, str)] if isinstance(values, list) else []
    plain = (" ".join(text.lower().split()) for text in texts if is_unicode(text))
    return list(dict.fromkeys(filter(None, plain)))
