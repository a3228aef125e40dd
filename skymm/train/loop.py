"""One loop for every stage. `train(recipe)` reads as the story: model, what is frozen, data, steps, checkpoint.

A step fetches its whole batch first, counts the labels of all ranks once, and divides every summed loss by that count: the
gradient does not depend on how the batch was cut. Everything random is a function of (seed, step, rank), so a run that
was killed and started again goes on exactly where it would have been.
"""

from __future__ import annotations

import time
from itertools import islice
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator

from skymm.data.collate import Batch
from skymm.data.cursor import Cursor
from skymm.data.mixture import Mixture
from skymm.data.stream import UNWANTED
from skymm.data.workers import Loader
from skymm.model import language, lora
from skymm.progress import progress, say
from skymm.recipe import StageRecipe
from skymm.train import card, runlog, state, trackers
from skymm.train.batches import micro_batches, why_padded
from skymm.train.held_out import HeldOut
from skymm.train.parallel import deal_out, gathered, open_accelerator
from skymm.train.parts import mixture_of, model_for, optimizer_for, preparation, share_of
from skymm.train.report.page import write_page
from skymm.train.step import losses_of, take_step, with_rates
from skymm.train.throughput import flops_of, matrix_ceiling


def train(recipe: StageRecipe, *, quiet: bool = False) -> Path:
    """Run a stage, or go on with it, and return its directory, which holds the finished model.

    Raises ValueError when the directory holds a run of another recipe, and before the first step for data that cannot work.
    """
    accelerator = open_accelerator(**trackers.options_for(recipe))
    main, device = accelerator.is_main_process, accelerator.device
    out = Path(recipe.out)
    if state.is_finished(out, recipe):
        return out
    if main:
        state.claim(out, recipe)
    accelerator.wait_for_everyone()
    language.fast_float32(device)

    checkpoint = state.latest(out)
    model, processor = model_for(recipe, checkpoint, device)
    sizes = model.freeze_for(recipe.trains)
    dealt_out = deal_out(model, accelerator)  # layer by layer, so the whole LLM need not fit into one device
    model.to(device).train()
    optimizer = optimizer_for(model, recipe)
    step, best, cursor = 0, None, None
    if checkpoint is not None:
        saved = state.load(checkpoint, optimizer)
        step, best, cursor = saved["step"], saved["best"], Cursor.from_dict(saved["cursor"])
    prepare = preparation(recipe, model, processor)
    mixture = mixture_of(recipe, prepare, accelerator, cursor, checkpoint)
    padded = why_padded(recipe, model)
    packing = padded is None
    held_out = HeldOut(recipe, prepare, processor, accelerator, packing=packing) if recipe.held_out else None
    loader = Loader(mixture, workers=recipe.workers)
    items = iter(loader)
    share = share_of(recipe.batch_size, accelerator)

    if main and not quiet:
        parts = [f"{name} ({size / 1e6:.1f}M)" for name, size in sizes.items()]
        rows = "packed rows" if packing else f"padded rows ({padded})"
        say(f"{out}: training {', '.join(parts)}; {lora.summary(model.language_model)}; {rows}")
    log = runlog.RunLog(out, step=step) if main else None
    trackers.start(accelerator, recipe, step=step)
    run: dict[str, Any] = {}
    with progress(disable=quiet or not main) as bar:
        task = bar.add_task(out.name, total=recipe.steps, completed=step, note="")
        while step < recipe.steps:
            step += 1
            started = time.perf_counter()
            own = list(islice(items, share))
            batches = micro_batches(own, recipe, processor, packing=packing)
            data_seconds = time.perf_counter() - started
            if not run:
                # One conversation, before anything that computes it twice or in another way; gradients are thrown away.
                one = micro_batches(own[:1], recipe, processor, packing=packing)[0]
                run = _card(recipe, model, mixture, accelerator, one, packing=packing, dealt_out=dealt_out)
                if main:
                    state.write_card(out, run)
                if recipe.gradient_checkpointing:
                    language.checkpoint_activations(model.language_model)
                if recipe.compile:
                    language.compile_layers(model.language_model)
            torch.manual_seed(_step_seed(recipe.seed, step, accelerator.process_index))
            line = take_step(model, optimizer, accelerator, recipe, batches, step)
            line |= {"data_seconds": round(data_seconds, 4), "skipped": dict(own[-1].skips)}
            line = with_rates(line, run, accelerator, data_seconds)
            if held_out and (step % recipe.held_out_every == 0 or step == recipe.steps):
                line |= held_out.measure(model)
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
                places = [Cursor.from_dict(one) for one in gathered(loader.cursor.to_dict(), accelerator)]
                cursor = loader.cursor.merge(*places)
                if main:
                    state.save(
                        out,
                        model,
                        processor,
                        optimizer,
                        _finished_card(run, out, best),
                        step=step,
                        cursor=cursor.to_dict(),
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
    return out


def _card(
    recipe: StageRecipe,
    model: Any,
    mixture: Mixture,
    accelerator: Accelerator,
    batch: Batch,
    *,
    packing: bool,
    dealt_out: bool,
) -> dict[str, Any]:
    """The run card, with the FLOPs of one pass over a batch."""

    def one_pass() -> None:
        losses_of(model, batch.to(accelerator.device), recipe)[0].backward()

    flops = flops_of(one_pass)
    for parameter in model.parameters():
        parameter.grad = None
    width = model.get_input_embeddings().weight.shape[1]
    return card.run_card(
        recipe,
        model,
        mixture,
        processes=accelerator.num_processes,
        packed=packing,
        dealt_out=dealt_out,
        ceiling=matrix_ceiling(accelerator.device, model.dtype, width),
        flops_per_position=flops / batch.inputs["input_ids"].numel(),
    )


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
