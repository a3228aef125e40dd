"""Files that are whole or not there, journals that a kill at any moment leaves usable, and directories for one process."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

LOCK = ".lock"


@contextmanager
def whole_file(path: Path, mode: str = "wb", **options: Any) -> Iterator[IO[Any]]:
    """A file that appears under its name when it is whole."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f"{path.name}.partial")
    try:
        with partial.open(mode, **options) as file:
            yield file
    except BaseException:
        partial.unlink(missing_ok=True)
        raise
    partial.replace(path)


@contextmanager
def whole_directory(path: Path) -> Iterator[Path]:
    """A directory that appears under its name when it is whole. Raises ValueError where it is there already."""
    if path.exists():
        raise ValueError(f"{path} is there already; choose another directory or remove it")
    partial = path.with_name(f".{path.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    try:
        yield partial
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise
    partial.replace(path)


class Journal:
    """A file of JSON lines, one object each, to which one process appends; a line is with the system before `add` returns.

    A last line that a killed process left half-written is cut off when the journal is opened. `entries` are the lines as they
    stood then. Raises ValueError where any other line is no JSON.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self.entries, whole = _read(self.path)
        if self.path.exists() and whole < self.path.stat().st_size:
            with self.path.open("r+b") as file:
                file.truncate(whole)

    def add(self, *entries: Mapping[str, Any]) -> None:
        """Makes the directory where it is not there yet."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("a+b") as file:
            if file.tell():
                file.seek(-1, os.SEEK_END)
                if file.read(1) != b"\n":  # as some editors leave it
                    file.write(b"\n")
            file.write(b"".join(map(_line, entries)))

    def rewrite(self, entries: Iterable[Mapping[str, Any]]) -> None:
        """The file with exactly these entries."""
        with whole_file(self.path) as file:
            file.writelines(map(_line, entries))


def read_journal(path: str | Path) -> list[dict[str, Any]]:
    """The entries of a journal that somebody else may be writing: none where there is no file, and no last line that is not
    whole. Raises ValueError where any other line is no JSON.
    """
    return _read(Path(path))[0]


@contextmanager
def alone_in(directory: Path, refusal: str) -> Iterator[None]:
    """One process at a time in a directory; the lock ends with its process, however that ends.

    Makes the directory, and takes it away again where nothing was put into it.

    Raises ValueError with `refusal` while another process is inside.
    """
    from filelock import FileLock, Timeout

    directory.mkdir(parents=True, exist_ok=True)
    lock = FileLock(directory / LOCK)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise ValueError(refusal) from None
    try:
        yield
    finally:
        unused = [path.name for path in directory.iterdir()] == [LOCK]
        lock.release()
        if unused:
            with suppress(OSError):
                (directory / LOCK).unlink()
                directory.rmdir()


def _line(entry: Mapping[str, Any]) -> bytes:
    """Half a character (a lone surrogate), which strangers' text may hold and UTF-8 cannot, is written as its code."""
    return json.dumps(entry, ensure_ascii=False).encode("utf-8", "backslashreplace") + b"\n"


def _read(path: Path) -> tuple[list[dict[str, Any]], int]:
    """The entries, and how many bytes their lines have."""
    lines = path.read_bytes().split(b"\n") if path.exists() else []
    entries: list[dict[str, Any]] = []
    whole = 0
    for number, line in enumerate(lines, 1):
        whole += len(line) + 1
        if not line.strip():
            continue
        try:
            entries.append(json.loads(line))
        except ValueError as error:  # no JSON, or cut inside a character
            if any(map(bytes.strip, lines[number:])):
                raise ValueError(f"{path}, line {number}: not JSON ({error})") from error
            whole -= len(line) + 1
            break
    return entries, whole
