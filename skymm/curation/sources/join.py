"""Joining annotation tables by image: gigabytes of them, in any order, with a file on disk in the place of memory."""

from __future__ import annotations

import json
import sqlite3
import tempfile
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any


class Join:
    """Takes what tables say about images and gives it back image by image. A context manager: its file goes with it."""

    def __enter__(self) -> Join:
        self._directory = tempfile.TemporaryDirectory(prefix="skymm-join-")
        self._database = sqlite3.connect(Path(self._directory.name) / "join.sqlite", isolation_level=None)
        # Nothing here outlives the process, so nothing has to survive a crash.
        for setting in ("journal_mode = OFF", "synchronous = OFF", "locking_mode = EXCLUSIVE"):
            self._database.execute(f"PRAGMA {setting}")
        # No type: numbers stay numbers and sort as such, before texts.
        self._database.execute("CREATE TABLE said (image, kind TEXT, value TEXT)")
        self._database.execute("BEGIN")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._database.close()
        self._directory.cleanup()

    def add(self, image: int | str, kind: str, value: Any) -> None:
        """`value`: plain JSON data."""
        self._database.execute("INSERT INTO said VALUES (?, ?, ?)", (image, kind, json.dumps(value)))

    def images(self) -> Iterator[tuple[int | str, dict[str, list[Any]]]]:
        """(image, values by kind) in the order of the ids, values in the order in which they were added."""
        self._database.execute("CREATE INDEX by_image ON said (image)")
        of, values = None, {}
        for image, kind, value in self._database.execute("SELECT image, kind, value FROM said ORDER BY image, rowid"):
            if image != of:
                if values:
                    yield of, values
                of, values = image, {}
            values.setdefault(kind, []).append(json.loads(value))
        if values:
            yield of, values
