"""Small tables in the formats that benchmarks are shipped in."""

from __future__ import annotations

import base64
import csv
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

Rows = Sequence[Mapping[str, Any]]


def picture(number: int) -> bytes:
    """No image, but bytes like those of one: long enough not to be taken for a reference to another row."""
    return b"\xff\xd8picture" + bytes([number]) * 90


def encoded(number: int) -> str:
    return base64.b64encode(picture(number)).decode()


def write_tsv(path: Path, rows: Rows, separator: str = "\t") -> Path:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]), delimiter=separator)
        writer.writeheader()
        writer.writerows(rows)
    return path


def write_xlsx(path: Path, rows: Rows) -> Path:
    import openpyxl

    book = openpyxl.Workbook()
    book.active.append(list(rows[0]))
    for row in rows:
        book.active.append(list(row.values()))
    book.save(path)
    return path


def write_parquet(path: Path, rows: Rows) -> Path:
    import pyarrow
    from pyarrow import parquet

    path.parent.mkdir(parents=True, exist_ok=True)
    parquet.write_table(pyarrow.Table.from_pylist(list(rows)), path)
    return path


def write_json(path: Path, value: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value, ensure_ascii=False), "utf-8")
    return path


def write_lines(path: Path, rows: Rows) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), "utf-8")
    return path


def doubled(answers: Sequence[Any]) -> list[Any]:
    """The answers twice, as a resample draws a cluster twice: the second time under another name."""
    from dataclasses import replace

    again = [
        replace(answer, question=replace(answer.question, cluster=f"{answer.question.cluster}#2")) for answer in answers
    ]
    return [*answers, *again]
