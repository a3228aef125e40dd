"""Pictures with captions on this disk: tables of paths, parquet files with the pictures in them, or folders."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from skymm.curation.record import Caption, Record, Rejected
from skymm.curation.sources import parquet
from skymm.curation.sources.folders import pictures_with_texts, texts_of
from skymm.curation.sources.pictures import MISSING, check_directories, named, picture_of
from skymm.curation.sources.rows import Unusable, broken, captions_of, expect_names, key_of, record_of
from skymm.curation.sources.tables import Row, read_rows, tables_at
from skymm.recipe.sources import PairsSource

_NUMBERED = re.compile(r"\.\w+#(\w+#)?\d+\b")
_MOST = 100  # captions of one picture; in a table without picture names all rows would seem to be about one


class Source:
    """Rows that follow each other and name the same picture are one record, with all of their captions.

    The key is made of the picture's name and the row's number in the table, so it occurs once.
    """

    rows_per_part = 256

    def __init__(self, recipe: PairsSource) -> None:
        self.recipe = recipe
        self.licence = recipe.licence or "unknown"
        columns = recipe.caption_column
        self._columns = {columns: None} if isinstance(columns, str) else {name: key for key, name in columns.items()}
        self._cells = parquet.CellReader()

    def rows(self) -> Iterator[dict[str, Any]]:
        check_directories(self.recipe.images)
        if self.recipe.table is None:
            yield from pictures_with_texts(self.recipe.images)
            return
        number = 0
        for path in tables_at(self.recipe.table):
            rows = self._parquet(path) if path.suffix.lower() == ".parquet" else self._text(path)
            for row in _joined(rows):
                number += 1
                name = row["image"] if isinstance(row.get("image"), str) else path.stem
                yield {**row, "key": f"{key_of(name)}-{number}"}
            if not number:
                raise ValueError(f"{path}: found no rows")

    def records(self, row: dict[str, Any]) -> Iterator[Record | Rejected]:
        yield record_of(row, self._record)

    def _record(self, row: dict[str, Any]) -> Record:
        captions = self._captions(row)
        if not captions:
            raise Unusable("caption is missing")
        cell = next(iter(self._cells.read(*row["cell"]).values())) if "cell" in row else row["image"]
        cells = cell if isinstance(cell, list) else [cell]
        pictures = [picture_of(each, self.recipe.images) for each in cells]
        if not pictures:
            raise Unusable(MISSING, "an empty list")
        return Record(row["key"], named(pictures), tuple(dict.fromkeys(captions)))

    def _captions(self, row: dict[str, Any]) -> list[Caption]:
        if "text" in row:
            text = row["text"]
            return captions_of(texts_of(text, self.recipe.images, self.recipe.encoding)) if text else []
        return [
            caption
            for cells in row["captions"]
            for column, language in self._columns.items()
            for caption in captions_of(cells.get(column), language)
        ]

    def _text(self, path: Path) -> Iterator[dict[str, Any]]:
        wanted = [self.recipe.image_column, *self._columns]
        checked = False
        for row in read_rows(path, self.recipe.encoding):
            if not row.problem and not checked:
                if any(_NUMBERED.search(name) for name in row.cells):
                    raise ValueError(
                        f'{path}: found lines like `IMAGE#N caption` without a header; format = "chinese_captions" reads them, '
                        "in both languages"
                    )
                expect_names(row.cells.keys(), wanted, str(path))
                checked = True
            yield self._row(row, path)

    def _row(self, row: Row, path: Path) -> dict[str, Any]:
        if row.problem:
            return broken(path, f"line {row.line}", row.problem)
        captions = [{name: row.cells.get(name) for name in self._columns}]
        return {"image": row.cells.get(self.recipe.image_column), "captions": captions}

    def _parquet(self, path: Path) -> Iterator[dict[str, Any]]:
        column = self.recipe.image_column
        inside = parquet.check_columns(path, column, list(self._columns))
        for group, index, cells in parquet.read_columns(path, [*self._columns, *([] if inside else [column])]):
            captions = [{name: cells[name] for name in self._columns}]
            if inside:
                yield {"cell": [str(path), group, index, [column]], "captions": captions}
            else:
                yield {"image": cells[column], "captions": captions}


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
