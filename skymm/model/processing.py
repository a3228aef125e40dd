"""SkyMMProcessor: the transformers face of the encoder. Chat messages, PIL images and questions in, model inputs out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from PIL import Image
from torch import Tensor
from transformers import BatchFeature, ProcessorMixin
from transformers.image_utils import load_image

from skymm.conversation import Conversation, Turn
from skymm.model.chat import ChatEncoder, Encoded, pad
from skymm.model.vision import preprocess


class SkyMMProcessor(ProcessorMixin):
    """Tokenizer + what the towers want to see + how many positions an image takes.

    Args:
        towers: preprocessing of each tower, as `Tower.to_config()` gives it.
        num_latents, image_token_id: as in the model's configuration. system: see `ChatEncoder`.
    """

    def __init__(
        self,
        tokenizer: Any,
        towers: Sequence[Mapping[str, Any]] = (),
        num_latents: int = 64,
        image_token_id: int = -1,
        system: str | None = None,
        chat_template: str | None = None,
        **kwargs: Any,
    ):
        super().__init__(tokenizer, chat_template=chat_template or tokenizer.chat_template)
        self.towers, self.num_latents, self.image_token_id, self.system = (
            list(towers),
            num_latents,
            image_token_id,
            system,
        )
        self.chat = ChatEncoder(tokenizer, num_latents=num_latents, image_token_id=image_token_id, system=system)

    @property
    def pad_id(self) -> int:
        return self.tokenizer.pad_token_id if self.tokenizer.pad_token_id is not None else self.tokenizer.eos_token_id

    @property
    def model_input_names(self) -> list[str]:
        return ["input_ids", "attention_mask", "pixel_values"]

    def pixels(self, images: Sequence[Image.Image]) -> list[Tensor]:
        """One tensor (I, 3, H, W) per tower."""
        return [torch.stack([preprocess(image, tower) for image in images]) for tower in self.towers]

    def prompts(self, conversations: Sequence[Conversation], images: Sequence[Image.Image] = ()) -> BatchFeature:
        """Questions -> one left-padded batch for `generate`; `images` of all of them in order, unless features are cached."""
        return self._batch([self.chat.encode_prompt(conversation) for conversation in conversations], images)

    def _batch(self, encoded: list[Encoded], images: Sequence[Image.Image]) -> BatchFeature:
        batch = pad(encoded, pad_id=self.pad_id, side="left")
        del batch["labels"]
        if images:
            pixels = self.pixels(images)
            batch["pixel_values"] = pixels[0] if len(pixels) == 1 else pixels
        return BatchFeature(batch)

    # --- transformers' own calls --------------------------------------------------------------------------------------

    def __call__(
        self,
        images: Any = None,
        text: str | Sequence[str] | None = None,
        **kwargs: Any,
    ) -> BatchFeature:
        """Plain questions: each text is asked about its image(s), in the chat form of the LLM.

        `text`: a question or a list of them. `images`: an image for the one question, or a list with one entry (an image or
        a list of images) per question. For anything with turns use `apply_chat_template`.
        """
        questions = [text] if isinstance(text, str) else list(text or [])
        if not questions:
            raise ValueError("the processor needs text: a question, or a list of questions")
        groups = _group_images(images, len(questions))
        conversations = [
            Conversation(f"question {index}", (Turn("user", question, _names(len(group))),))
            for index, (question, group) in enumerate(zip(questions, groups))
        ]
        return self.prompts(conversations, [image for group in groups for image in group])

    def apply_chat_template(  # type: ignore[override]
        self,
        conversation: Sequence[Any],
        chat_template: str | None = None,
        add_generation_prompt: bool = False,
        continue_final_message: bool = False,
        tokenize: bool = True,
        return_dict: bool = True,
        **kwargs: Any,
    ) -> Any:
        """Chat messages (or a list of chats) -> model inputs. Content parts: {"type": "text"} and {"type": "image"}.

        The images of a message stand before its text. With `tokenize=False`: the text that the model will read, image
        positions left out.
        """
        if chat_template is not None:
            raise ValueError(
                "SkyMMProcessor uses the LLM's own chat template; set processor.tokenizer.chat_template instead"
            )
        batched = bool(conversation) and not isinstance(conversation[0], Mapping)
        chats = [
            _read_messages(chat, f"chat {index}")
            for index, chat in enumerate(conversation if batched else [conversation])
        ]
        encoded = []
        for turns, _ in chats:
            chat = Conversation("chat", turns)
            if add_generation_prompt or continue_final_message or turns[-1].role == "user":
                encoded.append(self.chat.encode_prompt(chat, continue_final=continue_final_message))
            else:
                encoded.append(self.chat.encode(chat))
        if not tokenize:
            texts = [self.tokenizer.decode([i for i in one.ids if i != self.image_token_id]) for one in encoded]
            return texts if batched else texts[0]
        batch = self._batch(encoded, [image for _, images in chats for image in images])
        return batch if return_dict else batch["input_ids"]

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


def _names(count: int) -> tuple[str, ...]:
    return tuple(str(index) for index in range(count))


def _group_images(images: Any, num_questions: int) -> list[list[Image.Image]]:
    if images is None:
        return [[] for _ in range(num_questions)]
    entries = list(images) if isinstance(images, list | tuple) else [images]
    if num_questions == 1 and not (len(entries) == 1 and isinstance(entries[0], list | tuple)):
        entries = [entries]
    if len(entries) != num_questions:
        raise ValueError(
            f"{len(entries)} images for {num_questions} questions; give one entry (an image or a list) per question"
        )
    return [
        [load_image(image) for image in (entry if isinstance(entry, list | tuple) else [entry])] for entry in entries
    ]


def _read_messages(messages: Sequence[Mapping[str, Any]], where: str) -> tuple[tuple[Turn, ...], list[Image.Image]]:
    turns, images = [], []
    for index, message in enumerate(messages):
        content = message["content"]
        parts = [{"type": "text", "text": content}] if isinstance(content, str) else content
        texts, shown = [], []
        for part in parts:
            if part.get("type") == "text":
                texts.append(part["text"])
            elif part.get("type") == "image":
                source = next(
                    (part[name] for name in ("image", "url", "path", "base64") if part.get(name) is not None), None
                )
                if source is None:
                    raise ValueError(
                        f'{where}, message {index}: an image part needs "image", "url", "path" or "base64"'
                    )
                shown.append(load_image(source))
            else:
                raise ValueError(
                    f'{where}, message {index}: part of type {part.get("type")!r}, expected "text" or "image"'
                )
        names = tuple(str(len(images) + position) for position in range(len(shown)))
        images += shown
        turns.append(Turn(message["role"], "\n".join(texts), names))
    return tuple(turns), images
