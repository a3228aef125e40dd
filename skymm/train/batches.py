"""From the samples of a step to forward passes: conversations of similar length together, packed or padded."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from skymm.data.collate import Batch, Example, collate
from skymm.data.stream import Item
from skymm.model.attention import packs
from skymm.model.chat import pack, pad
from skymm.model.examine import why_not_packed
from skymm.recipe import StageRecipe


def why_padded(recipe: StageRecipe, model: Any) -> str | None:
    """None where conversations stand in one row; else why each has a row of its own, to be printed.

    Raises ValueError where the recipe asks for packing and the LLM would mix conversations.
    """
    kind = model.language_model.config.get_text_config()._attn_implementation
    if recipe.objective == "words":
        return "the LLM is not run"
    if recipe.packing is False:
        return "packing = false"
    if recipe.packing is None and not packs(kind):
        return f'attention "{kind}" would need a mask of the whole row'
    was = model.training
    # Dropout in an adapter that has learned would look like a leak.
    reason = why_not_packed(model.eval().language_model)
    model.train(was)
    if reason and recipe.packing:
        raise ValueError(f"packing = true, but {reason}; leave `packing` out, and rows are padded")
    return reason


def micro_batches(items: Sequence[Item], recipe: StageRecipe, processor: Any, *, packing: bool) -> list[Batch]:
    """Sorted by length, then cut where the next conversation would be one too many or its positions would.

    A conversation longer than `micro_batch_tokens` gets a pass of its own. Where rows are padded, sorting is what saves
    padding; where they are packed there is none.
    """
    ordered = sorted((item.value for item in items), key=lambda example: len(example.encoded.ids))
    if packing:
        return [collate(group, pack) for group in _cut(ordered, recipe, padded=False)]
    return [
        collate(group, lambda encoded: pad(encoded, pad_id=processor.pad_id, side="right"))
        for group in _cut(ordered, recipe, padded=True)
    ]


def _cut(ordered: list[Example], recipe: StageRecipe, *, padded: bool) -> list[list[Example]]:
    groups: list[list[Example]] = []
    size = recipe.micro_batch_size or len(ordered)
    room = recipe.micro_batch_tokens or float("inf")
    positions = 0
    for example in ordered:
        length = len(example.encoded.ids)
        # Sorted: the newest is the longest, and every row of its batch is padded to it.
        wanted = length * (len(groups[-1]) + 1) if groups and padded else positions + length
        if not groups or len(groups[-1]) == size or wanted > room:
            groups.append([])
            positions = 0
        groups[-1].append(example)
        positions += length
    return groups
