"""Answerers: anything that answers questions about images. Here our own model; others have the same two members."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import torch
from PIL import Image

from skymm.conversation import ask
from skymm.data.features import FeatureCache, image_key
from skymm.data.images import decode_image


class Answerer(Protocol):
    """`name` goes into the predictions file. `answer` gets (encoded image or None, question) pairs, gives as many texts."""

    name: str

    def answer(self, questions: Sequence[tuple[bytes | None, str]]) -> list[str]: ...


class SkyMMAnswerer:
    """A SkyMM with its processor. Greedy decoding; the towers look at each image of a call once, or a cache has looked."""

    def __init__(
        self,
        model: Any,
        processor: Any,
        *,
        name: str = "skymm",
        max_new_tokens: int = 16,
        cache: FeatureCache | None = None,
    ):
        self.model, self.processor, self.name = model, processor, name
        self.max_new_tokens, self.cache = max_new_tokens, cache

    @classmethod
    def from_directory(cls, directory: str | Path, **options: Any) -> SkyMMAnswerer:
        from skymm.model.build import open_model

        return cls(*open_model(directory), name=str(directory), **options)

    @torch.inference_mode()
    def answer(self, questions: Sequence[tuple[bytes | None, str]]) -> list[str]:
        prompts = [ask(question, *(["image"] if data is not None else [])) for data, question in questions]
        batch = self.processor.prompts(prompts)
        features = self._features([data for data, _ in questions if data is not None])
        device = self.model.device
        sequences = self.model.generate(
            input_ids=batch["input_ids"].to(device),
            attention_mask=batch["attention_mask"].to(device),
            features=features,
            do_sample=False,
            max_new_tokens=self.max_new_tokens,
        )
        new = sequences[:, batch["input_ids"].shape[1] :]
        return [text.strip() for text in self.processor.batch_decode(new, skip_special_tokens=True)]

    def _features(self, images: list[bytes]) -> list[torch.Tensor] | None:
        if not images:
            return None
        unique = {image_key(data): data for data in images}
        if self.cache is None:
            rows = self._look(list(unique.values()))
        else:
            missing = [(key, self._decode(data)) for key, data in unique.items() if key not in self.cache]
            for _ in self.cache.add(missing, self.look_at):
                pass
            rows = [self.cache.get(key) for key in unique]
        by_key = dict(zip(unique, rows, strict=True))
        return [
            torch.stack(tower).to(self.model.device) for tower in zip(*(by_key[image_key(data)] for data in images))
        ]

    def look_at(self, images: list[Image.Image]) -> list[torch.Tensor]:
        """Pictures -> frozen features per tower, (I, N, C)."""
        return self.model.encode_images([pixels.to(self.model.device) for pixels in self.processor.pixels(images)])

    def _look(self, images: list[bytes]) -> list[tuple[torch.Tensor, ...]]:
        return list(zip(*self.look_at([self._decode(data) for data in images])))

    @staticmethod
    def _decode(data: bytes) -> Image.Image:
        return decode_image(data, "image")
