"""What every model on this machine has in common as an answerer: greedy or sampled text, whole or piece by piece, and choices.

Choices are compared without generating: how probable is it that an answer begins with "yes", with "B", ...? A choice is
written in many ways ("Yes", " yes", 是, 有, 对 ...), and tokenizers cut each of them their own way. Its probability is the sum
over its surface forms, each as the shortest run of tokens that no other choice begins with. Mostly that is one token, and
one forward pass decides; where a token is common to several choices ("(" before a letter, the first byte of Chinese
characters), the text is continued with it and the next token decides.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import cached_property
from typing import Any

import torch
from torch import Tensor
from transformers import LogitsProcessor, LogitsProcessorList, StoppingCriteriaList, TextIteratorStreamer
from transformers.cache_utils import DynamicLayer

from skymm.answering.protocol import Ask, Mode, Reply, Sampling, chosen, without_outer_blanks

# Plain greedy decoding, whatever a model's generation settings say: a penalty on words of the prompt would weigh on the very
# words that are asked for.
GREEDY = {"do_sample": False, "repetition_penalty": 1.0, "no_repeat_ngram_size": 0}
FORMS = {
    "yes": ("Yes", "yes", "YES", "是", "有", "对", "對"),
    "no": ("No", "no", "NO", "否", "不", "没", "沒", "无", "無"),
}
Tokens = tuple[int, ...]
# Of a model: `input_ids` (A, T), what stands beside them, and `past_key_values` of those that are read already.
Inputs = dict[str, Any]
Branches = dict[Tokens, dict[str, list[int]]]


def fingerprint(model: Any) -> str:
    """16 hex digits that change with training: the ends of every weight are read, so it takes no time on large models."""
    digest = hashlib.sha256()
    for name, tensor in model.state_dict().items():
        flat = tensor.detach().reshape(-1)
        ends = torch.cat([flat[:64], flat[-64:]]).cpu().contiguous().view(torch.uint8)
        digest.update(f"{name} {tuple(tensor.shape)} {tensor.dtype}".encode() + ends.numpy().tobytes())
    return digest.hexdigest()[:16]


class LocalAnswerer:
    """A model that generates. Subclasses give `inputs` and `read`."""

    batch_size = 0
    decoding = GREEDY

    def __init__(self, model: Any, tokenizer: Any, *, name: str, max_new_tokens: int):
        self.model, self.tokenizer, self.name, self.max_new_tokens = model, tokenizer, name, max_new_tokens
        self.choices = Choices(tokenizer)

    @cached_property
    def weights(self) -> str:
        return fingerprint(self.model)

    def inputs(self, asks: Sequence[Ask]) -> Inputs:
        """What `model.generate` is called with, padded on the left."""
        raise NotImplementedError

    def read(self, inputs: Inputs) -> tuple[Tensor, Any]:
        """Logits (A, V) of the token that follows, and the keys and values of everything up to there."""
        raise NotImplementedError

    def next_logits(self, asks: Sequence[Ask], said: Sequence[Tokens]) -> Tensor:
        """Logits (A, V) of the token that follows when the answer so far is `said`, tokens of the same number for each."""
        return Reading(self, self.inputs(asks)).go_on(torch.tensor(said, dtype=torch.long, device=self.model.device))

    def adapter(self) -> AbstractContextManager[None]:
        """Around every call of the model."""
        return nullcontext()

    @torch.inference_mode()
    def answer(self, asks: Sequence[Ask], mode: Mode = "generate") -> Iterator[tuple[int, Reply]]:
        # A list and not a generator: inference mode ends where this function does.
        choosing = [index for index, ask in enumerate(asks) if ask.choices and mode == "logits"]
        writing: dict[Sampling, list[int]] = {}
        for index in sorted({*range(len(asks))} - {*choosing}):
            writing.setdefault(asks[index].sampling, []).append(index)
        replies: list[tuple[int, Reply]] = []
        if choosing:
            these = [asks[index] for index in choosing]
            reading = Reading(self, self.inputs(these))
            logits = self._compared(these, reading.go_on(), reading)
            replies += [(index, Reply(chosen(one), one)) for index, one in zip(choosing, logits)]
        for sampling, indices in writing.items():
            these = [asks[index] for index in indices]
            new_AL, first, reading = self.generate(these)
            texts = self.tokenizer.batch_decode(new_AL, skip_special_tokens=True)
            logits, was_cut = self._compared(these, first, reading), self._was_cut(new_AL, sampling)
            for index, text, one, cut in zip(indices, texts, logits, was_cut):
                replies.append((index, Reply(text.strip(), one, finish_reason="length" if cut else "stop")))
        return iter(replies)

    def answer_one(self, prompt: str, *images: bytes) -> str:
        return next(self.answer([Ask(prompt, images)]))[1].text

    def generate(self, asks: Sequence[Ask]) -> tuple[Tensor, Tensor, Reading]:
        """New tokens (A, L) of asks that are sampled alike, logits (A, V) of the first of them, and the prompts as read."""
        first, inputs = FirstLogits(), self.inputs(asks)
        length = inputs["input_ids"].shape[1]
        written = self._generate(asks[0].sampling, inputs, logits_processor=LogitsProcessorList([first]))
        reading = Reading(self, inputs, written.past_key_values)
        reading.back_to(length)
        return written.sequences[:, length:], first.logits, reading

    def _generate(self, sampling: Sampling, inputs: Inputs, **options: Any) -> Any:
        if sampling.temperature > 0:
            options |= {"do_sample": True, "temperature": sampling.temperature, "top_p": sampling.top_p, "top_k": 0}
        limit = sampling.max_new_tokens or self.max_new_tokens
        with self.adapter():
            return self.model.generate(
                **inputs, **(GREEDY | options), max_new_tokens=limit, return_dict_in_generate=True
            )

    def stream(self, ask: Ask) -> Iterator[str]:
        """The answer's text in pieces, as they come. Whatever goes wrong is raised here; closing the iterator ends it."""
        streamer = TextIteratorStreamer(self.tokenizer, skip_prompt=True, skip_special_tokens=True)
        closed, failures = threading.Event(), []

        def is_closed(ids: Tensor, scores: Any, **kwargs: Any) -> Tensor:
            return torch.full((len(ids),), closed.is_set(), device=ids.device)

        def write() -> None:
            try:
                with torch.inference_mode():
                    closing = StoppingCriteriaList([is_closed])
                    self._generate(ask.sampling, self.inputs([ask]), streamer=streamer, stopping_criteria=closing)
            except Exception as error:
                failures.append(error)
            finally:
                streamer.end()

        thread = threading.Thread(target=write, daemon=True)
        thread.start()
        try:
            yield from without_outer_blanks(streamer)
        finally:
            closed.set()
            thread.join()
        if failures:
            raise failures[0]

    def _was_cut(self, new_AL: Tensor, sampling: Sampling) -> list[bool]:
        """Whether an answer has all the tokens that it may have, and the last one ends nothing."""
        settings = self.model.generation_config
        eos = settings.eos_token_id if isinstance(settings.eos_token_id, list) else [settings.eos_token_id]
        ends = {*eos, settings.pad_token_id, self.tokenizer.eos_token_id, self.tokenizer.pad_token_id}
        limit = sampling.max_new_tokens or self.max_new_tokens
        return [len(row) >= limit and int(row[-1]) not in ends for row in new_AL]

    def _compared(self, asks: Sequence[Ask], first_logits: Tensor, reading: Reading) -> list[Any]:
        def continued(indices: list[int], said: list[Tokens]) -> Tensor:
            if not reading.can_go_back:
                return self.next_logits([asks[index] for index in indices], said)
            length = reading.length
            logits = reading.go_on(torch.tensor([said[0]] * len(asks), device=self.model.device))
            reading.back_to(length)
            return logits[indices]

        return compare([ask.choices for ask in asks], first_logits, self.choices, continued)


