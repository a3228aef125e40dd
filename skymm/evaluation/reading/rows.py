"""From the rows of a benchmark's table to questions and answers: options, pictures in cells."""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from string import ascii_uppercase
from typing import Any

from skymm.evaluation.benchmark import Question
from skymm.tables import read_rows

Row = Mapping[str, Any]

# What the official tools (pandas) take for an empty cell: an option "None" is officially no option.
_EMPTY = frozenset(
    ("", "NULL", "None", "N/A", "NA", "NaN", "n/a", "nan", "null", "-NaN", "-nan", "<NA>", "#N/A", "#NA")
)
_LONGEST_REFERENCE = 64  # characters of an image cell that names another row instead of holding a picture


def is_empty(cell: Any) -> bool:
    return cell is None or (isinstance(cell, float) and cell != cell) or str(cell).strip() in _EMPTY


def tables_below(root: str | Path, *endings: str) -> list[Path]:
    """The file, or the files with one of the endings in a directory and below. Raises ValueError where there is none."""
    root = Path(root)
    if root.is_file():
        return [root]
    found = sorted(path for path in root.rglob("*") if path.name.endswith(endings) and not path.name.startswith("."))
    if not found:
        there = sorted(path.name for path in root.iterdir())[:10] if root.is_dir() else "no such file or directory"
        raise ValueError(f"{root}: found {there}, expected a file that ends with {' or '.join(endings)}")
    return found


def rows_of(path: Path) -> list[Row]:
    """Rows with the names of their fields in lower case, letters of options excepted, in the style of the field's tools."""
    return [
        {name if len(name) == 1 else name.lower().replace("-", "_"): cell for name, cell in row.items()}
        for row in read_rows(path)
    ]


def number_of(row: Row, where: str) -> int:
    """The row's index, which spreadsheets like to keep as a float. Raises ValueError naming what it is instead."""
    cell = row.get("index")
    try:
        number = float(cell)  # type: ignore[arg-type]
        if number == int(number):
            return int(number)
    except (TypeError, ValueError, OverflowError):
        pass
    raise ValueError(f"{where}: the index is {cell!r}, expected a whole number")


def options_of(row: Row) -> dict[str, str]:
    """Options by letter, from the columns A, B, C, ..., without those that are empty."""
    return {letter: str(row[letter]) for letter in ascii_uppercase if letter in row and not is_empty(row[letter])}


def option_lines(options: Mapping[str, str], form: str = "{}. {}") -> str:
    return "\n".join(form.format(letter, text) for letter, text in options.items())


def options_in(question: str) -> dict[str, str]:
    """Options by letter where the question itself ends with them ("Options: A: a cat, B: a dog", "Choices: (A) cat (B) dog").

    Empty where there are not at least two.
    """
    start = max((match.end() for match in re.finditer(r"(?:Options|Choices)\s*:", question)), default=None)
    if start is None:
        return {}
    marks: list[re.Match[str]] = []
    for letter in ascii_uppercase:
        position = marks[-1].end() if marks else start
        mark = re.compile(rf"(?:(?<=[\s,:;])|^)\(?{letter}\s?[:.)]\s*").search(question, position)
        if mark is None:
            break
        marks.append(mark)
    ends = [mark.start() for mark in marks[1:]] + [len(question)]
    options = {
        letter: question[mark.end() : end].strip(" ,\n") for letter, mark, end in zip(ascii_uppercase, marks, ends)
    }
    return options if len(options) > 1 else {}


def picture_of(cell: Any, where: str) -> bytes:
    """The encoded picture in a cell: base64 text, bytes, or the {bytes, path} of a parquet file.

    Raises ValueError saying what is there instead.
    """
    if isinstance(cell, Mapping):
        cell = cell.get("bytes")
    if isinstance(cell, bytes) and cell:
        return cell
    if isinstance(cell, str) and len(cell) > _LONGEST_REFERENCE:
        try:
            return base64.b64decode("".join(cell.split()), validate=True)
        except binascii.Error as error:
            raise ValueError(f"{where}: the image is not base64 ({error})") from error
    raise ValueError(
        f"{where}: the image is {str(cell)[:40]!r}, expected an encoded picture; is the download complete?"
    )


def pictures_of(rows: Sequence[Row], where: str) -> list[bytes]:
    """The picture of every row; a short cell is the index of the row that holds it. Raises ValueError for a dead end."""
    cells = {str(row["index"]): row.get("image") for row in rows}
    decoded: dict[str, bytes] = {}
    pictures = []
    for row in rows:
        index = str(row["index"])
        cell = cells[index]
        if isinstance(cell, str) and len(cell) <= _LONGEST_REFERENCE and cell in cells:
            index = cell
        if index not in decoded:
            decoded[index] = picture_of(cells[index], f"{where}, index {row['index']}")
        pictures.append(decoded[index])
    return pictures


def digest(picture: bytes) -> str:
    """A name for a picture that has none: questions about equal pictures belong together."""
    return hashlib.sha256(picture).hexdigest()[:16]


def together(questions: Iterable[Question]) -> list[Question]:
    """Questions about one picture next to each other, otherwise in their order."""
    found: dict[str, list[Question]] = {}
    for question in questions:
        found.setdefault(question.cluster, []).append(question)
    return [question for cluster in found.values() for question in cluster]


def tally(right: Sequence[bool]) -> dict[str, Any]:
    return {"correct": sum(right), "total": len(right), "acc": sum(right) / max(1, len(right))}


def tallies(right: Iterable[tuple[str, bool]]) -> dict[str, dict[str, Any]]:
    """A tally for each name, in the order in which names come; "" is no name."""
    found: dict[str, list[bool]] = {}
    for name, one in right:
        if name:
            found.setdefault(name, []).append(one)
    return {name: tally(those) for name, those in found.items()}
