"""What will stop, slow or endanger a stage, seen before it runs. Each finding is a function of a Plan."""

from __future__ import annotations

from collections.abc import Callable

from skymm.train.doctor.finding import Finding, percent
from skymm.train.doctor.plan import Plan

MANY_EPOCHS, FEW_EPOCHS = 10.0, 0.05
HIGH_RATE, HIGH_LORA_RATE, LOW_RATE = 1e-2, 5e-3, 1e-6
FLASH = {  # attn_implementation -> the package whose kernels it calls; transformers can also fetch them with `kernels`
    "flash_attention_2": ("flash_attn", "flash-attn"),
    "flash_attention_3": ("flash_attn_interface", "flash-attn-3"),
    "flash_attention_4": ("flash_attn", "flash-attn-4"),
}


def shards_missing(plan: Plan) -> Finding | None:
    """Sources without shards."""
    if not plan.missing:
        return None
    return Finding(
        "shards missing",
        1.0,
        "; ".join(f"data.{name}: {why}" for name, why in plan.missing.items()),
        "there is nothing to learn from, and the run stops before its first step",
        "write them (`skymm data build`), or name the place where they are, as seen from where the command runs",
    )


def few_shards(plan: Plan) -> Finding | None:
    """Fewer shards than readers."""
    readers = plan.machine.processes * max(1, plan.workers)
    few = {name: count for name, count in plan.shards.items() if count < readers}
    if not few:
        return None
    return Finding(
        "few shards",
        1.0,
        "; ".join(f"data.{name} has {count} shards" for name, count in few.items())
        + f" for {plan.machine.processes} processes with {max(1, plan.workers)} reader(s) each",
        "every reader owns whole shards; with fewer than readers some would have nothing, so the run does not start",
        f"write the data as {readers} shards or more, or use fewer processes or `workers`",
    )


def features(plan: Plan) -> Finding | None:
    """A feature cache that is named but not built."""
    if plan.recipe.features is None or plan.features == "built":
        return None
    return Finding(
        "features",
        1.0,
        f"features = {plan.recipe.features!r}, and {'nothing is there' if plan.features == 'none' else 'it is empty'}",
        "an image that is not in the cache stops the run",
        "run `skymm data features RECIPE` first, or remove `features`",
    )


def init(plan: Plan) -> Finding | None:
    """A model to start from that is not there."""
    if plan.init_found:
        return None
    return Finding(
        "init",
        1.0,
        f"init = {plan.recipe.init!r}, and there is no such directory",
        "the stage goes on from that model and cannot start without it",
        "run the stage before this one, or name its `out`",
    )


def taken(plan: Plan) -> Finding | None:
    """An `out` that holds another recipe's run."""
    if not plan.changes:
        return None
    shown = "; ".join(plan.changes[:4]) + (f"; and {len(plan.changes) - 4} more" if len(plan.changes) > 4 else "")
    return Finding(
        "out taken",
        1.0,
        f"{plan.recipe.out} holds a run of another recipe: {shown}",
        "a run is only ever resumed with its own recipe, so this one does not start",
        "give another `out`, or remove that directory",
    )


def dealing(plan: Plan) -> Finding | None:
    """A batch that cannot be dealt out evenly."""
    processes, size = plan.machine.processes, plan.recipe.batch_size
    if size % processes == 0:
        return None
    below = size // processes * processes
    return Finding(
        "batch size",
        1.0,
        f"batch_size = {size} for {processes} processes",
        "every process takes the same number of conversations, so the run does not start",
        f"set `batch_size` to {f'{below} or ' if below else ''}{below + processes}",
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


def attention(plan: Plan) -> Finding | None:
    """Kernels that are not installed, or not for this device."""
    wanted, machine = plan.recipe.attention, plan.machine
    if wanted not in FLASH:
        return None
    module, package = FLASH[wanted]
    if not machine.cuda:
        seen, do = f"{machine.device or 'this machine'} is no CUDA device", 'leave `attention = "auto"`'
    elif not machine.importable & {module, "kernels"}:
        seen = f"{package} is not installed"
        do = f'pip install {package} --no-build-isolation, or leave `attention = "auto"`, which takes what is there'
    else:
        return None
    return Finding("attention", 1.0, f"attention = {wanted!r}, and {seen}", "the model does not load", do)


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
    shards_missing,
    few_shards,
    features,
    init,
    taken,
    dealing,
    micro_batch,
    precision,
    attention,
    learning_rate,
    warmup,
    epochs,
    disk,
)