class Reading:
    """Prompts of A asks and what is said after them, as a model has them in its memory: every token is read once."""

    def __init__(self, answerer: LocalAnswerer, inputs: Inputs, cache: Any = None):
        """`cache`: the keys and values of these inputs and perhaps of more, where they are read already."""
        self.answerer, self.inputs = answerer, inputs
        self._keep(cache)

    @property
    def length(self) -> int:
        return self.inputs["input_ids"].shape[1]

    @property
    def can_go_back(self) -> bool:
        """Whether what was said last can be taken back. A sliding window and a running state forget what was before."""
        layers = getattr(self.inputs.get("past_key_values"), "layers", ())
        return bool(layers) and all(type(layer) is DynamicLayer for layer in layers)

    def go_on(self, tokens: Tensor | None = None) -> Tensor:
        """Logits (A, V) of the token that follows after these tokens (A, L)."""
        if tokens is not None and tokens.shape[1]:
            for name, value in self._per_position().items():
                more = {"input_ids": tokens, "attention_mask": torch.ones_like(tokens)}
                # Other inputs per position go on with 0, which is "text".
                more = more.get(name, torch.zeros_like(tokens)).to(value.dtype)
                self.inputs = self.inputs | {name: torch.cat([value, more], dim=1)}
        with self.answerer.adapter():
            logits, cache = self.answerer.read(self.inputs)
        self._keep(cache)
        return logits

    def back_to(self, length: int) -> None:
        """Forget all but the first tokens, where the model can."""
        if self.can_go_back:
            cache = self.inputs["past_key_values"]
            cache.crop(min(0, length - cache.get_seq_length()))
        self.inputs = self.inputs | {name: value[:, :length] for name, value in self._per_position().items()}

    def _keep(self, cache: Any) -> None:
        """What was read needs no pictures any more. A model without such a memory reads everything each time."""
        if cache is not None:
            self.inputs = self._per_position() | {"past_key_values": cache}

    def _per_position(self) -> Inputs:
        shape = self.inputs["input_ids"].shape
        named = {name: value for name, value in self.inputs.items() if isinstance(value, Tensor)}
        return {name: value for name, value in named.items() if value.shape == shape}


