"""What will stop, slow or endanger a stage, seen before it runs. Each finding is a function of a Plan."""

from __future__ import annotations

from collections.abc import Callable

from skymm.train.doctor.finding import Finding, percent
from skymm.train.doctor.plan import Plan

MANY_EPOCHS, FEW_EPOCHS = 10.0, 0.05
HIGH_RATE, HIGH_LORA_RATE, LOW_RATE = 1e-2, 5e-3, 1e-6


def start(plan: Plan) -> Finding | None:
    """What the start itself refuses, in its own words."""
    if plan.refusal is None:
        return None
    return Finding(
        "does not start",
        1.0,
        plan.refusal,
        "the run stops with this before its first step",
        "mend what the sentence names; `skymm train RECIPE --check` tries again, under a launcher with all its processes",
    )


def micro_batch(plan: Plan) -> Finding | None:
    """A micro-batch larger than what there is to cut."""
    micro, own = plan.recipe.micro_batch_size, plan.recipe.batch_size // plan.machine.processes
    if micro is None or micro <= own:
        return None
    return Finding(
        "micro batch size",
        0.02,
        f"micro_batch_size = {micro}, and a process has {own} conversations per step",
        "nothing is cut, so it saves no memory",
        f"lower it below {own} if memory is short, or leave it out",
    )


def precision(plan: Plan) -> Finding | None:
    """float32 asked for where bfloat16 is as good."""
    model = plan.recipe.model
    if model is None or model.dtype != "float32" or not plan.machine.bfloat16:
        return None
    return Finding(
        "full precision",
        0.5,
        f'model.dtype = "float32" on {plan.machine.device or "hardware"}, which multiplies bfloat16',
        "frozen weights in bfloat16 train as well and about twice as fast; what is trained keeps float32 masters in any case",
        'leave `model.dtype = "auto"`',
    )


def learning_rate(plan: Plan) -> Finding | None:
    """Peaks outside what is usual."""
    recipe = plan.recipe
    lora = recipe.lora_learning_rate or recipe.learning_rate
    odd = []
    if "resampler" in recipe.trains and not LOW_RATE <= recipe.learning_rate <= HIGH_RATE:
        odd.append(f"learning_rate = {recipe.learning_rate:g} (usual: {LOW_RATE:g} to {HIGH_RATE:g})")
    if "lora" in recipe.trains and not LOW_RATE <= lora <= HIGH_LORA_RATE:
        odd.append(f"LoRA's is {lora:g} (usual: {LOW_RATE:g} to {HIGH_LORA_RATE:g})")
    if not odd:
        return None
    return Finding(
        "learning rate",
        0.5,
        "; ".join(odd),
        "above it a run often diverges, below it nothing is learned in its steps",
        "start from 1e-4 to 1e-3 and look at the loss of the first hundred steps",
    )


def warmup(plan: Plan) -> Finding | None:
    """A warm-up as long as the run."""
    recipe = plan.recipe
    if recipe.warmup_steps < recipe.steps / 2:
        return None
    return Finding(
        "warm-up",
        0.3,
        f"warmup_steps = {recipe.warmup_steps} of {recipe.steps} steps",
        "the learning rate is hardly ever at its peak",
        f"set `warmup_steps` to about {max(1, recipe.steps // 20)}",
    )


def epochs(plan: Plan) -> Finding | None:
    """Every sample very often, or hardly any of them."""
    if not plan.samples:
        return None
    recipe = plan.recipe
    shown = recipe.steps * recipe.batch_size / plan.samples
    seen = f"{recipe.steps} steps of {recipe.batch_size} show {plan.samples:,} samples {shown:.3g} times"
    if shown > MANY_EPOCHS:
        return Finding(
            "epochs",
            1 - MANY_EPOCHS / shown,
            seen,
            f"after about {MANY_EPOCHS:g} times small data is known by heart, and more steps harm",
            f"set `steps` to about {max(1, round(MANY_EPOCHS / 2 * plan.samples / recipe.batch_size))}, or bring more data; "
            "a held-out loss shows when it turns",
        )
    if shown < FEW_EPOCHS:
        return Finding(
            "epochs",
            0.01,
            f"{seen}: {percent(shown)} of the data",
            "nothing is wrong with that, but most of the data is never seen",
            "raise `steps` or `batch_size` if the data was meant to be used",
        )
    return None


def disk(plan: Plan) -> Finding | None:
    """No room for checkpoints."""
    # One more is written before the oldest goes, and the finished model lies beside them.
    needed = (plan.recipe.keep_checkpoints + 2) * (plan.checkpoint_gib or 0.5)
    if plan.free_gib >= needed:
        return None
    told = "estimated" if plan.checkpoint_gib else "taking half a GiB for each, for want of a better number"
    return Finding(
        "disk",
        0.9,
        f"{plan.free_gib:.2f} GiB are free for {plan.recipe.out}; {plan.recipe.keep_checkpoints} kept checkpoints, the next "
        f"one and the model take {needed:.2f} ({told})",
        "a full disk stops the run in the middle of a checkpoint",
        "make room, lower `keep_checkpoints`, or give an `out` on another disk",
    )


CHECKS: tuple[Callable[[Plan], Finding | None], ...] = (
    start,
    micro_batch,
    precision,
    learning_rate,
    warmup,
    epochs,
    disk,
)
