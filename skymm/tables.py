"""Tables in every form in which data sets and benchmarks are published: csv, tsv, JSON in every shape, parquet, xlsx.

`stream_rows` and `parquet_rows` give rows one by one, however many there are, and tell broken rows from broken files: for
what is trained on. `read_rows`, `read_json` and `read_entries` give a whole file and take nothing broken: for benchmarks.
"""

from __future__ import annotations

import csv
import difflib
import io
import json
import sys
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from skymm.text_files import LONGEST_ENTRY, json_entries, opened, read_text

KINDS = (".csv", ".tsv", ".txt", ".jsonl", ".ndjson", ".json", ".parquet")
_LONGEST_CELL = 1024 * 1024  # characters; a quotation mark that is missing would make the rest of the file one cell


# --- rows one by one ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Row:
    """`cells` by column, `line` in the file. `problem` says why there are none."""

    line: int
    cells: dict[str, Any]
    problem: str = ""


def kind_of(path: Path) -> str:
    """What the name ends with: ".csv", ".csv.gz"."""
    return "".join(path.suffixes[-2:] if path.suffix.lower() == ".gz" else path.suffixes[-1:]).lower()


def tables_at(path: str | Path, kinds: Collection[str] = KINDS) -> list[Path]:
    """The file, or the tables in a directory, sorted, which must be of one kind. Raises ValueError saying what is there."""
    path = Path(path)
    if not path.exists():
        raise ValueError(f"no table at {path}")
    found = [path]
    if path.is_dir():
        listed = {*kinds} - {".txt"}  # in a directory a .txt is more often a licence
        found = sorted(each for each in path.iterdir() if kind_of(each) in listed and not each.name.startswith("."))
    there = sorted({kind_of(each).removesuffix(".gz") or "no ending" for each in found})
    if len(there) != 1 or kind_of(found[0]) not in kinds:
        raise ValueError(
            f"{path}: found {', '.join(there) or 'no tables'}, expected a table, or a directory of one kind: "
            f"{', '.join(kinds)}"
        )
    return found


def stream_rows(
    path: str | Path,
    encoding: str = "utf-8",
    *,
    names: Sequence[str] = (),
    packed: bool = False,
    raw: bool = False,
) -> Iterator[Row]:
    """The rows of a text table. Cells of csv and its kin are texts, "" where empty; those of JSON are what they are.

    names: of the columns of a csv or tsv that has no header. Otherwise its header says what it is separated by: commas, tabs,
        semicolons or bars, whatever its name ends with.
    packed: lists of rows, in JSON, are rows one after another.
    raw: cells of a tsv keep the quotation marks around them, a header may name a column twice (the last counts), and a line of
        JSON that is cut short at the end is a broken row. For tables of millions of addresses.

    A row that is broken by itself (other number of cells, no object) has a problem and no cells. Raises ValueError naming
    file and line for what makes the rest unreadable: encoding, syntax, a file that is cut short.
    """
    path = Path(path)
    kind, unpack = kind_of(path).removesuffix(".gz"), path.suffix.lower() == ".gz"
    if kind in (".csv", ".tsv", ".txt"):
        with opened(path, encoding, unpack=unpack) as file:
            first = "" if names else file.readline(_LONGEST_CELL)
        separator = "\t" if kind == ".tsv" else max(",\t|;", key=first.count)
        with opened(path, encoding, unpack=unpack) as file:
            yield from _separated(path, file, separator, list(names), raw)
    elif kind in (".jsonl", ".ndjson"):
        with opened(path, encoding, unpack=unpack) as file:
            yield from _json_lines(path, file, packed, raw)
    elif kind == ".json":
        for entry in json_entries(path, whole=True):
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


def _json_lines(path: Path, file: Any, packed: bool, raw: bool) -> Iterator[Row]:
    for number, line in enumerate(iter(lambda: file.readline(LONGEST_ENTRY), ""), 1):
        if not line.strip("\ufeff \t\r\n"):
            continue
        try:
            value = json.loads(line, parse_constant=lambda _: None)
        except (ValueError, RecursionError) as error:
            what = f"{path}, line {number}: not JSON ({error})"
            if not line.endswith("\n") and not raw:
                raise ValueError(f"{what}; the file ends here: was it cut short?") from error
            if number == 1:
                raise ValueError(f"{what}; expected an object in each line") from error
            yield Row(number, {}, f"not JSON ({error})")
            continue
        yield from _objects(number, value, packed)


