"""Lists of addresses: every one of them becomes a record or is counted under the reason why it gave none."""

from __future__ import annotations

import json
import re
import struct
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from PIL import Image

from skymm.curation.record import Picture, Record, Rejected
from skymm.curation.sources.fetching import fetch, num_shards, shard_paths
from skymm.curation.sources.rows import Unusable, captions_of
from skymm.data.names import split_name, unsafe
from skymm.recipe.sources import UrlsSource

# Parts of what img2dataset, urllib and OpenCV say, and the reason under which it is counted; the first that fits.
_REASONS = (
    ("disallowed by X-Robots-Tag", "publisher does not allow it"),
    ("image too small", "too small"),
    ("image area too large", "too many pixels"),
    ("aspect ratio too large", "too long and narrow"),
    ("timed out", "no answer in time"),
    ("CERTIFICATE_VERIFY", "no valid certificate"),
    ("IncompleteRead", "broken off"),
    ("Connection reset", "broken off"),
    ("Remote end closed", "broken off"),
)
_STATUS = re.compile(r"HTTP Error (\d{3})")
# How a camera was held, in exifread's words, and the EXIF value: img2dataset stores the pixels unturned and drops the note.
_ORIENTATIONS = {
    "Mirrored horizontal": 2,
    "Rotated 180": 3,
    "Mirrored vertical": 4,
    "Mirrored horizontal then rotated 90 CCW": 5,
    "Rotated 90 CW": 6,
    "Mirrored horizontal then rotated 90 CW": 7,
    "Rotated 90 CCW": 8,
}


class Source:
    """A row is one of img2dataset's shards: its table says what became of each address, its tar has the pictures."""

    rows_per_part = 1

    def __init__(self, recipe: UrlsSource) -> None:
        self.recipe = recipe
        self.licence = recipe.licence or "unknown"

    def rows(self) -> Iterator[dict[str, Any]]:
        """Fetches first: hours for millions of addresses; a second run goes on, and is instant where all is there."""
        num_rows = fetch(self.recipe)
        per_shard = self.recipe.urls_per_shard
        for number in range(num_shards(self.recipe, num_rows)):
            yield {"shard": number, "addresses": min(per_shard, num_rows - number * per_shard)}

    def records(self, row: dict[str, Any]) -> Iterator[Record | Rejected]:
        """In the order of the addresses. Raises ValueError where a shard is not what was fetched."""
        tar, table = shard_paths(self.recipe, row["shard"])
        pictures = pictures_of(tar)
        outcomes = {outcome["key"]: outcome for outcome in _outcomes(table)}
        digits = len(str(self.recipe.urls_per_shard - 1)) if self.recipe.urls_per_shard > 1 else 0
        for index in range(row["addresses"]):
            key = f"{10**digits * row['shard'] + index:0{digits + 5}d}"
            yield _record(key, outcomes.get(key), pictures.get(key))


def pictures_of(tar: Path) -> dict[str, Picture]:
    """Where the picture of each key lies in a tar of img2dataset's. Raises ValueError for what is no such tar."""
    found: dict[str, Picture] = {}
    try:
        size = tar.stat().st_size
        with tarfile.open(tar, "r:") as members:
            for info in members:
                split = split_name(info.name) if info.isreg() and not unsafe(info.name) else None
                if split and split[1] == "jpg" and info.offset_data + info.size <= size:
                    found[split[0]] = Picture(str(tar), info.offset_data, info.size)
    except tarfile.ReadError:
        pass  # a shard in which no address answered is an empty tar; what else is missing is told record by record
    except OSError as error:
        raise ValueError(f"{tar}: cannot be read ({error}); remove {tar.stem}_stats.json and run again") from error
    return found


def _outcomes(table: Path) -> Iterator[dict[str, Any]]:
    import pyarrow
    from pyarrow import parquet

    try:
        found = parquet.read_table(table, columns=["key", "caption", "extra", "status", "error_message", "exif"])
    except (pyarrow.ArrowException, OSError) as error:
        name = f"{table.stem}_stats.json"
        raise ValueError(f"{table}: cannot be read ({error}); remove {name} beside it and run again") from error
    return iter(found.to_pylist())


def _record(key: str, outcome: dict[str, Any] | None, picture: Picture | None) -> Record | Rejected:
    if outcome is None:
        return Rejected(key, "lost while fetching")
    row = json.loads(outcome["extra"])
    if row["refused"]:
        return Rejected(key, row["refused"], row["url"])
    if outcome["status"] != "success":
        said = outcome["error_message"] or ""
        return Rejected(key, _reason(outcome["status"], said), f"{row['url']}: {said}")
    if picture is None:
        return Rejected(key, "lost while fetching", row["url"])
    try:
        captions = tuple(captions_of(outcome["caption"]))
    except Unusable as error:
        return Rejected(key, error.reason, error.detail)
    orientation = _ORIENTATIONS.get(json.loads(outcome["exif"] or "{}").get("Image Orientation", ""))
    if orientation:
        picture = Picture(data=_noting(picture.read(), orientation))
    extra = {"url": row["url"], **({"columns": row["columns"]} if row["columns"] else {})}
    return Record(key, {"jpg": picture}, captions, extra=extra)


def _noting(jpeg: bytes, orientation: int) -> bytes:
    """The JPEG with an EXIF segment that says how it is to be turned; its pixels stay as they were encoded."""
    exif = Image.Exif()
    exif[0x0112] = orientation
    segment = exif.tobytes()
    return jpeg[:2] + b"\xff\xe1" + struct.pack(">H", len(segment) + 2) + segment + jpeg[2:]


def _reason(status: str, said: str) -> str:
    if match := _STATUS.search(said):
        return f"address answers {match[1]}"
    for part, reason in _REASONS:
        if part in said:
            return reason
    return "no picture there" if status == "failed_to_resize" else "address does not answer"
