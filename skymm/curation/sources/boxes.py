"""Boxes in a file per picture: Pascal VOC's XML and YOLO's text."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from skymm.curation.sources import source
from skymm.curation.sources.coco import boxed, plain
from skymm.curation.sources.pictures import Unusable, check_directories
from skymm.curation.sources.source import broken, is_unicode, refused
from skymm.text_files import opened

_NEITHER = ("difficult", "ignore", "ignored", "iscrowd", "crowd")
_LISTS = ("classes.txt", "obj.names", "data.yaml", "dataset.yaml")
_NO_LABELS = ("classes.txt", "train.txt", "val.txt", "test.txt", "readme.txt")
_ENDINGS = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".JPG", ".JPEG", ".PNG")
_LARGEST = 16 * 1024 * 1024  # bytes of a file


class Source(source.Source):
    """A file is a record, found under its own name or, in XML, under the one it says. Keys are the paths of the files.

    Nothing is absent and no number is exact where the recipe does not say that the annotation is complete.
    """

    nothing_said = ("nothing is annotated", "and the recipe does not say that the annotation is complete")

    def rows(self) -> Iterator[dict[str, Any]]:
        check_directories(self.recipe.images)
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
        boxes: dict[str, list[tuple[str, bool]]] = {}
        called: dict[str, str] = {}
        for path in files:
            place = path.relative_to(root).as_posix()
            try:
                boxes[place], called[place] = _voc(path) if voc else (_yolo(path, names), "")
            except (ValueError, ElementTree.ParseError, OSError) as error:
                yield broken(root, place, error)
        # Of XML files nobody says what was looked for, but that it was all that any of them has.
        sought = {*map(plain, names), *(name for those in boxes.values() for name, _ in those)}
        for place, those in boxes.items():
            stem = place.rpartition(".")[0]
            file = called[place]
            other = [file, *(file + each for each in _ENDINGS)] if file else []
            facts = boxed(those, sought if self.recipe.complete else None)
            try:
                yield self.row_of(stem, [*other, *(stem + each for each in _ENDINGS)], facts=facts)
            except Unusable as error:
                yield refused(stem, error.reason, error.detail)


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
