"""What every model on this machine has in common as an answerer; the subclasses know how to run theirs."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import Any

import torch
from torch import Tensor
from transformers import LogitsProcessor

from skymm.answering.choices import Choices, Tokens, compare
from skymm.answering.protocol import Ask, Mode, Reply, chosen

# Plain greedy decoding, whatever a model's generation settings say: a penalty on words of the prompt would weigh on the very
# words that are asked for.
GREEDY = {"do_sample": False, "repetition_penalty": 1.0, "no_repeat_ngram_size": 0}


def fingerprint(model: Any) -> str:
    """16 hex digits that change with training: the ends of every weight are read, so it takes no time on large models."""
    digest = hashlib.sha256()
    for name, tensor in model.state_dict().items():
        flat = tensor.detach().reshape(-1)
        ends = torch.cat([flat[:64], flat[-64:]]).cpu().contiguous().view(torch.uint8)
        digest.update(f"{name} {tuple(tensor.shape)} {tensor.dtype}".encode() + ends.numpy().tobytes())
    return digest.hexdigest()[:16]


class FirstLogits(LogitsProcessor):
    """Keeps what a model said about its first new token; changes nothing."""

    logits: Tensor | None = None

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        if self.logits is None:
            self.logits = scores.detach().clone()
        return scores


class LocalAnswerer:
    """Greedy decoding, and choices compared by their logits. Subclasses give `generate` and `next_logits`."""

    batch_size = 0
    decoding = GREEDY

    def __init__(self, model: Any, tokenizer: Any, *, name: str, max_new_tokens: int):
        self.model, self.tokenizer, self.name, self.max_new_tokens = model, tokenizer, name, max_new_tokens
        self.choices = Choices(tokenizer)

    @cached_property
    def weights(self) -> str:
        return fingerprint(self.model)

    def generate(self, asks: Sequence[Ask]) -> tuple[Tensor, Tensor]:
        """New tokens (A, L), and logits (A, V) of the first of them."""
        raise NotImplementedError

    def next_logits(self, asks: Sequence[Ask], said: Sequence[Tokens]) -> Tensor:
        """Logits (A, V) of the token that follows when the answer so far is `said`, tokens of the same number for each."""
        raise NotImplementedError

    @torch.inference_mode()
    def answer(self, asks: Sequence[Ask], mode: Mode = "generate") -> Iterator[tuple[int, Reply]]:
        # A list and not a generator: inference mode ends where this function does.
        choosing = [index for index, ask in enumerate(asks) if ask.choices and mode == "logits"]
        writing = [index for index in range(len(asks)) if index not in set(choosing)]
        replies: list[tuple[int, Reply]] = []
        if choosing:
            these = [asks[index] for index in choosing]
            logits = self._compared(these, self.next_logits(these, [()] * len(these)))
            replies += [(index, Reply(chosen(one), one)) for index, one in zip(choosing, logits)]
        if writing:
            these = [asks[index] for index in writing]
            new_AL, first = self.generate(these)
            texts = self.tokenizer.batch_decode(new_AL, skip_special_tokens=True)
            logits, was_cut = self._compared(these, first), self._was_cut(new_AL)
            for index, text, one, cut in zip(writing, texts, logits, was_cut):
                replies.append((index, Reply(text.strip(), one, finish_reason="length" if cut else "stop")))
        return iter(replies)

    def _was_cut(self, new_AL: Tensor) -> list[bool]:
        """Whether an answer has all the tokens that it may have, and the last one ends nothing."""
        settings = self.model.generation_config
        eos = settings.eos_token_id if isinstance(settings.eos_token_id, list) else [settings.eos_token_id]
        ends = {*eos, settings.pad_token_id, self.tokenizer.eos_token_id, self.tokenizer.pad_token_id}
        return [len(row) >= self.max_new_tokens and int(row[-1]) not in ends for row in new_AL]

    def _compared(self, asks: Sequence[Ask], first_logits: Tensor) -> list[Any]:
        def continued(indices: list[int], said: list[Tokens]) -> Tensor:
            return self.next_logits([asks[index] for index in indices], said)

        return compare([ask.choices for ask in asks], first_logits, self.choices, continued)
