"""How long a step takes on this machine, measured on the stage's own data, so that a run can be planned to fit a time."""

from __future__ import annotations

import time
from itertools import islice

from accelerate import Accelerator

from skymm.data.batches import micro_batches
from skymm.data.workers import Loader
from skymm.model.language import fast_float32
from skymm.recipe import StageRecipe
from skymm.train.parts import mixture_of, model_for, optimizer_for, preparation, why_padded
from skymm.train.step import take_step


def seconds_per_step(recipe: StageRecipe, *, num_steps: int = 2) -> float:
    """Mean seconds of steps 2..num_steps of the stage, data included, on throw-away weights. Nothing is written."""
    accelerator = Accelerator()
    model, processor = model_for(recipe, None)
    model.to(accelerator.device).train()
    model.freeze_for(recipe.trains)
    optimizer = optimizer_for(model, recipe)
    items = iter(
        Loader(
            mixture_of(recipe, preparation(recipe, model, processor), accelerator, None, None), workers=recipe.workers
        )
    )
    fast_float32(accelerator.device)
    seconds = []
    packing = why_padded(recipe, model) is None
    for step in range(1, num_steps + 1):
        start = time.perf_counter()
        batches = micro_batches(
            list(islice(items, recipe.batch_size)), recipe, pad_id=processor.pad_id, packing=packing
        )
        take_step(model, optimizer, accelerator, recipe, batches, step)
        seconds.append(time.perf_counter() - start)
    # The first step also allocates, compiles kernels and fills caches.
    return sum(seconds[1:]) / len(seconds[1:])
