"""One loop for every stage. `train(recipe)` reads as the story: model, what is frozen, data, steps, checkpoint.

A step fetches its whole batch first, counts the labels of all ranks once, and divides every summed loss by that count: the
gradient does not depend on how the batch was cut. Everything random is a function of (seed, step, rank), so a run that
was killed and started again goes on exactly where it would have been.
"""

from __future__ import annotations

import time
from contextlib import nullcontext
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from accelerate.utils import gather_object

from skymm.data.collate import Batch, Prepare, collate
from skymm.data.mixture import Mixture
from skymm.data.stream import Cursor, Item, Stream
from skymm.model.build import build_model, open_model
from skymm.model.chat import pad
from skymm.model.language import fast_float32
from skymm.progress import progress, say
from skymm.recipe import ModelRecipe, StageRecipe
from skymm.train import features, runlog, state
from skymm.train.optim import MasterAdamW, share_of_peak


def train(recipe: StageRecipe, *, quiet: bool = False) -> Path:
    """Run a stage, or go on with it, and return its directory, which holds the finished model.

    Raises ValueError when the directory holds a run of another recipe, and before the first step for data that cannot work.
    """
    accelerator = Accelerator()
    main = accelerator.is_main_process
    out = Path(recipe.out)
    if state.is_finished(out, recipe):
        return out
    if main:
        state.claim(out, recipe)
    accelerator.wait_for_everyone()
    fast_float32(accelerator.device)

    checkpoint = state.latest(out)
    model, processor = model_for(recipe, checkpoint)
    model.to(accelerator.device).train()
    sizes = model.freeze_for(recipe.trains)
    if main and not quiet:
        say(f"{out}: training {', '.join(f'{name} ({size / 1e6:.1f}M)' for name, size in sizes.items())}")
    optimizer = optimizer_for(model, recipe)
    step, cursor = 0, None
    if checkpoint is not None:
        saved = state.load(checkpoint, optimizer)
        step, cursor = saved["step"], Cursor.from_dict(saved["cursor"])
    mixture = mixture_of(recipe, model, processor, accelerator, cursor)
    items = iter(item for item in mixture if item.value is not None)
    share = _share(recipe.batch_size, accelerator)
    # Only the model is prepared. The loader never is: accelerate would deal out samples that the stream has dealt out already.
    wrapped = accelerator.prepare_model(model)
    log = runlog.RunLog(out, step=step) if main else None

    with progress(disable=quiet or not main) as bar:
        task = bar.add_task(out.name, total=recipe.steps, completed=step, note="")
        while step < recipe.steps:
            step += 1
            started = time.perf_counter()
            torch.manual_seed(_step_seed(recipe.seed, step, accelerator.process_index))
            own = list(islice(items, share))
            batches = micro_batches(own, recipe, processor)
            fetched = time.perf_counter()
            line = take_step(wrapped, optimizer, accelerator, recipe, batches, step)
            mixture.cursor = mixture.cursor.after(own[-1])
            line |= {
                "seconds": round(time.perf_counter() - started, 4),
                "data_seconds": round(fetched - started, 4),
                "skipped": dict(own[-1].skips),
            }
            if log:
                log.write(line)
            bar.update(task, completed=step, note=f"loss {line['loss']:.3f}")
            if step % recipe.save_every == 0 and step < recipe.steps:
                # Every rank knows only how far its own readers are.
                cursor = mixture.cursor.merge(
                    *(Cursor.from_dict(one) for one in gather_object([mixture.cursor.to_dict()]))
                )
                if main:
                    state.save(out, model, processor, optimizer, cursor.to_dict(), step, keep=recipe.keep_checkpoints)
                accelerator.wait_for_everyone()
    if main:
        state.finish(out, model, processor)
        log.close()
    accelerator.wait_for_everyone()
    return out


