"""Records as lines of JSON, and the bytes of pictures that lie nowhere else."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import IO, Any

from skymm.conversation import Turn
from skymm.curation.record import Caption, Facts, Picture, Record


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
    """Its pictures are left in `data`: `picture_bytes` reads them."""
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
    try:
        encoded = Picture(path, offset, size).read()
    except OSError as error:
        raise ValueError(
            f"{path}: a picture of {key}, gone since this build looked at it ({error}); {_AGAIN}"
        ) from error
    if hashlib.sha256(encoded).hexdigest()[:16] != digest:
        raise ValueError(f"{path}: a picture of {key}, changed since this build looked at it; {_AGAIN}")
    return encoded


_AGAIN = "put it back, or remove what was built and build again"
