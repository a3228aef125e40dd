"""Everything a source gives, read as the builder reads it, with what holds for every source checked on the way."""

from __future__ import annotations

import json
import re
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any

from skymm.conversation import Conversation, parse
from skymm.curation.record import Record, Rejected
from skymm.curation.sources.source import open_source
from skymm.images import decode_image
from skymm.recipe import DataRecipe
from skymm.recipe import parse as parse_recipe

_KEY = re.compile(r"[A-Za-z0-9_-]+")


@dataclass
class Gathered:
    rows: list[dict[str, Any]]
    records: list[Record] = field(default_factory=list)
    rejected: list[Rejected] = field(default_factory=list)
    licence: str = ""
    forms: Collection[str] = ()

    def by_key(self) -> dict[str, Record]:
        return {record.key: record for record in self.records}

    def reasons(self) -> list[str]:
        return sorted(one.reason for one in self.rejected)


def source_of(fields: dict[str, Any], **more: Any):
    recipe = parse_recipe({"sources": {"it": {"tasks": ["captions"], **fields, **more}}}, DataRecipe)
    return open_source(recipe.sources["it"])


def gather(fields: dict[str, Any], **more: Any) -> Gathered:
    source = source_of(fields, **more)
    rows = [json.loads(json.dumps(row, allow_nan=False)) for row in source.rows()]
    assert rows == list(source.rows()), "rows are the same each time, and plain JSON"
    gathered = Gathered(rows, licence=source.licence, forms=getattr(source, "forms", ()))
    for row in rows:
        for record in source_of(fields, **more).records(row):  # as another process would
            (gathered.rejected if isinstance(record, Rejected) else gathered.records).append(record)
    keys = [record.key for record in gathered.records]
    assert len(set(keys)) == len(keys) and all(_KEY.fullmatch(key) for key in keys)
    for record in gathered.records:
        _check(record)
    for one in gathered.rejected:
        assert _KEY.fullmatch(one.key) and len(one.reason) < 40 and not re.search(r"[/\d]", one.reason)
    return gathered


def _check(record: Record) -> None:
    for name, picture in record.pictures.items():
        assert re.fullmatch(r"(\d+\.)?(frame\.)?(jpg|png|webp)", name)
        image_format = {"jpg": b"\xff\xd8", "png": b"\x89P", "webp": b"RI"}[name.rpartition(".")[2]]
        assert picture.read().startswith(image_format)
        decode_image(picture.read(), record.key)
    for caption in record.captions:
        assert caption.text.strip() == caption.text and caption.language in ("en", "zh")
    if record.turns:  # what is written has to be readable
        text = Conversation(record.key, record.turns).to_json()
        conversation = parse(text, record.key, tuple(record.pictures))
        assert set(conversation.images) == set(record.pictures)
        assert all(turn.language in ("en", "zh") for turn in conversation.targets)
    assert record.captions or record.turns or record.facts.to_json()
    json.dumps({**record.extra, **record.facts.to_json()}, ensure_ascii=False, allow_nan=False).encode()