def _separated(path: Path, file: Any, separator: str, names: list[str], raw: bool) -> Iterator[Row]:
    # In published tsv files and those with bars a quotation mark is mostly one that somebody wrote, so it opens nothing there.
    quoting = csv.QUOTE_NONE if separator in "\t|" else csv.QUOTE_MINIMAL
    clean: Callable[[str], str] = {"\t": str if raw else _unquoted, "|": str.strip}.get(separator, str)
    csv.field_size_limit(_LONGEST_CELL)
    lines = csv.reader(file, delimiter=separator, quoting=quoting)
    try:
        if not names:
            names = [clean(name.strip("\ufeff \t")) for name in next(lines, [])]
            named = [name for name in names if name]
            if not named or (len(set(named)) < len(named) and not raw):
                raise ValueError(f"{path}, line 1: found {names}, expected a header that names each column once")
        yield from _csv_rows(lines, names, clean)
    except csv.Error as error:
        raise ValueError(
            f"{path}, line {lines.line_num}: {error}; is a quotation mark missing? Or is this no {kind_of(path)} file?"
        ) from error


def _csv_rows(lines: Any, names: Sequence[str], clean: Callable[[str], str] = str) -> Iterator[Row]:
    before = lines.line_num
    for cells in lines:
        line, before = before + 1, lines.line_num
        if not cells:
            continue
        if len(cells) == len(names):
            yield Row(line, {name: clean(cell) for name, cell in zip(names, cells)})
        else:
            yield Row(line, {}, f"found {len(cells)} cells, expected {len(names)} as in the header")


def _unquoted(cell: str) -> str:
    """A cell that a careful writer put into quotation marks."""
    inner = cell[1:-1]
    if len(cell) > 1 and cell[0] == cell[-1] == '"' and '"' not in inner.replace('""', ""):
        return inner.replace('""', '"')
    return cell


def expect_names(
    found: Collection[str], wanted: Collection[str], where: str, what: str = "column", advice: str = ""
) -> None:
    """Raises ValueError for the first wanted name that is not among those found, with the one that may be meant."""
    for name in wanted:
        if name not in found:
            close = difflib.get_close_matches(name, [str(other) for other in found], 1, 0.5)
            hint = f"; did you mean {close[0]!r}?" if close else ""
            raise ValueError(f"{where}: no {what} {name!r}{hint} Found: {', '.join(map(str, found)) or 'none'}{advice}")


# --- parquet: rows without their pictures, and later each picture from where it lies --------------------------------------
# Memory is that of a page of the file, which its writer chose: up to a row group, or about a thousand pictures.

_PICTURE_ROWS = 16  # of pictures that are in memory at once
_TEXT_ROWS = 1024


def _parquet(path: str | Path) -> Any:
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError as error:
        raise ValueError(f"{path}: reading parquet needs pyarrow; pip install 'skymm[parquet]'") from error
    if not Path(path).is_file():
        raise ValueError(f"no file at {path}, expected a parquet table")
    try:
        return parquet.ParquetFile(path, buffer_size=1024 * 1024)  # without it, whole columns are read at once
    except (pyarrow.ArrowException, OSError) as error:
        raise ValueError(f"{path}: not a readable parquet file ({error}); was it cut short?") from error


def parquet_types(path: str | Path) -> dict[str, Any]:
    """Columns and their types, for `is_text` and `has_bytes`. Raises ValueError where the file cannot be read."""
    with _parquet(path) as file:
        return {column.name: column.type for column in file.schema_arrow}


def is_text(kind: Any) -> bool:
    """Whether a column of this type has texts, or lists of them."""
    from pyarrow import types

    while types.is_list(kind) or types.is_large_list(kind) or types.is_dictionary(kind):
        kind = kind.value_type
    return types.is_string(kind) or types.is_large_string(kind)


