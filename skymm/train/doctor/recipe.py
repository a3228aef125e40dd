"""What will stop, slow or endanger a stage, seen before it runs: in its recipe, and in what of the disk it refers to."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from skymm.data.shards import expand, num_samples
from skymm.recipe import StageRecipe
from skymm.train.doctor.finding import Finding, finding, percent
from skymm.train.doctor.machine import Machine

MANY_EPOCHS, FEW_EPOCHS = 10.0, 0.05
HIGH_RATE, HIGH_LORA_RATE, LOW_RATE = 1e-2, 5e-3, 1e-6


@dataclass(frozen=True, slots=True)
class Plan:
    """What the findings about a recipe need to know.

    Args:
        refusal: what the start says instead of starting. samples: in all sources together; None where nothing
            can be counted.
        free_gib: where `out` will lie. checkpoint_gib: of one checkpoint, estimated; None where nothing tells.
    """

    recipe: StageRecipe
    machine: Machine = field(default_factory=Machine)
    refusal: str | None = None
    samples: int | None = None
    free_gib: float = 1000.0
    checkpoint_gib: float | None = None


def plan_of(recipe: StageRecipe, machine: Machine) -> Plan:
    """Look up what a recipe refers to, and try to start it: the model is loaded and one batch read, nothing is written."""
    from skymm.train.parts import with_steps  # loads torch

    refusal, samples = _refusal(recipe), None
    with suppress(ValueError, OSError):  # told by the start, where it matters
        samples = sum(num_samples(expand(source.shards, remote=True)) for source in recipe.data.values())
        recipe = with_steps(recipe)
    out = Path(recipe.out)
    free = shutil.disk_usage(_existing(out)).free / 2**30
    return Plan(recipe, machine, refusal, samples or None, free, _checkpoint_gib(recipe, out))


def _refusal(recipe: StageRecipe) -> str | None:
    try:
        from skymm.train.loop import check

        check(recipe)
    except Exception as error:  # a broken environment or a mistake of ours: told as it is, and the other findings stay
        return str(error) if isinstance(error, ValueError | OSError) else f"{type(error).__name__}: {error}"
    return None


def _checkpoint_gib(recipe: StageRecipe, out: Path) -> float | None:
    """The newest one there is; else from the model to start with, whose weights the optimizer keeps three times in fp32."""
    found = sorted((out / "checkpoints").glob("step-*"))
    if found:
        return _size(found[-1]) / 2**30
    if recipe.init is not None and Path(recipe.init).is_dir():
        weights = sum(path.stat().st_size for path in Path(recipe.init).glob("**/*.safetensors"))
        # Weights in bf16 are 2 bytes each; master and two moments are 12.
        return (_size(Path(recipe.init)) + 6 * weights) / 2**30
    return None


def _size(directory: Path) -> int:
    return sum(path.stat().st_size for path in directory.iterdir() if path.is_file()) + sum(
        _size(path) for path in directory.iterdir() if path.is_dir() and path.name != "checkpoints"
    )


def _existing(path: Path) -> Path:
    """The path, or the nearest directory above it that is there."""
    path = path.resolve()
    return next(one for one in (path, *path.parents) if one.exists())


# --- findings ---------------------------------------------------------------------------------------------------------


def start(plan: Plan) -> Finding | None:
    """What the start itself refuses, in its own words."""
    return None if plan.refusal is None else finding("does not start", 1.0, refusal=plan.refusal)


def micro_batch(plan: Plan) -> Finding | None:
    """A micro-batch larger than what there is to cut."""
    micro, own = plan.recipe.micro_batch_size, plan.recipe.batch_size // plan.machine.processes
    return None if micro is None or micro <= own else finding("micro batch size", 0.02, micro=micro, own=own)


def precision(plan: Plan) -> Finding | None:
    """float32 asked for where bfloat16 is as good."""
    model = plan.recipe.model
    if model is None or model.dtype != "float32" or not plan.machine.bfloat16:
        return None
    return finding("full precision asked", 0.5, device=plan.machine.device or "hardware")


def learning_rate(plan: Plan) -> Finding | None:
    """Peaks outside what is usual."""
    recipe = plan.recipe
    lora = recipe.lora_learning_rate or recipe.learning_rate
    odd = []
    if "resampler" in recipe.trains and not LOW_RATE <= recipe.learning_rate <= HIGH_RATE:
        odd.append(f"learning_rate = {recipe.learning_rate:g} (usual: {LOW_RATE:g} to {HIGH_RATE:g})")
    if "lora" in recipe.trains and not LOW_RATE <= lora <= HIGH_LORA_RATE:
        odd.append(f"LoRA's is {lora:g} (usual: {LOW_RATE:g} to {HIGH_LORA_RATE:g})")
    return finding("learning rate", 0.5, odd="; ".join(odd)) if odd else None


def warmup(plan: Plan) -> Finding | None:
    """A warm-up as long as the run."""
    steps, found = plan.recipe.steps, plan.recipe.warmup_steps
    return (
        None
        if steps is None or found < steps / 2
        else finding("warm-up", 0.3, warmup=found, steps=steps, better=max(1, steps // 20))
    )


def epochs(plan: Plan) -> Finding | None:
    """Every sample very often, or hardly any of them."""
    if not plan.samples:
        return None
    steps, batch = plan.recipe.steps, plan.recipe.batch_size
    times = steps * batch / plan.samples
    shown = f"{steps} steps of {batch} show {plan.samples:,} samples {times:.3g} times"
    if times > MANY_EPOCHS:
        better = max(1, round(MANY_EPOCHS / 2 * plan.samples / batch))
        return finding("too many epochs", 1 - MANY_EPOCHS / times, shown=shown, most=MANY_EPOCHS, better=better)
    return finding("too few epochs", 0.01, shown=shown, share=percent(times)) if times < FEW_EPOCHS else None


def disk(plan: Plan) -> Finding | None:
    """No room for checkpoints."""
    # One more is written before the oldest goes, and the finished model lies beside them.
    needed = (plan.recipe.keep_checkpoints + 2) * (plan.checkpoint_gib or 0.5)
    if plan.free_gib >= needed:
        return None
    told = "estimated" if plan.checkpoint_gib else "taking half a GiB for each, for want of a better number"
    keep, out = plan.recipe.keep_checkpoints, plan.recipe.out
    return finding("disk", 0.9, free=plan.free_gib, out=out, keep=keep, needed=needed, told=told)


CHECKS: tuple[Callable[[Plan], Finding | None], ...] = (
    start,
    micro_batch,
    precision,
    learning_rate,
    warmup,
    epochs,
    disk,
)
