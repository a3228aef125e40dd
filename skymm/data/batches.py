"""From shard samples to training batches: which turns, what the towers see of their pictures, cut, padded or packed."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise
from typing import Any

import torch
from torch import Tensor

from skymm.conversation import BadSample, Conversation, Turn
from skymm.data.features import StoredFeatures, picture
from skymm.data.shards import Sample
from skymm.data.stream import UNWANTED, Item
from skymm.encoded import IGNORE, Encoded, pad
from skymm.recipe import StageRecipe

CAPTIONS = ("caption", "captions", "description", "layout")
"""Kinds of answers that tell what a picture shows: they neither say nor deny that something asked for is there."""


@dataclass(slots=True)
class Example:
    """One conversation ready for a batch: the segments that are read together, and its images as features or pixels per tower.

    Every segment shows all of the images, in their order. Where they are `damaged` as well (pixels), the first segment is
    read once more, with those. `name`: shard and key.
    """

    segments: list[Encoded]
    features: list[Tensor] | None = None
    pixels: list[Tensor] | None = None
    damaged: list[Tensor] | None = None
    name: str = ""


@dataclass(frozen=True, slots=True)
class Prepare:
    """Shard sample -> Example; what a Stream calls, so decoding happens late and one sample at a time.

    Args:
        encode: Conversation -> its segments. see: images -> pixels, one tensor per tower, where there is no cache.
        min_side: of the model that will look, see `open_image`.
        cache: frozen features, if they are stored; an image that has none is an error, not a slow path.
        negative_share, languages, max_turns: which question-answer pairs of a conversation are used.
        damage: picture, its key -> the same with less to see; None: there is no need of it.
    """

    encode: Callable[[Conversation], list[Encoded]]
    see: Callable[[Sequence[Any]], list[Tensor]]
    min_side: int | None = None
    cache: StoredFeatures | None = None
    negative_share: float | None = None
    languages: tuple[str, ...] = ("en", "zh")
    max_turns: int | None = None
    seed: int = 0
    damage: Callable[[Any, str], Any] | None = None

    def __call__(self, sample: Sample, conversation: Conversation) -> Example:
        """Raises BadSample (reasons: those of `encode`, "no turns wanted", "unreadable image"), naming shard and key."""
        chosen = choose_turns(
            conversation,
            negative_share=self.negative_share,
            languages=self.languages,
            max_turns=self.max_turns,
            seed=self.seed,
        )
        where = f"{sample.shard}: {sample.key}"
        if chosen is None:
            said = Counter(
                (turn.language or "no language", turn.polarity or "no polarity") for turn in conversation.targets
            )
            found = ", ".join(f"{count} {' '.join(names)}" for names, count in said.items())
            wanted = f"languages = {list(self.languages)}, negative_share = {self.negative_share}"
            raise BadSample(f"{where}: the stage wants none of its answers ({found}; {wanted})", UNWANTED)
        try:
            segments = self.encode(chosen)
        except ValueError as error:
            reason = getattr(error, "reason", "cannot be encoded")
            raise BadSample(f"{where}: {str(error).removeprefix(f'{sample.key}: ')}", reason) from error
        shown = segments[0].images
        example = Example(segments, name=where)
        if not shown:
            return example
        if self.cache is None or self.damage:
            images = [picture(sample, name, min_side=self.min_side) for name in shown]
        if self.damage:
            damaged = [self.damage(image, f"{sample.key}.{name}") for image, name in zip(images, shown)]
            example.damaged = self.see(damaged)
        if self.cache is None:
            example.pixels = self.see(images)
        else:
            rows = [self.cache.of(sample, name) for name in shown]
            example.features = [torch.stack(tower) for tower in zip(*rows)]
        return example


@dataclass(slots=True)
class Batch:
    """Model inputs, and per learned answer in row-major order (language, polarity or "caption", number of losses): one loss
    for each label, or one for each pair of answers.

    `inputs` has what Python knows beforehand, so that nobody has to ask the device: where labels and images stand. `num_tokens`
    are the positions that hold something; `names` those of the examples, in order.
    """

    inputs: dict[str, Any]
    groups: list[tuple[str, str, int]]
    names: list[str]
    num_images: int
    num_tokens: int

    @property
    def num_positions(self) -> int:
        return self.inputs["input_ids"].numel()

    @property
    def num_examples(self) -> int:
        return len(self.names)

    @property
    def num_losses(self) -> int:
        return sum(length for _, _, length in self.groups)

    def to(self, device: torch.device) -> dict[str, Any]:
        """The inputs on a device."""

        def moved(value: Any) -> Any:
            if isinstance(value, list):
                return [moved(one) for one in value]
            return value.to(device, non_blocking=True) if isinstance(value, Tensor) else value

        return {name: moved(value) for name, value in self.inputs.items()}


def micro_batches(items: Sequence[Item], recipe: StageRecipe, *, packing: bool, **options: Any) -> list[Batch]:
    """Sorted by length, then cut where the next conversation would be one too many or its positions would. For `options` see
    `collate`.

    A conversation longer than `micro_batch_tokens` gets a pass of its own. Where rows are padded, sorting is what saves
    padding; where they are packed there is none.
    """
    ordered = sorted((item.value for item in items), key=lambda example: sum(_lengths(example, packing)))
    groups: list[list[Example]] = []
    size = recipe.micro_batch_size or len(ordered)
    room = recipe.micro_batch_tokens or float("inf")
    rows = longest = total = 0
    for example in ordered:
        lengths = _lengths(example, packing)
        rows, longest, total = rows + len(lengths), max(longest, *lengths), total + sum(lengths)
        if not groups or len(groups[-1]) == size or (total if packing else rows * longest) > room:
            groups.append([])
            rows, longest, total = len(lengths), max(lengths), sum(lengths)
        groups[-1].append(example)
    return [collate(group, packing=packing, **options) for group in groups]


def _lengths(example: Example, packing: bool) -> list[int]:
    segments = example.segments + example.segments[:1] * bool(example.damaged)
    return [len(segment.ids) - packing * segment.shared for segment in segments]


def collate(
    examples: Sequence[Example],
    *,
    pad_id: int,
    image_token_id: int,
    packing: bool,
    reference: Mapping[str, Sequence[float]] | None = None,
) -> Batch:
    """Pack, or pad on the right, and stack. An image is there once, and `image_rows` says which of them each segment shows,
    one after another, as their positions do; damaged ones come last, and so do the segments that show them.

    `reference`: the examples are pairs of answers, and this is what they are compared with, by name (see `Preference`);
    empty, while it is not known yet: nothing.
    """
    again = [index for index, example in enumerate(examples) if example.damaged]
    segments = [segment for example in examples for segment in example.segments]
    segments += [examples[index].segments[0] for index in again]
    inputs = pack(segments) if packing else pad(segments, pad_id=pad_id, side="right")
    inputs["label_positions"] = (inputs["labels"] != IGNORE).flatten().nonzero()[:, 0]
    inputs["image_positions"] = (inputs["input_ids"] == image_token_id).flatten().nonzero()[:, 0]
    rows: list[int] = []
    first = 0
    for example in examples:
        shown = range(first, first + _num_images(example))
        rows += [row for segment in example.segments if not (packing and segment.shared) for row in shown]
        first = shown.stop
    num_images = first + sum(_num_images(examples[index]) for index in again)
    rows += range(first, num_images)
    pixels = [one.pixels for one in examples if one.pixels] + [examples[index].damaged for index in again]
    for name, shown in (("features", [one.features for one in examples if one.features]), ("pixel_values", pixels)):
        if shown:
            inputs[name] = [torch.cat(tower) for tower in zip(*shown)]
    if rows != list(range(num_images)):
        inputs["image_rows"] = torch.tensor(rows)
    read = [segment for segment in segments if not (packing and segment.shared)]
    if latents := [count for segment in read for count in segment.latents]:
        inputs["image_latents"] = latents
    answers = [answer for segment in segments for answer in segment.targets]
    if reference is not None:
        nothing = (0.0, 0.0, 0.0)
        inputs["answer_lengths"] = torch.tensor([end - start for _, start, end in answers])
        inputs["reference"] = torch.tensor([reference[one.name] if reference else nothing for one in examples])
        if again:
            inputs["damaged"] = torch.tensor(again)
        answers = [(example.segments[0].targets[0][0], 0, 1) for example in examples]
    groups = [
        (
            turn.language or "unknown_language",
            "caption" if turn.kind in CAPTIONS else turn.polarity or "unknown_polarity",
            end - start,
        )
        for turn, start, end in answers
    ]
    num_tokens = sum(len(segment.ids) - packing * segment.shared for segment in segments)
    return Batch(inputs, groups, [example.name for example in examples], num_images, num_tokens)


def _num_images(example: Example) -> int:
    towers = example.features or example.pixels
    return len(towers[0]) if towers else 0


def pack(examples: Sequence[Encoded]) -> dict[str, Any]:
    """A batch as one row without padding, in the words of transformers' flash-attention callers.

    input_ids, labels and position_ids (1, T) int64; cu_seq_lens_q and _k (len(examples) + 1,) int32, where each conversation
    begins and the last one ends; max_length_q and _k, the longest. SDPA, eager and flex read the boundaries off the position
    ids, which works only without a mask. What a segment shares with the one before it stands there alone: then there are more
    keys than queries, and `key_positions` are theirs (attention "varlen").
    """
    starts = list(accumulate((len(example.ids) - example.shared for example in examples), initial=0))
    ends = list(accumulate((len(example.ids) for example in examples), initial=0))
    labels = torch.tensor([[label for example in examples for label in example.labels[example.shared :]]])
    # The position before a conversation's first is another conversation's last, and must never learn to predict it.
    labels[0, starts[:-1]] = IGNORE
    row = {
        "input_ids": torch.tensor([[token for example in examples for token in example.ids[example.shared :]]]),
        "labels": labels,
        "position_ids": torch.cat([torch.arange(example.shared, len(example.ids)) for example in examples])[None],
        "cu_seq_lens_q": torch.tensor(starts, dtype=torch.int32),
        "cu_seq_lens_k": torch.tensor(ends, dtype=torch.int32),
        "max_length_q": max(end - start for start, end in pairwise(starts)),
        "max_length_k": max(len(example.ids) for example in examples),
    }
    if starts != ends:
        spans = [
            (begin, begin + example.shared, start, end)
            for example, begin, (start, end) in zip(examples, [0, *starts], pairwise(starts))
        ]
        places = [torch.arange(*span) for one in spans for span in (one[:2], one[2:])]
        row["key_positions"] = torch.cat(places)
    return row


def choose_turns(
    conversation: Conversation,
    *,
    negative_share: float | None = None,
    languages: Sequence[str] = ("en", "zh"),
    max_turns: int | None = None,
    seed: int = 0,
) -> Conversation | None:
    """The conversation with the question-answer pairs that a stage wants; None when none is left.

    `negative_share` is a chance: see `_balanced`. What is dropped is decided by a hash of the key and the seed, never by a
    running random state, so it does not depend on what was read before. Which pictures stay: see `with_pairs`.
    """
    answers = conversation.targets
    kept = [index for index, answer in enumerate(answers) if answer.language in (None, *languages)]
    if negative_share is not None:
        kept = _balanced(kept, answers, negative_share, conversation.key, seed)
    if max_turns is not None and len(kept) > max_turns:
        kept = sorted(sorted(kept, key=lambda index: _chance(conversation.key, seed, "turn", index))[:max_turns])
    if not kept:
        return None
    return conversation if len(kept) == len(answers) else conversation.with_pairs(kept)


def _balanced(kept: list[int], answers: Sequence[Turn], share: float, key: str, seed: int) -> list[int]:
    """Those of the answers `kept` that make `share` of them negative without one telling anything about the next.

    In the order of the conversation: a coin says which polarity comes next, and the next answer of that polarity does. It is
    over as soon as only one polarity is left, since whatever came then would be known before it is asked. So where all
    answers are positive nothing is taken. Captions neither say nor deny that something is there: they are not counted, and
    stay. A share of 0 or 1 is no chance: all positives (with captions), or all negatives.
    """
    negative = {index: answers[index].polarity == "negative" for index in kept}
    if share in (0, 1):
        return [index for index in kept if negative[index] == bool(share)]
    taken = [index for index in kept if answers[index].kind in CAPTIONS]
    left = [index for index in kept if answers[index].kind not in CAPTIONS]
    while len({negative[index] for index in left}) == 2:
        wanted = _chance(key, seed, "polarity", left[0]) < share
        chosen = next(index for index in left if negative[index] == wanted)
        taken.append(chosen)
        left = left[left.index(chosen) + 1 :]
    return sorted(taken)


def _chance(*name: object) -> float:
    digest = hashlib.blake2b("/".join(map(str, name)).encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return int.from_bytes(digest, "big") / 2**64
