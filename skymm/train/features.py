"""Features as a stage of their own: every image of a stage's shards through the frozen towers, once.

It pays where the LLM is small, where an image is seen often (epochs, several trainings, preference pairs), or where several
towers look at it. For one epoch of a 7B LLM the towers are 3 to 8 % of the work: there it is not worth the disk.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch import Tensor

from skymm.data.feature_members import FeatureMembers, picture
from skymm.data.features import FeatureCache, Precision, image_key
from skymm.data.finished import FinishedShards
from skymm.data.shards import Sample, conversation_of, expand, read_shard
from skymm.recipe import StageRecipe

# Cached and computed features differ by how they are stored and by the batch they were computed in, never by this much.
TOLERANCE = 0.05
BESIDE = "shards"
"""What `features` says in a recipe when they lie beside the samples."""


def open_features(model: Any, recipe: StageRecipe) -> FeatureCache | FeatureMembers | None:
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


def build_features(
    recipe: StageRecipe,
    model: Any,
    *,
    advance: Callable[[int], None] = lambda shards: None,
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
    finished = FinishedShards(cache.directory, len(cache))
    read: list[tuple[Path, int]] = []
    known = 0

    def missing() -> Iterator[tuple[bytes, Image.Image]]:
        nonlocal known
        for shard in shards_of(recipe):
            if finished.get(shard) is not None:
                known += 1
                continue
            num_images = 0
            for sample, name in shown_in(shard):
                num_images += 1
                key = image_key(sample.image(name))
                if key not in cache:
                    yield key, picture(sample, name, min_side=model.config.min_side)
            read.append((shard, num_images))

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


def shards_of(recipe: StageRecipe, *, per_source: int | None = None) -> Iterator[Path]:
    """The recipe's shards; of each source the first so many, if a number is given."""
    for source in recipe.data.values():
        yield from expand(source.shards)[:per_source]


def shown_in(shard: Path) -> Iterator[tuple[Sample, str]]:
    """Every sample of a shard with each image that its conversation shows."""
    for sample in read_shard(shard):
        for name in conversation_of(sample).images:
            yield sample, name


def images_of(recipe: StageRecipe) -> Iterator[tuple[str, bytes]]:
    """The encoded images that the recipe's conversations show, with the names that errors call them by."""
    for shard in shards_of(recipe):
        for sample, name in shown_in(shard):
            yield f"{sample.shard}: {sample.key}.{name}", sample.image(name)


def verify(stored: FeatureCache | FeatureMembers, model: Any, recipe: StageRecipe, *, num_images: int = 2) -> None:
    """Compute a few stored features anew. Raises ValueError when they are not what is stored.

    Looks for images in the first shard of each source: millions of samples without an image must not delay the first step.
    """
    held = (one for shard in shards_of(recipe, per_source=1) for one in shown_in(shard))
    if isinstance(stored, FeatureCache):
        held = (one for one in held if image_key(one[0].image(one[1])) in stored)
    for sample, name in islice(held, num_images):
        features = stored.of(sample, name)
        if name not in sample.members:
            continue  # only its features are left: their fingerprint has to be enough
        expected = look(model, [picture(sample, name, min_side=model.config.min_side)])
        for index, (one, computed) in enumerate(zip(features, expected)):
            computed = computed[0].float().cpu()
            error = float((one.float() - computed).norm() / computed.norm().clamp(min=1e-12))
            if not error < TOLERANCE:
                place = getattr(stored, "directory", "beside the samples")
                raise ValueError(
                    f"{place}: the features of {sample.shard}: {sample.key}.{name} are not those that tower {index} gives now "
                    f"(they differ by {error:.0%}); they are damaged, remove them and build them again"
                )
