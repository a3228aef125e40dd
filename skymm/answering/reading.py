"""What a model has read of some prompts and answers: every token once, and rows that come and go."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from transformers.cache_utils import DynamicLayer

from skymm.answering.protocol import Ask

Tokens = tuple[int, ...]
# Of a model: `input_ids` (A, T), what stands beside them, and `past_key_values` of those that are read already.
Inputs = dict[str, Any]


class Reading:
    """Prompts of A asks and what is said after them, as a model has them in its memory: every token is read once.

    `inputs` are all of it; `start` is the length of the prompts.
    """

    def __init__(self, answerer: Any, asks: Sequence[Ask], inputs: Inputs | None = None):
        self.answerer, self.asks, self.inputs = answerer, asks, inputs or answerer.inputs(asks)
        self.start = self.inputs["input_ids"].shape[1]

    def go_on(self, tokens: Tensor | None = None) -> Tensor:
        """Logits (A, V) of the token that follows after these tokens (A, L)."""
        if tokens is not None and tokens.shape[1]:
            for name, value in self._per_position().items():
                more = {"input_ids": tokens, "attention_mask": torch.ones_like(tokens)}
                # Other inputs per position go on with 0, which is "text".
                more = more.get(name, torch.zeros_like(tokens)).to(value.dtype)
                self.inputs = self.inputs | {name: torch.cat([value, more], dim=1)}
        with self.answerer.adapter():
            logits, cache = self.answerer.read(self.inputs)
        self.keep(cache)
        return logits

    def keep(self, cache: Any) -> None:
        """The keys and values of all this, and perhaps of more. What was read needs no pictures any more; a model without
        such a memory reads everything each time.
        """
        if cache is not None:
            self.inputs = self._per_position() | {"past_key_values": cache}

    @property
    def can_go_back(self) -> bool:
        """Whether what was said last can be taken back. A sliding window and a running state forget what was before."""
        layers = getattr(self.inputs.get("past_key_values"), "layers", ())
        return bool(layers) and all(type(layer) is DynamicLayer for layer in layers)

    def back_to_the_prompts(self) -> None:
        cache = self.inputs["past_key_values"]
        cache.crop(min(0, self.start - cache.get_seq_length()))
        self.inputs |= {name: value[:, : self.start] for name, value in self._per_position().items()}

    @property
    def can_be_joined(self) -> bool:
        """Whether rows can come and go: positions that a model counts by itself cannot be moved."""
        return self.can_go_back and not getattr(self.inputs["past_key_values"], "rope_deltas", None)

    def select(self, rows: Sequence[int]) -> None:
        """Only these rows from now on, without the positions where all of them are padding."""
        values, cache = self._per_position(), self.inputs["past_key_values"]
        cache.batch_select_indices(torch.tensor(rows, device=self.answerer.model.device))
        mask = values["attention_mask"][rows]
        empty = int(mask.any(0).int().argmax())
        for layer in cache.layers:
            layer.keys, layer.values = layer.keys[..., empty:, :], layer.values[..., empty:, :]
        self.inputs |= {name: value[rows, empty:] for name, value in values.items()}
        self.asks, self.start = [self.asks[row] for row in rows], self.start - empty

    def join(self, other: Reading) -> None:
        """The rows of the other one below these, the shorter ones padded on the left. Both have been read to their end."""
        mine, theirs = self._per_position(), other._per_position()
        length = max(mine["input_ids"].shape[1], theirs["input_ids"].shape[1])
        for name in mine.keys() | theirs.keys():
            sides = [side.get(name, torch.zeros_like(side["input_ids"])) for side in (mine, theirs)]
            self.inputs[name] = torch.cat([_padded(side, length, 1) for side in sides])
        for layer, more in zip(self.inputs["past_key_values"].layers, other.inputs["past_key_values"].layers):
            layer.keys = torch.cat([_padded(side, length, -2) for side in (layer.keys, more.keys)])
            layer.values = torch.cat([_padded(side, length, -2) for side in (layer.values, more.values)])
        self.asks = [*self.asks, *other.asks]

    def _per_position(self) -> Inputs:
        shape = self.inputs["input_ids"].shape
        named = {name: value for name, value in self.inputs.items() if isinstance(value, Tensor)}
        return {name: value for name, value in named.items() if value.shape == shape}


def _padded(values: Tensor, length: int, dim: int) -> Tensor:
    """Zeros before what there is along this dimension, up to a length."""
    shape = list(values.shape)
    shape[dim] = length - shape[dim]
    return torch.cat([values.new_zeros(shape), values], dim=dim) if shape[dim] else values
