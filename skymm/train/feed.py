"""From a stage's recipe to the samples that its steps are made of."""

from __future__ import annotations

from functools import partial
from typing import Any

from skymm.data.collate import Prepare
from skymm.data.mixture import Mixture
from skymm.data.stream import Cursor, Stream
from skymm.data.workers import Loader
from skymm.recipe import StageRecipe
from skymm.train import features


def loader_for(
    recipe: StageRecipe, model: Any, processor: Any, *, rank: int = 0, ranks: int = 1, cursor: Cursor | None = None
) -> Loader:
    """The endless items of one rank, prepared in `recipe.workers` processes, or here; `cursor` continues a run.

    An item without a value has no answer that this stage wants. Raises ValueError for data that cannot work: too few
    shards, features of other towers, a cursor of another run.
    """
    prepare = prepare_for(recipe, model, processor)
    streams = {
        name: Stream(
            source.shards,
            seed=recipe.seed,
            rank=rank,
            ranks=ranks,
            workers=max(1, recipe.workers),
            prepare=prepare,
            max_skip_ratio=recipe.max_skip_ratio,
        )
        for name, source in recipe.data.items()
    }
    mixture = Mixture(streams, {name: source.weight for name, source in recipe.data.items()}, cursor)
    return Loader(mixture, workers=recipe.workers)


def prepare_for(recipe: StageRecipe, model: Any, processor: Any) -> Prepare:
    """What a stage does with a sample, for this model."""
    words = recipe.objective == "words"
    return Prepare(
        encode=processor.chat.encode_words if words else partial(processor.chat.encode, max_length=recipe.max_length),
        see=processor.pixels,
        min_side=model.config.min_side,
        cache=features.open_features(model, recipe),
        negative_share=recipe.negative_share,
        languages=tuple(recipe.languages),
        max_turns=recipe.max_turns,
        seed=recipe.seed,
    )
