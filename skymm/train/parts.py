"""What a run is made of, as its recipe says: model, optimizer, and the samples that are prepared for it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator

from skymm.conversation import LANGUAGES
from skymm.data.batches import Batch, Prepare, micro_batches
from skymm.data.shards import expand, num_samples
from skymm.data.stream import Cursor, Mixture, Stream
from skymm.model.attention import NAME as VARLEN
from skymm.model.attention import packs
from skymm.model.build import build_model, open_model
from skymm.model.language import why_not_packed, why_not_shared
from skymm.recipe import ModelRecipe, StageRecipe
from skymm.train import features
from skymm.train.objectives import objective_of
from skymm.train.optim import MasterAdamW


def with_steps(recipe: StageRecipe) -> StageRecipe:
    """The recipe with `steps` in the place of `epochs`. Raises ValueError where there are no shards."""
    if recipe.epochs is None:
        return recipe
    samples = sum(num_samples(expand(source.shards, remote=True)) for source in recipe.data.values())
    if not samples:
        raise ValueError(
            f"epochs = {recipe.epochs:g}, but there are no samples to count; look at the shards, or give `steps`"
        )
    steps = max(1, math.ceil(recipe.epochs * samples / recipe.batch_size))
    return recipe.model_copy(update={"steps": steps, "epochs": None})


def model_for(recipe: StageRecipe, checkpoint: Path | None, device: str | torch.device = "cpu") -> tuple[Any, Any]:
    """From the latest checkpoint of this run, else from `init`, else new.

    Raises ValueError for a source that is none, for attention whose kernels are not installed, and for float16.
    """
    source = checkpoint or recipe.init
    if source is not None and recipe.model is not None and checkpoint is None:
        raise ValueError("a stage has either `init` (a model to go on with) or `model` (a new one), not both")
    trusted = recipe.trust_remote_code or bool(recipe.model and recipe.model.trust_remote_code)
    options = {"device": str(device), "attention": recipe.attention}
    try:
        if source is not None:
            model, processor = open_model(source, trust_remote_code=trusted, **options)
            model.config.calibration = None  # of the answers before this stage
        else:
            model, processor = build_model(recipe.model or ModelRecipe(), seed=recipe.seed, **options)
    except OSError as error:
        if source is None or Path(source).is_dir():
            raise
        raise ValueError(f"init: no run or model at {source}, and no hub gives one of that name ({error})") from error
    except ImportError as error:
        asked = "or leave that out of the recipe (`attention`, `model.quantization`)"
        raise ValueError(f"{str(error).rstrip('.')}; {asked}") from error
    if model.dtype == torch.float16:
        raise ValueError(
            "float16 gradients vanish below 6e-8, and there is no loss scaling here; train with dtype = "
            '"bfloat16", or "float32" where the card has none (answering in float16 is fine)'
        )
    return model, processor


def optimizer_for(model: Any, recipe: StageRecipe) -> MasterAdamW:
    rate = recipe.learning_rate
    rates = {"rest": rate, "lora": recipe.lora_learning_rate or rate}
    rates |= {"llm": recipe.llm_learning_rate or rate / 10, "towers": recipe.towers_learning_rate or rate / 10}
    groups: dict[str, tuple[list[Any], float]] = {group: ([], rate) for group, rate in rates.items()}
    places = {"language_model": "llm", "towers": "towers"}
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            group = "lora" if "lora_" in name else places.get(name.split(".")[0], "rest")
            groups[group][0].append((name, parameter))
    return MasterAdamW(groups, weight_decay=recipe.weight_decay, clip=recipe.clip)


def training_gib(model: Any, processes: int = 1) -> float:
    """GiB that each process holds for what is trained, activations aside: weights, gradients (in fp32 too, in a step),
    fp32 masters and two moments, and over several processes two fp32 copies of the gradients that are summed.
    """
    size = sum(
        one.numel() * (2 * one.element_size() + 4 * (one.element_size() < 4) + 12 + 8 * (processes > 1))
        for one in model.parameters()
        if one.requires_grad
    )
    return size / 2**30


def preparation(recipe: StageRecipe, model: Any, processor: Any) -> Prepare:
    """What makes a sample of a shard ready: which turns, their ids, its pictures or their cached features.

    Raises ValueError for stored features of other towers, or damaged ones.
    """
    objective = objective_of(recipe)
    return Prepare(
        encode=partial(objective.encode, processor.chat),
        see=processor.pixels,
        min_side=model.config.min_side,
        cache=features.open_features(model, recipe),
        negative_share=recipe.negative_share,
        # Of a pair nothing but its last answer counts, and what was said before it stays.
        languages=LANGUAGES if objective.metrics else tuple(recipe.languages),
        max_turns=recipe.max_turns,
        seed=recipe.seed,
        damage=getattr(objective, "damage", None),
    )


def why_padded(recipe: StageRecipe, model: Any) -> str | None:
    """None where conversations stand in one row; else why each has a row of its own, to be printed.

    Raises ValueError where the recipe asks for packing and the LLM would mix conversations.
    """
    kind = model.language_model.config.get_text_config()._attn_implementation
    if objective_of(recipe).why_padded is not None:
        return objective_of(recipe).why_padded
    if recipe.packing is False:
        return "packing = false"
    if recipe.packing is None and not packs(kind):
        return f'attention "{kind}" would need a mask of the whole row'
    was = model.training
    # Dropout in an adapter that has learned would look like a leak.
    reason = why_not_packed(model.eval().language_model)
    if objective_of(recipe).metrics and not reason:
        apart = f'two answers share a question in attention "varlen", not in "{kind}"'
        reason = apart if kind != VARLEN else why_not_shared(model.language_model)
    model.train(was)
    if reason and recipe.packing:
        raise ValueError(f"packing = true, but {reason}; leave `packing` out, and rows are padded")
    return reason


def cutter(
    recipe: StageRecipe, processor: Any, *, packing: bool, reference: Mapping[str, Any] | None = None
) -> partial[list[Batch]]:
    """Items of a step -> the batches of its forward passes. `reference`: what pairs of answers are compared with."""
    options = {"pad_id": processor.pad_id, "image_token_id": processor.chat.image_token_id, "packing": packing}
    if objective_of(recipe).metrics:
        options["reference"] = {} if reference is None else reference
    return partial(micro_batches, recipe=recipe, **options)


def mixture_of(
    recipe: StageRecipe, prepare: Prepare, accelerator: Accelerator, cursor: Cursor | None, checkpoint: Path | None
) -> Mixture:
    """This rank's part of the endless walk over all sources, from `cursor` on.

    Raises ValueError when the cursor of the checkpoint is of another number of processes or other shards.
    """
    streams = {
        name: Stream(
            source.shards,
            seed=recipe.seed,
            rank=accelerator.process_index,
            ranks=accelerator.num_processes,
            workers=max(1, recipe.workers),
            epoch=recipe.first_epoch,
            prepare=prepare,
            max_skip_ratio=recipe.max_skip_ratio,
        )
        for name, source in recipe.data.items()
    }
    weights = {name: source.weight for name, source in recipe.data.items()}
    try:
        return Mixture(streams, weights, cursor)
    except ValueError as error:
        if checkpoint is None:
            raise
        raise ValueError(
            f"{recipe.out} cannot be gone on with: {error}. As a new run from its weights: "
            f"init={checkpoint} out=ANOTHER first_epoch=N"
        ) from error


def share_of(batch_size: int, accelerator: Accelerator) -> int:
    """Conversations of a step that are this rank's. Raises ValueError where they cannot be dealt out evenly."""
    if batch_size % accelerator.num_processes:
        raise ValueError(f"batch_size {batch_size} cannot be dealt out evenly to {accelerator.num_processes} processes")
    return batch_size // accelerator.num_processes
