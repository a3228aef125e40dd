"""The record of a run: one JSON line per step."""

from __future__ import annotations

import json
import math
import mmap
from collections.abc import Mapping
from pathlib import Path
from typing import Any

LOG = "log.jsonl"


class RunLog:
    """Appends to DIR/log.jsonl; resuming at a step first drops the lines of later steps, which are about to come again."""

    def __init__(self, directory: str | Path, *, step: int = 0):
        self.path = Path(directory) / LOG
        _cut(self.path, step)
        self._file = self.path.open("a", encoding="utf-8")

    def write(self, line: Mapping[str, Any]) -> None:
        self._file.write(json.dumps(line, ensure_ascii=False) + "\n")
        self._file.flush()

    def close(self) -> None:
        self._file.close()


def _cut(path: Path, step: int) -> None:
    """Take off what comes after a step, line by line from the end: what a long run has written is not read again."""
    if not path.exists() or not path.stat().st_size:
        return
    with path.open("r+b") as file:
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as lines:
            end = lines.rfind(b"\n") + 1  # a half-written last line goes
            while end:
                start = lines.rfind(b"\n", 0, end - 1) + 1
                if _step_of(lines[start:end]) <= step:
                    break
                end = start
        file.truncate(end)


def _step_of(line: bytes) -> float:
    """Never reached, for a line that is damaged: it goes with the later ones."""
    try:
        return json.loads(line)["step"]
    except (ValueError, KeyError, TypeError):
        return math.inf


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
