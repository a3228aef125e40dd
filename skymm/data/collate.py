"""From shard samples to a training batch: choose turns, encode, find or compute what the towers see, pad right."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from skymm.conversation import Conversation, Turn
from skymm.data.feature_members import FeatureMembers, picture
from skymm.data.features import FeatureCache
from skymm.data.shards import BadSample, Sample


@dataclass(slots=True)
class Example:
    """One conversation ready to be padded. `encoded` comes from the processor; images are features or pixels per tower."""

    encoded: Any
    features: list[Tensor] | None = None
    pixels: list[Tensor] | None = None


@dataclass(frozen=True, slots=True)
class Prepare:
    """Shard sample -> Example; what a Stream calls, so decoding happens late and one sample at a time.

    Args:
        encode: Conversation -> Encoded (ids, labels). see: image -> pixels (one tensor per tower), where there is no cache.
        min_side: of the model that will look, see `decode_image`.
        cache: frozen features by image, if they are stored; an image that has none is an error, not a slow path.
        negative_share, languages, max_turns: which question-answer pairs of a conversation are used.
    """

    encode: Callable[[Conversation], Any]
    see: Callable[[Sequence[Any]], list[Tensor]]
    min_side: int | None = None
    cache: FeatureCache | FeatureMembers | None = None
    negative_share: float | None = None
    languages: tuple[str, ...] = ("en", "zh")
    max_turns: int | None = None
    seed: int = 0

    def __call__(self, sample: Sample, conversation: Conversation) -> Example | None:
        chosen = choose_turns(
            conversation,
            negative_share=self.negative_share,
            languages=self.languages,
            max_turns=self.max_turns,
            seed=self.seed,
        )
        if chosen is None:
            return None
        try:
            encoded = self.encode(chosen)
        except ValueError as error:
            raise BadSample(f"{sample.shard}: {error}", "too long") from error
        if not encoded.images:
            return Example(encoded)
        if self.cache is None:
            images = [picture(sample, name, min_side=self.min_side) for name in encoded.images]
            return Example(encoded, pixels=self.see(images))
        rows = [self.cache.of(sample, name) for name in encoded.images]
        return Example(encoded, features=[torch.stack(tower) for tower in zip(*rows)])


@dataclass(slots=True)
class Batch:
    """Model inputs, and per learned answer in row-major order (language, polarity, number of labels)."""

    inputs: dict[str, Any]
    groups: list[tuple[str, str, int]]
    num_examples: int

    def to(self, device: torch.device) -> dict[str, Any]:
        """The inputs on a device."""
        return {
            name: [tensor.to(device, non_blocking=True) for tensor in value]
            if isinstance(value, list)
            else value.to(device, non_blocking=True)
            for name, value in self.inputs.items()
        }


def collate(examples: Sequence[Example], pad: Callable[[list[Any]], Mapping[str, Tensor]]) -> Batch:
    """Pad (on the right) and stack. Images of all rows stand one after another, as their positions do."""
    inputs: dict[str, Any] = dict(pad([example.encoded for example in examples]))
    for name in ("features", "pixels"):
        parts = [getattr(example, name) for example in examples if getattr(example, name)]
        if parts:
            inputs["pixel_values" if name == "pixels" else name] = [torch.cat(tower) for tower in zip(*parts)]
    groups = [
        (turn.language or "unknown_language", turn.polarity or "unknown_polarity", end - start)
        for example in examples
        for turn, start, end in example.encoded.targets
    ]
    return Batch(inputs, groups, len(examples))


def choose_turns(
    conversation: Conversation,
    *,
    negative_share: float | None = None,
    languages: Sequence[str] = ("en", "zh"),
    max_turns: int | None = None,
    seed: int = 0,
) -> Conversation | None:
    """The conversation with the question-answer pairs that a stage wants; None when none is left.

    `negative_share` drops pairs of the polarity there is too much of. What is dropped is decided by a hash of the key and
    the seed, never by a running random state, so it does not depend on what was read before.
    """
    system = [turn for turn in conversation.turns if turn.role == "system"]
    spoken = [turn for turn in conversation.turns if turn.role != "system"]
    pairs = list(zip(spoken[0::2], spoken[1::2]))
    kept = [pair for pair in pairs if pair[1].language in (None, *languages)]
    if negative_share is not None:
        kept = _balance(kept, negative_share, conversation.key, seed)
    if max_turns is not None and len(kept) > max_turns:
        order = sorted(range(len(kept)), key=lambda index: _chance(conversation.key, seed, "turn", index))
        kept = [kept[index] for index in sorted(order[:max_turns])]
    if not kept:
        return None
    if len(kept) == len(pairs):
        return conversation
    # The images were shown at some question; whichever questions stay, they come with the first of them.
    kept[0] = (replace(kept[0][0], images=conversation.images), kept[0][1])
    kept[1:] = [(replace(question, images=()), answer) for question, answer in kept[1:]]
    turns = [*system, *(turn for pair in kept for turn in pair)]
    return Conversation(conversation.key, tuple(turns), conversation.extra)


def _balance(pairs: list[tuple[Turn, Turn]], share: float, key: str, seed: int) -> list[tuple[Turn, Turn]]:
    negatives = [index for index, pair in enumerate(pairs) if pair[1].polarity == "negative"]
    positives = [index for index in range(len(pairs)) if index not in set(negatives)]
    if share <= 0 or share >= 1:
        keep = set(positives if share <= 0 else negatives)
    else:
        most_negatives = len(positives) * share / (1 - share)
        most_positives = len(negatives) * (1 - share) / share
        keep = set(_pick(negatives, most_negatives, key, seed)) | set(_pick(positives, most_positives, key, seed))
    return [pair for index, pair in enumerate(pairs) if index in keep]


def _pick(indices: list[int], most: float, key: str, seed: int) -> list[int]:
    """At most `most` of the indices; a fraction is a chance of one more, so that shares come out right on average."""
    count = int(most) + (_chance(key, seed, "fraction", 0) < most - int(most))
    return sorted(indices, key=lambda index: _chance(key, seed, "polarity", index))[:count]


def _chance(*name: object) -> float:
    digest = hashlib.blake2b("/".join(map(str, name)).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") / 2**64
