"""Which row of the feature cache an image has: 28 bytes of file per image, and next to nothing in memory.

`keys.bin` is the truth: 16 bytes per row, in the order of the rows, only ever appended to. `keys.sorted` is made from it, may
be missing or of an earlier day, and is replaced as a whole: the first 8 bytes of every key as sorted numbers, then the rows
of these. Both are memory-mapped: all processes of a machine share one copy, and ten million keys are open as fast as ten
thousand (a dict of them takes 1.4 GB in every process). Rows younger than `keys.sorted` are few and lie in a dict.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np

from skymm.files import whole_file

KEYS, SORTED = "keys.bin", "keys.sorted"
KEY_BYTES, _SORTED_BYTES = 16, 12
RECENT = 2**18  # keys that a dict may hold (40 MB of memory) before they are sorted in with the others


class KeyIndex:
    """The rows of keys, the first `limit` of them where more are on disk. Opening writes nothing."""

    def __init__(self, directory: str | Path, limit: int | None = None):
        self.directory = Path(directory)
        there = _size(self.directory / KEYS) // KEY_BYTES
        self._open(there if limit is None else min(there, limit))

    def __len__(self) -> int:
        return len(self._numbers) + len(self._recent)

    def __contains__(self, key: bytes) -> bool:
        return self._find(key) is not None

    def __getitem__(self, key: bytes) -> int:
        """The row of a key. Raises KeyError where it has none."""
        row = self._find(key)
        if row is None:
            raise KeyError(key)
        return row

    def __reduce__(self) -> tuple[Any, ...]:
        """A process that gets a copy opens the files, and is not sent their content."""
        return type(self), (self.directory, len(self))

    def append(self, keys: Sequence[bytes]) -> None:
        """Give the next rows to keys that have none. What a killed run left behind the last row is overwritten."""
        num_rows = len(self)
        if _size(self.directory / SORTED) // _SORTED_BYTES > num_rows:
            (self.directory / SORTED).unlink()  # it names rows that were lost, which now become rows of other keys
        path = self.directory / KEYS
        with path.open("r+b" if path.exists() else "w+b") as file:
            file.seek(num_rows * KEY_BYTES)
            file.truncate()
            file.write(b"".join(keys))
        self._recent.update(zip(keys, count(num_rows)))
        if len(self._recent) > RECENT:
            self._sort_in(num_rows + len(keys))

    def _open(self, num_rows: int) -> None:
        self._keys = _mapped(self.directory / KEYS, num_rows * KEY_BYTES)
        num_sorted = _size(self.directory / SORTED) // _SORTED_BYTES
        if num_sorted > num_rows:
            num_sorted = 0  # of rows that were lost since
        if num_rows - num_sorted > RECENT:
            self._numbers, self._rows = sorted_keys(self._keys)
        else:
            content = _mapped(self.directory / SORTED, num_sorted * _SORTED_BYTES)
            self._numbers = content[: 8 * num_sorted].view(np.uint64)
            self._rows = content[8 * num_sorted :].view(np.uint32)
        self._recent = {self._key(row): row for row in range(len(self._numbers), num_rows)}

    def _sort_in(self, num_rows: int) -> None:
        with whole_file(self.directory / SORTED) as file:
            for part in sorted_keys(_mapped(self.directory / KEYS, num_rows * KEY_BYTES)):
                file.write(part.tobytes())
            file.flush()
            os.fsync(file.fileno())  # a name must not come to the disk before what it names
        self._open(num_rows)

    def _find(self, key: bytes) -> int | None:
        if key in self._recent:
            return self._recent[key]
        number = np.uint64(int.from_bytes(key[:8], "big"))
        for place in range(int(np.searchsorted(self._numbers, number)), len(self._numbers)):
            if self._numbers[place] != number:
                break
            row = int(self._rows[place])
            if self._key(row) == key:
                return row
        return None

    def _key(self, row: int) -> bytes:
        return self._keys[row * KEY_BYTES : (row + 1) * KEY_BYTES].tobytes()


def sorted_keys(keys: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Bytes of keys -> the first 8 bytes of each as numbers, sorted, and the row of each."""
    numbers = keys.view(">u8")[:: KEY_BYTES // 8].astype(np.uint64)
    rows = np.argsort(numbers)
    return numbers[rows], rows.astype(np.uint32)


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _mapped(path: Path, size: int) -> np.ndarray:
    """The first `size` bytes of a file, read where they lie. Zero bytes cannot be mapped, and need no file."""
    return np.asarray(np.memmap(path, np.uint8, "r", shape=(size,))) if size else np.empty(0, np.uint8)
