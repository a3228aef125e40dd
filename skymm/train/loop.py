"""One loop for every stage. `train(recipe)` reads as the story: model, what is frozen, data, steps, checkpoint.

A step fetches its whole batch first, counts the labels of all ranks once, and divides every summed loss by that count: the
gradient does not depend on how the batch was cut. Everything random is a function of (seed, step, rank), so a run that
was killed and started again goes on exactly where it would have been.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from itertools import chain, islice
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator

from skymm.data.batches import Batch
from skymm.data.stream import UNWANTED, Cursor
from skymm.data.workers import Loader
from skymm.files import alone_in
from skymm.model import language, lora
from skymm.progress import progress, say
from skymm.recipe import StageRecipe
from skymm.train import reference, runlog, state, trackers
from skymm.train.objectives import objective_of
from skymm.train.parallel import deal_out, gathered, open_accelerator
from skymm.train.parts import (
    cutter,
    mixture_of,
    model_for,
    optimizer_for,
    preparation,
    share_of,
    training_gib,
    why_padded,
    with_steps,
)
from skymm.train.run_page import write_page
from skymm.train.step import HeldOut, losses_of, take_step, with_rates
from skymm.train.throughput import Flops, matrix_ceiling, throughput


def train(recipe: StageRecipe, *, quiet: bool = False) -> Path:
    """Run a stage, or go on with it, and return its directory, which holds the finished model.

    Raises ValueError when the directory holds a run of another recipe or another process trains in it, and before the first
    step for whatever cannot work; then the directory stays as it was.
    """
    recipe = with_steps(recipe)
    with _alone(recipe) as accelerator:
        if not state.is_finished(Path(recipe.out), recipe):
            _Run(recipe, accelerator).to_the_end(quiet=quiet)
    return Path(recipe.out)


def check(recipe: StageRecipe) -> str:
    """Everything that `train` does before its first step, without leaving anything behind. Returns what would be trained.

    Raises what `train` would raise.
    """
    recipe = with_steps(recipe)
    with _alone(recipe) as accelerator:
        if state.is_finished(Path(recipe.out), recipe):
            return f"{recipe.out}: this recipe has run to its end"
        return _Run(recipe, accelerator).told


@contextmanager
def _alone(recipe: StageRecipe) -> Iterator[Accelerator]:
    accelerator = open_accelerator(**trackers.options_for(recipe))
    busy = f"another process trains in {recipe.out}; wait for it to end, or give another `out`"
    with alone_in(Path(recipe.out), busy) if accelerator.is_main_process else nullcontext():
        accelerator.wait_for_everyone()
        yield accelerator


class _Run:
    """A run just before its next step: everything that a recipe can be refused for has been tried."""

    def __init__(self, recipe: StageRecipe, accelerator: Accelerator):
        """Model, what is frozen, data, the first batch, and a pass over it whose gradients are thrown away."""
        device, out = accelerator.device, Path(recipe.out)
        self.recipe, self.accelerator, self.out, self.main = recipe, accelerator, out, accelerator.is_main_process
        state.refuse_other(out, recipe)
        self.objective = objective_of(recipe)
        self.share = share_of(recipe.batch_size, accelerator)
        mixture_of(recipe, None, accelerator, None, None)  # shards that are not there are told before a model is loaded
        language.fast_float32(device)
        checkpoint = state.latest(out)
        self.model, self.processor = model, processor = model_for(recipe, checkpoint, device)
        sizes = model.freeze_for(recipe.trains)
        dealt_out = deal_out(model, accelerator)  # layer by layer, so the whole LLM need not fit into one device
        if dealt_out and self.objective.metrics:
            raise ValueError('objective = "preference" with FSDP2 is not done yet: ranks would wait for each other')
        model.to(device).train()
        self.optimizer = optimizer_for(model, recipe)
        self.step, self.best, self.flops, cursor = 0, None, Flops(), None
        if checkpoint is not None:
            saved = state.load(checkpoint, self.optimizer)
            self.step, self.best, cursor = saved["step"], saved["best"], Cursor.from_dict(saved["cursor"])
            self.flops = Flops(**saved["flops"])
        prepare = preparation(recipe, model, processor)
        mixture = mixture_of(recipe, prepare, accelerator, cursor, checkpoint)
        padded = why_padded(recipe, model)
        self.reference: dict[str, list[float]] = {}
        self.cut = cutter(recipe, processor, packing=padded is None, reference=self.reference)
        self.held_out = HeldOut(recipe, prepare, accelerator, self.cut) if recipe.held_out else None
        self.prepare, self.begun = prepare, checkpoint is not None
        self.loader = Loader(mixture, workers=recipe.workers)
        items = iter(self.loader)
        first = list(islice(items, self.share))
        self.items = chain(first, items)
        self._try(self.cut(first), dealt_out)
        ceiling = matrix_ceiling(device, model.dtype, model.get_input_embeddings().weight.shape[1])
        self.card = state.run_card(
            recipe,
            model,
            mixture,
            processes=accelerator.num_processes,
            trained_parameters=sizes,
            packed=padded is None,
            llm_dealt_out=dealt_out,
            ceiling_gflops=round(ceiling / 1e9, 1),
            flops_per_position=round(self.flops.per_position),
        )
        if recipe.gradient_checkpointing:
            model.checkpoint_activations()
        if recipe.compile:
            language.compile_layers(model.language_model)
        parts = [f"{name} ({size / 1e6:.1f}M)" for name, size in sizes.items()]
        rows = "packed rows" if padded is None else f"padded rows ({padded})"
        gib = training_gib(model, accelerator.num_processes)
        memory = f"{gib:.3g} GiB for their weights, gradients, masters and moments"
        self.told = f"{out}: training {', '.join(parts)}; {memory}; {lora.summary(model.language_model)}; {rows}"

    def _try(self, batches: list[Batch], dealt_out: bool) -> None:
        """Before anything that computes a pass twice or in another way: FLOPs are those of the model."""
        resumed = self.flops.positions > 0
        for batch in batches[:1] if dealt_out else batches:  # ranks that share layers need the same number of passes
            with self.flops.counted(batch.num_positions, keep=not resumed):
                inputs = batch.to(self.accelerator.device)
                losses_of(self.model, inputs, self.objective)[0].backward()
        for parameter in self.model.parameters():
            parameter.grad = None

    def to_the_end(self, *, quiet: bool) -> None:
        recipe, accelerator, out, main = self.recipe, self.accelerator, self.out, self.main
        if main:
            state.claim(out, recipe)
            state.write_card(out, self.card)
        accelerator.wait_for_everyone()
        if main and not quiet:
            say(self.told)
        self._compare(quiet)
        log = runlog.RunLog(out, step=self.step) if main else None
        trackers.start(accelerator, recipe, step=self.step)
        with progress(disable=quiet or not main) as bar:
            task = bar.add_task(out.name, total=recipe.steps, completed=self.step, note="")
            while self.step < recipe.steps:
                self.step += 1
                line = self._one_step()
                if self.held_out and (self.step % recipe.held_out_every == 0 or self.step == recipe.steps):
                    line |= self._measure()
                if log:
                    log.write(line)
                trackers.log(accelerator, line)
                bar.update(task, completed=self.step, note=_note(line))
                if self.step % recipe.save_every == 0 and self.step < recipe.steps:
                    self._save()
        if main:
            log.close()
            state.finish(out, self.model, self.processor, self._finished_card())
            write_page(out)
        trackers.finish(accelerator)
        accelerator.wait_for_everyone()

    def _compare(self, quiet: bool) -> None:
        """What pairs of answers are compared with, where the objective is of pairs."""
        if self.objective.metrics:
            held_out = self.held_out.items if self.held_out else []
            given = (self.recipe, self.model, self.accelerator, self.prepare, self.cut, held_out)
            reference.fill(self.reference, *given, begun=self.begun, quiet=quiet)
            self.accelerator.wait_for_everyone()

    def _one_step(self) -> dict[str, Any]:
        recipe, accelerator, step = self.recipe, self.accelerator, self.step
        started = time.perf_counter()
        own = list(islice(self.items, self.share))
        batches = self.cut(own)
        data_seconds = time.perf_counter() - started
        torch.manual_seed(_step_seed(recipe.seed, step, accelerator.process_index))
        measured = step & (step - 1) == 0 and not (recipe.compile or recipe.gradient_checkpointing)
        with self.flops.counted(sum(batch.num_positions for batch in batches)) if measured else nullcontext():
            line = take_step(self.model, self.optimizer, accelerator, recipe, batches, step)
        line |= {"data_seconds": round(data_seconds, 4), "skipped": dict(own[-1].skips)}
        self.card["flops_per_position"] = round(self.flops.per_position)
        return with_rates(line, self.card, accelerator, data_seconds)

    def _measure(self) -> dict[str, float]:
        """The held-out loss; the model is kept where it is the best so far."""
        found = self.held_out.measure(self.model)
        if self.best is None or found["held_out_loss"] < self.best["held_out_loss"]:
            self.best = {"step": self.step, "held_out_loss": found["held_out_loss"]}
            if self.main:
                state.save_best(self.out, self.model, self.processor, self.card | {"best": self.best})
        return found

    def _save(self) -> None:
        # Every rank knows only how far its own readers are.
        places = [Cursor.from_dict(one) for one in gathered(self.loader.cursor.to_dict(), self.accelerator)]
        saved = {
            "step": self.step,
            "cursor": self.loader.cursor.merge(*places).to_dict(),
            "flops": self.flops.to_dict(),
            "best": self.best,
        }
        if self.main:
            model = (self.model, self.processor, self.optimizer, self._finished_card())
            state.save(self.out, *model, saved, keep=self.recipe.keep_checkpoints)
        self.accelerator.wait_for_everyone()

    def _finished_card(self) -> dict[str, Any]:
        return self.card | {"best": self.best, "throughput": throughput(runlog.read_log(self.out))}


def seconds_per_step(recipe: StageRecipe, *, least_steps: int = 4, least_seconds: float = 8, ahead: int = 256) -> float:
    """Mean seconds of a step of a stage, data included, on throw-away weights, so that a run can be planned to fit a time.

    The later half counts of at least so many steps and seconds: the first ones also allocate, compile kernels and fill caches.
    How long conversations are is seen on `ahead` that follow, since few fit into these seconds. Nothing is written.
    """
    accelerator = Accelerator()
    model, processor = model_for(recipe, None)
    model.to(accelerator.device).train()
    model.freeze_for(recipe.trains)
    optimizer = optimizer_for(model, recipe)
    mixture = mixture_of(recipe, preparation(recipe, model, processor), accelerator, None, None)
    items = iter(Loader(mixture, workers=recipe.workers))
    cut = cutter(recipe, processor, packing=why_padded(recipe, model) is None)
    language.fast_float32(accelerator.device)
    timed: list[tuple[float, int]] = []  # seconds and positions
    while len(timed) < least_steps or sum(seconds for seconds, _ in timed) < least_seconds:
        start = time.perf_counter()
        batches = cut(list(islice(items, recipe.batch_size)))
        positions = take_step(model, optimizer, accelerator, recipe, batches, 1 + len(timed))["positions"]
        timed.append((time.perf_counter() - start, positions))
    seconds, positions = map(sum, zip(*timed[len(timed) // 2 :]))
    steps = max(1, ahead // recipe.batch_size)
    coming = chain.from_iterable(cut(list(islice(items, recipe.batch_size))) for _ in range(steps))
    return seconds / positions * sum(batch.num_positions for batch in coming) / steps


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
