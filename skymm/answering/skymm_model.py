"""Our own model as an answerer."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch import Tensor

from skymm.answering.choices import Tokens
from skymm.answering.local import GREEDY, FirstLogits, LocalAnswerer
from skymm.answering.protocol import Ask
from skymm.answering.shared_prefix import common_start, next_logits
from skymm.conversation import ask
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
        return SkyMMAnswerer(
            self.model,
            self.processor,
            name=f"{self.name} (base LLM)",
            max_new_tokens=self.max_new_tokens,
            lora=False,
        )

    def answer_one(self, prompt: str, *images: bytes) -> str:
        return next(self.answer([Ask(prompt, images)]))[1].text

    def forget(self) -> None:
        """Look anew at the next images, as if they had never been seen; a feature cache is not touched."""
        self._seen = {}

    def generate(self, asks: Sequence[Ask]) -> tuple[Tensor, Tensor]:
        batch, features, first = self._padded(self._prompts(asks)), self._features(asks), FirstLogits()
        with self._adapter():
            sequences = self.model.generate(
                **batch,
                features=features,
                **GREEDY,
                max_new_tokens=self.max_new_tokens,
                logits_processor=[first],
            )
        return sequences[:, batch["input_ids"].shape[1] :], first.logits

    def next_logits(self, asks: Sequence[Ask], said: Sequence[Tokens]) -> Tensor:
        prompts = [[*ids, *more] for ids, more in zip(self._prompts(asks), said)]
        groups = [tuple(map(image_key, one.images)) for one in asks]
        shared = common_start(prompts, groups, self.processor.image_token_id)
        with self._adapter():
            if shared:
                first_of_group = dict(zip(reversed(groups), reversed(asks)))
                features = self._features([first_of_group[group] for group in dict.fromkeys(groups)])
                pad_id = self.processor.pad_id
                return next_logits(self.model, prompts, groups, features, length=shared, pad_id=pad_id)
            batch = self._padded(prompts)
            positions = (batch["attention_mask"].cumsum(-1) - 1).clamp(min=0)
            features = self._features(asks)
            output = self.model(**batch, features=features, position_ids=positions, logits_to_keep=1, use_cache=False)
        return output.logits[:, -1]

    def _prompts(self, asks: Sequence[Ask]) -> list[list[int]]:
        if not self.lora and any(one.images for one in asks):
            raise ValueError(f"{self.name} has no eyes; ask it without images")
        questions = [ask(one.prompt, *(f"image {index}" for index in range(len(one.images)))) for one in asks]
        chat = self.processor.chat
        return [[*chat.encode_prompt(question).ids, *chat.opening_ids] for question in questions]

    def _padded(self, prompts: Sequence[list[int]]) -> dict[str, Tensor]:
        batch = pad([Encoded("", ids, ids) for ids in prompts], pad_id=self.processor.pad_id, side="left")
        return {name: batch[name].to(self.model.device) for name in ("input_ids", "attention_mask")}

    def _adapter(self) -> Any:
        return nullcontext() if self.lora else self.model.lora_off()

    def _features(self, asks: Sequence[Ask]) -> list[Tensor] | None:
        """Features (I, N, C) per tower of the images of all asks, in order; None without images."""
        images = [(data, f"image of {one.id}") for one in asks for data in one.images]
        if not images:
            return None
        keys = [image_key(data) for data, _ in images]
        unique = dict(zip(keys, images))
        seen = self._seen if self.cache is None else self.cache
        side = self.model.config.min_side
        new = [(key, image) for key, image in unique.items() if key not in seen]
        pictures = [(key, open_image(data, where, min_side=side)) for key, (data, where) in new]
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
