"""The feature cache as a stage of its own: every image of a stage's shards through the frozen towers, once.

It pays where the LLM is small, where an image is seen often (epochs, several trainings, preference pairs), or where several
towers look at it. For one epoch of a 7B LLM the towers are 3 to 8 % of the work: there it is not worth the disk.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch import Tensor

from skymm.data.features import FeatureCache, Precision, image_key
from skymm.data.finished import FinishedShards
from skymm.data.images import decode_image
from skymm.data.shards import conversation_of, expand, read_shard
from skymm.recipe import StageRecipe

# Cached and computed features differ by how they are stored and by the batch they were computed in, never by this much.
TOLERANCE = 0.05


def cache_of(model: Any, directory: str | Path, precision: Precision | None = None) -> FeatureCache:
    """The cache of a model's towers in a directory, new or as it is. Raises ValueError where it is another's."""
    shapes = [(tower.num_patches, tower.width) for tower in model.towers]
    fingerprints = model.config.tower_fingerprints
    return FeatureCache(directory, fingerprints=fingerprints, shapes=shapes, precision=precision)


def look(model: Any, images: list[Image.Image]) -> list[Tensor]:
    """Pictures -> frozen features per tower, (I, N, C)."""
    pixels = [torch.stack([tower.preprocess(image) for image in images]) for tower in model.towers]
    return model.encode_images([one.to(model.device) for one in pixels])


def build_features(
    recipe: StageRecipe,
    model: Any,
    *,
    advance: Callable[[int], None] = lambda images: None,
) -> FeatureCache:
    """Fill `recipe.features` with what is missing of the recipe's shards; a killed build goes on where it was, and reads
    again only the shard that it was in.

    `advance` is called with numbers of images, those that were there already among them. Unreadable images raise
    ValueError with their shard and key: a cache that lacks an image stops the training that wants it.
    """
    if recipe.features is None:
        raise ValueError('the recipe names no directory for its features; add features = "runs/features"')
    cache = cache_of(model, recipe.features, recipe.features_precision)
    finished = FinishedShards(cache.directory, len(cache))
    read: list[tuple[Path, int]] = []
    known = 0

    def missing() -> Iterator[tuple[bytes, Image.Image]]:
        nonlocal known
        for shard in shards_of(recipe):
            if (num_images := finished.get(shard)) is not None:
                known += num_images
                continue
            num_images = 0
            for where, data in images_in(shard):
                num_images += 1
                key = image_key(data)
                if key in cache:
                    known += 1
                    continue
                yield key, decode_image(data, where)
            read.append((shard, num_images))

    for done in cache.add(missing(), lambda images: look(model, images)):
        finished.add(read, len(cache))  # all that was asked of `missing` so far is in the cache now
        read.clear()
        advance(done + known)
        known = 0
    finished.add(read, len(cache))
    advance(known)
    return cache


def shards_of(recipe: StageRecipe, *, per_source: int | None = None) -> Iterator[Path]:
    """The recipe's shards; of each source the first so many, if a number is given."""
    for source in recipe.data.values():
        yield from expand(source.shards)[:per_source]


def images_in(shard: Path) -> Iterator[tuple[str, bytes]]:
    """The encoded images that a shard's conversations show, with the names that errors call them by."""
    for sample in read_shard(shard):
        for name in conversation_of(sample).images:
            yield f"{sample.shard}: {sample.key}.{name}", sample.members[name]


def images_of(recipe: StageRecipe) -> Iterator[tuple[str, bytes]]:
    """The same of all shards of a recipe."""
    for shard in shards_of(recipe):
        yield from images_in(shard)


def verify(cache: FeatureCache, model: Any, recipe: StageRecipe, *, num_images: int = 2) -> None:
    """Compute a few cached features anew. Raises ValueError when they are not what the cache holds.

    Looks for images in the first shard of each source: millions of samples without an image must not delay the first step.
    """
    images = (image for shard in shards_of(recipe, per_source=1) for image in images_in(shard))
    held = ((where, data) for where, data in images if image_key(data) in cache)
    for where, data in islice(held, num_images):
        expected = look(model, [decode_image(data, where)])
        for index, (stored, computed) in enumerate(zip(cache.get(image_key(data)), expected)):
            computed = computed[0].float().cpu()
            error = float((stored.float() - computed).norm() / computed.norm().clamp(min=1e-12))
            if not error < TOLERANCE:
                raise ValueError(
                    f"{cache.directory}: the features of {where} are not those that tower {index} gives now (they differ by "
                    f"{error:.0%}); the cache is damaged, remove it and build it again"
                )