def take_step(
    wrapped: Any,
    optimizer: MasterAdamW,
    accelerator: Accelerator,
    recipe: StageRecipe,
    batches: list[Batch],
    step: int,
) -> dict[str, Any]:
    """Forward, backward and update on one step's batches; returns its log line."""
    own_count = sum(length for batch in batches for _, _, length in batch.groups)
    count = int(accelerator.reduce(torch.tensor(own_count, device=accelerator.device), "sum"))
    totals: dict[str, tuple[float, int]] = {}
    tokens = 0
    for index, batch in enumerate(batches):
        inputs = _to(batch.inputs, accelerator.device)
        tokens += inputs["input_ids"].numel()
        # Gradients of all micro-batches but the last stay on this rank.
        with accelerator.no_sync(wrapped) if index + 1 < len(batches) else nullcontext():
            output = wrapped(**inputs, objective=recipe.objective)
            # DDP takes the mean over ranks, so each rank's part is weighed by their number.
            (output.loss_sum * (accelerator.num_processes / max(1, count))).backward()
        for name, (total, length) in runlog.losses_by_group(output.token_losses.tolist(), batch.groups).items():
            before = totals.get(name, (0.0, 0))
            totals[name] = (before[0] + total, before[1] + length)
    norm = optimizer.step(share_of_peak(step, recipe.steps, recipe.warmup_steps))
    totals = runlog.summed_over_ranks(totals, accelerator)
    answers = [polarity for batch in batches for _, polarity, _ in batch.groups]
    return {
        "step": step,
        **{name: total / length for name, (total, length) in totals.items() if length},
        "grad_norm": norm,
        "labels": count,
        "tokens": tokens,
        "negative_share": round(answers.count("negative") / max(1, len(answers)), 4),
    }


def micro_batches(items: list[Item], recipe: StageRecipe, processor: Any) -> list[Batch]:
    """Rows of similar length together: on a CPU nothing else costs as little and saves as much padding."""
    ordered = sorted((item.value for item in items), key=lambda example: len(example.encoded.ids))
    size = recipe.micro_batch_size or len(ordered)
    groups = [ordered[start : start + size] for start in range(0, len(ordered), size)]
    return [collate(group, lambda encoded: pad(encoded, pad_id=processor.pad_id, side="right")) for group in groups]


def model_for(recipe: StageRecipe, checkpoint: Path | None) -> tuple[Any, Any]:
    """From the latest checkpoint of this run, else from `init`, else new."""
    source = checkpoint or recipe.init
    if source is not None:
        if recipe.model is not None and checkpoint is None:
            raise ValueError("a stage has either `init` (a model to go on with) or `model` (a new one), not both")
        return open_model(source)
    return build_model(recipe.model or ModelRecipe(), seed=recipe.seed)


def optimizer_for(model: Any, recipe: StageRecipe) -> MasterAdamW:
    trained = [(name, parameter) for name, parameter in model.named_parameters() if parameter.requires_grad]
    lora = [(name, parameter) for name, parameter in trained if name.startswith("language_model.")]
    rest = [(name, parameter) for name, parameter in trained if not name.startswith("language_model.")]
    groups = {"rest": (rest, recipe.learning_rate), "lora": (lora, recipe.lora_learning_rate or recipe.learning_rate)}
    return MasterAdamW(groups, weight_decay=recipe.weight_decay, clip=recipe.clip)


def mixture_of(
    recipe: StageRecipe, model: Any, processor: Any, accelerator: Accelerator, cursor: Cursor | None
) -> Mixture:
    cache = None
    if recipe.features:
        cache = features.cache_of(model, recipe.features)
        features.verify(cache, model, recipe)
    prepare = Prepare(
        encode=processor.chat.encode_words
        if recipe.objective == "words"
        else partial(processor.chat.encode, max_length=recipe.max_length),
        see=processor.pixels,
        cache=cache,
        negative_share=recipe.negative_share,
        languages=tuple(recipe.languages),
        max_turns=recipe.max_turns,
        seed=recipe.seed,
    )
    streams = {
        name: Stream(
            source.shards,
            seed=recipe.seed,
            rank=accelerator.process_index,
            ranks=accelerator.num_processes,
            prepare=prepare,
            max_skip_ratio=recipe.max_skip_ratio,
        )
        for name, source in recipe.data.items()
    }
    return Mixture(streams, {name: source.weight for name, source in recipe.data.items()}, cursor)


def _share(batch_size: int, accelerator: Accelerator) -> int:
    if batch_size % accelerator.num_processes:
        raise ValueError(f"batch_size {batch_size} cannot be dealt out evenly to {accelerator.num_processes} processes")
    return batch_size // accelerator.num_processes


def _step_seed(seed: int, step: int, rank: int) -> int:
    """Dropout of a step depends on nothing that happened before it."""
    return (seed * 1_000_003 + step) * 1_009 + rank


def _to(inputs: dict[str, Any], device: torch.device) -> dict[str, Any]:
    return {
        name: [tensor.to(device) for tensor in value] if isinstance(value, list) else value.to(device)
        for name, value in inputs.items()
    }
