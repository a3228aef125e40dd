"""The record of a run: one JSON line per step, written, and read back with its card and recipe for pages and examinations.

Logs of older versions lack fields, cards may be missing and a run may still be going on: what is not there is empty here,
never an error.
"""

from __future__ import annotations

import json
import math
import mmap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from skymm.recipe import StageRecipe

LOG = "log.jsonl"
RECIPE, CARD, DONE = "recipe.json", "run.json", "DONE"


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


@dataclass(frozen=True, slots=True)
class History:
    """What is known of a run. `lines` are its log, one per step in order; `recipe` has every field, by default or as set."""

    lines: Sequence[Mapping[str, Any]]
    card: Mapping[str, Any] = field(default_factory=dict)
    recipe: Mapping[str, Any] = field(default_factory=dict)
    finished: bool = False

    @property
    def step(self) -> int:
        return self.lines[-1]["step"]

    def series(self, name: str) -> list[tuple[int, float]]:
        """(step, value) where the log has a finite number of that name."""
        return [(line["step"], line[name]) for line in self.lines if is_number(line.get(name))]

    def total(self, name: str) -> float:
        return sum(value for _, value in self.series(name))

    def share(self, part: str, whole: str) -> float | None:
        """Sum of one field over the sum of another, over the steps that have both; None where none has.

        The first step is left out where there are others: it also loads, allocates and compiles.
        """
        both = [line for line in self.lines if is_number(line.get(part)) and is_number(line.get(whole))]
        both = both[1:] or both
        total = sum(line[whole] for line in both)
        return sum(line[part] for line in both) / total if total else None

    def speeds(self) -> list[tuple[int, float]]:
        """(step, tokens per second), computed where older logs lack it."""
        found = self.series("tokens_per_second")
        if found:
            return found
        timed = [line for line in self.lines if is_number(line.get("tokens")) and is_number(line.get("seconds"))]
        return [(line["step"], line["tokens"] / line["seconds"]) for line in timed if line["seconds"] > 0]

    def skipped(self) -> dict[str, int]:
        """Samples passed over, by reason, up to now."""
        return dict(self.lines[-1].get("skipped") or {})

    def samples(self) -> float:
        """Conversations that were learned from."""
        return self.total("samples") or len(self.lines) * self.recipe.get("batch_size", 0)


def is_number(value: Any) -> bool:
    """Whether a field of the log is a finite number."""
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def read_history(directory: str | Path) -> History:
    """A run's directory as it is now. Raises ValueError where there is no log, or one without a step."""
    directory = Path(directory)
    if not (directory / LOG).is_file():
        raise ValueError(f"found no {LOG} in {directory}, expected the directory of a run, the `out` of its recipe")
    lines = read_log(directory)
    if not lines:
        raise ValueError(f"{directory / LOG} holds no steps yet; wait for the first one to end")
    return History(
        lines,
        read_object(directory / CARD),
        with_defaults(read_object(directory / RECIPE)),
        (directory / DONE).exists(),
    )


def with_defaults(recipe: Mapping[str, Any]) -> dict[str, Any]:
    """A stage as plain data, fields that it lacks as they are by default."""
    fields = StageRecipe.model_fields.items()
    return {name: one.default for name, one in fields if not one.is_required()} | dict(recipe)


def read_object(path: Path) -> dict[str, Any]:
    """What a card says; nothing where there is none. Raises ValueError for a damaged one."""
    if not path.exists():
        return {}
    try:
        return json.loads(path.read_text("utf-8"))
    except json.JSONDecodeError as error:
        raise ValueError(f"{path} is not JSON: {error}; it is damaged, take it from a checkpoint") from error
