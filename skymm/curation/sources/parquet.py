"""Parquet tables: rows without their pictures, and later each picture from where it lies.

Memory is that of a page of the file, which its writer chose: up to a row group, or about a thousand pictures.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from skymm.curation.sources.rows import expect_names

_ROWS = 16  # of pictures that are in memory at once
_TEXT_ROWS = 1024


def _open(path: str | Path) -> Any:
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError as error:
        raise ValueError(f"{path}: reading parquet needs pyarrow; pip install 'skymm[parquet]'") from error
    if not Path(path).is_file():
        raise ValueError(f"no table at {path}")
    try:
        return parquet.ParquetFile(path, buffer_size=1024 * 1024)  # without it, whole columns are read at once
    except (pyarrow.ArrowException, OSError) as error:
        raise ValueError(f"{path}: not a readable parquet file ({error}); was it cut short?") from error


def check_columns(path: str | Path, image: str, texts: list[str]) -> bool:
    """Whether the image column has the pictures themselves (bytes, or {bytes, path}) and not their names.

    Raises ValueError for a column that is not there, naming those that are, and for texts that are none.
    """
    with _open(path) as file:
        schema = file.schema_arrow
    expect_names(schema.names, [image, *texts], str(path))
    for name in texts:
        if not _is_text(schema.field(name).type):
            raise ValueError(f"{path}: column {name!r} is {schema.field(name).type}, expected text or lists of text")
    return not _is_text(schema.field(image).type)


def column_names(path: str | Path) -> list[str]:
    """As the file has them. Raises ValueError where it cannot be read."""
    with _open(path) as file:
        return list(file.schema_arrow.names)


def columns_with_bytes(path: str | Path) -> list[str]:
    """Columns that hold bytes, such as pictures, themselves or in lists and structs."""
    with _open(path) as file:
        return [field.name for field in file.schema_arrow if _has_bytes(field.type)]


def _has_bytes(kind: Any) -> bool:
    from pyarrow import types

    if types.is_binary(kind) or types.is_large_binary(kind) or types.is_fixed_size_binary(kind):
        return True
    if types.is_dictionary(kind):
        return _has_bytes(kind.value_type)
    return any(_has_bytes(kind.field(index).type) for index in range(kind.num_fields))


def _is_text(kind: Any) -> bool:
    from pyarrow import types

    while types.is_list(kind) or types.is_large_list(kind) or types.is_dictionary(kind):
        kind = kind.value_type
    return types.is_string(kind) or types.is_large_string(kind)


def read_columns(path: str | Path, columns: list[str]) -> Iterator[tuple[int, int, dict[str, Any]]]:
    """(row group, row within it, cells of these columns) of every row. Raises ValueError where a page is damaged."""
    with _open(path) as file:
        for group in range(file.num_row_groups):
            for row, cells in enumerate(_cells(file, path, group, columns, _TEXT_ROWS)):
                yield group, row, cells


@dataclass(slots=True)
class CellReader:
    """Cells one by one; those of one file in their order cost one pass over it."""

    _place: tuple[str, int, tuple[str, ...]] | None = None
    _next: int = 0
    _cells: Iterator[dict[str, Any]] = field(default_factory=lambda: iter(()))

    def read(self, path: str, group: int, row: int, columns: Sequence[str]) -> dict[str, Any]:
        if self._place != (path, group, tuple(columns)) or row < self._next:
            self._place, self._next = (path, group, tuple(columns)), 0
            self._cells = _cells(_open(path), path, group, list(columns), _ROWS)
        for cells in self._cells:
            self._next += 1
            if self._next > row:
                return cells
        raise ValueError(f"{path}: row group {group} has no row {row}; did the file change?")

    def __reduce__(self) -> tuple[Any, ...]:
        return CellReader, ()  # an open file stays in its process


def _cells(file: Any, path: str | Path, group: int, columns: list[str], rows: int) -> Iterator[dict[str, Any]]:
    import pyarrow

    try:
        for batch in file.iter_batches(rows, row_groups=[group], columns=columns, use_threads=False):
            yield from batch.to_pylist()
    except (pyarrow.ArrowException, OSError) as error:
        raise ValueError(f"{path}: row group {group} is damaged ({error})") from error
