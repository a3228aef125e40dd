"""One step: forward and backward over its batches, one sum over the ranks, one update, one line of the log; and the loss on
conversations that are never trained on, which tells learning from learning by heart.
"""

from __future__ import annotations

import time
from functools import cached_property, partial
from itertools import islice, takewhile
from typing import Any

import torch
from accelerate import Accelerator
from torch import Tensor

from skymm.data.batches import Batch
from skymm.data.shards import expand
from skymm.data.stream import Position, Stream
from skymm.recipe import StageRecipe
from skymm.train.objectives import Objective, objective_of
from skymm.train.optim import MasterAdamW, share_of_peak
from skymm.train.parallel import Totals, sum_gradients
from skymm.train.throughput import Stopwatch, memory_gib


def take_step(
    model: Any,
    optimizer: MasterAdamW,
    accelerator: Accelerator,
    recipe: StageRecipe,
    batches: list[Batch],
    step: int,
) -> dict[str, Any]:
    """Forward, backward and update on one step's batches; returns its log line."""
    started = time.perf_counter()
    device, objective = accelerator.device, objective_of(recipe)
    totals, vision, found = Totals(), Stopwatch(device), []
    count = int(accelerator.reduce(torch.tensor(sum(batch.num_losses for batch in batches), device=device), "sum"))
    for batch in batches:
        total, losses = losses_of(model, batch.to(device), objective, vision)
        (total / max(1, count)).backward()
        found.append((total if losses is None else losses).detach())
        _count(totals.counts, batch)
    norm = optimizer.step(
        share_of_peak(step, recipe.steps, recipe.warmup_steps, recipe.schedule),
        partial(sum_gradients, accelerator=accelerator),
    )
    # Read only now: every number that is read on the way makes Python wait for the GPU.
    for batch, losses in zip(batches, found):
        totals.add_losses(losses.tolist(), batch.groups, objective.metrics)
    totals = totals.over_ranks(accelerator)
    counts = {name: int(value) for name, value in totals.counts.items()}  # "answers" say or deny something
    return {
        "step": step,
        **totals.means(),
        "grad_norm": norm,
        "learning_rate": optimizer.learning_rate,
        "labels": count,  # of pairs of answers, as many as there are pairs
        **{name: counts.get(name, 0) for name in ("tokens", "positions", "samples", "images")},
        "negative_share": round(counts["negatives"] / counts["answers"], 4) if counts.get("answers") else None,
        "seconds": round(time.perf_counter() - started, 4),
        "vision_seconds": round(vision.seconds(), 4),
    }


def losses_of(
    model: Any, inputs: dict[str, Any], objective: Objective, vision: Stopwatch | None = None
) -> tuple[Tensor, Tensor | None]:
    """See `Objective.losses`. `vision` runs while the towers look."""
    return objective.losses(model, looked(model, inputs, vision))


def looked(model: Any, inputs: dict[str, Any], vision: Stopwatch | None = None) -> dict[str, Any]:
    """Inputs of a batch with features in the place of pixels. The towers look at an image once, whatever shows it."""
    pixels, rows = inputs.pop("pixel_values", None), inputs.pop("image_rows", None)
    if pixels is not None:
        with (vision or Stopwatch(torch.device("cpu"))).running():
            seen = model.encode_images(pixels)
        stored = inputs.get("features") or [one[:0] for one in seen]
        inputs["features"] = [torch.cat([old.to(new.dtype), new]) for old, new in zip(stored, seen)]
    if rows is not None:
        inputs["features"] = [one.index_select(0, rows) for one in inputs["features"]]
    return inputs


def _count(counts: dict[str, float], batch: Batch) -> None:
    polarities = [polarity for _, polarity, _ in batch.groups]
    counts["positions"] += batch.num_positions
    counts["tokens"] += batch.num_tokens
    counts["samples"] += batch.num_examples
    counts["images"] += batch.num_images
    counts["answers"] += len(polarities) - polarities.count("caption")
    counts["negatives"] += polarities.count("negative")


def with_rates(
    line: dict[str, Any], run: dict[str, Any], accelerator: Accelerator, data_seconds: float
) -> dict[str, Any]:
    """The line with the wait for data in its seconds, and what follows from them: rates, share of the ceiling, memory."""
    seconds = line["seconds"] + data_seconds
    memory = memory_gib(accelerator.device)
    flops = run["flops_per_position"] * line["positions"] / seconds
    return line | {
        "seconds": round(seconds, 4),
        "tokens_per_second": round(line["tokens"] / seconds, 1),
        "samples_per_second": round(line["samples"] / seconds, 3),
        "mfu": round(flops / (run["ceiling_gflops"] * 1e9 * accelerator.num_processes), 4),
        "memory_gib": None if memory is None else round(memory, 3),
    }


class HeldOut:
    """A fixed set of `recipe.held_out_samples` conversations, kept ready and dealt out over the ranks. `items`: this rank's.

    `cut`: items -> batches. Raises ValueError where a held-out shard is also trained on, or where there are fewer
    conversations than ranks.
    """

    def __init__(self, recipe: StageRecipe, prepare: Any, accelerator: Accelerator, cut: partial[list[Batch]]):
        assert recipe.held_out is not None
        trained = {path.resolve() for source in recipe.data.values() for path in expand(source.shards, remote=True)}
        both = [path for path in expand(recipe.held_out, remote=True) if path.resolve() in trained]
        if both:
            raise ValueError(f"{both[0]} is held out and trained on ({len(both)} such); take it out of one of the two")
        stream = Stream(recipe.held_out, seed=recipe.seed, prepare=prepare, max_skip_ratio=recipe.max_skip_ratio)
        # The stream never ends; a small set comes round again, which is when all of it is there.
        first = takewhile(lambda item: item.position <= Position(epoch=1), stream)
        items = list(islice(first, recipe.held_out_samples))
        self.items = items[accelerator.process_index :: accelerator.num_processes]
        if not self.items:
            raise ValueError(
                f"{len(items)} held-out conversations for {accelerator.num_processes} processes; hold out more"
            )
        self._cut, self._accelerator = cut, accelerator
        self._objective = objective_of(recipe.model_copy(update={"liger": False}))  # which gives sums alone

    @cached_property
    def batches(self) -> list[Batch]:
        """Cut when they are first measured: by then is known what pairs are compared with."""
        return self._cut(self.items)

    @torch.no_grad()
    def measure(self, model: Any) -> dict[str, float]:
        """held_out_loss, the same per language and per polarity, and the objective's metrics; dropout is off meanwhile."""
        totals = Totals()
        model.eval()
        for batch in self.batches:
            _, losses = losses_of(model, batch.to(self._accelerator.device), self._objective)
            totals.add_losses(losses.tolist(), batch.groups, self._objective.metrics)
        model.train()
        means = totals.over_ranks(self._accelerator).means()
        return {f"held_out_{name}": value for name, value in means.items()}
