"""Our own model as an answerer.

Questions about one image begin alike: what they share is read once, and each goes on from there. An image's positions are
most of a short question's tokens, so two questions about it cost little more than one.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch import Tensor

from skymm.answering.local import LocalAnswerer, Tokens
from skymm.answering.protocol import Ask
from skymm.conversation import Conversation
from skymm.data.features import FeatureCache, image_key
from skymm.encoded import Encoded, pad
from skymm.images import open_image


class SkyMMAnswerer(LocalAnswerer):
    """A SkyMM with its processor. The towers look at each image of a batch once, or a cache has looked already.

    With `lora=False` it is the base LLM that was there before any training, asked without images.
    """

    def __init__(
        self,
        model: Any,
        processor: Any,
        *,
        name: str = "skymm",
        max_new_tokens: int = 16,
        cache: FeatureCache | None = None,
        lora: bool = True,
    ):
        super().__init__(model, processor.tokenizer, name=name, max_new_tokens=max_new_tokens)
        self.processor, self.cache, self.lora = processor, cache, lora
        self._seen: dict[bytes, tuple[Tensor, ...]] = {}  # features of the last images, which are often the next ones

    @classmethod
    def from_directory(cls, directory: str | Path, **options: Any) -> SkyMMAnswerer:
        from skymm.model.build import open_model

        return cls(*open_model(directory, device="auto"), **{"name": str(directory), **options})

    def base_llm(self) -> SkyMMAnswerer:
        """The untouched LLM of this model."""
        name = f"{self.name} (base LLM)"
        return SkyMMAnswerer(self.model, self.processor, name=name, max_new_tokens=self.max_new_tokens, lora=False)

    def forget(self) -> None:
        """Look anew at the next images, as if they had never been seen; a feature cache is not touched."""
        self._seen = {}

    def adapter(self) -> AbstractContextManager[None]:
        return nullcontext() if self.lora else self.model.lora_off()

    def inputs(self, asks: Sequence[Ask]) -> dict[str, Any]:
        return {**self._padded(self._prompts(asks)), "features": self._features(asks)}

    def next_logits(self, asks: Sequence[Ask], said: Sequence[Tokens]) -> Tensor:
        prompts = [[*ids, *more] for ids, more in zip(self._prompts(asks), said)]
        groups = [tuple(map(image_key, one.images)) for one in asks]
        shared = common_start(prompts, groups, self.processor.image_token_id)
        with self.adapter():
            if shared:
                first_of_group = dict(zip(reversed(groups), reversed(asks)))
                features = self._features([first_of_group[group] for group in dict.fromkeys(groups)])
                return self._going_on(prompts, groups, features, shared)
            batch = self._padded(prompts)
            positions = (batch["attention_mask"].cumsum(-1) - 1).clamp(min=0)
            features = self._features(asks)
            output = self.model(**batch, features=features, position_ids=positions, logits_to_keep=1, use_cache=False)
        return output.logits[:, -1]

    def _going_on(
        self, prompts: Sequence[list[int]], groups: Sequence[Hashable], features: list[Tensor] | None, length: int
    ) -> Tensor:
        """Logits (A, V) of the token after each of A prompts, whose first `length` tokens are read once per group.

        `features` (I, N, C) per tower are of the images of the groups, in the order in which these first come.
        """
        model, rows = self.model, {group: row for row, group in enumerate(dict.fromkeys(groups))}
        starts = {group: prompt[:length] for prompt, group in zip(prompts, groups)}
        starts_GP = torch.tensor([starts[group] for group in rows], device=model.device)
        read = model.language_model(
            inputs_embeds=model.embed(starts_GP, features), use_cache=True, logits_to_keep=1
        ).past_key_values
        read.batch_select_indices(torch.tensor([rows[group] for group in groups], device=model.device))
        batch = self._padded([prompt[length:] for prompt in prompts])
        seen = torch.ones(len(prompts), length, dtype=torch.long, device=model.device)
        mask = torch.cat([seen, batch["attention_mask"]], dim=1)
        output = model.language_model(
            inputs_embeds=model.embed(batch["input_ids"], None),
            attention_mask=mask,
            position_ids=(mask.cumsum(-1) - 1)[:, length:].clamp(min=0),
            past_key_values=read,
            logits_to_keep=1,
        )
        return output.logits[:, -1]

    def _prompts(self, asks: Sequence[Ask]) -> list[list[int]]:
        if not self.lora and any(one.images for one in asks):
            raise ValueError(f"{self.name} has no eyes; ask it without images")
        chat = self.processor.chat
        encoded = [chat.encode_prompt(Conversation(one.id, one.turns)) for one in asks]
        return [[*one.ids, *chat.opening_ids] for one in encoded]

    def _padded(self, prompts: Sequence[list[int]]) -> dict[str, Tensor]:
        batch = pad([Encoded("", ids, ids) for ids in prompts], pad_id=self.processor.pad_id, side="left")
        return {name: batch[name].to(self.model.device) for name in ("input_ids", "attention_mask")}

    def _features(self, asks: Sequence[Ask]) -> list[Tensor] | None:
        """Features (I, N, C) per tower of the images of all asks, in order; None without images."""
        images = [(data, f"image of {one.id}") for one in asks for data in one.images]
        if not images:
            return None
        keys = [image_key(data) for data, _ in images]
        unique = dict(zip(keys, images))
        seen = self._seen if self.cache is None else self.cache
        side = self.model.config.min_side
        pictures = [
            (key, open_image(data, where, min_side=side)) for key, (data, where) in unique.items() if key not in seen
        ]
        if self.cache is None:
            looked_at = zip(*self.look_at([picture for _, picture in pictures])) if pictures else ()
            rows = self._seen | dict(zip((key for key, _ in pictures), looked_at))
            self._seen = {key: rows[key] for key in unique}
        else:
            for _ in self.cache.add(pictures, self.look_at):
                pass
            rows = {key: self.cache.get(key) for key in unique}
        return [torch.stack(tower).to(self.model.device) for tower in zip(*(rows[key] for key in keys))]

    def look_at(self, images: list[Image.Image]) -> list[Tensor]:
        """Pictures -> frozen features per tower, (I, N, C)."""
        return self.model.encode_images([pixels.to(self.model.device) for pixels in self.processor.pixels(images)])


def common_start(prompts: Sequence[Sequence[int]], groups: Sequence[Hashable], image_token_id: int) -> int:
    """How many tokens every prompt shares with the others of its group, short of its last; 0 where sharing is no gain
    or would cut an image off from its question.
    """
    first: dict[Hashable, Sequence[int]] = {}
    length = min(len(prompt) for prompt in prompts) - 1
    for prompt, group in zip(prompts, groups):
        other = first.setdefault(group, prompt)
        length = next((index for index in range(length) if prompt[index] != other[index]), length)
    if len(first) == len(prompts) or any(image_token_id in prompt[length:] for prompt in prompts):
        return 0
    return length