class FirstLogits(LogitsProcessor):
    """Keeps what a model said about its first new token; changes nothing."""

    logits: Tensor | None = None

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        if self.logits is None:
            self.logits = scores.detach().clone()
        return scores


# --- choices --------------------------------------------------------------------------------------------------------------


def forms_of(choice: str) -> tuple[str, ...]:
    """Ways to write a choice: yes and no in both languages; a letter as it is, in capitals, and in a bracket.

    A small letter alone is not among them: "a" begins "a cat".
    """
    if choice in FORMS:
        return FORMS[choice]
    if len(choice) == 1:
        return tuple(dict.fromkeys((choice.upper(), f"({choice}", f"({choice.upper()}")))
    return (choice,)


class Choices:
    """Surface forms of choices in a tokenizer's tokens."""

    def __init__(self, tokenizer: Any):
        self.tokenizer = tokenizer
        self._branches: dict[tuple[str, ...], Branches] = {}

    def branches(self, choices: tuple[str, ...]) -> Branches:
        """What was said so far -> the tokens that decide for each choice next. () is the start of the answer.

        Raises ValueError when a choice cannot be told from another by its tokens.
        """
        if choices not in self._branches:
            self._branches[choices] = self._build(choices)
        return self._branches[choices]

    def _build(self, choices: tuple[str, ...]) -> Branches:
        written = {choice: self._written(choice) for choice in choices}
        branches: Branches = {}
        for choice, runs in written.items():
            others = [run for other, others in written.items() if other != choice for run in others]
            for run in runs:
                length = next((n for n in range(1, len(run) + 1) if not _begins(others, run[:n])), None)
                if length is None:
                    continue  # all of it begins another choice: "A" before "AB"
                deciding = branches.setdefault(run[: length - 1], {}).setdefault(choice, [])
                if run[length - 1] not in deciding:
                    deciding.append(run[length - 1])
        told = {choice for deciding in branches.values() for choice in deciding}
        if told != set(choices):
            raise ValueError(
                f"this tokenizer cannot tell {sorted(set(choices) - told)} from the other choices {choices}"
            )
        return branches

    def _written(self, choice: str) -> list[Tokens]:
        """The runs of tokens that write it, without those that begin with another one: they are counted in it."""
        runs: dict[Tokens, None] = {}
        for form in forms_of(choice):
            for before in ("", " ", "\n"):
                # After a line end a tokenizer that marks the starts of words (SentencePiece) does not mark this one.
                lead = self._encode("\n") if before == "\n" else []
                ids = self._encode(before + form)
                run = tuple(ids[len(lead) :])
                if ids[: len(lead)] == lead and run and (before != " " or self.tokenizer.decode([run[0]]).strip()):
                    runs[run] = None
        return [run for run in runs if not any(other != run and run[: len(other)] == other for other in runs)]

    def _encode(self, text: str) -> list[int]:
        return self.tokenizer.encode(text, add_special_tokens=False)


def _begins(runs: Iterable[Tokens], start: Tokens) -> bool:
    return any(run[: len(start)] == start for run in runs)


def compare(
    choices: Sequence[tuple[str, ...]],
    first_logits: Tensor,
    tokens: Choices,
    continued: Callable[[list[int], list[Tokens]], Tensor],
) -> list[dict[str, float] | None]:
    """Log-probability of every choice of every ask; None for asks without choices.

    Args:
        choices: of each of A asks. first_logits: (A, V), of the answer's first token.
        continued: (indices of asks, what each has said so far) -> logits (R, V) of the token after that. In one call all
            have said the same, and none comes twice.
    """
    log_first = torch.log_softmax(first_logits.float(), dim=-1)
    branches = {index: tokens.branches(one) for index, one in enumerate(choices) if one}
    reached = {(index, ()): (0.0, log_first[index]) for index in branches}
    # What is said further on needs every beginning of it before; each is one pass over the asks that it matters to.
    beginnings = {said[:length] for one in branches.values() for said in one for length in range(1, len(said) + 1)}
    for said in sorted(beginnings, key=lambda said: (len(said), said)):
        indices = [index for index, one in branches.items() if any(whole[: len(said)] == said for whole in one)]
        log_next = torch.log_softmax(continued(indices, [said] * len(indices)).float(), dim=-1)
        for row, index in enumerate(indices):
            before, distribution = reached[index, said[:-1]]
            reached[index, said] = (before + float(distribution[said[-1]]), log_next[row])
    found: list[dict[str, float] | None] = [None] * len(choices)
    for index, one in branches.items():
        sums: dict[str, list[float]] = {choice: [] for choice in choices[index]}
        for said, deciding in one.items():
            before, distribution = reached[index, said]
            for choice, ids in deciding.items():
                sums[choice].append(before + float(torch.logsumexp(distribution[ids], dim=0)))
        found[index] = {choice: float(torch.logsumexp(torch.tensor(values), dim=0)) for choice, values in sums.items()}
    return found
