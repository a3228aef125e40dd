"""Any model of transformers as an answerer: image-text-to-text models, and plain LLMs for questions without images."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

from skymm.answering.choices import Tokens
from skymm.answering.local import GREEDY, FirstLogits, LocalAnswerer
from skymm.answering.protocol import Ask, Mode, Reply
from skymm.images import open_image


class TransformersAnswerer(LocalAnswerer):
    """A model and its processor (a tokenizer for an LLM), both as `from_pretrained` gives them.

    Questions of one image share its vision pass: they are asked in rounds, each image once in a round, and a round that
    shows the model exactly the pixels of the round before gets the features that these gave.
    """

    def __init__(self, model: Any, processor: Any, *, name: str, max_new_tokens: int = 16):
        super().__init__(
            model.eval(), getattr(processor, "tokenizer", processor), name=name, max_new_tokens=max_new_tokens
        )
        self.processor = processor
        self.sees = hasattr(processor, "tokenizer")
        if not getattr(processor, "chat_template", None) and not getattr(self.tokenizer, "chat_template", None):
            raise ValueError(
                f"{name} has no chat template; save one with its processor (processor.chat_template = ...)"
            )
        if self.tokenizer.pad_token is None:
            self.tokenizer.pad_token = self.tokenizer.eos_token

    @classmethod
    def from_pretrained(cls, source: str, *, name: str | None = None, **options: Any) -> TransformersAnswerer:
        """A directory, or an id on the hub."""
        import transformers

        from skymm.model.language import pick_dtype

        device = "cuda" if torch.cuda.is_available() else "cpu"
        config = transformers.AutoConfig.from_pretrained(source)
        sees = type(config) in transformers.MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING
        model_class = transformers.AutoModelForImageTextToText if sees else transformers.AutoModelForCausalLM
        processor_class = transformers.AutoProcessor if sees else transformers.AutoTokenizer
        model = model_class.from_pretrained(source, dtype=pick_dtype(device)).to(device)
        return cls(model, processor_class.from_pretrained(source), name=name or f"hf:{source}", **options)

    def answer(self, asks: Sequence[Ask], mode: Mode = "generate") -> Iterator[tuple[int, Reply]]:
        with _remembering(self.model):
            for indices in _rounds(asks):
                replies = super().answer([asks[index] for index in indices], mode)
                yield from ((indices[index], reply) for index, reply in replies)

    def generate(self, asks: Sequence[Ask]) -> tuple[Tensor, Tensor]:
        inputs, first = self._inputs(asks), FirstLogits()
        sequences = self.model.generate(
            **inputs, **GREEDY, max_new_tokens=self.max_new_tokens, logits_processor=[first]
        )
        return sequences[:, inputs["input_ids"].shape[1] :], first.logits

    def next_logits(self, asks: Sequence[Ask], said: Sequence[Tokens]) -> Tensor:
        inputs, first = self._inputs(asks), FirstLogits()
        if said[0]:
            self._say(inputs, torch.tensor(said, device=self.model.device))
        # One new token is one forward pass, with the positions and masks that this architecture wants.
        self.model.generate(**inputs, **GREEDY, max_new_tokens=1, logits_processor=[first])
        return first.logits

    def _inputs(self, asks: Sequence[Ask]) -> dict[str, Any]:
        if not self.sees and any(ask.images for ask in asks):
            raise ValueError(f"{self.name} is a language model without eyes; ask it without images")
        messages = [self._message(ask) for ask in asks]
        images = [[open_image(data, f"image of {ask.id}") for data in ask.images] for ask in asks]
        # A template that knows no such thing leaves it unread.
        texts = self.processor.apply_chat_template(
            messages, add_generation_prompt=True, tokenize=False, enable_thinking=False
        )
        # The template has written the special tokens already.
        options = {"return_tensors": "pt", "padding": True, "padding_side": "left", "add_special_tokens": False}
        if not self.sees:
            inputs = self.processor(texts, **options)
        else:
            inputs = self.processor(text=texts, images=images if any(images) else None, **options)
        dtype = self.model.dtype
        return {
            name: value.to(self.model.device, dtype if value.is_floating_point() else None)
            if isinstance(value, Tensor)
            else value
            for name, value in inputs.items()
        }

    def _message(self, ask: Ask) -> list[dict[str, Any]]:
        if not self.sees:
            return [{"role": "user", "content": ask.prompt}]
        pictures = [{"type": "image"} for _ in ask.images]
        return [{"role": "user", "content": [*pictures, {"type": "text", "text": ask.prompt}]}]

    @staticmethod
    def _say(inputs: dict[str, Any], tokens: Tensor) -> None:
        """Continue every prompt with tokens (A, L) of its answer; other inputs per position go on with "text"."""
        shape = inputs["input_ids"].shape
        for name, value in inputs.items():
            if isinstance(value, Tensor) and value.shape == shape:
                more = {"input_ids": tokens, "attention_mask": torch.ones_like(tokens)}
                inputs[name] = torch.cat([value, more.get(name, torch.zeros_like(tokens)).to(value.dtype)], dim=1)


def _rounds(asks: Sequence[Ask]) -> list[list[int]]:
    """Indices of asks, the first question about every image, then the second, ...

    Text-only questions are rounds of their own, since processors want images for every row or for none; so are
    questions with several images, whose order among each other matters.
    """
    rounds: dict[tuple[int, int], list[int]] = {}
    asked: dict[tuple[bytes, ...], int] = {}
    for index, ask in enumerate(asks):
        number = asked.get(ask.images, 0) if ask.images else 0
        asked[ask.images] = number + 1
        rounds.setdefault((len(ask.images), number), []).append(index)
    return list(rounds.values())


@contextmanager
def _remembering(model: Any) -> Iterator[None]:
    """Inside, the model's `get_image_features` remembers its last call; where a model has none, nothing is shared."""
    holder = next(
        (part for part in (getattr(model, "model", None), model) if hasattr(part, "get_image_features")), None
    )
    if holder is None:
        yield
        return
    look = holder.get_image_features
    last: list[tuple[tuple[Any, dict[str, Any]], Any]] = []

    @functools.wraps(look)  # `generate` reads from the signature which inputs are for the eyes
    def look_once(*args: Any, **kwargs: Any) -> Any:
        if not last or not _same(last[0][0], (args, kwargs)):
            last[:] = [((args, kwargs), look(*args, **kwargs))]
        return last[0][1]

    holder.get_image_features = look_once
    try:
        yield
    finally:
        del holder.get_image_features


def _same(one: Any, other: Any) -> bool:
    if isinstance(one, Tensor) and isinstance(other, Tensor):
        return one.shape == other.shape and bool(torch.equal(one, other))
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(_same(one[name], other[name]) for name in one)
    if isinstance(one, list | tuple) and isinstance(other, list | tuple):
        return len(one) == len(other) and all(map(_same, one, other))
    return type(one) is type(other) and one == other
