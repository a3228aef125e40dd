"""What slowed a run or endangers what it learns, seen in its log and card. Each finding is a function of plain data; None
where all is well.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from statistics import mean, median

from skymm.data.stream import ADVICE, UNWANTED
from skymm.train.doctor.finding import Finding, finding, percent
from skymm.train.doctor.machine import Machine
from skymm.train.runlog import History, is_number

WAITING, PADDING, VISION = 0.10, 0.15, 0.25  # shares that are worth a person's attention
SLOWER = 0.20
LOW_MFU, GOOD_MFU = 0.20, 0.40  # of the matrix ceiling; what plain training of this kind reaches
MINUTES = 30
ENOUGH_STEPS = 40  # below that a trend is noise
FALL = 0.02  # the least that a loss has to fall from its first to its last quarter
RISE = 0.02  # of the held-out loss above its lowest
CLIPPED = 0.9
SPIKE = 10.0  # times the median of the steps around
NEGATIVES = 0.10
NEAR_THE_LIMIT = 0.25  # of the share of skipped samples at which a run stops


# --- speed ------------------------------------------------------------------------------------------------------------


def waiting(run: History, machine: Machine) -> Finding | None:
    """Steps that wait for data."""
    share = run.share("data_seconds", "seconds")
    if share is None or share <= WAITING:
        return None
    cached, workers = bool(run.recipe.get("features")), run.recipe.get("workers") or 0
    cache = "" if cached else "; cache features (`skymm data features`), so that no image is decoded in training"
    change = "raise" if workers else "set"
    return finding("data wait", share, share=percent(share), workers=workers, change=change, cache=cache)


def padding(run: History, machine: Machine) -> Finding | None:
    """Positions that hold nothing."""
    filled = run.share("tokens", "positions")
    if filled is None or 1 - filled <= PADDING:
        return None
    kind = "padding in packed rows" if run.card.get("packed") else "padding"
    return finding(kind, 1 - filled, share=percent(1 - filled))


def attention(run: History, machine: Machine) -> Finding | None:
    """Attention that is slow on its device."""
    used, device = run.card.get("attention"), run.card.get("device", "")
    if on_gpu(device) and used in ("eager", "sdpa") and not run.card.get("packed"):
        return finding("attention on a GPU", 0.3 if used == "eager" else 0.15, used=used, device=device)
    if not on_gpu(device) and device and used == "sdpa":
        return finding("attention on a CPU", 0.2, device=device)
    return None


def precision(run: History, machine: Machine) -> Finding | None:
    """Full precision where half would do. Only told on the kind of device that the run used."""
    same = run.card.get("device", "") == machine.device
    if run.card.get("dtype") != "float32" or not machine.bfloat16 or not same:
        return None
    return finding("full precision", 0.5, device=machine.device)


def vision(run: History, machine: Machine) -> Finding | None:
    """Frozen towers that look at the same images again and again."""
    share = run.share("vision_seconds", "seconds")
    if share is None or share <= VISION or run.recipe.get("features"):
        return None
    return finding("vision", share, share=percent(share))


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
    times = (
        f"the last steps take {before / after:.1f} times as long as the early ones" if after else "it came to a halt"
    )
    return finding("slower", lost, after=after, before=before, lost=times)


def low_mfu(run: History, machine: Machine) -> Finding | None:
    """A device that mostly idles."""
    shares = [share for _, share in run.series("mfu")]
    share = median(shares) if shares else (run.card.get("throughput") or {}).get("mfu")
    if not is_number(share) or share >= LOW_MFU:
        return None
    return finding("low mfu", 1 - share / GOOD_MFU, share=percent(share), good=percent(GOOD_MFU))


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
    better = max(1, int(MINUTES * 60 / median(seconds)))
    return finding("seldom saved", gap / whole / 2, minutes=gap / 60, every=every, better=better)


def on_gpu(device: str) -> bool:
    """CPUs are named with their threads."""
    return bool(device) and not device.endswith(("threads", "thread"))


# --- learning ---------------------------------------------------------------------------------------------------------


def not_finite(run: History, machine: Machine) -> Finding | None:
    """NaN and infinity."""
    for line in run.lines:
        for field in ("loss", "grad_norm", "held_out_loss"):
            value = line.get(field)
            if isinstance(value, float) and not math.isfinite(value):
                return finding("not finite", 1.0, field=field, value=value, step=line["step"])
    return None


def not_falling(run: History, machine: Machine) -> Finding | None:
    """Nothing is learned."""
    losses = [loss for _, loss in run.series("loss")]
    quarter = len(losses) // 4
    if len(losses) < ENOUGH_STEPS:
        return None
    first, last = mean(losses[:quarter]), mean(losses[-quarter:])
    return None if last < first * (1 - FALL) else finding("not falling", 0.9, last=last, first=first)


def overfitting(run: History, machine: Machine) -> Finding | None:
    """Held-out loss that rises while the training loss falls."""
    held_out, losses = run.series("held_out_loss"), run.series("loss")
    if len(held_out) < 3 or not losses:
        return None
    best, lowest = min(held_out, key=lambda point: point[1])
    after = [loss for step, loss in held_out if step > best]
    # One validation above the lowest may be chance, two in a row are not.
    if len(after) < 2 or min(after[-2:]) <= lowest * (1 + RISE):
        return None
    width = max(5, len(losses) // 10)
    around = [loss for step, loss in losses if abs(step - best) <= width]
    if not around or mean(loss for _, loss in losses[-width:]) >= mean(around):
        return None
    return finding("overfitting", (run.step - best) / run.step, lowest=lowest, best=best, now=after[-1])


def clipped(run: History, machine: Machine) -> Finding | None:
    """A gradient that is nearly always cut."""
    limit = run.recipe.get("clip")
    norms = [norm for _, norm in run.series("grad_norm")]
    if not is_number(limit) or len(norms) < ENOUGH_STEPS:
        return None
    share, middle = mean(norm > limit for norm in norms), median(norms)
    if share <= CLIPPED:
        return None
    return finding("clipped", 0.1, limit=limit, share=percent(share), median=middle, better=2 * middle)


def spikes(run: History, machine: Machine) -> Finding | None:
    """Sudden long gradients."""
    norms = run.series("grad_norm")
    if len(norms) < ENOUGH_STEPS:
        return None
    found = [
        step
        for index, (step, norm) in enumerate(norms)
        if index >= 10 and norm > SPIKE * median(value for _, value in norms[max(0, index - 50) : index])
    ]
    if not found:
        return None
    steps = ", ".join(map(str, found[:3])) + (" ..." if len(found) > 3 else "")
    return finding("spikes", min(0.5, 0.05 + len(found) / len(norms)), times=SPIKE, count=len(found), steps=steps)


def skipped(run: History, machine: Machine) -> Finding | None:
    """Samples that were passed over."""
    reasons = {reason: count for reason, count in run.skipped().items() if reason != UNWANTED}
    total, limit = sum(reasons.values()), run.recipe.get("max_skip_ratio")
    share = total / (total + run.samples()) if total else 0.0
    if not is_number(limit) or not total or share <= limit * NEAR_THE_LIMIT:
        return None
    worst = max(reasons, key=reasons.__getitem__)
    return finding(
        "skipped",
        share / limit / 2 if limit else share,
        share=percent(share),
        count=reasons[worst],
        total=total,
        worst=worst,
        limit=percent(limit),
        advice=ADVICE.get(worst, ADVICE["cannot be encoded"]),
    )


def negative_share(run: History, machine: Machine) -> Finding | None:
    """Another share of negative answers than the recipe wants."""
    wanted = run.recipe.get("negative_share")
    shares = [share for _, share in run.series("negative_share")]
    if not is_number(wanted) or not shares:
        return None
    share = mean(shares)
    off = abs(share - wanted)
    if off <= NEGATIVES:
        return None
    few, says = ("few", "yes") if share < wanted else ("many", "no")
    return finding("negative share", off, share=percent(share), wanted=percent(wanted), few=few, says=says)


CHECKS: tuple[Callable[[History, Machine], Finding | None], ...] = (
    *(waiting, padding, attention, precision, vision, slower, low_mfu, seldom_saved),
    *(not_finite, not_falling, overfitting, clipped, spikes, skipped, negative_share),
)
