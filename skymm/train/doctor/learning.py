"""What endangers what a run learns, seen in its log. Each finding is a function of plain data; None where all is well."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from statistics import mean, median

from skymm.data.stream import ADVICE, UNWANTED
from skymm.train.doctor.finding import Finding, percent
from skymm.train.runlog import History, is_number

ENOUGH_STEPS = 40  # below that a trend is noise
FALL = 0.02  # the least that a loss has to fall from its first to its last quarter
RISE = 0.02  # of the held-out loss above its lowest
CLIPPED = 0.9
SPIKE = 10.0  # times the median of the steps around
NEGATIVES = 0.10
NEAR_THE_LIMIT = 0.25  # of the share of skipped samples at which a run stops


def not_finite(run: History) -> Finding | None:
    """NaN and infinity."""
    fields = ("loss", "grad_norm", "held_out_loss")
    for line in run.lines:
        wrong = [name for name in fields if isinstance(line.get(name), float) and not math.isfinite(line[name])]
        if wrong:
            return Finding(
                "not finite",
                1.0,
                f"{wrong[0]} is {line[wrong[0]]} at step {line['step']}",
                "every weight that such a gradient touches is lost, and with it all steps after",
                "start again from the checkpoint before it with a lower learning rate; with float16 use bfloat16 or float32",
            )
    return None


def not_falling(run: History) -> Finding | None:
    """Nothing is learned."""
    losses = [loss for _, loss in run.series("loss")]
    quarter = len(losses) // 4
    if len(losses) < ENOUGH_STEPS:
        return None
    first, last = mean(losses[:quarter]), mean(losses[-quarter:])
    if last < first * (1 - FALL):
        return None
    return Finding(
        "not falling",
        0.9,
        f"the loss is {last:.3f} over the last quarter of the steps and was {first:.3f} over the first",
        "a run whose loss does not fall learns nothing that shows",
        "raise the learning rate if the curve is flat, lower it if it rises; look at the samples with `skymm look`: coloured "
        "is what is learned",
    )


def overfitting(run: History) -> Finding | None:
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
    return Finding(
        "overfitting",
        (run.step - best) / run.step,
        f"the held-out loss was {lowest:.3f} at step {best} and is {after[-1]:.3f} now, while the training loss falls",
        "since then the model learns its samples by heart",
        f"use the checkpoint nearest to step {best}; give it more data, fewer steps, or a smaller `lora_learning_rate`",
    )


def clipped(run: History) -> Finding | None:
    """A gradient that is nearly always cut."""
    limit = run.recipe.get("clip")
    norms = [norm for _, norm in run.series("grad_norm")]
    if not is_number(limit) or len(norms) < ENOUGH_STEPS:
        return None
    share = mean(norm > limit for norm in norms)
    if share <= CLIPPED:
        return None
    return Finding(
        "clipped",
        0.1,
        f"the gradient is longer than `clip = {limit:g}` in {percent(share)} of the steps; its median is {median(norms):.2g}",
        "all steps are then scaled to one length, noisy batches count as much as clear ones",
        f"raise `clip` to about {2 * median(norms):.2g}, above what is usual, or take more conversations per step",
    )


def spikes(run: History) -> Finding | None:
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
    return Finding(
        "spikes",
        min(0.5, 0.05 + len(found) / len(norms)),
        f"the gradient is more than {SPIKE:g} times as long as usual in {len(found)} steps, first at {_listed(found)}",
        "one such step can undo many; they come from broken samples or a learning rate at its limit",
        "look at the samples of those steps, lengthen `warmup_steps`, or lower the learning rate",
    )


def skipped(run: History) -> Finding | None:
    """Samples that were passed over."""
    reasons = {reason: count for reason, count in run.skipped().items() if reason != UNWANTED}
    total, limit = sum(reasons.values()), run.recipe.get("max_skip_ratio")
    share = total / (total + run.samples()) if total else 0.0
    if not is_number(limit) or not total or share <= limit * NEAR_THE_LIMIT:
        return None
    worst = max(reasons, key=reasons.__getitem__)
    return Finding(
        "skipped",
        share / limit / 2 if limit else share,
        f"{percent(share)} of the samples were skipped, {reasons[worst]} of {total} because of: {worst}",
        f"what is skipped is not learned, and the run stops at {percent(limit)} (`max_skip_ratio`)",
        ADVICE.get(worst, ADVICE["cannot be encoded"]),
    )


def negative_share(run: History) -> Finding | None:
    """Another share of negative answers than the recipe wants."""
    wanted = run.recipe.get("negative_share")
    shares = [share for _, share in run.series("negative_share")]
    if not is_number(wanted) or not shares:
        return None
    realised = mean(shares)
    if abs(realised - wanted) <= NEGATIVES:
        return None
    return Finding(
        "negative share",
        abs(realised - wanted),
        f"{percent(realised)} of the answers are negative, the recipe wants {percent(wanted)}",
        "a model that hears too few negatives says yes to everything"
        if realised < wanted
        else "a model that hears too many negatives says no to everything",
        "the shards hold too few of one kind, or `languages` and `max_turns` leave them out; `skymm look` shows them coloured",
    )


def _listed(steps: Sequence[int]) -> str:
    shown = ", ".join(map(str, steps[:3]))
    return shown if len(steps) <= 3 else f"{shown} ..."


CHECKS: tuple[Callable[[History], Finding | None], ...] = (
    not_finite,
    not_falling,
    overfitting,
    clipped,
    spikes,
    skipped,
    negative_share,
)
