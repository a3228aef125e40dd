"""Tables of addresses in every public shape, turned into the one that the fetcher reads: parquet of `url`, `caption`, `extra`.

Turning them first is what makes tables without a header, in GB18030, with a byte order mark or with ragged lines work, and
what keeps addresses out that a table from strangers must not ask for: `file:///etc/passwd` is an address as well.
"""

from __future__ import annotations

import csv
import gzip
import json
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

from skymm.curation.sources import parquet
from skymm.recipe.sources import UrlsSource

KINDS = (".csv", ".tsv", ".jsonl", ".parquet", ".csv.gz", ".tsv.gz", ".jsonl.gz")
# Marks that mean something in an address stay; all else that ASCII has no place for is percent-encoded.
_KEPT = "!#$%&'()*+,/:;=?@[]~"
_BATCH = 10_000  # rows that are held at a time
_LONGEST_CELL = 1024 * 1024  # characters; a quotation mark that is missing would make the rest of the file one cell
_ROWS_PER_FILE = 1_000_000  # img2dataset holds a file whole


@dataclass(frozen=True, slots=True)
class Line:
    """One row of a table. `refused`: why its address is not asked for ("" where it is)."""

    url: str
    caption: str
    extra: dict[str, Any]
    refused: str = ""


def table_files(recipe: UrlsSource) -> list[Path]:
    """The files of a recipe's table, sorted by name. Raises ValueError for none, and for kinds that are mixed or unknown."""
    path = Path(recipe.table)
    if not path.exists():
        raise ValueError(f"no table at {path}")
    files = sorted(each for each in path.iterdir() if _kind(each)) if path.is_dir() else [path]
    kinds = sorted({_kind(each).removesuffix(".gz") for each in files})
    if len(kinds) != 1 or not kinds[0]:
        found = ", ".join(kinds) if path.is_dir() else path.name
        raise ValueError(f"{path}: found {found or 'no tables'}, expected files of one kind of {', '.join(KINDS)}")
    if recipe.column_names and kinds[0] not in (".csv", ".tsv"):
        raise ValueError(f"{path}: column_names is for csv and tsv; a {kinds[0]} file names its columns itself")
    return files


def read_lines(recipe: UrlsSource) -> Iterator[Line]:
    """The rows of a table in order, `limit` at most. Raises ValueError naming the file for what is no such table."""
    lines = (line for path in table_files(recipe) for line in _lines(path, recipe))
    return islice(lines, recipe.limit)


def web_address(text: str) -> str:
    """The address as it goes over the wire: Chinese in path and query percent-encoded, and in the host's name as IDNA has it.

    Raises ValueError for all that is no http or https address.
    """
    text = text.strip()
    parts = urlsplit(text)
    if parts.scheme.lower() not in ("http", "https") or not parts.hostname:
        raise ValueError(f"{text[:80]!r} is no http or https address")
    _ = parts.port  # raises ValueError where it is no number
    host = parts.netloc if parts.netloc.isascii() else parts.netloc.encode("idna").decode("ascii")
    return quote(parts._replace(netloc=host).geturl(), safe=_KEPT)


