"""A conversation as a model reads it: token ids and labels, as plain numbers, and several of them as one padded batch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from skymm.conversation import Turn

if TYPE_CHECKING:
    from torch import Tensor

IGNORE = -100
"""The label of a position from which nothing is learned."""


@dataclass(slots=True)
class Encoded:
    """ids and labels of one conversation (same length; labels are IGNORE wherever nothing is learned).

    A label is the id at its place, but for one case: where a template ends an answer otherwise amid a conversation than at
    its end (gpt-oss), or not at all (GLM-4), the label is what ends a conversation, since generation stops at that.
    `images` are the names of its images in order, `latents` how many positions each takes (empty: all K). `targets` has, per
    learned answer, its turn and the half-open span of its labels, so that a loss can be told apart by language and polarity.
    `text` is what was tokenised, and `places` where in it each image stands. `shared` positions at its beginning are those of
    the segment before it, and where segments stand in one row they stand there once, for both.
    """

    key: str
    ids: list[int] = field(default_factory=list)
    labels: list[int] = field(default_factory=list)
    images: tuple[str, ...] = ()
    targets: list[tuple[Turn, int, int]] = field(default_factory=list)
    text: str = ""
    places: tuple[int, ...] = ()
    shared: int = 0
    latents: tuple[int, ...] = ()


def pad(examples: Sequence[Encoded], *, pad_id: int, side: str) -> dict[str, Tensor]:
    """A batch: input_ids, attention_mask and labels, each (B, T) int64, padded on `side`.

    "right" to train, "left" to answer.
    """
    import torch

    if side not in ("left", "right"):
        raise ValueError(f'side is {side!r}, expected "left" or "right"')
    length = max(len(example.ids) for example in examples)
    input_ids = torch.full((len(examples), length), pad_id)
    attention_mask = torch.zeros(len(examples), length, dtype=torch.long)
    labels = torch.full((len(examples), length), IGNORE)
    for row, example in enumerate(examples):
        span = slice(0, len(example.ids)) if side == "right" else slice(length - len(example.ids), length)
        input_ids[row, span] = torch.tensor(example.ids)
        attention_mask[row, span] = 1
        labels[row, span] = torch.tensor(example.labels)
    return {"input_ids": input_ids, "attention_mask": attention_mask, "labels": labels}
