"""Features as a stage of their own: every image of a stage's shards through the frozen towers, once.

It pays where the LLM is small, where an image is seen often (epochs, several trainings, preference pairs), or where several
towers look at it. For one epoch of a 7B LLM the towers are 3 to 8 % of the work: there it is not worth the disk.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch import Tensor

from skymm.data.features import META, FeatureCache, FeatureMembers, Precision, StoredFeatures, image_key, picture
from skymm.data.shard_writing import sha256_of, write_json
from skymm.data.shards import CARD, Sample, conversation_of, expand, identities, read_shard
from skymm.files import Journal
from skymm.recipe import StageRecipe

# Stored and computed features differ by how they are stored and by the batch they were computed in, never by this much.
TOLERANCE = 0.05
BESIDE = "shards"
"""What `features` says in a recipe when they lie beside the samples."""
FINISHED = "shards.jsonl"


# --- reading ----------------------------------------------------------------------------------------------------------


def open_features(model: Any, recipe: StageRecipe) -> StoredFeatures | None:
    """Where a stage reads its features, a few of them computed anew to see that they are the towers'; None: nowhere.

    Raises ValueError where they are of other towers, of another way to decode images, damaged or, beside samples, missing.
    """
    if recipe.features is None:
        return None
    stored = members_of(model) if recipe.features == BESIDE else cache_of(model, recipe.features)
    verify(stored, model, recipe)
    return stored


def cache_of(model: Any, directory: str | Path, precision: Precision | None = None) -> FeatureCache:
    """The cache of a model's towers in a directory, new or as it is. Raises ValueError where it is another's."""
    fingerprints = model.config.feature_fingerprints
    return FeatureCache(directory, fingerprints=fingerprints, shapes=_shapes(model), precision=precision)


def members_of(model: Any) -> FeatureMembers:
    """Features of a model's towers beside the samples."""
    return FeatureMembers(tuple(model.config.feature_fingerprints), _shapes(model))


def _shapes(model: Any) -> tuple[tuple[int, int], ...]:
    return tuple((tower.num_patches, tower.width) for tower in model.towers)


def look(model: Any, images: list[Image.Image]) -> list[Tensor]:
    """Pictures -> frozen features per tower, (I, N, C)."""
    pixels = [torch.stack([tower.preprocess(image) for image in images]) for tower in model.towers]
    return model.encode_images([one.to(model.device) for one in pixels])


def shards_of(recipe: StageRecipe, *, per_source: int | None = None) -> Iterator[Any]:
    """The recipe's shards; of each source the first so many, if a number is given."""
    for source in recipe.data.values():
        yield from expand(source.shards, remote=True)[:per_source]


def _shown_in(shard: Any) -> Iterator[tuple[Sample, str]]:
    """Every sample of a shard with each image that its conversation shows."""
    for sample in read_shard(shard):
        for name in conversation_of(sample).images:
            yield sample, name


def verify(stored: StoredFeatures, model: Any, recipe: StageRecipe, *, num_images: int = 2) -> None:
    """Compute a few stored features anew. Raises ValueError when they are not what is stored.

    Looks for images in the first shard of each source: millions of samples without an image must not delay the first step.
    """
    shown = (one for shard in shards_of(recipe, per_source=1) for one in _shown_in(shard))
    for sample, name in islice((one for one in shown if stored.holds(*one)), num_images):
        features = stored.of(sample, name)
        if name not in sample.members:
            continue  # only its features are left: their fingerprint has to be enough
        expected = look(model, [picture(sample, name, min_side=model.config.min_side)])
        for index, (one, computed) in enumerate(zip(features, expected)):
            computed = computed[0].float().cpu()
            error = float((one.float() - computed).norm() / computed.norm().clamp(min=1e-12))
            if not error < TOLERANCE:
                raise ValueError(
                    f"{stored.place}: the features of {sample.shard}: {sample.key}.{name} are not those that tower {index} "
                    f"gives now (they differ by {error:.0%}); they are damaged, remove them and build them again"
                )


