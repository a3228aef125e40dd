"""Our own model as an answerer.

Questions about one image begin alike: what they share is read once, and each goes on from there, written or compared. An
image's positions are most of a short question's tokens, so two questions about it cost little more than one.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch import Tensor

from skymm.answering.local import LocalAnswerer
from skymm.answering.protocol import Ask, calibrated
from skymm.answering.reading import Inputs, Reading
from skymm.conversation import Conversation, Turn
from skymm.data.features import FeatureCache, image_key
from skymm.encoded import Encoded, pad
from skymm.images import open_image
from skymm.text import language_of


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
        """This model without LoRA: the untouched LLM, unless a stage has trained it."""
        name = f"{self.name} (base LLM)"
        return SkyMMAnswerer(self.model, self.processor, name=name, max_new_tokens=self.max_new_tokens, lora=False)

    def forget(self) -> None:
        """Look anew at the next images, as if they had never been seen; a feature cache is not touched."""
        self._seen = {}

    @property
    def context_length(self) -> int | None:
        return getattr(self.model.language_model.config.get_text_config(), "max_position_embeddings", None)

    def adapter(self) -> AbstractContextManager[None]:
        return nullcontext() if self.lora else self.model.lora_off()

    @property
    def decoding(self) -> dict[str, Any]:
        return super().decoding | ({"calibration": self._calibration} if self._calibration else {})

    @property
    def _calibration(self) -> Mapping[str, Mapping[str, float]]:
        """By language; none of the bare LLM, nor where something else is taken off: it was fitted to plain answers."""
        return (self.lora and not self._contrasts and self.model.config.calibration) or {}

    def _compared(self, reading: Reading, first_logits: Tensor) -> list[Any]:
        found = super()._compared(reading, first_logits)
        for index, ask in enumerate(reading.asks):
            numbers = self._calibration.get(language_of(ask.prompt))
            if numbers and ask.images and found[index] and found[index].keys() == {"yes", "no"}:
                found[index] = calibrated(found[index], **numbers)
        return found

    def inputs(self, asks: Sequence[Ask]) -> Inputs:
        """Of questions about one image, what these begin with is read here, once, and of one that is asked several times (as
        where answers are sampled) all but its last token; the others get all that they need.
        """
        prompts = self._prompts(asks)
        groups = [tuple(map(image_key, one.images)) for one in asks]
        same = list(zip(groups, map(tuple, prompts)))
        once = {one: place for place, one in reversed(list(enumerate(same)))}
        if len(once) == len(asks):
            return self._begun(asks, prompts, groups)
        places = sorted(once.values())
        whole = self._begun(*([those[place] for place in places] for those in (asks, prompts, groups)))
        texts = {name: whole.pop(name) for name in ("input_ids", "attention_mask")}
        cache = whole.get("past_key_values")
        if cache is None or cache.get_seq_length() < texts["input_ids"].shape[1] - 1:
            with self.adapter():
                _, cache = self.read({name: value[:, :-1] for name, value in texts.items()} | whole)
        rows = torch.tensor([places.index(once[one]) for one in same], device=self.model.device)
        cache.batch_select_indices(rows)
        return {name: value[rows] for name, value in texts.items()} | {"past_key_values": cache}

    def _begun(self, asks: Sequence[Ask], prompts: Sequence[list[int]], groups: Sequence[Hashable]) -> Inputs:
        """Of asks that are all different."""
        length = common_start(prompts, groups, self.processor.image_token_id)
        if not length:
            return {**self._padded(prompts), **self._seen_in(asks)}
        first_of_group = dict(zip(reversed(groups), range(len(asks) - 1, -1, -1)))
        first = [first_of_group[group] for group in dict.fromkeys(groups)]
        starts = {**self._padded([prompts[index][:length] for index in first])}
        starts |= self._seen_in([asks[index] for index in first])
        with self.adapter():
            _, cache = self.read(starts)
        rows = {group: row for row, group in enumerate(dict.fromkeys(groups))}
        cache.batch_select_indices(torch.tensor([rows[group] for group in groups], device=self.model.device))
        rests = self._padded([prompt[length:] for prompt in prompts])
        begun = torch.tensor([prompt[:length] for prompt in prompts], device=self.model.device)
        return {
            "input_ids": torch.cat([begun, rests["input_ids"]], dim=1),
            "attention_mask": torch.cat([torch.ones_like(begun), rests["attention_mask"]], dim=1),
            "past_key_values": cache,
        }

    def read(self, inputs: Inputs) -> tuple[Tensor, Any]:
        model, cache, mask = self.model, inputs.get("past_key_values"), inputs["attention_mask"]
        known = 0 if cache is None else cache.get_seq_length()
        output = model.language_model(
            inputs_embeds=model.embed(
                inputs["input_ids"][:, known:], inputs.get("features"), image_latents=inputs.get("image_latents")
            ),
            attention_mask=mask,
            position_ids=(mask.cumsum(-1) - 1)[:, known:].clamp(min=0),
            past_key_values=cache,
            use_cache=True,
            logits_to_keep=1,
        )
        return output.logits[:, -1], output.past_key_values

    def _prompts(self, asks: Sequence[Ask]) -> list[list[int]]:
        if not self.lora and any(one.images for one in asks):
            raise ValueError(f"{self.name} has no eyes; ask it without images")
        return [self._prompt(ask) for ask in asks]

    def _prompt(self, ask: Ask) -> list[int]:
        chat = self.processor.chat
        if ask.said:
            begun = Conversation(ask.id, (*ask.turns, Turn("assistant", ask.said)))
            return chat.encode_prompt(begun, continue_final=True).ids
        return [*chat.encode_prompt(Conversation(ask.id, ask.turns)).ids, *chat.opening_ids]

    def _seen_in(self, asks: Sequence[Ask]) -> Inputs:
        """The features of all images, and how many positions each takes where they are not all the same."""
        names = [name for one in asks for turn in one.turns for name in turn.images]
        latents_of = self.processor.chat.latents_of
        few = names and self.processor.chat.frame_latents is not None
        return {"features": self._features(asks)} | ({"image_latents": [*map(latents_of, names)]} if few else {})

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

    def features_of(self, ask: Ask) -> list[Tensor]:
        """What the towers give for the images of an ask, (I, N, C) each. Raises ValueError without images."""
        if not ask.images:
            raise ValueError(f"{ask.id} shows no image, so there is nothing that the towers could look at")
        return self._features([ask])

    @torch.inference_mode()
    def choose_by(self, ask: Ask, versions: list[Tensor]) -> list[dict[str, float]]:
        """Log-probabilities of the choices of an ask about one image, for V versions of its features: (V, N, C) per tower."""
        asks = [ask] * len(versions[0])
        reading = Reading(self, asks, {**self._padded(self._prompts(asks)), "features": versions})
        return self._compared(reading, reading.go_on())

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
