"""Rows of tables, streamed: csv, tsv, JSON lines, a JSON list. (Parquet has its own file.)"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from skymm.curation.sources import json_stream
from skymm.curation.sources.text_files import opened

KINDS = (".csv", ".tsv", ".txt", ".jsonl", ".ndjson", ".json", ".parquet")
_LISTED = tuple(kind for kind in KINDS if kind != ".txt")  # in a directory a .txt is more often a licence
_LONGEST_CELL = 1024 * 1024  # characters; a quotation mark that is missing would make the rest of the file one cell


@dataclass(frozen=True, slots=True)
class Row:
    """`cells` by column, `line` in the file. `problem` says why there are none."""

    line: int
    cells: dict[str, Any]
    problem: str = ""


def tables_at(path: str | Path) -> list[Path]:
    """The file, or the tables in a directory, sorted, which must be of one kind. Raises ValueError saying what is there."""
    path = Path(path)
    if not path.exists():
        raise ValueError(f"no table at {path}")
    if not path.is_dir():
        found = [path]
    else:
        found = sorted(
            each for each in path.iterdir() if each.suffix.lower() in _LISTED and not each.name.startswith(".")
        )
    kinds = sorted({each.suffix.lower() for each in found})
    if len(kinds) != 1 or kinds[0] not in KINDS:
        there = ", ".join(kinds) or "nothing of that"
        raise ValueError(f"{path}: found {there}, expected a table, or a directory of one kind: {', '.join(KINDS)}")
    return found


def read_rows(path: str | Path, encoding: str = "utf-8", *, packed: bool = False) -> Iterator[Row]:
    """The rows of a text table. Cells of csv and its kin are texts, "" where empty; those of JSON are what they are.
    `packed`: lists of rows are rows one after another.

    A csv says by its header what it is separated by: commas, tabs, semicolons or bars, whatever its name ends with.
    A row that is broken by itself (other number of cells, no object) has a problem and no cells. Raises ValueError naming
    file and line for what makes the rest unreadable: encoding, syntax, a file that is cut short.
    """
    path = Path(path)
    kind = path.suffix.lower()
    if kind in (".csv", ".tsv", ".txt"):
        yield from _separated(path, encoding)
    elif kind in (".jsonl", ".ndjson"):
        yield from _lines(path, encoding, packed)
    elif kind == ".json":
        for entry in json_stream.values(path):
            yield from _objects(entry.line, entry.value, packed)
    else:
        found = "a parquet file" if kind == ".parquet" else f"{kind or 'no ending'}"
        raise ValueError(f"{path}: found {found}, expected a text table: {', '.join(KINDS[:-1])}")


def _objects(line: int, value: Any, packed: bool) -> Iterator[Row]:
    if packed and isinstance(value, list):
        for each in value:
            yield from _objects(line, each, False)
    elif isinstance(value, dict):
        yield Row(line, value)
    else:
        yield Row(line, {}, f"found {str(value)[:60]!r}, expected an object with named fields")


def _lines(path: Path, encoding: str, packed: bool) -> Iterator[Row]:
    with opened(path, encoding) as file:
        for number, line in enumerate(iter(lambda: file.readline(json_stream.LONGEST), ""), 1):
            if not line.strip("\ufeff \t\r\n"):
                continue
            try:
                value = json.loads(line, parse_constant=lambda _: None)
            except (ValueError, RecursionError) as error:
                what = f"{path}, line {number}: not JSON ({error})"
                if not line.endswith("\n"):
                    raise ValueError(f"{what}; the file ends here: was it cut short?") from error
                if number == 1:
                    raise ValueError(f"{what}; expected an object in each line") from error
                yield Row(number, {}, f"not JSON ({error})")
                continue
            yield from _objects(number, value, packed)


def _separated(path: Path, encoding: str) -> Iterator[Row]:
    csv.field_size_limit(_LONGEST_CELL)
    with opened(path, encoding) as file:
        header = file.readline(_LONGEST_CELL)
    separator = max(",\t|;", key=header.count) if path.suffix.lower() != ".tsv" else "\t"
    # In published tsv files and those with bars a quotation mark is mostly one that somebody wrote, so it opens nothing there.
    quoting = csv.QUOTE_NONE if separator in "\t|" else csv.QUOTE_MINIMAL
    clean = {"\t": _unquoted, "|": str.strip}.get(separator, str)
    with opened(path, encoding) as file:
        lines = csv.reader(file, delimiter=separator, quoting=quoting)
        try:
            header = [clean(name.strip("\ufeff \t")) for name in next(lines, [])]
            if not any(header) or len(set(header)) < len(header):
                raise ValueError(f"{path}, line 1: found {header}, expected a header that names each column once")
            before = lines.line_num
            for cells in lines:
                line, before = before + 1, lines.line_num
                if not cells:
                    continue
                if len(cells) == len(header):
                    yield Row(line, {name: clean(cell) for name, cell in zip(header, cells)})
                else:
                    yield Row(line, {}, f"found {len(cells)} cells, expected {len(header)} as in the header")
        except csv.Error as error:
            raise ValueError(
                f"{path}, line {lines.line_num}: {error}; is a quotation mark missing? Or is this no {path.suffix} file?"
            ) from error


def _unquoted(cell: str) -> str:
    """A cell that a careful writer put into quotation marks."""
    inner = cell[1:-1]
    if len(cell) > 1 and cell[0] == cell[-1] == '"' and '"' not in inner.replace('""', ""):
        return inner.replace('""', '"')
    return cell
