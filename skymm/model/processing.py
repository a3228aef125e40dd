"""SkyMMProcessor: the transformers face of the encoder. Chat messages, pictures and questions in, model inputs out."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch import Tensor
from transformers import BatchFeature, ProcessorMixin
from transformers.processing_utils import MultiModalData

from skymm.conversation import Conversation, Turn, ask
from skymm.encoded import IGNORE, Encoded, pad
from skymm.images import open_image
from skymm.model.chat import ChatEncoder
from skymm.model.vision import preprocess
from skymm.video import NUM_FRAMES, frames_of


class SkyMMProcessor(ProcessorMixin):
    """Tokenizer + what the towers want to see + how many positions an image takes.

    Args:
        towers: preprocessing of each tower, as `Tower.to_config()` gives it.
        num_latents, frame_latents, image_token_id, min_side: as in the model's configuration. system: see `ChatEncoder`.
    """

    image_token = "\ufffc"
    """Stands for an image in rendered text: Unicode's own stand-in for what is no character."""

    def __init__(
        self,
        tokenizer: Any,
        towers: Sequence[Mapping[str, Any]] = (),
        num_latents: int = 64,
        frame_latents: int | None = None,
        image_token_id: int = -1,
        system: str | None = None,
        chat_template: str | None = None,
        min_side: int | None = None,
        **kwargs: Any,
    ):
        super().__init__(tokenizer, chat_template=chat_template or tokenizer.chat_template)
        self.num_latents, self.frame_latents, self.image_token_id = num_latents, frame_latents, image_token_id
        self.towers, self.system, self.min_side = list(towers), system, min_side
        counts = {"num_latents": num_latents, "frame_latents": frame_latents}
        self.chat = ChatEncoder(tokenizer, **counts, image_token_id=image_token_id, system=system)

    @property
    def pad_id(self) -> int:
        return next((id_ for id_ in (self.tokenizer.pad_token_id, self.tokenizer.eos_token_id) if id_ is not None), 0)

    @property
    def model_input_names(self) -> list[str]:
        return ["input_ids", "attention_mask", "pixel_values"]

    @property
    def image_processor(self) -> ImageProcessor:
        """By it others know that this processor takes images."""
        return ImageProcessor(self.pixels)

    def decision_labels(self) -> dict[str, list[str]]:
        """For transformers' decision pipeline, which reads one token per option: what yes and no are, where not its own."""
        pairs = (["Yes", "No"], ["yes", "no"], ["是", "否"], ["Y", "N"])
        ids = ([self.tokenizer.encode(word, add_special_tokens=False) for word in pair] for pair in pairs)
        fits = (pair for pair, (yes, no) in zip(pairs, ids) if len(yes) == len(no) == 1 and yes != no)
        return {"noul": pair} if (pair := next(fits, None)) else {}

    def _get_num_multimodal_tokens(self, image_sizes: Sequence[Any] | None = None, **kwargs: Any) -> MultiModalData:
        """For engines that plan ahead: every image, whatever its size, takes the same number of positions."""
        count = len(image_sizes or ())
        return MultiModalData(num_image_tokens=[self.num_latents] * count, num_image_patches=[1] * count)

    def pixels(self, images: Sequence[Image.Image]) -> list[Tensor]:
        """One tensor (I, 3, H, W) per tower."""
        return [torch.stack([preprocess(image, tower) for image in images]) for tower in self.towers]

    def prompts(self, conversations: Sequence[Conversation], images: Sequence[Image.Image] = ()) -> BatchFeature:
        """Questions -> one left-padded batch for `generate`; `images` of all of them in order, unless features are cached."""
        return self._batch([self.chat.encode_prompt(conversation) for conversation in conversations], images, _Wanted())

    def _batch(self, encoded: list[Encoded], images: Sequence[Image.Image], wanted: _Wanted) -> BatchFeature:
        lengths = sorted({len(one.ids) for one in encoded})
        if not wanted.padding and len(lengths) > 1:
            raise ValueError(f"padding = False for texts of {lengths} tokens, expected one length; give padding=True")
        if wanted.max_length and lengths[-1] > wanted.max_length:
            raise ValueError(
                f"{lengths[-1]} tokens, and nothing left to shorten; the limit max_length is {wanted.max_length}"
            )
        batch: dict[str, Any] = pad(encoded, pad_id=self.pad_id, side=wanted.padding_side)
        length = wanted.max_length if wanted.padding == "max_length" else lengths[-1]
        more = -(-length // wanted.pad_to_multiple_of) * wanted.pad_to_multiple_of - lengths[-1]
        sides = (more, 0) if wanted.padding_side == "left" else (0, more)
        for name, filler in (("input_ids", self.pad_id), ("attention_mask", 0), ("labels", IGNORE)):
            batch[name] = torch.nn.functional.pad(batch[name], sides, value=filler)
        labels = batch.pop("labels")
        if wanted.assistant_mask:
            batch["assistant_masks"] = (labels != IGNORE).long()
        if images:
            if len(self.tokenizer) > self.image_token_id:
                raise ValueError(
                    f"the tokenizer has been given tokens up to id {len(self.tokenizer) - 1}, and image positions have id "
                    f"{self.image_token_id}; `skymm export --hub` writes the model with room between them"
                )
            pixels = self.pixels(images)
            batch["pixel_values"] = pixels[0] if len(pixels) == 1 else pixels
        if latents := [count for one in encoded for count in one.latents]:
            batch["image_latents"] = latents
        if wanted.tensors == "np":
            batch = {
                name: [one.numpy() for one in value] if isinstance(value, list) else value.numpy()
                for name, value in batch.items()
            }
        return BatchFeature(batch)

    # --- transformers' own calls --------------------------------------------------------------------------------------

    def __call__(
        self,
        images: Any = None,
        text: str | Sequence[str] | None = None,
        **kwargs: Any,
    ) -> BatchFeature:
        """Questions, or text that `apply_chat_template(tokenize=False)` has rendered, -> model inputs.

        A plain question is asked in the chat form of the LLM. Text is rendered already, and read as it stands, where it
        begins as the chat template begins, where it has image marks (`image_token`), or with add_special_tokens=False.

        Args:
            text: one or a list. images: an image for the one text, or a list with one entry (an image or a list of images)
                per text; for rendered texts also a flat list in the order of their marks. An image is encoded bytes, a file,
                an http(s) address, base64, or a picture of Pillow's; all are opened by `open_image`.
            kwargs: return_tensors ("pt", "np"), padding (True, "longest", "max_length"; False for texts of one length),
                padding_side ("left" as `generate` wants it, or "right"), pad_to_multiple_of, max_length with truncation=True
                (whole turns go, the oldest first; never an image or the last question).

        Raises ValueError for any other keyword that asks for something.
        """
        wanted = _Wanted.of(kwargs)
        texts = [text] if isinstance(text, str) else list(text or [])
        if not texts:
            raise ValueError("the processor needs text: a question, or a list of questions")
        rendered = [wanted.rendered or self._is_rendered(one) for one in texts]
        marks = [one.count(self.image_token) for one in texts] if all(rendered) else None
        groups = _group_images(images, len(texts), marks)
        encoded = []
        for index, (said, group) in enumerate(zip(texts, groups)):
            if rendered[index]:
                encoded.append(self._encode_rendered(said, len(group), f"text {index}"))
            else:
                question = ask(said, *map(str, range(len(group))), key=f"question {index}")
                encoded.append(self.chat.encode_prompt(question, max_length=wanted.limit))
        return self._batch(encoded, [self._open(image) for group in groups for image in group], wanted)

    def apply_chat_template(  # type: ignore[override]
        self,
        conversation: Sequence[Any],
        chat_template: str | None = None,
        add_generation_prompt: bool = False,
        continue_final_message: bool = False,
        tokenize: bool = True,
        return_dict: bool = True,
        processor_kwargs: Mapping[str, Any] | None = None,
        **kwargs: Any,
    ) -> Any:
        """Chat messages (or a list of chats) -> model inputs. Content parts: {"type": "text"}, "image" and "video".

        Where an image stands between two texts, all stand where they are, else all before the text. A video is its frames,
        each behind its time (`num_frames`, `fps`: see `frames_of`). With `tokenize=False`: the text that the model will read,
        `image_token` where an image stands; its images need not be given, and there are no videos.
        kwargs and processor_kwargs: as of `__call__`, and return_assistant_tokens_mask: the answers, with the marks that
        end them.
        """
        if chat_template not in (None, self.chat_template):
            raise ValueError(
                "SkyMMProcessor uses the LLM's own chat template; set processor.tokenizer.chat_template instead"
            )
        wanted = _Wanted.of({**kwargs, **(processor_kwargs or {})})
        batched = bool(conversation) and not isinstance(conversation[0], Mapping)
        encoded, shown = [], []
        for index, messages in enumerate(conversation if batched else [conversation]):
            turns, images = _read_messages(messages, f"chat {index}", wanted, needs_images=tokenize)
            chat = Conversation(f"chat {index}", turns)
            if add_generation_prompt or continue_final_message or turns[-1].role == "user":
                one = self.chat.encode_prompt(chat, max_length=wanted.limit, continue_final=continue_final_message)
            else:
                one = self.chat.encode(chat, max_length=wanted.limit)
            encoded.append(one)
            shown += [images[int(name.partition(".")[0])] for name in one.images]
        if not tokenize:
            texts = [self._render(one) for one in encoded]
            return texts if batched else texts[0]
        batch = self._batch(encoded, [self._open(image) for image in shown], wanted)
        return batch if return_dict else batch["input_ids"]

    # --- rendered text --------------------------------------------------------------------------------------------------

    def _render(self, encoded: Encoded) -> str:
        cuts = [0, *encoded.places, len(encoded.text)]
        return self.image_token.join(encoded.text[start:end] for start, end in pairwise(cuts))

    def _encode_rendered(self, text: str, num_images: int, where: str) -> Encoded:
        pieces = text.split(self.image_token)
        if len(pieces) != num_images + 1:
            raise ValueError(
                f"{where}: {len(pieces) - 1} image marks ({self.image_token!r}) for {num_images} images; this text has been "
                "rendered already, with apply_chat_template(tokenize=False) an image leaves a mark where it stands"
            )
        if not text:
            raise ValueError(f"{where} is empty")
        return self.chat.encode_text(pieces, where)

    def _is_rendered(self, text: str) -> bool:
        return self.image_token in text or text.startswith(self._beginnings)

    @cached_property
    def _beginnings(self) -> tuple[str, ...]:
        """What the chat template writes before the first thing said, without a system turn and with one."""
        said, found = "beginning", []
        for turns in ((Turn("user", said),), (Turn("system", said), Turn("user", "."))):
            try:
                before = self._render(self.chat.encode_prompt(Conversation("", turns))).partition(said)[0]
            except ValueError:  # templates without system turns
                continue
            found += [before] if before.strip() else []
        return tuple(found)

    def _open(self, source: Any) -> Image.Image:
        where = str(source)[:200] if isinstance(source, str | Path) else "image"
        return open_image(_located(source), where, min_side=self.min_side)

    def batch_decode(self, sequences: Any, **kwargs: Any) -> list[str]:
        return self.tokenizer.batch_decode(self._without_images(sequences), **kwargs)

    def decode(self, sequence: Any, **kwargs: Any) -> str:
        return self.tokenizer.decode(self._without_images([sequence])[0], **kwargs)

    def post_process_image_text_to_text(
        self, generated_outputs: Any, skip_special_tokens: bool = True, **kwargs: Any
    ) -> list[str]:
        return self.batch_decode(generated_outputs, skip_special_tokens=skip_special_tokens)

    def _without_images(self, sequences: Any) -> list[list[int]]:
        rows = sequences.tolist() if isinstance(sequences, Tensor) else [list(map(int, row)) for row in sequences]
        return [[token for token in row if token != self.image_token_id] for row in rows]


@dataclass(frozen=True, slots=True)
class ImageProcessor:
    """Pictures -> pixels of each tower, under the name that `forward` has for them."""

    pixels: Callable[[Sequence[Image.Image]], list[Tensor]]
    model_input_names: tuple[str, ...] = ("pixel_values",)

    def __call__(self, images: Any, **kwargs: Any) -> BatchFeature:
        shown = [open_image(_located(one)) for one in (images if isinstance(images, list | tuple) else [images])]
        return BatchFeature({"pixel_values": self.pixels(shown)})


def opening_pipeline(theirs: type) -> type:
    """transformers' image-text-to-text pipeline, which opens `images=` itself: without transparency and as if 16 bits were 8.

    This one leaves the opening to the processor where that is ours; with any other model it is what it was.
    """

    class OpeningPipeline(theirs):
        def preprocess(self, inputs: Any = None, timeout: float | None = None, **kwargs: Any) -> BatchFeature:
            if not isinstance(self.processor, SkyMMProcessor) or not isinstance(inputs, Mapping):
                return super().preprocess(inputs, timeout=timeout, **kwargs)
            kwargs.pop("continue_final_message", None)
            kwargs |= kwargs.pop("processor_kwargs", None) or {}
            batch = self.processor(images=inputs["images"], text=inputs["text"], **kwargs).to(dtype=self.dtype)
            batch["text"] = inputs["text"]
            return batch

    return OpeningPipeline


@dataclass(frozen=True, slots=True)
class _Wanted:
    """What transformers' keywords ask for, as far as it is done here."""

    tensors: str = "pt"
    padding: str = "longest"
    padding_side: str = "left"
    pad_to_multiple_of: int = 1
    truncation: str = "do_not_truncate"
    max_length: int | None = None
    rendered: bool = False
    assistant_mask: bool = False
    num_frames: int = NUM_FRAMES
    fps: float | None = None

    @property
    def limit(self) -> int | None:
        """How many tokens may stay."""
        return self.max_length if self.truncation == "longest_first" else None

    @classmethod
    def of(cls, given: Mapping[str, Any]) -> _Wanted:
        """Raises ValueError for what asks for something else. None, False and [] ask for nothing."""
        given = dict(given)
        for nested in ("common_kwargs", "text_kwargs", "images_kwargs"):
            given |= given.pop(nested, None) or {}
        given = {name: getattr(value, "value", value) for name, value in given.items()}  # transformers' own names
        rendered = given.pop("add_special_tokens", None) is False
        padding = given.pop("padding", True)
        nothing = [name for name, value in given.items() if value is None or value is False or value == []]
        asked = {name: value for name, value in given.items() if name not in nothing}
        truncation, tensors = asked.pop("truncation", "do_not_truncate"), asked.pop("return_tensors", "pt")
        wanted = cls(
            "pt" if tensors == "auto" else tensors,
            {True: "longest", None: "longest", False: "", "do_not_pad": ""}.get(padding, padding),
            asked.pop("padding_side", "left"),
            asked.pop("pad_to_multiple_of", 1),
            "longest_first" if truncation is True else truncation,
            asked.pop("max_length", None),
            rendered,
            bool(asked.pop("return_assistant_tokens_mask", False)),
            asked.pop("num_frames", NUM_FRAMES),
            asked.pop("fps", None),
        )
        for name, value, expected in (
            ("return_tensors", wanted.tensors, ("pt", "np")),
            ("padding", wanted.padding, ("longest", "max_length", "")),
            ("padding_side", wanted.padding_side, ("left", "right")),
            ("truncation", wanted.truncation, (True, False, "longest_first", "do_not_truncate")),
        ):
            if value not in expected:
                raise ValueError(f"{name} is {value!r}, expected one of {expected}")
        fills, shortens = wanted.padding == "max_length", wanted.truncation == "longest_first"
        if wanted.max_length is None and shortens:
            raise ValueError("truncation=True without max_length; say how many tokens may stay")
        if wanted.max_length is None and fills:
            raise ValueError('padding="max_length" without max_length; say how many tokens there shall be')
        if wanted.max_length is not None and not shortens and not fills:
            raise ValueError(
                f"max_length={wanted.max_length} changes nothing without truncation=True (shorten) or "
                'padding="max_length" (fill up)'
            )
        for name in ("return_attention_mask", "sanitize_control_tokens"):  # done in any case
            asked.pop(name, None)
        for name in sorted(asked):
            raise ValueError(
                f"SkyMMProcessor does nothing with {name}={asked[name]!r}; leave it out. It knows return_tensors, "
                "padding, padding_side, pad_to_multiple_of, truncation, max_length, add_special_tokens=False, num_frames, fps "
                "and return_assistant_tokens_mask"
            )
        return wanted


def _group_images(images: Any, num_texts: int, marks: Sequence[int] | None = None) -> list[list[Any]]:
    """The images of each text. `marks`: how many each of them has a place for, where all are rendered."""
    if images is None:
        return [[] for _ in range(num_texts)]
    entries = list(images) if isinstance(images, list | tuple) else [images]
    nested = any(isinstance(entry, list | tuple) for entry in entries)
    if marks is not None and not nested and sum(marks) == len(entries):
        each = iter(entries)
        return [[next(each) for _ in range(count)] for count in marks]
    if num_texts == 1 and not (len(entries) == 1 and nested):
        entries = [entries]
    if len(entries) != num_texts:
        raise ValueError(
            f"{len(entries)} images for {num_texts} questions; give one entry (an image or a list) per question"
        )
    return [list(entry) if isinstance(entry, list | tuple) else [entry] for entry in entries]


def _located(source: Any) -> bytes | Path | Image.Image:
    """What people give as an image -> what `open_image` takes. An http(s) address is fetched, as transformers does."""
    if isinstance(source, Mapping):  # as datasets keeps images that are not decoded
        source = source.get("bytes") or source.get("path")
    if isinstance(source, bytes | Path | Image.Image):
        return source
    if not isinstance(source, str):
        raise ValueError(
            f"found {type(source).__name__} as an image, expected encoded bytes, a file, an http(s) address, base64 or a "
            "picture of Pillow's (Image.fromarray makes one of an array)"
        )
    if source.startswith(("http://", "https://")):
        import httpx

        return httpx.get(source, timeout=60, follow_redirects=True).raise_for_status().content
    if len(source) < 4096 and Path(source).expanduser().is_file():
        return Path(source)
    try:
        return base64.b64decode(source.rpartition(",")[2], validate=True)
    except binascii.Error as error:
        raise ValueError(f"no image at {source[:200]!r}; expected a file, an http(s) address or base64") from error


def _read_messages(
    messages: Sequence[Mapping[str, Any]], where: str, wanted: _Wanted, *, needs_images: bool = True
) -> tuple[tuple[Turn, ...], list[Any]]:
    turns: list[Turn] = []
    images: list[Any] = []
    for index, message in enumerate(messages):
        content = message["content"]
        parts = [{"type": "text", "text": content}] if isinstance(content, str) else content
        said, places, names, seconds = "", [], [], {}
        for part in parts:
            kind = part.get("type")
            if kind == "text":
                said += part["text"] if not said or len(said) in places else "\n" + part["text"]
                continue
            if kind not in ("image", "video"):
                raise ValueError(
                    f'{where}, message {index}: part of type {kind!r}, expected "text", "image" or "video"'
                )
            if kind == "video" and not needs_images:
                raise ValueError(f"{where}: the times of a video's frames are in the text; leave tokenize=False out")
            source = next((part[name] for name in (kind, "url", "path", "base64") if part.get(name) is not None), None)
            if source is None and needs_images:
                raise ValueError(
                    f'{where}, message {index}: part of type {kind!r} needs "{kind}", "url", "path" or "base64"'
                )
            if kind == "image":
                names.append(str(len(images)))
                images.append(source)
            else:
                clip = {"num_frames": wanted.num_frames, "fps": wanted.fps}
                for frame in frames_of(_located(source), f"{where}, message {index}", **clip):
                    names.append(f"{len(images)}.frame")
                    seconds[names[-1]] = frame.seconds
                    images.append(frame.data)
            places += [len(said)] * (len(names) - len(places))
        amid = any(0 < place < len(said) for place in places)
        turn = Turn(message["role"], said, tuple(names), places=tuple(places) if amid else ())
        turns.append(turn.timed(seconds))
    return tuple(turns), images
