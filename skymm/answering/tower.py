"""A CLIP-like model as an answerer: which of the pictures does a text describe? (MMVP-VLM judges towers so.)"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from skymm.answering.local import fingerprint
from skymm.answering.protocol import Ask, Mode, Reply
from skymm.images import open_image


class TowerAnswerer:
    """A model of transformers with a text and an image side (CLIP, SigLIP, ...).

    An ask has as many choices as images; its logits are a softmax over the images of the model's own similarity.
    """

    batch_size = 0
    decoding: Mapping[str, Any] = {}  # it writes nothing

    def __init__(self, model: Any, processor: Any, *, name: str):
        self.model, self.processor, self.name = model.eval(), processor, name
        self.weights = fingerprint(model)
        if not hasattr(model, "get_text_features"):
            raise ValueError(
                f"{name} is a {type(model).__name__}, expected a model of texts and images such as CLIP or SigLIP"
            )

    @classmethod
    def from_pretrained(cls, source: str, *, name: str | None = None) -> TowerAnswerer:
        import transformers

        device = "cuda" if torch.cuda.is_available() else "cpu"
        model = transformers.AutoModel.from_pretrained(source).to(device)
        return cls(model, transformers.AutoProcessor.from_pretrained(source), name=name or f"hf:{source}")

    @torch.inference_mode()
    def answer(self, asks: Sequence[Ask], mode: Mode = "logits") -> Iterator[tuple[int, Reply]]:
        unique: dict[bytes, int] = {}
        pictures = []
        for ask in asks:
            if len(ask.images) != len(ask.choices) or not ask.choices:
                raise ValueError(
                    f"{ask.id}: {len(ask.images)} images for choices {ask.choices}; a tower chooses an image"
                )
            for data in ask.images:
                if data not in unique:
                    unique[data] = len(unique)
                    pictures.append(open_image(data, f"image of {ask.id}"))
        similarity_TI = self._similarity([ask.prompt for ask in asks], pictures)
        replies = []
        for index, ask in enumerate(asks):
            log_p = torch.log_softmax(similarity_TI[index, [unique[data] for data in ask.images]].float(), dim=0)
            logits = dict(zip(ask.choices, log_p.tolist()))
            replies.append((index, Reply(max(logits, key=lambda choice: logits[choice]), logits)))
        return iter(replies)

    def _similarity(self, texts: list[str], pictures: list[Any]) -> Tensor:
        # SigLIP was trained on texts padded to its full length and understands no others.
        padding = "max_length" if "siglip" in self.model.config.model_type else True
        inputs = self.processor(text=texts, images=pictures, return_tensors="pt", padding=padding, truncation=True)
        return self.model(**inputs.to(self.model.device)).logits_per_text.cpu()
