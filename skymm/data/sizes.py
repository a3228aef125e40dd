"""Sizes of many files, asked by several threads: on a network file system each answer is a wait, and waits add up."""

from __future__ import annotations

import stat
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

_THREADS, _FILES_AT_A_TIME = 32, 128


def sizes(paths: Sequence[Path]) -> list[int | None]:
    """Bytes of each file; None where there is none, or something else, such as a directory."""
    parts = [paths[start : start + _FILES_AT_A_TIME] for start in range(0, len(paths), _FILES_AT_A_TIME)]
    if len(parts) < 2:
        return [_size(path) for path in paths]
    with ThreadPoolExecutor(_THREADS) as pool:
        return [size for part in pool.map(lambda part: [_size(path) for path in part], parts) for size in part]


def _size(path: Path) -> int | None:
    try:
        found = path.stat()
    except (OSError, ValueError):  # a name that no file can have is no file
        return None
    return found.st_size if stat.S_ISREG(found.st_mode) else None
