"""What lies on disk between the steps of a build: lines of JSON, records among them, and bytes of pictures."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import IO, Any

import numpy as np

from skymm.conversation import Turn
from skymm.curation.record import Caption, Facts, Picture, Record
from skymm.files import whole_file


def write_lines(path: Path, lines: Iterable[Any]) -> int:
    """The number of lines written, as PATH and PATH.places.npy (int64 offsets, one more than lines), so that any of millions
    can be read alone. In ASCII: strangers' tables hold halves of surrogate pairs, which UTF-8 cannot.
    """
    places = [0]
    with whole_file(path) as file:
        for line in lines:
            places.append(places[-1] + file.write(json.dumps(line).encode("ascii") + b"\n"))
    with whole_file(lines_and_places(path)[1]) as file:
        np.save(file, np.array(places, dtype=np.int64))
    return len(places) - 1


def lines_and_places(path: Path) -> list[Path]:
    """The two files that `write_lines` writes."""
    return [path, path.with_name(path.name + ".places.npy")]


def read_lines(path: Path) -> Iterator[Any]:
    with path.open("rb") as file:
        for line in file:
            yield json.loads(line)


def pick_lines(path: Path, numbers: Sequence[int]) -> list[Any]:
    """The lines of these numbers, in the given order."""
    places = np.load(lines_and_places(path)[1], mmap_mode="r", allow_pickle=False)
    found = []
    with path.open("rb") as file:
        for number in numbers:
            begin, end = int(places[number]), int(places[number + 1])
            file.seek(begin)
            found.append(json.loads(file.read(end - begin)))
    return found


def file_of(directory: Path, line: Mapping[str, Any], ending: str) -> Path:
    """The file of a manifest's line that ends so."""
    return directory / next(name for name in line["files"] if name.endswith(ending))


def record_to_json(record: Record, pictures: Mapping[str, Any]) -> dict[str, Any]:
    """`pictures` as `PictureStore.keep` gives them."""
    return {
        "key": record.key,
        "pictures": dict(pictures),
        "captions": [asdict(caption) for caption in record.captions],
        "turns": [turn_to_json(turn) for turn in record.turns],
        "facts": record.facts.to_json(),
        "extra": dict(record.extra),
    }


def record_from_json(data: Mapping[str, Any]) -> Record:
    """The digests of its pictures are left in `data`: `picture_bytes` compares them."""
    return Record(
        data["key"],
        {name: Picture(path, offset, size) for name, (path, offset, size, _) in data["pictures"].items()},
        tuple(Caption(**caption) for caption in data["captions"]),
        tuple(turn_from_json(turn) for turn in data["turns"]),
        Facts.from_json(data["facts"]),
        data["extra"],
    )


def turn_to_json(turn: Turn) -> dict[str, Any]:
    return {name: value for name, value in asdict(turn).items() if value}


def turn_from_json(data: Mapping[str, Any]) -> Turn:
    return Turn(**{"text": "", **data} | {name: tuple(data.get(name, ())) for name in ("images", "places")})


class PictureStore:
    """Says where a picture's bytes are; those that were made, or came out of a table, are kept in `file`."""

    def __init__(self, path: Path, file: IO[bytes]) -> None:
        self.path, self._file, self._end = path, file, 0

    def keep(self, picture: Picture, encoded: bytes) -> tuple[str, int, int, str]:
        """(path, offset, bytes, 16 hex digits of their sha256)."""
        digest = hashlib.sha256(encoded).hexdigest()[:16]
        if picture.data is None:
            return str(Path(picture.path).absolute()), picture.offset, len(encoded), digest
        offset, self._end = self._end, self._end + self._file.write(encoded)
        return str(self.path.absolute()), offset, len(encoded), digest


def picture_bytes(place: tuple[str, int, int, str], key: str) -> bytes:
    """Raises ValueError where the file is no longer what it was when the build looked at it."""
    path, offset, size, digest = place
    again = "put it back, or remove what was built and build again"
    try:
        encoded = Picture(path, offset, size).read()
    except OSError as error:
        raise ValueError(
            f"{path}: a picture of {key}, gone since this build looked at it ({error}); {again}"
        ) from error
    if hashlib.sha256(encoded).hexdigest()[:16] != digest:
        raise ValueError(f"{path}: a picture of {key}, changed since this build looked at it; {again}")
    return encoded
