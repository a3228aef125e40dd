"""The loss on conversations that are never trained on: what tells learning from learning by heart."""

from __future__ import annotations

from itertools import islice, takewhile
from typing import Any

import torch
from accelerate import Accelerator

from skymm.data.batches import micro_batches
from skymm.data.shards import expand
from skymm.data.stream import Position, Stream
from skymm.recipe import StageRecipe
from skymm.train.parallel import Totals


class HeldOut:
    """A fixed set of `recipe.held_out_samples` conversations, kept ready and dealt out over the ranks.

    Raises ValueError where a held-out shard is also trained on, or where there are fewer conversations than ranks.
    """

    def __init__(self, recipe: StageRecipe, prepare: Any, processor: Any, accelerator: Accelerator, *, packing: bool):
        assert recipe.held_out is not None
        trained = {path.resolve() for source in recipe.data.values() for path in expand(source.shards)}
        both = [path for path in expand(recipe.held_out) if path.resolve() in trained]
        if both:
            raise ValueError(f"{both[0]} is held out and trained on ({len(both)} such); take it out of one of the two")
        stream = Stream(recipe.held_out, seed=recipe.seed, prepare=prepare, max_skip_ratio=recipe.max_skip_ratio)
        # The stream never ends; a small set comes round again, which is when all of it is there.
        first = takewhile(lambda item: item.position <= Position(epoch=1), stream)
        items = list(islice(first, recipe.held_out_samples))
        own = items[accelerator.process_index :: accelerator.num_processes]
        if not own:
            raise ValueError(
                f"{len(items)} held-out conversations for {accelerator.num_processes} processes; hold out more"
            )
        self._batches = micro_batches(own, recipe, pad_id=processor.pad_id, packing=packing)
        self._accelerator, self._objective = accelerator, recipe.objective

    @torch.no_grad()
    def measure(self, model: Any) -> dict[str, float]:
        """held_out_loss, and the same per language and per polarity; dropout is off meanwhile."""
        totals = Totals()
        model.eval()
        for batch in self._batches:
            output = model(**batch.to(self._accelerator.device), objective=self._objective)
            totals.add_losses(output.token_losses.tolist(), batch.groups)
        model.train()
        means = totals.over_ranks(self._accelerator).means()
        return {f"held_out_{name}": value for name, value in means.items()}
