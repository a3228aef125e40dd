"""One loop for every stage. `train(recipe)` reads as the story: model, what is frozen, data, steps, checkpoint.

A step fetches its whole batch first, counts the labels of all ranks once, and divides every summed loss by that count: the
gradient does not depend on how the batch was cut. Everything random is a function of (seed, step, rank), so a run that
was killed and started again goes on exactly where it would have been.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator

from skymm.data.batches import micro_batches
from skymm.data.stream import UNWANTED, Cursor, Item
from skymm.data.workers import Loader
from skymm.lock import alone_in
from skymm.model import language, lora
from skymm.progress import progress, say
from skymm.recipe import StageRecipe
from skymm.train import card, runlog, state, trackers
from skymm.train.held_out import HeldOut
from skymm.train.parallel import deal_out, gathered, open_accelerator
from skymm.train.parts import mixture_of, model_for, optimizer_for, preparation, share_of, why_padded
from skymm.train.run_page import write_page
from skymm.train.step import losses_of, take_step, with_rates
from skymm.train.throughput import Flops, matrix_ceiling


@dataclass(slots=True)
class _Start:
    """A run just before its next step: everything that a recipe can be refused for has been tried."""

    accelerator: Accelerator
    model: Any
    processor: Any
    optimizer: Any
    loader: Loader
    items: Iterator[Item]
    first: list[Item]
    packing: bool
    held_out: HeldOut | None
    share: int
    flops: Flops
    step: int
    best: dict[str, Any] | None
    card: dict[str, Any]
    told: str


def train(recipe: StageRecipe, *, quiet: bool = False) -> Path:
    """Run a stage, or go on with it, and return its directory, which holds the finished model.

    Raises ValueError when the directory holds a run of another recipe or another process trains in it, and before the first
    step for whatever cannot work; then the directory stays as it was.
    """
    with _alone(recipe) as accelerator:
        if not state.is_finished(Path(recipe.out), recipe):
            _run(_start(recipe, accelerator), recipe, quiet=quiet)
    return Path(recipe.out)


def check(recipe: StageRecipe) -> str:
    """Everything that `train` does before its first step, without leaving anything behind. Returns what would be trained.

    Raises what `train` would raise.
    """
    with _alone(recipe) as accelerator:
        if state.is_finished(Path(recipe.out), recipe):
            return f"{recipe.out}: this recipe has run to its end"
        return _start(recipe, accelerator).told


@contextmanager
def _alone(recipe: StageRecipe) -> Iterator[Accelerator]:
    accelerator = open_accelerator(**trackers.options_for(recipe))
    busy = f"another process trains in {recipe.out}; wait for it to end, or give another `out`"
    with alone_in(Path(recipe.out), busy) if accelerator.is_main_process else nullcontext():
        accelerator.wait_for_everyone()
        yield accelerator


def _start(recipe: StageRecipe, accelerator: Accelerator) -> _Start:
    """Model, what is frozen, data, the first batch, and a pass over it whose gradients are thrown away."""
    device, out = accelerator.device, Path(recipe.out)
    state.refuse_other(out, recipe)
    share = share_of(recipe.batch_size, accelerator)
    mixture_of(recipe, None, accelerator, None, None)  # shards that are not there are told before a model is loaded
    language.fast_float32(device)
    checkpoint = state.latest(out)
    model, processor = model_for(recipe, checkpoint, device)
    sizes = model.freeze_for(recipe.trains)
    dealt_out = deal_out(model, accelerator)  # layer by layer, so the whole LLM need not fit into one device
    model.to(device).train()
    optimizer = optimizer_for(model, recipe)
    step, best, cursor, flops = 0, None, None, Flops()
    if checkpoint is not None:
        saved = state.load(checkpoint, optimizer)
        step, best, cursor = saved["step"], saved["best"], Cursor.from_dict(saved["cursor"])
        flops = Flops(**saved["flops"])
    prepare = preparation(recipe, model, processor)
    mixture = mixture_of(recipe, prepare, accelerator, cursor, checkpoint)
    padded = why_padded(recipe, model)
    packing = padded is None
    held_out = HeldOut(recipe, prepare, processor, accelerator, packing=packing) if recipe.held_out else None
    loader = Loader(mixture, workers=recipe.workers)
    items = iter(loader)
    first = list(islice(items, share))
    # Before anything that computes it twice or in another way: FLOPs are those of the model.
    resumed = flops.positions > 0
    batches = micro_batches(first, recipe, pad_id=processor.pad_id, packing=packing)
    for batch in batches[:1] if dealt_out else batches:  # ranks that share layers need the same number of passes
        with flops.counted(batch.inputs["input_ids"].numel(), keep=not resumed):
            losses_of(model, batch.to(device), recipe)[0].backward()
    for parameter in model.parameters():
        parameter.grad = None
    run_card = card.run_card(
        recipe,
        model,
        mixture,
        processes=accelerator.num_processes,
        packed=packing,
        dealt_out=dealt_out,
        ceiling=matrix_ceiling(device, model.dtype, model.get_input_embeddings().weight.shape[1]),
        flops_per_position=flops.per_position,
    )
    if recipe.gradient_checkpointing:
        language.checkpoint_activations(model.language_model)
    if recipe.compile:
        language.compile_layers(model.language_model)
    parts = [f"{name} ({size / 1e6:.1f}M)" for name, size in sizes.items()]
    rows = "packed rows" if packing else f"padded rows ({padded})"
    told = f"{out}: training {', '.join(parts)}; {lora.summary(model.language_model)}; {rows}"
    start = (accelerator, model, processor, optimizer, loader, items, first, packing, held_out, share, flops)
    return _Start(*start, step, best, run_card, told)


def _run(start: _Start, recipe: StageRecipe, *, quiet: bool) -> None:
    accelerator, model, processor, optimizer = start.accelerator, start.model, start.processor, start.optimizer
    out, main, step, best, run = Path(recipe.out), accelerator.is_main_process, start.step, start.best, start.card
    if main:
        state.claim(out, recipe)
        state.write_card(out, run)
    accelerator.wait_for_everyone()
    if main and not quiet:
        say(start.told)
    log = runlog.RunLog(out, step=step) if main else None
    trackers.start(accelerator, recipe, step=step)
    items = chain(start.first, start.items)
    with progress(disable=quiet or not main) as bar:
        task = bar.add_task(out.name, total=recipe.steps, completed=step, note="")
        while step < recipe.steps:
            step += 1
            started = time.perf_counter()
            own = list(islice(items, start.share))
            batches = micro_batches(own, recipe, pad_id=processor.pad_id, packing=start.packing)
            data_seconds = time.perf_counter() - started
            torch.manual_seed(_step_seed(recipe.seed, step, accelerator.process_index))
            positions = sum(batch.inputs["input_ids"].numel() for batch in batches)
            measured = step & (step - 1) == 0 and not (recipe.compile or recipe.gradient_checkpointing)
            with start.flops.counted(positions) if measured else nullcontext():
                line = take_step(model, optimizer, accelerator, recipe, batches, step)
            line |= {"data_seconds": round(data_seconds, 4), "skipped": dict(own[-1].skips)}
            run["flops_per_position"] = round(start.flops.per_position)
            line = with_rates(line, run, accelerator, data_seconds)
            if start.held_out and (step % recipe.held_out_every == 0 or step == recipe.steps):
                line |= start.held_out.measure(model)
                if best is None or line["held_out_loss"] < best["held_out_loss"]:
                    best = {"step": step, "held_out_loss": line["held_out_loss"]}
                    if main:
                        state.save_best(out, model, processor, run | {"best": best})
            if log:
                log.write(line)
            trackers.log(accelerator, line)
            bar.update(task, completed=step, note=_note(line))
            if step % recipe.save_every == 0 and step < recipe.steps:
                # Every rank knows only how far its own readers are.
                places = [Cursor.from_dict(one) for one in gathered(start.loader.cursor.to_dict(), accelerator)]
                cursor = start.loader.cursor.merge(*places)
                if main:
                    state.save(
                        out,
                        model,
                        processor,
                        optimizer,
                        _finished_card(run, out, best),
                        step=step,
                        cursor=cursor.to_dict(),
                        flops=start.flops.to_dict(),
                        best=best,
                        keep=recipe.keep_checkpoints,
                    )
                accelerator.wait_for_everyone()
    if main:
        log.close()
        state.finish(out, model, processor, _finished_card(run, out, best))
        write_page(out)
    trackers.finish(accelerator)
    accelerator.wait_for_everyone()


def _finished_card(run: dict[str, Any], out: Path, best: dict[str, Any] | None) -> dict[str, Any]:
    return run | {"best": best, "throughput": card.throughput(runlog.read_log(out))}


def _note(line: dict[str, Any]) -> str:
    unwanted = line["skipped"].get(UNWANTED, 0)
    skipped = sum(line["skipped"].values()) - unwanted
    return "  ".join(
        [
            f"loss {line['loss']:.3f}",
            f"{line['tokens_per_second']:.0f} tokens/s",
            *([f"{skipped} skipped"] if skipped else []),
            *([f"{unwanted} not wanted"] if unwanted else []),
        ]
    )


def _step_seed(seed: int, step: int, rank: int) -> int:
    """Dropout of a step depends on nothing that happened before it."""
    return (seed * 1_000_003 + step) * 1_009 + rank
