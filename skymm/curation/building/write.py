"""The last step: shards, each written by one process out of the conversations that were chosen for it."""

from __future__ import annotations

import io
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from skymm.conversation import Conversation
from skymm.curation.building.choose import Pick
from skymm.curation.building.converse import FOLDER, exchanges, source_of, with_questions
from skymm.curation.building.manifest import Manifest, Piece, entries, fingerprint
from skymm.curation.building.storage import pick_lines, picture_bytes, record_from_json, turn_from_json
from skymm.curation.building.workers import Job
from skymm.curation.negatives.balance import Asked
from skymm.data.shard_writing import write_shard
from skymm.files import whole_file
from skymm.images import decode_image
from skymm.recipe import DataRecipe

PREFIX = "train"
ASKED = ".build/asked"
QUALITY = 90  # of the JPEG that a scaled picture becomes


def write_all(
    manifest: Manifest,
    recipe: DataRecipe,
    shards: Iterable[Sequence[Pick]],
    lines: Sequence[Mapping[str, Any]],
    licences: Mapping[str, str],
) -> list[dict[str, Any]]:
    """What `write_shard` tells of each shard, in order. `lines`: the manifest's, of all parts of conversations."""
    parts = {line["part"]: line for line in lines}
    pieces = []
    for number, picks in enumerate(shards):
        path = manifest.directory / ASKED / f"{number:05d}.json"
        with whole_file(path, "w", encoding="ascii") as file:
            json.dump([(*rest, [list(map(asdict, one)) for one in asked]) for *rest, asked in picks], file)
        told = {part: _told(parts[part], recipe, licences) for part, *_ in picks}
        wanted = {"parts": told, "max_side": recipe.max_side, "explained_share": recipe.negatives.explained_share}
        made_of = [entries(manifest.directory, [path]), [parts[part]["files"] for part in told], wanted]
        job = {"directory": str(manifest.directory), "number": number, "picks": str(path), **wanted}
        pieces.append(Piece(f"shard {number:05d}", fingerprint(made_of), job))
    return [line["shard"] for line in manifest.make("writing shards", pieces, write_one)]


def _told(line: Mapping[str, Any], recipe: DataRecipe, licences: Mapping[str, str]) -> dict[str, Any]:
    name = line["source"]
    settings = recipe.sources[name].model_dump_json()
    return {"name": name, "records": line["records"], "licence": licences[name], "settings": settings}


def write_one(job: Job) -> dict[str, Any]:
    """Worker: one shard."""
    directory = Path(job["directory"])
    path = directory / f"{PREFIX}-{job['number']:05d}.tar"
    picks = json.loads(Path(job["picks"]).read_text("ascii"))
    samples: list[Any] = [None] * sum(len(numbers) for _, numbers, *_ in picks)
    for part, numbers, places, questions in picks:
        told = job["parts"][part]
        lines = pick_lines(directory / FOLDER / f"{part}.jsonl", numbers)
        records = pick_lines(directory / told["records"], [line["record"] for line in lines])
        for place, line, data, asked in zip(places, lines, records, questions):
            samples[place] = _conversation(line, data, asked, told, job["explained_share"]), data["pictures"]
    shard = write_shard(path, _with_images(samples, job["max_side"]))
    return {"files": entries(directory, [path]), "shard": shard}


def _conversation(
    line: Mapping[str, Any],
    data: Mapping[str, Any],
    asked: Sequence[Mapping[str, Any]],
    told: Mapping[str, Any],
    explained_share: float,
) -> Conversation:
    """`line`: the conversation's, `data`: its record's, `told`: of its source."""
    questions: list[Any] = []
    if asked:
        those = [Asked(**{**one, "key": tuple(one["key"])}) for one in asked]
        questions = list(exchanges(record_from_json(data), those, source_of(told["settings"]), explained_share))
    turns = with_questions([turn_from_json(turn) for turn in line["turns"]], questions, list(data["pictures"]))
    facts = {"facts": data["stated"]} if data["stated"] else {}
    extra = {"source": told["name"], "licence": told["licence"], **facts, **data["extra"], **line["extra"]}
    return Conversation(f"{told['name']}_{data['key']}{line['suffix']}", turns, extra)


def _with_images(
    samples: Iterable[tuple[Conversation, Mapping[str, Any]]], max_side: int | None
) -> Iterator[tuple[Conversation, dict[str, bytes]]]:
    """Samples with the bytes of the pictures that they show, read one sample at a time."""
    for conversation, pictures in samples:
        key = conversation.key
        shown = [name for turn in conversation.turns for name in turn.images]
        images = {name: picture_bytes(pictures[name], key) for name in shown}
        if max_side is not None:
            images = {name: _scaled(data, f"{key}.{name}", max_side) for name, data in images.items()}
        yield conversation, images


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
