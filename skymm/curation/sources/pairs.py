"""Pictures with captions on this disk: tables of paths, Karpathy's files (dataset_coco.json, dataset_flickr30k.json), parquet
files with the pictures in them, or folders of pictures with their captions beside them (`dog.jpg` and `dog.txt`, one caption a
line).
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any

from skymm.curation.record import Record
from skymm.curation.sources import source
from skymm.curation.sources.pictures import MISSING, Unusable, check_directories, find, named, picture_of
from skymm.curation.sources.source import broken, captions_of, key_of, refused
from skymm.recipe.sources import PairsSource
from skymm.tables import ParquetCells, expect_names, is_text, parquet_rows, parquet_types, stream_rows, tables_at
from skymm.text_files import json_entries, opened

_NUMBERED = re.compile(r"\.\w+#(\w+#)?\d+\b")
_MOST = 100  # captions of one picture; in a table without picture names all rows would seem to be about one
# What somebody may have meant as a picture. Whether it is one that can be used is told by its bytes.
_PICTURES = (
    *(".jpg", ".jpeg", ".jfif", ".png", ".webp"),
    *(".gif", ".bmp", ".tif", ".tiff", ".avif", ".heic", ".heif", ".svg"),
)
_LONGEST = 1024 * 1024  # characters of a caption file


class Source(source.Source):
    """Rows that follow each other and name the same picture are one record, with all of their captions.

    The key is made of the picture's name and the row's number in the table, so it occurs once.
    """

    def __init__(self, recipe: PairsSource) -> None:
        super().__init__(recipe)
        columns = recipe.caption_column
        self._columns = {columns: None} if isinstance(columns, str) else {name: key for key, name in columns.items()}
        self._cells = ParquetCells()

    def rows(self) -> Iterator[dict[str, Any]]:
        check_directories(self.recipe.images)
        if self.recipe.table is None:
            yield from _pictures_with_texts(self.recipe.images)
            return
        number = 0
        for path in tables_at(self.recipe.table):
            is_parquet = path.suffix.lower() == ".parquet"
            rows = (self._parquet if is_parquet else self._karpathys if _is_karpathys(path) else self._text)(path)
            for row in _joined(rows):
                number += 1
                name = row["image"] if isinstance(row.get("image"), str) else path.stem
                yield {**row, "key": f"{key_of(name)}-{number}"}
            if not number:
                raise ValueError(f"{path}: found no rows")

    def record(self, row: dict[str, Any]) -> Record:
        if "text" in row:
            captions = captions_of(self._lines_of(row["text"]))
        else:
            cells = (
                (cells.get(name), language) for cells in row["captions"] for name, language in self._columns.items()
            )
            captions = [caption for cell, language in cells for caption in captions_of(cell, language)]
        if not captions:
            raise Unusable(*self.nothing_said)
        cell = next(iter(self._cells.read(*row["cell"]).values())) if "cell" in row else row["image"]
        pictures = [picture_of(each, self.recipe.images) for each in (cell if isinstance(cell, list) else [cell])]
        if not pictures:
            raise Unusable(MISSING, "an empty list")
        return Record(row["key"], named(pictures), tuple(dict.fromkeys(captions)))

    def _lines_of(self, name: str | None) -> list[str]:
        """Of a caption file. Raises Unusable."""
        if name is None:
            return []
        try:
            path = find(name, self.recipe.images).path
        except Unusable as error:
            raise Unusable("caption is missing", error.detail) from error
        try:
            with opened(path, self.recipe.encoding) as file:
                return file.read(_LONGEST).splitlines()
        except ValueError as error:
            raise Unusable("caption cannot be read", str(error)) from error

    def _karpathys(self, path: Path) -> Iterator[dict[str, Any]]:
        """Of a file that says how COCO, Flickr8k or Flickr30k is split: {"images": [{filename, split, sentences: [{raw}]}]}."""
        for entry in json_entries(path):
            said = entry.value if isinstance(entry.value, dict) else {}
            if entry.name != "images":
                continue
            name, sentences, split = said.get("filename"), said.get("sentences"), said.get("split", "train")
            if not isinstance(name, str) or not isinstance(sentences, list):
                yield broken(path, f"image {entry.number}", entry.value)
            elif split not in self.recipe.splits:
                yield refused(
                    name, "of another split", f"{name}: found {split}, expected {', '.join(self.recipe.splits)}"
                )
            else:
                raw = [one.get("raw") for one in sentences if isinstance(one, dict)]
                name = f"{said['filepath']}/{name}" if said.get("filepath") else name
                yield {"image": name, "captions": [dict.fromkeys(self._columns, raw)]}

    def _text(self, path: Path) -> Iterator[dict[str, Any]]:
        column, checked = self.recipe.image_column, False
        for row in stream_rows(path, self.recipe.encoding):
            if row.problem:
                yield broken(path, f"line {row.line}", row.problem)
                continue
            if not checked:
                if any(_NUMBERED.search(name) for name in row.cells):
                    raise ValueError(
                        f'{path}: found lines like `IMAGE#N caption` without a header; format = "chinese_captions" reads them, '
                        "in both languages"
                    )
                expect_names(row.cells.keys(), [column, *self._columns], str(path))
                checked = True
            yield {"image": row.cells.get(column), "captions": [{name: row.cells.get(name) for name in self._columns}]}

    def _parquet(self, path: Path) -> Iterator[dict[str, Any]]:
        column, types = self.recipe.image_column, parquet_types(path)
        expect_names(types.keys(), [column, *self._columns], str(path))
        for name in self._columns:
            if not is_text(types[name]):
                raise ValueError(f"{path}: column {name!r} is {types[name]}, expected text or lists of text")
        named_only = is_text(types[column])  # else the pictures themselves, as bytes or {bytes, path}
        for group, index, cells in parquet_rows(path, [*self._columns, *([column] if named_only else [])]):
            picture = {"image": cells[column]} if named_only else {"cell": [str(path), group, index, [column]]}
            yield {**picture, "captions": [{name: cells[name] for name in self._columns}]}


def _is_karpathys(path: Path) -> bool:
    first = next(json_entries(path), None) if path.suffix.lower() == ".json" else None
    return first is not None and first.name == "images" and isinstance(first.value, dict) and "sentences" in first.value


def _joined(rows: Iterator[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    current: dict[str, Any] = {}
    for row in rows:
        image = row.get("image")
        same = isinstance(image, str) and bool(image.strip()) and image == current.get("image")
        if same and len(current["captions"]) < _MOST:
            current["captions"] += row["captions"]
            continue
        if current:
            yield current
        current = row
    if current:
        yield current


def _pictures_with_texts(folder: str) -> Iterator[dict[str, Any]]:
    """Rows {key, image, text} of all pictures below a folder, sorted, one directory in memory at a time; `text` is None
    for a picture alone. A text alone is refused. Linked directories and hidden files are left alone.

    Raises ValueError where there is nothing of both.
    """
    empty = True
    for names in _directories(folder):
        texts = {_stem(name): name for name in names if name.lower().endswith(".txt")}
        pictures = [name for name in names if name.lower().endswith(_PICTURES)]
        for name in pictures:
            yield {"key": key_of(name), "image": name, "text": texts.get(_stem(name))}
        with_picture = {_stem(name) for name in pictures}
        for stem in (stem for stem in texts if stem not in with_picture):
            yield refused(texts[stem], MISSING, f"{texts[stem]} has no picture beside it")
        empty = empty and not pictures and not texts
    if empty:
        raise ValueError(f"{folder}: found no pictures, expected files like dog.jpg with their captions in dog.txt")


def _directories(root: str) -> Iterator[list[str]]:
    """The names of the files of each directory, relative to the root."""

    def refuse(error: OSError) -> None:
        raise ValueError(f"{error.filename}: cannot be listed ({error.strerror})") from error

    for folder, below, names in os.walk(root, onerror=refuse):
        below[:] = sorted(name for name in below if not name.startswith("."))
        start = PurePosixPath(os.path.relpath(folder, root))
        yield [str(start / name) for name in sorted(names) if not name.startswith(".")]


def _stem(name: str) -> str:
    return str(PurePosixPath(name).with_suffix(""))
