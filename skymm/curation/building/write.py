"""The last step: shards, each written by one process out of the conversations that were chosen for it."""

from __future__ import annotations

import io
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from skymm.conversation import Conversation
from skymm.curation.building.choose import Pick
from skymm.curation.building.converse import Made, exchanges, source_of, with_questions
from skymm.curation.building.manifest import Manifest, Piece, entries, file_of
from skymm.curation.building.storage import pick_lines, picture_bytes
from skymm.curation.building.workers import Job
from skymm.curation.record import Picture, Record, from_plain
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
            json.dump(picks, file, default=asdict)
        those = {part: {name: parts[part][name] for name in ("source", "files", "records")} for part, *_ in picks}
        sources = {line["source"]: recipe.sources[line["source"]].model_dump_json() for line in those.values()}
        job = {
            "number": number,
            "picks": entries(manifest.directory, [path]),
            "parts": those,
            "sources": {name: [licences[name], settings] for name, settings in sources.items()},
            "max_side": recipe.max_side,
            "explained_share": recipe.negatives.explained_share,
        }
        pieces.append(Piece(f"shard {number:05d}", job))
    return [line["shard"] for line in manifest.make("writing shards", pieces, write_one)]


def write_one(job: Job) -> dict[str, Any]:
    """Worker: one shard."""
    directory = Path(job["directory"])
    path = directory / f"{PREFIX}-{job['number']:05d}.tar"
    (asked,) = job["picks"]
    picks = from_plain(list[Pick], json.loads((directory / asked).read_text("ascii")))
    samples: dict[int, tuple[Conversation, Mapping[str, Picture]]] = {}
    for part, of_it in job["parts"].items():
        places = [place for place, (other, _, _) in enumerate(picks) if other == part]
        lines = list(pick_lines(file_of(directory, of_it["files"], ".jsonl"), [picks[place][1] for place in places]))
        records = pick_lines(file_of(directory, of_it["records"], ".jsonl"), [line["record"] for line in lines])
        licence, settings = job["sources"][of_it["source"]]
        for place, line, told in zip(places, lines, records):
            record, made, asked = from_plain(Record, told["record"]), from_plain(Made, line), picks[place][2]
            said = list(exchanges(record, asked, source_of(settings), job["explained_share"])) if asked else []
            turns = with_questions(made.turns, said, list(record.pictures))
            facts = {"facts": told["stated"]} if told["stated"] else {}
            extra = {"source": of_it["source"], "licence": licence, **facts, **record.extra, **made.extra}
            key = f"{of_it['source']}_{record.key}{made.suffix}"
            one = Conversation(key, turns, extra)
            # Last of all: whatever filtered and translated read what people said.
            samples[place] = replace(one, turns=tuple(turn.timed(one.seconds) for turn in turns)), record.pictures
    shard = write_shard(path, _with_images((samples[place] for place in range(len(picks))), job["max_side"]))
    return {"files": entries(directory, [path]), "shard": shard}


def _with_images(
    samples: Iterable[tuple[Conversation, Mapping[str, Picture]]], max_side: int | None
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
