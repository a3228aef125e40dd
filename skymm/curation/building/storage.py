"""What lies on disk between the steps of a build: lines of JSON of which each can be read alone, and bytes of pictures."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import IO, Any

import numpy as np

from skymm.curation.record import Picture
from skymm.files import whole_file


def write_lines(path: Path, lines: Iterable[Any]) -> int:
    """The number of lines written, as PATH and PATH.places.npy (int64 offsets, one more than lines), so that any of millions
    can be read alone. In ASCII: strangers' tables hold halves of surrogate pairs, which UTF-8 cannot.
    """
    places = [0]
    with whole_file(path) as file:
        for line in lines:
            places.append(places[-1] + file.write(json.dumps(line).encode("ascii") + b"\n"))
    with whole_file(places_of(path)) as file:
        np.save(file, np.array(places, dtype=np.int64))
    return len(places) - 1


def places_of(path: Path) -> Path:
    """Where `write_lines` notes where each line begins."""
    return path.with_name(path.name + ".places.npy")


def read_lines(path: Path) -> Iterator[Any]:
    with path.open("rb") as file:
        yield from map(json.loads, file)


def pick_lines(path: Path, numbers: Sequence[int]) -> Iterator[Any]:
    """The lines of these numbers, in the given order."""
    places = np.load(places_of(path), mmap_mode="r", allow_pickle=False)
    with path.open("rb") as file:
        for number in numbers:
            file.seek(int(places[number]))
            yield json.loads(file.readline())


def kept(picture: Picture, encoded: bytes, path: Path, file: IO[bytes]) -> Picture:
    """Where the bytes of a picture lie from now on, and what they are. Those that were made or came out of a table are put into
    PATH, open as `file`.
    """
    where, offset = str(Path(picture.path).absolute()), picture.offset
    if picture.data is not None:
        where, offset = str(path.absolute()), file.tell()
        file.write(encoded)
    return Picture(where, offset, len(encoded), digest=_digest(encoded))


def picture_bytes(picture: Picture, key: str) -> bytes:
    """Raises ValueError where the file is no longer what it was when the build looked at it."""
    again = "put it back, or remove what was built and build again"
    try:
        encoded = picture.read()
    except OSError as error:
        raise ValueError(
            f"{picture.path}: a picture of {key}, gone since this build looked at it ({error}); {again}"
        ) from error
    if _digest(encoded) != picture.digest:
        raise ValueError(f"{picture.path}: a picture of {key}, changed since this build looked at it; {again}")
    return encoded


def _digest(encoded: bytes) -> str:
    return hashlib.sha256(encoded).hexdigest()[:16]
