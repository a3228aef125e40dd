"""Files that grow line by line while something is asked, and that a kill at any moment leaves usable."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping, Set
from pathlib import Path
from typing import Any


def line_of(entry: Mapping[str, Any]) -> str:
    """An entry as a line of JSON. Half a character (a lone surrogate), which some endpoints send, is written as its code."""
    return json.dumps(entry, ensure_ascii=False).encode("utf-8", "backslashreplace").decode() + "\n"


def read_record(path: Path, needed: Set[str], what: str) -> list[dict[str, Any]]:
    """The entries of a file; a damaged last line is left out: a killed run was writing it, and it will be asked again.

    Raises ValueError naming any other line that is damaged or lacks what is `needed`, and what it should have been.
    """
    lines = path.read_bytes().split(b"\n")
    while lines and not lines[-1]:
        lines.pop()
    entries = []
    for number, line in enumerate(lines, 1):
        try:
            entry = json.loads(line)
        except ValueError as error:  # no JSON, or cut inside a character
            if number == len(lines):
                break
            raise ValueError(f"{path}, line {number}: not JSON ({error})") from error
        missing = needed - (set(entry) if isinstance(entry, dict) else set())
        if missing:
            raise ValueError(f"{path}, line {number}: no {what}; {sorted(missing)[0]!r} is missing")
        entries.append(entry)
    return entries


def rewrite(path: Path, entries: Iterable[Mapping[str, Any]]) -> None:
    """The file with exactly these entries, whole lines only, so that the next one starts a line of its own."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".partial")
    partial.write_text("".join(map(line_of, entries)), "utf-8")
    os.replace(partial, path)
