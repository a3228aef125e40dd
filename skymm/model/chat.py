"""One pass from a Conversation to token ids, labels and image positions.

A chat template is rendered once per sequence of roles, around sentinels, and cut there into markup and content. Each
piece is tokenised once, ids and labels grow together, and nothing is ever tokenised again to find the answer. Markup may
hold control tokens; what people wrote may not (a user who types `<|im_end|>` or `<image>` gets plain text). Each image
owns exactly K positions, filled with an id that no text can produce.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache, partial
from typing import Any

import torch
from torch import Tensor

from skymm.conversation import BadSample, Conversation, Turn
from skymm.model.attention import boundaries
from skymm.model.loss import IGNORE

_SENTINEL = "⟦content {}⟧"


@dataclass(slots=True)
class Encoded:
    """ids and labels of one conversation (same length; labels are IGNORE wherever nothing is learned).

    `images` are the names of its images in order; `targets` has, per learned answer, its turn and the half-open span of
    its labels, so that a loss can be told apart by language and polarity.
    """

    key: str
    ids: list[int] = field(default_factory=list)
    labels: list[int] = field(default_factory=list)
    images: tuple[str, ...] = ()
    targets: list[tuple[Turn, int, int]] = field(default_factory=list)

    def add(self, ids: list[int], is_target: bool) -> None:
        self.ids += ids
        self.labels += ids if is_target else [IGNORE] * len(ids)


class ChatEncoder:
    """Conversation -> Encoded, for one tokenizer, K latents per image and one chat template.

    Args:
        system: text of the system turn for conversations without one. None: whatever the template says by itself.
    """

    def __init__(self, tokenizer: Any, *, num_latents: int, image_token_id: int, system: str | None = None):
        if not getattr(tokenizer, "chat_template", None):
            raise ValueError(
                "the tokenizer has no chat template; use an instruction-tuned LLM or set tokenizer.chat_template"
            )
        self.tokenizer, self.num_latents, self.image_token_id, self.system = (
            tokenizer,
            num_latents,
            image_token_id,
            system,
        )
        self._control = set(tokenizer.all_special_ids) | set(tokenizer.added_tokens_decoder)
        self._skeleton = lru_cache(maxsize=256)(self._skeleton)
        self._markup_ids = lru_cache(maxsize=4096)(self._markup_ids)

    def __reduce__(self) -> tuple[Any, ...]:
        """Travels to data workers as what it was made of; caches are not luggage."""
        options = {"num_latents": self.num_latents, "image_token_id": self.image_token_id, "system": self.system}
        return partial(type(self), **options), (self.tokenizer,)

    def encode(self, conversation: Conversation, *, max_length: int | None = None) -> Encoded:
        """For training: every assistant turn is a target. Raises ValueError without one, or when it cannot fit."""
        if not conversation.targets:
            raise ValueError(f"{conversation.key}: nothing to learn, there is no assistant turn")
        return self._fit(conversation, max_length, add_generation_prompt=False)

    def encode_prompt(
        self, conversation: Conversation, *, max_length: int | None = None, continue_final: bool = False
    ) -> Encoded:
        """For answering: the same walk, up to where the answer begins (or inside it, for `continue_final`)."""
        if continue_final:
            return self._fit(conversation, max_length, add_generation_prompt=False, open_end=True)
        return self._fit(conversation.as_prompt(), max_length, add_generation_prompt=True)

    def encode_words(self, conversation: Conversation) -> Encoded:
        """For the "words" objective: one image's K positions, labelled with the words of the answers, in order.

        The first three tenths are for the English answers and the others for the Chinese (which takes more tokens per word
        in most vocabularies); one language alone gets all. What does not fit is cut, and what is left over is labelled with
        a line break, a word that says nothing. Raises ValueError for anything but one image.
        """
        if len(conversation.images) != 1:
            found = f"{conversation.key}: {len(conversation.images)} images; the words objective needs one"
            raise BadSample(found, "not one image")
        spoken: dict[str, list[Turn]] = {"en": [], "zh": []}
        for turn in conversation.targets:
            spoken["zh" if turn.language == "zh" else "en"].append(turn)
        first = round(0.3 * self.num_latents) if all(spoken.values()) else self.num_latents * bool(spoken["en"])
        encoded = Encoded(conversation.key, images=conversation.images)
        for turns, room in zip(spoken.values(), (first, self.num_latents - first)):
            if not turns or not room:
                continue
            # A blank before a word is how most vocabularies spell it inside a sentence, where questions will have it.
            ids = [token for turn in turns for token in self._content_ids(_inside_sentence(turn))]
            start = len(encoded.ids)
            encoded.ids += [self.image_token_id] * room
            encoded.labels += [*ids, *[self._content_ids("\n")[-1]] * room][:room]
            encoded.targets.append((turns[0], start, start + room))
        return encoded

    # --- the walk -----------------------------------------------------------------------------------------------------

    def _walk(self, conversation: Conversation, *, add_generation_prompt: bool, open_end: bool = False) -> Encoded:
        turns = list(conversation.turns)
        if self.system is not None and turns[0].role != "system":
            turns.insert(0, Turn("system", self.system))
        markup = self._skeleton(tuple(turn.role for turn in turns), add_generation_prompt)
        encoded = Encoded(conversation.key, images=conversation.images)
        end_mark = 0
        for turn, before in zip(turns, markup):
            self._add_markup(encoded, before, end_mark)
            end_mark = 0
            is_target = turn.role == "assistant"
            start = len(encoded.ids)
            for kind, said in turn.parts:
                image = [self.image_token_id] * self.num_latents
                encoded.add(self._content_ids(said) if kind == "text" else image, is_target)
            if is_target:
                end_mark = 1
                encoded.targets.append((turn, start, len(encoded.ids) + 1))
        if not open_end:
            self._add_markup(encoded, markup[-1], end_mark)
        return encoded

    def _add_markup(self, encoded: Encoded, text: str, end_mark: int) -> None:
        """After an answer the mark that ends it is part of what is learned: without it a model never stops."""
        ids = self._markup_ids(text)
        if end_mark:
            if not ids or ids[0] not in self._control:
                # A template without a mark of its own (or with a blank before it) still has to teach stopping.
                first = next((index for index, token in enumerate(ids) if token in self._control), None)
                ids = [self.tokenizer.eos_token_id, *ids] if first is None else ids[first:]
            encoded.add(ids[:1], is_target=True)
            ids = ids[1:]
        encoded.add(ids, is_target=False)

    def _skeleton(self, roles: tuple[str, ...], add_generation_prompt: bool) -> tuple[str, ...]:
        """The template's own text before each content, and after the last: len(roles) + 1 pieces."""
        messages = [{"role": role, "content": _SENTINEL.format(index)} for index, role in enumerate(roles)]
        text = self.tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=add_generation_prompt)
        pieces = []
        for index in range(len(roles)):
            before, found, text = text.partition(_SENTINEL.format(index))
            if not found:
                raise ValueError(
                    f"the LLM's chat template does not print a {roles[index]} turn of {roles}; give another template"
                )
            pieces.append(before)
        return (*pieces, text)

    def _markup_ids(self, text: str) -> list[int]:
        return self.tokenizer(text, add_special_tokens=False)["input_ids"] if text else []

    def _content_ids(self, text: str) -> list[int]:
        return self.tokenizer(text, add_special_tokens=False, split_special_tokens=True)["input_ids"] if text else []

    # --- length -------------------------------------------------------------------------------------------------------

    def _fit(self, conversation: Conversation, max_length: int | None, **walk: bool) -> Encoded:
        """Drops the oldest question and answer until it fits; their images move on to the next question.

        Half a turn would teach half an answer, so text goes turn by turn. Image positions and the last turn stay.
        """
        while True:
            encoded = self._walk(conversation, **walk)
            if max_length is None or len(encoded.ids) <= max_length:
                return encoded
            shorter = _without_oldest_pair(conversation)
            if shorter is None:
                raise BadSample(
                    f"{conversation.key}: {len(encoded.ids)} tokens, {self.num_latents * len(encoded.images)} of them image "
                    f"positions, and nothing left to shorten; the limit max_length is {max_length}",
                    "too long",
                )
            conversation = shorter


