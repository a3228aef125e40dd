"""A data recipe becomes shards: list, read, compare, converse, choose and ask, write. Each step in pieces, each piece once.

The same recipe and the same inputs give the same bytes, whatever the number of processes, machines and interruptions.
While it goes on, `manifest.jsonl` tells which pieces are whole; when it is done, `card.json` stands for all of it.
"""

from __future__ import annotations

import json
import shutil
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from skymm.curation.audit.leaks import find_leaks
from skymm.curation.building.choosing import choose
from skymm.curation.building.comparing import find_repeated, gather_statistics
from skymm.curation.building.conversing import make_conversations
from skymm.curation.building.engines import Engine, Local
from skymm.curation.building.listing import list_rows
from skymm.curation.building.manifest import NAME, Manifest
from skymm.curation.building.pieces import Workshop
from skymm.curation.building.reading import read_records, rejections
from skymm.curation.building.writing import write_all
from skymm.data.shard_writing import write_card
from skymm.data.shards import CARD
from skymm.recipe import DataRecipe, differences, parse


def build(recipe: DataRecipe, out: str | Path, engine: Engine | None = None, leakage: Path | None = None) -> Path:
    """Write OUT/train-00000.tar, ... and OUT/card.json. What is finished there is kept; a finished build is left alone.

    `leakage`: the index of evaluation sets that the filter of that name compares with.
    Raises ValueError where OUT holds shards of another recipe, where too much of a source is lost, where shares cannot be
    met, and where the disk is full: then, as after a kill, the same call goes on.
    """
    out = Path(out)
    if finished(out):
        _check_same(out, recipe)
        _tidy(out)
        return out
    (out / ".build").mkdir(parents=True, exist_ok=True)
    shop = Workshop(out, Manifest(out), engine or Local())
    rows, licences, forms = list_rows(shop, recipe)
    records = read_records(shop, recipe, rows, leakage)
    repeated, reasons = find_repeated(shop, recipe, records)
    statistics = gather_statistics(shop, records)
    conversations = make_conversations(shop, recipe, records, repeated, statistics, licences)
    choice = choose(out, recipe, conversations)
    shards = write_all(shop, recipe, choice.shards, conversations)
    leaks = find_leaks(out, shards, getattr(shop.engine, "workers", 1))
    card = _card(recipe, licences, forms, records, reasons, conversations, choice.kept)
    write_card(out, {**card, "guessed without looking": leaks}, shards)
    _tidy(out)
    return out


def finished(out: Path) -> bool:
    return (out / CARD).exists()


def _tidy(out: Path) -> None:
    """What a finished build needs no more; also after a kill between the card and this."""
    shutil.rmtree(out / ".build", ignore_errors=True)
    (out / NAME).unlink(missing_ok=True)


def _card(
    recipe: DataRecipe,
    licences: dict[str, str],
    forms: dict[str, dict[str, int]],
    records: dict[str, list[dict[str, Any]]],
    reasons: dict[str, Counter[str]],
    conversations: list[dict[str, Any]],
    kept: Mapping[str, Mapping[str, int]],
) -> dict[str, Any]:
    """Where the samples come from and what was left out on the way, per source and reason.

    "records" and "left out" together are all that the source gave, and what translation made of it. Of records that stay,
    parts may have gone as well.
    """
    told = {}
    for name, licence in licences.items():
        of_it = [line for line in conversations if line["source"] == name]
        told[name] = {
            "licence": licence,
            **({"forms": forms[name]} if forms[name] else {}),
            "records": sum(line["records"] for line in records[name]) - reasons[name].total(),
            "left out": dict((rejections(records[name]) + reasons[name]).most_common()),
            "captions and conversations left out": _sum(line["dropped"] for line in of_it),
            "not translated": _sum(line["not translated"] for line in records[name]),
            "conversations to choose from": sum(line["conversations"] for line in of_it),
            **_kept(kept[name], of_it),
        }
    return {"sources": told, "recipe": recipe.model_dump()}


def _kept(kept: Mapping[str, int], of_it: list[dict[str, Any]]) -> dict[str, Any]:
    silent = {
        "nothing is known of it": sum(line["silent"] for line in of_it),
        "no other picture has the other answer": kept["no twin"],
        "left out for the shares": kept["shares"],
    }
    return {"samples": kept["samples"], "questions": kept["questions"], "silent": silent}


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
