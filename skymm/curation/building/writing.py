"""Last step: shards, each written by one process out of the conversations that were chosen for it."""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from skymm.conversation import Conversation
from skymm.curation.building.choosing import Pick
from skymm.curation.building.conversing import FOLDER
from skymm.curation.building.engines import Job
from skymm.curation.building.jsonl import pick_lines
from skymm.curation.building.manifest import entries, fingerprint
from skymm.curation.building.pieces import Piece, Workshop
from skymm.curation.building.stored import picture_bytes, turn_from_json
from skymm.data.shard_writing import write_shard
from skymm.images import decode_image
from skymm.recipe import DataRecipe

PREFIX = "train"
QUALITY = 90  # of the JPEG that a scaled picture becomes


def write_all(
    shop: Workshop, recipe: DataRecipe, shards: Iterator[list[Pick]], lines: Sequence[Mapping[str, Any]]
) -> list[dict[str, Any]]:
    """What `write_shard` tells of each shard, in order."""
    digests = {line["part"]: line["files"] for line in lines}
    pieces = [
        Piece(
            f"shard {number:05d}",
            fingerprint(picks, [digests[part] for part, _, _ in picks], recipe.max_side),
            {"directory": str(shop.directory), "number": number, "picks": picks, "max_side": recipe.max_side},
        )
        for number, picks in enumerate(shards)
    ]
    return [line["shard"] for line in shop.make("writing shards", pieces, write_one)]


def write_one(job: Job) -> dict[str, Any]:
    """Worker: one shard."""
    directory = Path(job["directory"])
    path = directory / f"{PREFIX}-{job['number']:05d}.tar"
    lines: list[dict[str, Any]] = [{}] * sum(len(numbers) for _, numbers, _ in job["picks"])
    for part, numbers, places in job["picks"]:
        for place, line in zip(places, pick_lines(directory / FOLDER / f"{part}.jsonl", numbers)):
            lines[place] = line
    shard = write_shard(path, (_sample(line, job["max_side"]) for line in lines))
    return {"files": entries(directory, [path]), "shard": shard}


def _sample(line: Mapping[str, Any], max_side: int | None) -> tuple[Conversation, dict[str, bytes]]:
    turns = [turn_from_json(turn) for turn in line["turns"]]
    images = {name: picture_bytes(place, line["key"]) for name, place in line["pictures"].items()}
    if max_side is not None:
        images = {name: _scaled(data, f"{line['key']}.{name}", max_side) for name, data in images.items()}
    return Conversation(line["key"], tuple(turns), line["extra"]), images


def _scaled(encoded: bytes, where: str, max_side: int) -> bytes:
    """The bytes as they are where the picture is small enough. Transparency is kept: such a picture becomes a PNG."""
    image = decode_image(encoded, where)
    if max(image.size) <= max_side:
        return encoded
    image.thumbnail((max_side, max_side))
    buffer = io.BytesIO()
    if image.mode == "RGBA":
        image.save(buffer, "PNG")
    else:
        image.save(buffer, "JPEG", quality=QUALITY)
    return buffer.getvalue()
