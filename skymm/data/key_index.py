"""Which row of the feature cache an image has: 20 bytes of file per image, and next to nothing in memory.

`keys.bin` is the truth: 16 bytes per row, in the order of the rows, only ever appended to. `keys.order` lists the rows in
the order of their keys, 4 bytes per row; it is made from the keys, may be missing or of an earlier day, and is replaced as
a whole. Both are memory-mapped: all processes of a machine share one copy, and ten million keys are open as fast as ten
thousand (a dict of them takes 1.4 GB in every process). Rows younger than `keys.order` are few and lie in a dict.
"""

from __future__ import annotations

import mmap
import os
from collections.abc import Sequence
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np

KEYS, ORDER = "keys.bin", "keys.order"
KEY_BYTES, _ROW_BYTES = 16, 4
RECENT = 2**18  # keys that a dict may hold (40 MB of memory) before they are sorted in with the others
_GUESSES = 8  # after so many, bisect: only keys that are no hashes come to this


class KeyIndex:
    """The rows of keys, the first `limit` of them where more are on disk. Opening writes nothing."""

    def __init__(self, directory: str | Path, limit: int | None = None):
        self.directory = Path(directory)
        there = _size(self.directory / KEYS) // KEY_BYTES
        self._open(there if limit is None else min(there, limit))

    def __len__(self) -> int:
        return self._num_sorted + len(self._recent)

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
        if _size(self.directory / ORDER) // _ROW_BYTES > num_rows:
            (self.directory / ORDER).unlink()  # it names rows that were lost, which now become rows of other keys
        path = self.directory / KEYS
        with path.open("r+b" if path.exists() else "w+b") as file:
            file.seek(num_rows * KEY_BYTES)
            file.truncate()
            file.write(b"".join(keys))
        self._recent.update(zip(keys, count(num_rows)))
        if len(self._recent) > RECENT:
            self._sort_in(num_rows + len(keys))

    def _open(self, num_rows: int) -> None:
        path = self.directory / ORDER
        num_sorted = _size(path) // _ROW_BYTES
        if num_sorted > num_rows:
            num_sorted = 0  # of rows that were lost since
        self._keys: bytes | mmap.mmap = _mapped(self.directory / KEYS, num_rows * KEY_BYTES)
        self._order = np.frombuffer(_mapped(path, num_sorted * _ROW_BYTES), np.uint32)
        if num_rows - num_sorted > RECENT:
            num_sorted, self._order = num_rows, sorted_rows(self._keys)
        self._num_sorted = num_sorted
        self._recent = {self._keys[row * KEY_BYTES : (row + 1) * KEY_BYTES]: row for row in range(num_sorted, num_rows)}

    def _sort_in(self, num_rows: int) -> None:
        order = sorted_rows(_mapped(self.directory / KEYS, num_rows * KEY_BYTES))
        partial = self.directory / f"{ORDER}.partial"
        with partial.open("wb") as file:
            file.write(order.tobytes())
            file.flush()
            os.fsync(file.fileno())  # a name must not come to the disk before what it names
        partial.replace(self.directory / ORDER)
        self._open(num_rows)

    def _find(self, key: bytes) -> int | None:
        """Keys are hashes, so a key's value tells where about it stands: a few looks find it among millions."""
        if key in self._recent:
            return self._recent[key]
        value = int.from_bytes(key[:8], "big")
        low, high, lowest, highest = 0, self._num_sorted, 0, 2**64  # places [low, high), values [lowest, highest)
        for guesses in count():
            if low == high:
                return None
            share = (value - lowest, highest - lowest) if guesses < _GUESSES else (1, 2)
            middle = low + (high - low) * share[0] // share[1]
            row = int(self._order[middle])
            found = self._keys[row * KEY_BYTES : (row + 1) * KEY_BYTES]
            if found == key:
                return row
            if found < key:
                low, lowest = middle + 1, int.from_bytes(found[:8], "big")
            else:
                high, highest = middle, int.from_bytes(found[:8], "big") + 1


def sorted_rows(keys: bytes | mmap.mmap) -> np.ndarray:
    """Row numbers in the order of their keys."""
    halves_R2 = np.frombuffer(keys, ">u8").reshape(-1, KEY_BYTES // 8)
    first = halves_R2[:, 0].astype(np.uint64)
    order = np.argsort(first)
    first = first[order]
    if (first[1:] == first[:-1]).any():  # never seen among hashes, and three times as slow
        order = np.lexsort((halves_R2[:, 1], halves_R2[:, 0]))
    return order.astype(np.uint32)


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _mapped(path: Path, size: int) -> bytes | mmap.mmap:
    """The first `size` bytes of a file, read where they lie. Zero bytes cannot be mapped, and need no file."""
    if not size:
        return b""
    with path.open("rb") as file:
        return mmap.mmap(file.fileno(), size, access=mmap.ACCESS_READ)
