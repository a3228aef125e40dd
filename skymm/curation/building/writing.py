"""Last step: shards, each written by one process out of the conversations that were chosen for it."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from skymm.conversation import Conversation, Turn
from skymm.curation.building.asking import exchanges as say
from skymm.curation.building.asking import source_of
from skymm.curation.building.choosing import Pick
from skymm.curation.building.conversing import FOLDER
from skymm.curation.building.engines import Job
from skymm.curation.building.jsonl import pick_lines
from skymm.curation.building.manifest import entries, fingerprint
from skymm.curation.building.pieces import Piece, Workshop
from skymm.curation.building.stored import picture_bytes, record_from_json, turn_from_json
from skymm.curation.building.tasks import with_questions
from skymm.curation.negatives.balance import Asked
from skymm.data.shard_writing import write_shard
from skymm.files import whole_file
from skymm.images import decode_image
from skymm.recipe import DataRecipe

PREFIX = "train"
ASKED = ".build/asked"
QUALITY = 90  # of the JPEG that a scaled picture becomes


def write_all(
    shop: Workshop, recipe: DataRecipe, shards: Iterator[list[Pick]], lines: Sequence[Mapping[str, Any]]
) -> list[dict[str, Any]]:
    """What `write_shard` tells of each shard, in order."""
    parts = {line["part"]: line for line in lines}
    pieces = []
    for number, picks in enumerate(shards):
        path = shop.directory / ASKED / f"{number:05d}.json"
        with whole_file(path, "w", encoding="ascii") as file:
            json.dump([(*rest, [list(map(asdict, one)) for one in asked]) for *rest, asked in picks], file)
        told = {
            part: {
                "records": parts[part]["records"],
                "source": recipe.sources[parts[part]["source"]].model_dump_json(),
            }
            for part, *_ in picks
        }
        job = {
            "directory": str(shop.directory),
            "number": number,
            "picks": str(path),
            "parts": told,
            "max_side": recipe.max_side,
            "explained_share": recipe.negatives.explained_share,
        }
        made_of = [
            entries(shop.directory, [path]),
            [parts[part]["files"] for part in told],
            told,
            *list(job.values())[4:],
        ]
        pieces.append(Piece(f"shard {number:05d}", fingerprint(made_of), job))
    return [line["shard"] for line in shop.make("writing shards", pieces, write_one)]


def write_one(job: Job) -> dict[str, Any]:
    """Worker: one shard."""
    directory = Path(job["directory"])
    path = directory / f"{PREFIX}-{job['number']:05d}.tar"
    picks = json.loads(Path(job["picks"]).read_text("ascii"))
    lines: list[dict[str, Any]] = [{}] * sum(len(numbers) for _, numbers, *_ in picks)
    for part, numbers, places, questions in picks:
        found = pick_lines(directory / FOLDER / f"{part}.jsonl", numbers)
        source, records = source_of(job["parts"][part]["source"]), directory / job["parts"][part]["records"]
        for place, line, asked in zip(places, found, questions):
            lines[place] = line
            exchanges: list[tuple[Turn, Turn]] = []
            if asked:
                record = record_from_json(pick_lines(records, [line["record"]])[0])
                told = [Asked(**{**one, "key": tuple(one["key"])}) for one in asked]
                exchanges = say(record, told, source, job["explained_share"])
            turns = with_questions([turn_from_json(turn) for turn in line["turns"]], exchanges, list(line["pictures"]))
            line["turns"] = turns
    shard = write_shard(path, (_sample(line, job["max_side"]) for line in lines))
    return {"files": entries(directory, [path]), "shard": shard}


def _sample(line: Mapping[str, Any], max_side: int | None) -> tuple[Conversation, dict[str, bytes]]:
    turns = line["turns"]
    shown = [name for turn in turns for name in turn.images]
    images = {name: picture_bytes(line["pictures"][name], line["key"]) for name in shown}
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