# --- writing a cache --------------------------------------------------------------------------------------------------


def build_features(
    recipe: StageRecipe, model: Any, *, advance: Callable[[int], None] = lambda shards: None
) -> FeatureCache:
    """Fill `recipe.features` with what is missing of the recipe's shards; a killed build goes on where it was, and reads
    again only the shard that it was in.

    `advance` is called with numbers of shards, those that were there already among them. Unreadable images raise ValueError
    with their shard and key: a cache that lacks an image stops the training that wants it.
    """
    if recipe.features is None:
        raise ValueError('the recipe names no directory for its features; add features = "runs/features"')
    if recipe.features == BESIDE:
        raise ValueError('features = "shards" are written beside the samples: say where the new shards go, --into DIR')
    cache = cache_of(model, recipe.features, recipe.features_precision)
    shards = list(shards_of(recipe))
    finished = FinishedShards(cache.directory, len(cache))
    identity = dict(zip(shards, identities(shards)))
    read: list[tuple[tuple[str, int, int], int]] = []
    known = 0

    def missing() -> Iterator[tuple[bytes, Image.Image]]:
        nonlocal known
        for shard in shards:
            if identity[shard] in finished.images:
                known += 1
                continue
            num_images = 0
            for sample, name in _shown_in(shard):
                num_images += 1
                key = image_key(sample.image(name))
                if key not in cache:
                    yield key, picture(sample, name, min_side=model.config.min_side)
            read.append((identity[shard], num_images))

    def done() -> None:
        """All that was asked of `missing` so far is in the cache now."""
        nonlocal known
        finished.add(read, len(cache))
        advance(len(read) + known)
        read.clear()
        known = 0

    for _ in cache.add(missing(), partial(look, model)):
        done()
    done()
    return cache


class FinishedShards:
    """Which shards a cache has whole, in DIR/shards.jsonl: a shard's identity, its images, and the rows of the cache then.

    Of ten million images, a killed build must not read nine million again. A shard that changed since has another identity.
    One that was noted when the cache had more rows than it has now is not finished: rows were lost, and its own may be among
    them. Such notes are taken off at once, before the cache grows past them. `images`: their numbers by identity.
    """

    def __init__(self, directory: str | Path, num_rows: int):
        self._journal = Journal(Path(directory) / FINISHED)
        valid = [note for note in self._journal.entries if note["rows"] <= num_rows]
        if len(valid) < len(self._journal.entries):
            self._journal.rewrite(valid)
        self.images = {tuple(note["shard"]): note["images"] for note in valid}

    def add(self, shards: list[tuple[tuple[str, int, int], int]], num_rows: int) -> None:
        """Shards and their numbers of images, all in the cache, which has so many rows now."""
        self._journal.add(*({"shard": shard, "images": count, "rows": num_rows} for shard, count in shards))
        self.images.update(shards)


# --- writing copies of shards -----------------------------------------------------------------------------------------


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
            _copy_card(next(iter(here.values())).parent / CARD, folder / CARD, list(here), meta)
        copies[name] = into / name
    return copies


def _claim(directory: Path, meta: dict[str, Any]) -> None:
    path = directory / META
    if path.exists() and (found := json.loads(path.read_text("utf-8"))) != meta:
        differing = [name for name in meta if found.get(name) != meta[name]]
        raise ValueError(
            f"{directory} was begun with other {', '.join(differing)}; name another directory, or remove this one"
        )
    write_json(path, meta)


def _copy_card(source: Path, target: Path, shards: list[Path], meta: dict[str, Any]) -> None:
    card = json.loads(source.read_text("utf-8")) if source.exists() else {}
    before = {entry["name"]: entry for entry in card.get("shards", [])}
    entries = [{**before.get(path.name, {}), "name": path.name, "sha256": sha256_of(path)} for path in shards]
    write_json(target, {**card, "features": meta, "shards": entries})