def write_tables(recipe: UrlsSource, directory: Path) -> int:
    """Write the rows as DIRECTORY/00000.parquet, ... and give their number. Columns: url ("" where it is refused), caption, and
    extra, JSON of {"url": as the table has it, "columns": {...}, "refused": reason}.

    A file has a whole number of shards (`urls_per_shard`) but for the last, so that row N is in shard N // urls_per_shard.
    """
    import pyarrow
    from pyarrow.parquet import ParquetWriter

    schema = pyarrow.schema([(name, pyarrow.string()) for name in ("url", "caption", "extra")])
    directory.mkdir(parents=True, exist_ok=True)
    rows_per_file = recipe.urls_per_shard * max(1, _ROWS_PER_FILE // recipe.urls_per_shard)
    lines, number, total = read_lines(recipe), 0, 0
    while first := list(islice(lines, min(_BATCH, rows_per_file))):
        with ParquetWriter(directory / f"{number:05d}.parquet", schema) as writer:
            written, batch = 0, first
            while batch:
                cells = [_cells(line) for line in batch]
                writer.write_table(pyarrow.Table.from_pylist(cells, schema))
                written += len(batch)
                batch = list(islice(lines, min(_BATCH, rows_per_file - written)))
        number, total = number + 1, total + written
    if total == 0:
        raise ValueError(f"{recipe.table}: found no rows")
    return total


def _cells(line: Line) -> dict[str, str]:
    extra = {"url": line.url, "columns": line.extra, "refused": line.refused}
    return {
        "url": "" if line.refused else web_address(line.url),
        "caption": line.caption,
        "extra": json.dumps(extra, ensure_ascii=False),
    }


def _kind(path: Path) -> str:
    return next((kind for kind in KINDS if path.name.lower().endswith(kind) and path.is_file()), "")


def _lines(path: Path, recipe: UrlsSource) -> Iterator[Line]:
    kind = _kind(path)
    rows = _parquet(path, recipe) if kind == ".parquet" else _text(path, kind, recipe)
    try:
        for row in rows:
            yield _line(row, recipe)
    except UnicodeError as error:
        raise ValueError(
            f'{path}: not {recipe.encoding} text ({error}); say encoding = "gb18030" (or what it is) in the recipe'
        ) from error
    except (csv.Error, EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise ValueError(f"{path}: cannot be read as {kind} ({error})") from error


def _line(row: dict[str, Any] | None, recipe: UrlsSource) -> Line:
    if row is None:
        return Line("", "", {}, "row of another form")
    url, caption = (_plain(row.get(name)) or "" for name in (recipe.url_column, recipe.caption_column))
    extra = {name: value for name in recipe.columns if (value := _plain(row.get(name))) is not None}
    if not isinstance(caption, str) or not caption.strip():
        return Line(str(url), "", extra, "no caption")
    try:
        web_address(str(url))
    except ValueError:
        return Line(str(url), caption, extra, "no web address")
    return Line(str(url), caption, extra)


def _plain(cell: Any) -> Any:
    """A cell as every JSON can hold it. Not-a-number is no value; half a surrogate pair, legal in JSON alone, is a `?`."""
    if cell is None or cell != cell:
        return None
    return cell if isinstance(cell, bool | int | float) else str(cell).encode("utf-8", "replace").decode()


def _text(path: Path, kind: str, recipe: UrlsSource) -> Iterator[dict[str, Any] | None]:
    open_text = gzip.open if kind.endswith(".gz") else open
    encoding = "utf-8-sig" if recipe.encoding.lower().replace("_", "-") in ("utf-8", "utf8") else recipe.encoding
    try:
        file = open_text(path, "rt", encoding=encoding, newline="")
    except LookupError as error:
        raise ValueError(f"{path}: no encoding is called {recipe.encoding!r}") from error
    with file:
        if kind.startswith(".jsonl"):
            yield from _json_lines(path, file, recipe)
            return
        csv.field_size_limit(_LONGEST_CELL)
        # Nothing is quoted in a tsv: a caption that begins with a quotation mark must not swallow the lines below it.
        plain = {"delimiter": "\t", "quoting": csv.QUOTE_NONE} if kind.startswith(".tsv") else {}
        rows = csv.reader(file, **plain)
        names = recipe.column_names or next(rows, [])
        _expect_columns(path, names, recipe)
        for row in rows:
            if row:
                yield dict(zip(names, row)) if len(row) == len(names) else None


def _json_lines(path: Path, file: Any, recipe: UrlsSource) -> Iterator[dict[str, Any] | None]:
    first = True
    for text in file:
        if not text.strip():
            continue
        try:
            row = json.loads(text)
        except (json.JSONDecodeError, RecursionError):
            row = None
        if first:
            _expect_columns(path, list(row) if isinstance(row, dict) else [], recipe, optional=True)
            first = False
        yield row if isinstance(row, dict) else None


def _parquet(path: Path, recipe: UrlsSource) -> Iterator[dict[str, Any]]:
    _expect_columns(path, parquet.column_names(path), recipe)
    wanted = list(dict.fromkeys([recipe.url_column, recipe.caption_column, *recipe.columns]))
    return (cells for _, _, cells in parquet.read_columns(path, wanted))


def _expect_columns(path: Path, found: list[str], recipe: UrlsSource, *, optional: bool = False) -> None:
    """`optional`: further columns may be missing in some rows, as in JSON lines."""
    wanted = [recipe.url_column, recipe.caption_column, *([] if optional else recipe.columns)]
    missing = [name for name in wanted if name not in found]
    if missing:
        raise ValueError(
            f"{path}: found columns {[str(name)[:40] for name in found[:20]]}, expected {', '.join(map(repr, wanted))}; "
            "name them in the recipe (url_column, caption_column, columns), or all of them in column_names where the file "
            "has no header"
        )
