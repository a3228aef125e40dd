"""What of a build is finished: one line per piece, written when its files are whole. What has no line is made again."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from skymm.files import Journal

NAME = "manifest.jsonl"
FORMAT = 3
"""Part of every fingerprint: one more whenever the lines or files of pieces change, so that no build goes on from old ones."""


class Manifest:
    """`DIRECTORY/manifest.jsonl`, kept by one process. A line: piece, inputs, files (name -> bytes, sha256) and counts.

    `inputs` is a fingerprint of everything that a piece is made of: when the recipe changes, only pieces whose own inputs
    changed are made anew.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        try:
            self._journal = Journal(directory / NAME)
            self._lines = {entry["piece"]: entry for entry in self._journal.entries}
        except (ValueError, KeyError, TypeError) as error:
            raise ValueError(
                f"{directory / NAME} is no manifest of a build ({error}); remove {directory} and build again, or "
                "put the file back"
            ) from error

    def done(self, piece: str, inputs: str) -> dict[str, Any] | None:
        """The line of a piece that is finished, made of these inputs, and whose files are still there."""
        line = self._lines.get(piece)
        if line is None or line["inputs"] != inputs:
            return None
        for name, (size, _) in line["files"].items():
            path = self.directory / name
            if not path.is_file() or path.stat().st_size != size:
                return None
        return line

    def forget(self, piece: str) -> None:
        """Before a piece is made anew: its files change from now on, and may be of the same size as they were."""
        if self._lines.pop(piece, None) is not None:
            self._write({"piece": piece, "inputs": None, "files": {}})

    def add(self, piece: str, inputs: str, result: dict[str, Any]) -> dict[str, Any]:
        """`result` has "files" as `entries` gives them."""
        self._lines[piece] = self._write({"piece": piece, "inputs": inputs, **result})
        return self._lines[piece]

    def _write(self, line: dict[str, Any]) -> dict[str, Any]:
        """The line as it will be read back."""
        self._journal.add(line)
        return json.loads(json.dumps(line))


def fingerprint(*parts: Any) -> str:
    """Sixteen hex digits of plain data."""
    text = json.dumps([FORMAT, *parts], sort_keys=True, ensure_ascii=False, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def entries(directory: Path, paths: Iterable[Path]) -> dict[str, tuple[int, str]]:
    """Name relative to the directory -> (bytes, sha256)."""
    found = {}
    for path in paths:
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        found[path.relative_to(directory).as_posix()] = (path.stat().st_size, digest)
    return found
