"""What slows a run, seen in its log and card. Each finding is a function of plain data; None where all is well."""

from __future__ import annotations

from collections.abc import Callable
from statistics import median

from skymm.train.doctor.finding import Finding, percent
from skymm.train.doctor.machine import Machine
from skymm.train.runlog import History, is_number

WAITING, PADDING, VISION = 0.10, 0.15, 0.25  # shares that are worth a person's attention
SLOWER = 0.20
LOW_MFU, GOOD_MFU = 0.20, 0.40  # of the matrix ceiling; what plain training of this kind reaches
MINUTES = 30


def waiting(run: History, machine: Machine) -> Finding | None:
    """Steps that wait for data."""
    share = run.share("data_seconds", "seconds")
    if share is None or share <= WAITING:
        return None
    cached = bool(run.recipe.get("features"))
    workers = run.card.get("workers") or 0
    return Finding(
        "data wait",
        share,
        f"{percent(share)} of the time of a step is spent waiting for data ({workers} workers)",
        "everything that computes stands still meanwhile",
        f"{'raise' if workers else 'set'} `workers`; write the shards with smaller images"
        + ("" if cached else "; cache features (`skymm data features`), so that no image is decoded in training"),
    )


def padding(run: History, machine: Machine) -> Finding | None:
    """Positions that hold nothing."""
    filled = run.share("tokens", "positions")
    if filled is None or 1 - filled <= PADDING:
        return None
    packed = run.card.get("packed")
    return Finding(
        "padding",
        1 - filled,
        f"{percent(1 - filled)} of the positions that were computed are padding",
        "a padded position costs as much as a real one and teaches nothing",
        "leave `packing` and `attention` out: rows are packed wherever the LLM can, and the first line of a run says why not"
        if not packed
        else "lower `max_length` to what the conversations need, or give a step more conversations to pack",
    )


def attention(run: History, machine: Machine) -> Finding | None:
    """Attention that is slow on its device."""
    used = run.card.get("attention")
    device = run.card.get("device", "")
    if on_gpu(device) and used in ("eager", "sdpa") and not run.card.get("packed"):
        return Finding(
            "attention",
            0.3 if used == "eager" else 0.15,
            f"attention is {used} on {device}, without packing",
            "with a mask for padding no fused kernel that skips empty positions can run, and eager also writes out every "
            "attention matrix",
            'leave `attention = "auto"`; packing needs nothing installed, flash-attn is optional',
        )
    if not on_gpu(device) and device and used == "sdpa":
        return Finding(
            "attention",
            0.2,
            f"attention is sdpa on {device}",
            "torch's CPU kernel spends a quarter of a training step in its backward pass; the attention of our own, which "
            "`auto` takes, packs rows and does without it",
            'leave `attention = "auto"`',
        )
    return None


def precision(run: History, machine: Machine) -> Finding | None:
    """Full precision where half would do. Only told on the kind of device that the run used."""
    same = run.card.get("device", "") == machine.device
    if run.card.get("dtype") != "float32" or not machine.bfloat16 or not same:
        return None
    return Finding(
        "full precision",
        0.5,
        f"weights are float32 on {machine.device}, which multiplies bfloat16 in hardware",
        "frozen weights in bfloat16 train as well and about twice as fast; what is trained keeps float32 masters in any case",
        'leave `model.dtype = "auto"`',
    )


def vision(run: History, machine: Machine) -> Finding | None:
    """Frozen towers that look at the same images again and again."""
    share = run.share("vision_seconds", "seconds")
    if share is None or share <= VISION or run.recipe.get("features"):
        return None
    return Finding(
        "vision",
        share,
        f"{percent(share)} of the time of a step is spent in the frozen towers",
        "they give the same features for the same image every time",
        'add `features = "DIR"` and run `skymm data features` once: it pays where an image is seen more than once',
    )


def slower(run: History, machine: Machine) -> Finding | None:
    """A run that loses speed."""
    speeds = [speed for _, speed in run.speeds()]
    fifth = len(speeds) // 5
    if fifth < 10:
        return None
    # The first fifth also loads and compiles.
    before, after = median(speeds[fifth : 2 * fifth]), median(speeds[-fifth:])
    lost = 1 - after / before if before else 0.0
    if lost <= SLOWER:
        return None
    return Finding(
        "slower",
        lost,
        f"{after:.0f} tokens per second at the end, {before:.0f} at first",
        f"the last steps take {before / after:.1f} times as long as the early ones" if after else "it came to a halt",
        "look at what else runs on the machine, at its temperature, at memory that grows (see the page of the run), and at the "
        "disk or network that the shards come from",
    )


def low_mfu(run: History, machine: Machine) -> Finding | None:
    """A device that mostly idles."""
    shares = [share for _, share in run.series("mfu")]
    share = median(shares) if shares else (run.card.get("throughput") or {}).get("mfu")
    if not is_number(share) or share >= LOW_MFU:
        return None
    return Finding(
        "low mfu",
        1 - share / GOOD_MFU,
        f"training reaches {percent(share)} of what the device can multiply ({percent(GOOD_MFU)} is common)",
        "the device waits: for data, for small matrices, or for Python between them",
        "mend waiting, padding and precision first if they are named here; then raise `micro_batch_size`, and compile for "
        "long runs",
    )


def seldom_saved(run: History, machine: Machine) -> Finding | None:
    """Checkpoints far apart."""
    seconds = [value for _, value in run.series("seconds")]
    every = run.recipe.get("save_every")
    if not seconds or not every:
        return None
    steps = min(every, run.recipe.get("steps") or every)
    gap = steps * median(seconds)
    if gap <= MINUTES * 60:
        return None
    whole = (run.recipe.get("steps") or run.step) * median(seconds)
    return Finding(
        "seldom saved",
        gap / whole / 2,
        f"{gap / 60:.0f} minutes pass between checkpoints (`save_every = {every}`)",
        "a kill costs half of that on average; only what is trained is written, so saving is cheap",
        f"set `save_every` to {max(1, int(MINUTES * 60 / median(seconds)))} or less",
    )


def on_gpu(device: str) -> bool:
    """CPUs are named with their threads."""
    return bool(device) and not device.endswith(("threads", "thread"))


CHECKS: tuple[Callable[[History, Machine], Finding | None], ...] = (
    waiting,
    padding,
    attention,
    precision,
    vision,
    slower,
    low_mfu,
    seldom_saved,
)
