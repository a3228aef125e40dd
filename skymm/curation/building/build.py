"""A data recipe becomes shards: list, read, compare, converse, choose and ask, write. Each step in pieces, each piece once.

The same recipe and the same inputs give the same bytes, whatever the number of processes, machines and interruptions.
While it goes on, `manifest.jsonl` tells which pieces are whole; when it is done, `card.json` stands for all of it.
"""

from __future__ import annotations

import json
import shutil
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from skymm.curation.audit.findings import find_leaks
from skymm.curation.building.choose import choose
from skymm.curation.building.converse import make_conversations
from skymm.curation.building.manifest import NAME, Manifest
from skymm.curation.building.read import find_repeated, gather_statistics, list_rows, read_records, rejections
from skymm.curation.building.workers import Engine, Local
from skymm.curation.building.write import write_all
from skymm.data.shard_writing import write_card
from skymm.data.shards import CARD
from skymm.recipe import DataRecipe, differences, parse


def build(recipe: DataRecipe, out: str | Path, engine: Engine | None = None, leakage: Path | None = None) -> Path:
    """Write OUT/train-00000.tar, ... and OUT/card.json. What is finished there is kept; a finished build is left alone.

    `leakage`: the index of evaluation sets that the filter of that name compares with.
    Raises ValueError where OUT holds shards of another recipe, where too much of a source is lost, where shares cannot be
    met, and where the disk is full: then, as after a kill, the same call goes on.
    """
    out, engine = Path(out), engine or Local()
    if finished(out):
        _check_same(out, recipe)
        _tidy(out)
        return out
    (out / ".build").mkdir(parents=True, exist_ok=True)
    manifest = Manifest(out, engine)
    rows = list_rows(out, recipe)
    records = read_records(manifest, recipe, rows, leakage)
    repeated, reasons = find_repeated(out, recipe, records)
    statistics = gather_statistics(out, records)
    conversations = make_conversations(manifest, recipe, records, repeated, statistics)
    choice = choose(out, recipe, conversations)
    licences = {name: line["licence"] for name, line in rows.items()}
    shards = write_all(manifest, recipe, choice.shards, conversations, licences)
    told = {name: _told(rows[name], records[name], reasons[name], conversations, choice.kept[name]) for name in rows}
    card = {"sources": told, "recipe": recipe.model_dump()}
    write_card(out, {**card, "guessed without looking": find_leaks(out, shards, engine)}, shards)
    _tidy(out)
    return out


def finished(out: Path) -> bool:
    return (out / CARD).exists()


def _tidy(out: Path) -> None:
    """What a finished build needs no more; also after a kill between the card and this."""
    shutil.rmtree(out / ".build", ignore_errors=True)
    (out / NAME).unlink(missing_ok=True)


def _told(
    rows: Mapping[str, Any],
    records: Sequence[Mapping[str, Any]],
    repeated: Counter[str],
    conversations: Sequence[Mapping[str, Any]],
    kept: Mapping[str, int],
) -> dict[str, Any]:
    """What the card says of a source: where samples come from and what was left out on the way, by reason.

    "records" and "left out" together are all that the source gave, and what translation made of it. Of records that stay,
    parts may have gone as well.
    """
    made = [line for line in conversations if line["source"] == records[0]["source"]]
    return {
        "licence": rows["licence"],
        **({"forms": rows["forms"]} if rows["forms"] else {}),
        "records": sum(line["records"] for line in records) - repeated.total(),
        "left out": dict((rejections(records) + repeated).most_common()),
        "captions and conversations left out": _sum(line["dropped"] for line in made),
        "not translated": _sum(line["not translated"] for line in records),
        "conversations to choose from": sum(line["conversations"] for line in made),
        "samples": kept["samples"],
        "questions": kept["questions"],
        "silent": {
            "nothing is known of it": sum(line["silent"] for line in made),
            "no other picture has the other answer": kept["no twin"],
            "left out for the shares": kept["shares"],
        },
    }


def _sum(counts: Iterable[dict[str, int]]) -> dict[str, int]:
    return dict(sum(map(Counter, counts), Counter()).most_common())


def _check_same(out: Path, recipe: DataRecipe) -> None:
    card = json.loads((out / CARD).read_text("utf-8"))
    try:
        found = parse(card.get("recipe", {}), DataRecipe)
    except ValueError as error:
        raise ValueError(f"{out} holds shards that no data recipe of today made; build somewhere else") from error
    changed = differences(found, recipe)
    if changed:
        told = "; ".join(changed[:3])
        raise ValueError(f"{out} holds shards of another recipe ({told}); remove it or build somewhere else")
