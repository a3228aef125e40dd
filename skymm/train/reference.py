"""What the model that a stage starts from says of every pair of answers: computed once, before the first step.

RUN/checkpoints/reference-RANK.jsonl   which weights, then per block of pairs their log-probabilities and the place behind it

It is the model that `init` names, resampler and LoRA with it, and not the LLM without LoRA: a preference is learned from
there. A killed pass goes on behind its last block, in blocks that do not depend on where it was killed. Log-probabilities of
other weights are refused, not computed again: a run that has begun stays with what it began with.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import closing
from itertools import islice
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator

from skymm.data.batches import Batch, Example, Prepare
from skymm.data.shards import Sample
from skymm.data.stream import Cursor, Item
from skymm.data.workers import Loader
from skymm.files import Journal
from skymm.model.checkpoint import delta_fingerprint
from skymm.progress import progress
from skymm.recipe import StageRecipe
from skymm.train.objectives import objective_of
from skymm.train.parts import mixture_of, share_of
from skymm.train.state import CHECKPOINTS
from skymm.train.step import looked


def fill(
    reference: dict[str, list[float]],
    recipe: StageRecipe,
    model: Any,
    accelerator: Accelerator,
    prepare: Prepare,
    cut: Callable[[list[Item]], list[Batch]],
    held_out: list[Item],
    *,
    begun: bool,
    quiet: bool = False,
) -> None:
    """Name of a pair -> log-probabilities of its answers (chosen, rejected, chosen at damaged pictures), for every pair that
    this rank will meet, and the held-out ones. `model` has the weights of `init` still, unless the run has `begun`.

    Raises ValueError where what is there was computed with other weights, or is gone although the run has begun.
    """
    assert recipe.init is not None
    journal = Journal(Path(recipe.out) / CHECKPOINTS / f"reference-{accelerator.process_index}.jsonl")
    header = {"init": recipe.init, "weights": delta_fingerprint(recipe.init)}
    found, *blocks = journal.entries or [header]
    if found != header:
        raise ValueError(
            f"{journal.path} was computed with the weights {found.get('weights')} of {found.get('init')}, which has "
            f"{header['weights']} now; bring those back, or start again in another `out`"
        )
    for block in blocks:
        reference |= block["pairs"]
    share, last = share_of(recipe.batch_size, accelerator), (blocks or [{"walked": 0, "cursor": None}])[-1]
    left = recipe.steps * share - last["walked"]
    if begun and (left or not blocks):
        raise ValueError(f"{journal.path} is not whole, and the run has begun; start again in another `out`")
    if not journal.entries:
        journal.add(header)
    if not blocks:
        journal.add(
            {"pairs": _measure(held_out, reference, recipe, model, accelerator, cut), "walked": 0, "cursor": None}
        )
    cursor = last["cursor"] and Cursor.from_dict(last["cursor"])
    loader = Loader(mixture_of(recipe, FirstTime(prepare), accelerator, cursor, None), workers=recipe.workers)
    hidden = quiet or not accelerator.is_main_process
    with closing(iter(loader)) as items, progress(disable=hidden) as bar:
        task = bar.add_task("reference", total=left, note="")
        while block := list(islice(items, min(share, left))):
            pairs = _measure(block, reference, recipe, model, accelerator, cut)
            left -= len(block)
            if pairs or not left:
                walked = recipe.steps * share - left
                journal.add({"pairs": pairs, "walked": walked, "cursor": loader.cursor.to_dict()})
            bar.update(task, advance=len(block))


@torch.no_grad()
def _measure(
    items: Iterable[Item],
    reference: dict[str, list[float]],
    recipe: StageRecipe,
    model: Any,
    accelerator: Accelerator,
    cut: Callable[[list[Item]], list[Batch]],
) -> dict[str, list[float]]:
    """Of the items that are not in `reference` yet, where they go too."""
    new = {item.value.name: item for item in items if item.value is not None and item.value.name not in reference}
    found: dict[str, list[float]] = {}
    if not new:
        return found
    objective = objective_of(recipe)
    model.eval()
    for batch in cut(list(new.values()), reference={}):
        answers = objective.log_probs(model, looked(model, batch.to(accelerator.device))).tolist()
        for index, name in enumerate(batch.names):
            found[name] = [*answers[2 * index : 2 * index + 2], 0.0]
        again = batch.inputs["damaged"].tolist() if "damaged" in batch.inputs else []
        for index, answer in zip(again, answers[2 * len(batch.names) :], strict=True):
            found[batch.names[index]][2] = answer
    model.train()
    reference |= found
    return found


class FirstTime:
    """Prepares a sample when it is met for the first time, and gives None from then on: later epochs cost no pictures."""

    def __init__(self, prepare: Prepare):
        self._prepare, self._met = prepare, set[str]()

    def __call__(self, sample: Sample, conversation: Any) -> Example | None:
        name = f"{sample.shard}: {sample.key}"
        if name in self._met:
            return None
        example = self._prepare(sample, conversation)
        self._met.add(name)
        return example
