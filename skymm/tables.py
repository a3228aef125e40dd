"""Tables as the benchmarks' repositories ship them: JSON in every shape, TSV, CSV, xlsx, parquet."""

from __future__ import annotations

import csv
import io
import json
import sys
from pathlib import Path
from typing import Any


def read_text(path: str | Path) -> str:
    """UTF-8 text. Raises ValueError naming the file."""
    path = Path(path)
    if not path.is_file():
        raise ValueError(f"no file at {path}")
    try:
        return path.read_text("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"{path}: not UTF-8 text ({error})") from error


def read_json(path: str | Path) -> list[Any]:
    """The values of a file of JSON: one value, JSON lines, or pretty-printed values one after another.

    Raises ValueError naming file and line of what is not JSON.
    """
    text = read_text(path)
    decoder, values, position = json.JSONDecoder(), [], 0
    while True:
        while position < len(text) and text[position] in " \t\r\n,":
            position += 1
        if position == len(text):
            return values
        try:
            value, position = decoder.raw_decode(text, position)
        except json.JSONDecodeError as error:
            line = text.count("\n", 0, error.pos) + 1
            raise ValueError(f"{path}, line {line}: not JSON ({error.msg})") from error
        values.append(value)


def read_entries(path: str | Path, what: str) -> dict[str, dict[str, Any]]:
    """A file of JSON that is one object with an object under every id. Raises ValueError saying `what` was expected."""
    values = read_json(path)
    if len(values) == 1 and isinstance(values[0], dict) and all(isinstance(one, dict) for one in values[0].values()):
        return values[0]
    raise ValueError(f"{path}: expected one object with {what}")


def read_rows(path: str | Path) -> list[dict[str, Any]]:
    """The rows of a table; cells of TSV and CSV are text, "" where empty. The ending of the name says what it is.

    Raises ValueError naming the file and what is wrong with it.
    """
    path = Path(path)
    kind = path.suffix.lower()
    if kind in (".tsv", ".csv"):
        return _separated(path, "\t" if kind == ".tsv" else ",")
    if kind == ".xlsx":
        return _xlsx(path)
    if kind == ".parquet":
        return _parquet(path)
    values = read_json(path)
    rows = values[0] if len(values) == 1 and isinstance(values[0], list) else values
    for number, row in enumerate(rows, 1):
        if not isinstance(row, dict):
            raise ValueError(f"{path}: entry {number} is {str(row)[:60]!r}, expected an object with named fields")
    if not rows:
        raise ValueError(f"{path}: found no entries")
    return rows


def column(row: dict[str, Any], where: str, *names: str) -> Any:
    """The first of the named fields that a row has. Raises ValueError naming those it has."""
    for name in names:
        if name in row:
            return row[name]
    raise ValueError(f"{where}: found fields {sorted(map(str, row))}, expected {' or '.join(names)}")


def text_of(cell: Any) -> str:
    """A cell as text; a null is no text, and above all not the word None."""
    return "" if cell is None else str(cell)


def _separated(path: Path, separator: str) -> list[dict[str, Any]]:
    csv.field_size_limit(min(sys.maxsize, 2**31 - 1))  # images travel in cells
    lines = csv.DictReader(io.StringIO(read_text(path), newline=""), delimiter=separator)
    rows = []
    for row in lines:
        if None in row or None in row.values():
            found = len(row) - 1 + len(row[None]) if None in row else sum(cell is not None for cell in row.values())
            raise ValueError(
                f"{path}, line {lines.line_num}: found {found} cells, expected {len(lines.fieldnames or ())} as in the header"
            )
        rows.append(row)
    if not rows:
        raise ValueError(f"{path}: found no rows below the header")
    return rows


def _xlsx(path: Path) -> list[dict[str, Any]]:
    import openpyxl

    if not path.is_file():
        raise ValueError(f"no file at {path}")
    try:
        book = openpyxl.load_workbook(path, read_only=True, data_only=True)
    except Exception as error:  # zipfile, xml and openpyxl each have their own
        raise ValueError(f"{path}: not a readable xlsx file ({error})") from error
    cells = book.worksheets[0].iter_rows(values_only=True)
    header = [str(cell) if cell is not None else "" for cell in next(cells, ())]
    rows = [
        {name: "" if cell is None else cell for name, cell in zip(header, line) if name}
        for line in cells
        if any(cell is not None for cell in line)
    ]
    book.close()
    if not rows:
        raise ValueError(f"{path}: found no rows below the header")
    return rows


def _parquet(path: Path) -> list[dict[str, Any]]:
    try:
        import pyarrow.parquet as parquet
    except ImportError as error:
        raise ValueError(f"{path}: reading parquet needs pyarrow; pip install pyarrow") from error
    if not path.is_file():
        raise ValueError(f"no file at {path}")
    return parquet.read_table(path).to_pylist()
