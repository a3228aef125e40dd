"""Our own model as an answerer."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch import Tensor

from skymm.conversation import ask
from skymm.data.features import FeatureCache, image_key
from skymm.data.images import decode_image
from skymm.evaluation.answerers.choices import Tokens
from skymm.evaluation.answerers.local import FirstLogits, LocalAnswerer
from skymm.evaluation.answerers.protocol import Ask


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
        super().__init__(processor.tokenizer, name=name, max_new_tokens=max_new_tokens)
        self.model, self.processor, self.cache, self.lora = model, processor, cache, lora
        self._seen: dict[bytes, tuple[Tensor, ...]] = {}  # features of the last images, which are often the next ones

    @classmethod
    def from_directory(cls, directory: str | Path, **options: Any) -> SkyMMAnswerer:
        from skymm.model.build import open_model

        return cls(*open_model(directory), **{"name": str(directory), **options})

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

    def generate(self, asks: Sequence[Ask]) -> tuple[list[str], Tensor]:
        batch, features = self._inputs(asks)
        first = FirstLogits()
        with self._adapter():
            sequences = self.model.generate(
                **batch,
                features=features,
                do_sample=False,
                max_new_tokens=self.max_new_tokens,
                logits_processor=[first],
            )
        new = sequences[:, batch["input_ids"].shape[1] :]
        return self.processor.batch_decode(new, skip_special_tokens=True), first.logits

    def next_logits(self, asks: Sequence[Ask], said: Sequence[Tokens]) -> Tensor:
        batch, features = self._inputs(asks, said)
        positions = (batch["attention_mask"].cumsum(-1) - 1).clamp(min=0)
        with self._adapter():
            output = self.model(**batch, features=features, position_ids=positions, logits_to_keep=1, use_cache=False)
        return output.logits[:, -1]

    def _inputs(self, asks: Sequence[Ask], said: Sequence[Tokens] = ()) -> tuple[dict[str, Tensor], Any]:
        if not self.lora and any(ask.images for ask in asks):
            raise ValueError(f"{self.name} has no eyes; ask it without images")
        questions = [ask(one.prompt, *(f"image {index}" for index in range(len(one.images)))) for one in asks]
        batch = self.processor.prompts(questions)
        device = self.model.device
        inputs = {name: batch[name].to(device) for name in ("input_ids", "attention_mask")}
        if said and said[0]:
            tokens = torch.tensor(said, device=device)
            inputs["input_ids"] = torch.cat([inputs["input_ids"], tokens], dim=1)
            inputs["attention_mask"] = torch.cat([inputs["attention_mask"], torch.ones_like(tokens)], dim=1)
        return inputs, self._features([(data, f"image of {one.id}") for one in asks for data in one.images])

    def _adapter(self) -> Any:
        return nullcontext() if self.lora else self.model.lora_off()

    def _features(self, images: list[tuple[bytes, str]]) -> list[Tensor] | None:
        """Encoded images with their names for errors -> features (I, N, C) per tower."""
        if not images:
            return None
        keys = [image_key(data) for data, _ in images]
        unique = dict(zip(keys, images))
        seen = self._seen if self.cache is None else self.cache
        pictures = [(key, decode_image(data, where)) for key, (data, where) in unique.items() if key not in seen]
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
