"""Any model of transformers as an answerer: image-text-to-text models, plain LLMs for questions without images, and models
like CLIP, which tell the picture that a text describes.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
import transformers
from torch import Tensor

from skymm.answering.local import GREEDY, FirstLogits, LocalAnswerer, fingerprint
from skymm.answering.protocol import Ask, Mode, Reply
from skymm.answering.reading import Inputs
from skymm.conversation import Turn
from skymm.images import open_image
from skymm.model.language import pick_dtype


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

    def read(self, inputs: Inputs) -> tuple[Tensor, Any]:
        first = FirstLogits()
        with _own_rope_deltas(self.model, inputs.get("past_key_values")) as deltas:
            # One new token is one forward pass, with the positions and masks that this architecture wants.
            output = self.model.generate(
                **inputs, **GREEDY, max_new_tokens=1, logits_processor=[first], return_dict_in_generate=True
            )
            deltas(output.past_key_values)
        return first.logits, output.past_key_values

    def inputs(self, asks: Sequence[Ask]) -> Inputs:
        if not self.sees and any(ask.images for ask in asks):
            raise ValueError(f"{self.name} is a language model without eyes; ask it without images")
        messages = [[self._message(turn) for turn in ask.turns] for ask in asks]
        images = [[open_image(data, f"image of {ask.id}") for data in ask.images] for ask in asks]
        # A template that knows no such thing leaves it unread.
        texts = self.processor.apply_chat_template(
            messages, add_generation_prompt=True, tokenize=False, enable_thinking=False
        )
        texts = [text + ask.said for text, ask in zip(texts, asks)]
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

    def _message(self, turn: Turn) -> dict[str, Any]:
        if not self.sees:
            return {"role": turn.role, "content": turn.text}
        parts = [{"type": "image"} if kind == "image" else {"type": "text", "text": said} for kind, said in turn.parts]
        return {"role": turn.role, "content": parts}


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
    """Inside, the model's `get_image_features` remembers its last two calls, for contrast has pictures of two
    kinds; where a model has none, nothing is shared.
    """
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
        known = next((found for given, found in last if _same(given, (args, kwargs))), None)
        if known is None:
            known = look(*args, **kwargs)
            last[:] = [*last[-1:], ((args, kwargs), known)]
        return known

    holder.get_image_features = look_once
    try:
        yield
    finally:
        del holder.get_image_features


@contextmanager
def _own_rope_deltas(model: Any, cache: Any) -> Iterator[Callable[[Any], None]]:
    """Inside, a model that counts positions from what it read last (Qwen's and others) counts from what `cache` is of.

    Gives a function that notes for a cache how the model counts now. Outside, it counts as before.
    """
    counters = [part for part in model.modules() if hasattr(part, "rope_deltas")]
    before = [part.rope_deltas for part in counters]
    for part, deltas in zip(counters, getattr(cache, "rope_deltas", before)):
        part.rope_deltas = deltas

    def note(read: Any) -> None:
        if read is not None:
            read.rope_deltas = [part.rope_deltas for part in counters]

    try:
        yield note
    finally:
        for part, deltas in zip(counters, before):
            part.rope_deltas = deltas


def _same(one: Any, other: Any) -> bool:
    if isinstance(one, Tensor) and isinstance(other, Tensor):
        return one.shape == other.shape and bool(torch.equal(one, other))
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(_same(one[name], other[name]) for name in one)
    if isinstance(one, list | tuple) and isinstance(other, list | tuple):
        return len(one) == len(other) and all(map(_same, one, other))
    return type(one) is type(other) and one == other
