"""One step: forward and backward over its batches, one sum over the ranks, one update, one line of the log."""

from __future__ import annotations

import time
from functools import partial
from typing import Any

import torch
from accelerate import Accelerator

from skymm.data.batches import Batch
from skymm.recipe import StageRecipe
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
    device = accelerator.device
    totals, vision, losses = Totals(), Stopwatch(device), []
    own_count = sum(length for batch in batches for _, _, length in batch.groups)
    count = int(accelerator.reduce(torch.tensor(own_count, device=device), "sum"))
    for batch in batches:
        loss_sum, token_losses = losses_of(model, batch.to(device), recipe, vision)
        (loss_sum / max(1, count)).backward()
        losses.append(token_losses)
        _count(totals.counts, batch)
    norm = optimizer.step(
        share_of_peak(step, recipe.steps, recipe.warmup_steps), partial(sum_gradients, accelerator=accelerator)
    )
    # Read only now: every number that is read on the way makes Python wait for the GPU.
    for batch, found in zip(batches, losses):
        if recipe.liger:
            totals.add_sum(float(found), sum(length for _, _, length in batch.groups))
        else:
            totals.add_losses(found.tolist(), batch.groups)
    totals = totals.over_ranks(accelerator)
    counts = {name: int(value) for name, value in totals.counts.items()}  # "answers" say or deny something
    return {
        "step": step,
        **totals.means(),
        "grad_norm": norm,
        "learning_rate": optimizer.learning_rate,
        "labels": count,
        **{name: counts.get(name, 0) for name in ("tokens", "positions", "samples", "images")},
        "negative_share": round(counts["negatives"] / counts["answers"], 4) if counts.get("answers") else None,
        "seconds": round(time.perf_counter() - started, 4),
        "vision_seconds": round(vision.seconds(), 4),
    }


def losses_of(
    model: Any, inputs: dict[str, Any], recipe: StageRecipe, vision: Stopwatch | None = None
) -> tuple[Any, Any]:
    """(sum of the losses, with a graph; the losses one by one, or their sum with Liger), both on the device."""
    pixels = inputs.pop("pixel_values", None)
    if pixels is not None:
        with (vision or Stopwatch(torch.device("cpu"))).running():
            inputs["features"] = model.encode_images(pixels)
    output = model(**inputs, objective=recipe.objective, liger=recipe.liger)
    return output.loss_sum, output.loss_sum.detach() if recipe.liger else output.token_losses


def _count(counts: dict[str, float], batch: Batch) -> None:
    mask = batch.inputs.get("attention_mask")
    positions = batch.inputs["input_ids"].numel()
    counts["positions"] += positions
    counts["tokens"] += positions if mask is None else int(mask.sum())
    counts["samples"] += batch.num_examples
    counts["images"] += len(next(iter(batch.inputs.get("features") or batch.inputs.get("pixel_values") or [()])))
    counts["answers"] += sum(polarity != "caption" for _, polarity, _ in batch.groups)
    counts["negatives"] += sum(polarity == "negative" for _, polarity, _ in batch.groups)


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
