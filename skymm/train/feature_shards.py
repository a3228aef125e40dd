"""Copies of a stage's shards with the frozen features beside the samples."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from skymm.data.shards import CARD, expand
from skymm.recipe import StageRecipe
from skymm.train.features import look, members_of


def write_feature_shards(
    recipe: StageRecipe,
    model: Any,
    into: str | Path,
    *,
    drop_images: bool = False,
    advance: Callable[[int], None] = lambda shards: None,
) -> dict[str, Path]:
    """Copy the recipe's shards to `into`/SOURCE with features beside every image; returns the directory of each source.

    A killed run goes on with the first shard that is missing. Cards of the shards (what may be done with them, ...) come
    along; where there is a card, a directory is complete. `advance` is called with numbers of shards. Raises ValueError
    where `into` holds something else: features of other towers, in another precision, of other shards.
    """
    into = Path(into)
    members = members_of(model)
    options = {"precision": recipe.features_precision, "drop_images": drop_images}
    meta = {"fingerprints": list(members.fingerprints), "shapes": [list(s) for s in members.shapes], **options}
    copies = {}
    for name, source in recipe.data.items():
        shards = expand(source.shards)
        root = Path(os.path.commonpath([path.parent.absolute() for path in shards]))
        targets = {into / name / path.absolute().relative_to(root): path for path in shards}
        if any(target.resolve() == path.resolve() for target, path in targets.items()):
            raise ValueError(f"{into / name} holds the shards of data.{name} themselves; name another directory")
        if len(targets) < len(shards):
            raise ValueError(f"data.{name} names a shard twice, and a copy cannot: {source.shards}")
        _claim(into / name, meta | {"shards": [[path.name, path.stat().st_size] for path in shards]})
        for target, path in targets.items():
            if not target.exists():
                members.copy_shard(path, target, partial(look, model), min_side=model.config.min_side, **options)
            advance(1)
        for folder in dict.fromkeys(target.parent for target in targets):
            here = {target: path for target, path in targets.items() if target.parent == folder}
            _write_card(folder, next(iter(here.values())).parent / CARD, list(here), meta)
        copies[name] = into / name
    return copies


def _claim(directory: Path, meta: dict[str, Any]) -> None:
    path = directory / "features.json"
    if path.exists() and (found := json.loads(path.read_text("utf-8"))) != meta:
        differing = [name for name in meta if found.get(name) != meta[name]]
        raise ValueError(
            f"{directory} was begun with other {', '.join(differing)}; name another directory, or remove this one"
        )
    directory.mkdir(parents=True, exist_ok=True)
    _write_json(path, meta)


def _write_card(directory: Path, source: Path, shards: list[Path], meta: dict[str, Any]) -> None:
    card = json.loads(source.read_text("utf-8")) if source.exists() else {}
    before = {entry["name"]: entry for entry in card.get("shards", [])}
    entries = []
    for path in shards:
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        entries.append({**before.get(path.name, {}), "name": path.name, "sha256": digest})
    _write_json(directory / CARD, {**card, "features": meta, "shards": entries})


def _write_json(path: Path, data: dict[str, Any]) -> None:
    partial_path = path.with_name(f"{path.name}.partial")
    partial_path.write_text(json.dumps(data, ensure_ascii=False, indent=2) + "\n", "utf-8")
    partial_path.replace(path)