def has_bytes(kind: Any) -> bool:
    """Whether a column of this type has bytes, such as pictures, themselves or in lists and structs."""
    from pyarrow import types

    if types.is_binary(kind) or types.is_large_binary(kind) or types.is_fixed_size_binary(kind):
        return True
    if types.is_dictionary(kind):
        return has_bytes(kind.value_type)
    return any(has_bytes(kind.field(index).type) for index in range(kind.num_fields))


def parquet_rows(path: str | Path, columns: Sequence[str]) -> Iterator[tuple[int, int, dict[str, Any]]]:
    """(row group, row within it, cells of these columns) of every row. Raises ValueError where a page is damaged."""
    with _parquet(path) as file:
        for group in range(file.num_row_groups):
            for row, cells in enumerate(_parquet_cells(file, path, group, columns, _TEXT_ROWS)):
                yield group, row, cells


@dataclass(slots=True)
class ParquetCells:
    """Cells one by one; those of one file in their order cost one pass over it."""

    _place: tuple[str, int, tuple[str, ...]] | None = None
    _next: int = 0
    _cells: Iterator[dict[str, Any]] = field(default_factory=lambda: iter(()))

    def read(self, path: str, group: int, row: int, columns: Sequence[str]) -> dict[str, Any]:
        if self._place != (path, group, tuple(columns)) or row < self._next:
            self._place, self._next = (path, group, tuple(columns)), 0
            self._cells = _parquet_cells(_parquet(path), path, group, columns, _PICTURE_ROWS)
        for cells in self._cells:
            self._next += 1
            if self._next > row:
                return cells
        raise ValueError(f"{path}: row group {group} has no row {row}; did the file change?")

    def __reduce__(self) -> tuple[Any, ...]:
        return ParquetCells, ()  # an open file stays in its process


def _parquet_cells(
    file: Any, path: str | Path, group: int, columns: Sequence[str], num_rows: int
) -> Iterator[dict[str, Any]]:
    import pyarrow

    try:
        for batch in file.iter_batches(num_rows, row_groups=[group], columns=list(columns), use_threads=False):
            yield from batch.to_pylist()
    except (pyarrow.ArrowException, OSError) as error:
        raise ValueError(f"{path}: row group {group} is damaged ({error})") from error


# --- whole files --------------------------------------------------------------------------------------------------------


def read_rows(path: str | Path) -> list[dict[str, Any]]:
    """The rows of a table; cells of TSV and CSV are text, "" where empty. The ending of the name says what it is.

    Raises ValueError naming the file and what is wrong with it.
    """
    path = Path(path)
    kind = path.suffix.lower()
    if kind == ".parquet":
        return [cells for _, _, cells in parquet_rows(path, list(parquet_types(path)))]
    if kind in (".tsv", ".csv", ".xlsx"):
        rows = _read_xlsx(path) if kind == ".xlsx" else _read_separated(path, "\t" if kind == ".tsv" else ",")
        if not rows:
            raise ValueError(f"{path}: found no rows below the header")
        return rows
    values = read_json(path)
    rows = values[0] if len(values) == 1 and isinstance(values[0], list) else values
    for number, row in enumerate(rows, 1):
        if not isinstance(row, dict):
            raise ValueError(f"{path}: entry {number} is {str(row)[:60]!r}, expected an object with named fields")
    if not rows:
        raise ValueError(f"{path}: found no entries")
    return rows


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


def column(row: dict[str, Any], where: str, *names: str) -> Any:
    """The first of the named fields that a row has. Raises ValueError naming those it has."""
    for name in names:
        if name in row:
            return row[name]
    raise ValueError(f"{where}: found fields {sorted(map(str, row))}, expected {' or '.join(names)}")


def text_of(cell: Any) -> str:
    """A cell as text; a null is no text, and above all not the word None."""
    return "" if cell is None else str(cell)


def _read_separated(path: Path, separator: str) -> list[dict[str, Any]]:
    csv.field_size_limit(min(sys.maxsize, 2**31 - 1))  # images travel in cells
    lines = csv.reader(io.StringIO(read_text(path), newline=""), delimiter=separator)
    rows = list(_csv_rows(lines, next(lines, [])))
    for row in rows:
        if row.problem:
            raise ValueError(f"{path}, line {row.line}: {row.problem}")
    return [row.cells for row in rows]


def _read_xlsx(path: Path) -> list[dict[str, Any]]:
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
    return rows