def _inside_sentence(turn: Turn) -> str:
    return turn.text if turn.language == "zh" else f" {turn.text}"


def _without_oldest_pair(conversation: Conversation) -> Conversation | None:
    questions = sum(turn.role == "user" for turn in conversation.turns)
    return conversation.with_pairs(range(1, questions)) if questions > 1 else None


def pad(examples: list[Encoded], *, pad_id: int, side: str) -> dict[str, Tensor]:
    """A batch: input_ids, attention_mask and labels, each (B, T) int64, padded on `side`.

    "right" to train, "left" to answer.
    """
    if side not in ("left", "right"):
        raise ValueError(f'side is {side!r}, expected "left" or "right"')
    length = max(len(example.ids) for example in examples)
    input_ids = torch.full((len(examples), length), pad_id)
    attention_mask = torch.zeros(len(examples), length, dtype=torch.long)
    labels = torch.full((len(examples), length), IGNORE)
    for row, example in enumerate(examples):
        span = slice(0, len(example.ids)) if side == "right" else slice(length - len(example.ids), length)
        input_ids[row, span] = torch.tensor(example.ids)
        attention_mask[row, span] = 1
        labels[row, span] = torch.tensor(example.labels)
    return {"input_ids": input_ids, "attention_mask": attention_mask, "labels": labels}


def pack(examples: list[Encoded]) -> dict[str, Tensor]:
    """A batch as one row without padding: input_ids and labels (1, T) int64, and cu_seq_lens, (len(examples) + 1,) int32:
    where each conversation begins, and where the last one ends.
    """
    lengths = [len(example.ids) for example in examples]
    labels = torch.tensor([[label for example in examples for label in example.labels]])
    cu_seq_lens = boundaries(lengths)
    # The position before a conversation's first is another conversation's last, and must never learn to predict it.
    labels[0, cu_seq_lens[:-1].long()] = IGNORE
    ids = torch.tensor([[token for example in examples for token in example.ids]])
    return {"input_ids": ids, "labels": labels, "cu_seq_lens": cu_seq_lens}
