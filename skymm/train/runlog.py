"""The record of a run: one JSON line per step."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

LOG = "log.jsonl"


class RunLog:
    """Appends to DIR/log.jsonl; resuming at a step first drops the lines of later steps, which are about to come again."""

    def __init__(self, directory: str | Path, *, step: int = 0):
        self.path = Path(directory) / LOG
        kept = [line for line in read_log(directory) if line["step"] <= step]
        partial = self.path.with_suffix(".partial")
        partial.write_text("".join(json.dumps(line, ensure_ascii=False) + "\n" for line in kept), "utf-8")
        partial.rename(self.path)
        self._file = self.path.open("a", encoding="utf-8")

    def write(self, line: Mapping[str, Any]) -> None:
        self._file.write(json.dumps(line, ensure_ascii=False) + "\n")
        self._file.flush()

    def close(self) -> None:
        self._file.close()


def read_log(directory: str | Path) -> list[dict[str, Any]]:
    """The lines of a run, a half-written last one left out."""
    path = Path(directory) / LOG
    lines = []
    for text in path.read_text("utf-8").splitlines() if path.exists() else []:
        try:
            lines.append(json.loads(text))
        except json.JSONDecodeError:
            break
    return lines
