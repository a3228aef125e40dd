"""What every model on this machine has in common as an answerer: greedy or sampled text, whole or piece by piece, and choices.

Choices are compared without generating: how probable is it that an answer begins with "yes", with "B", ...? A choice is
written in many ways ("Yes", " yes", 是, 有, 对 ...), and tokenizers cut each of them their own way. Its probability is the sum
over its surface forms, each as the shortest run of tokens that no other choice begins with. Mostly that is one token, and
one forward pass decides; where a token is common to several choices ("(" before a letter, the first byte of Chinese
characters), the text is continued with it and the next token decides.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from functools import cached_property
from typing import Any

import torch
from torch import Tensor
from transformers import LogitsProcessor, LogitsProcessorList

from skymm.answering.contrast import contrasted, contrasted_choices, is_sure, with_less
from skymm.answering.protocol import Ask, Mode, Reply, Sampling, chosen
from skymm.answering.reading import Inputs, Reading, Tokens
from skymm.answering.writing import Batch, Line
from skymm.recipe import ContrastRecipe

# Plain greedy decoding, whatever a model's generation settings say: a penalty on words of the prompt would weigh on the very
# words that are asked for.
GREEDY = {"do_sample": False, "repetition_penalty": 1.0, "no_repeat_ngram_size": 0}
FORMS = {
    "yes": ("Yes", "yes", "YES", "是", "有", "对", "對", "能", "可以", "会", "會", "存在"),
    "no": ("No", "no", "NO", "否", "不", "没", "沒", "无", "無"),
}
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
    contrast: ContrastRecipe | None = None

    def __init__(self, model: Any, tokenizer: Any, *, name: str, max_new_tokens: int):
        self.model, self.tokenizer, self.name, self.max_new_tokens = model, tokenizer, name, max_new_tokens
        self.choices = Choices(tokenizer)
        self._without_looking: dict[Ask, dict[str, float]] = {}  # what is said of choices with nothing to see

    @property
    def decoding(self) -> dict[str, Any]:
        return GREEDY | ({"contrast": self.contrast.model_dump(exclude_none=True)} if self._contrasts else {})

    @property
    def _contrasts(self) -> bool:
        return self.contrast is not None and self.contrast.strength > 0

    @cached_property
    def weights(self) -> str:
        return fingerprint(self.model)

    @property
    def end_ids(self) -> frozenset[int]:
        """Tokens at which the model stops."""
        eos = self.model.generation_config.eos_token_id
        return frozenset(eos if isinstance(eos, list) else [] if eos is None else [eos])

    @property
    def context_length(self) -> int | None:
        """How many tokens the model can read and write in all, where its configuration tells it."""
        return getattr(self.model.config.get_text_config(), "max_position_embeddings", None)

    def takes_off(self, ask: Ask) -> bool:
        """Whether something is taken off while this is written; without images there is nothing to take off."""
        return self._contrasts and self.contrast.kind != "calibrated" and bool(ask.images)

    def inputs(self, asks: Sequence[Ask]) -> Inputs:
        """What `model.generate` is called with, padded on the left."""
        raise NotImplementedError

    def read(self, inputs: Inputs) -> tuple[Tensor, Any]:
        """Logits (A, V) of the token that follows, and the keys and values of everything up to there."""
        raise NotImplementedError

    def next_logits(self, asks: Sequence[Ask], said: Sequence[Tokens]) -> Tensor:
        """Logits (A, V) of the token that follows when the answer so far is `said`, tokens of the same number for each."""
        return Reading(self, asks).go_on(torch.tensor(said, dtype=torch.long, device=self.model.device))

    def adapter(self) -> AbstractContextManager[None]:
        """Around every call of the model."""
        return nullcontext()

    @torch.inference_mode()
    def answer(self, asks: Sequence[Ask], mode: Mode = "generate") -> Iterator[tuple[int, Reply]]:
        # A list and not a generator: inference mode ends where this function does.
        choosing = [index for index, ask in enumerate(asks) if ask.choices and mode == "logits"]
        writing: dict[tuple[Sampling, bool], list[int]] = {}
        for index in sorted({*range(len(asks))} - {*choosing}):
            kind = asks[index].sampling, self.takes_off(asks[index])
            writing.setdefault(kind, []).append(index)
        replies: list[tuple[int, Reply]] = []
        if choosing:
            found = self._choose([asks[index] for index in choosing])
            replies += [
                (index, Reply(chosen(one), one, num_prompt_tokens=read)) for index, (one, read) in zip(choosing, found)
            ]
        for (sampling, _), indices in writing.items():
            if sampling.stop or sampling.seed is not None:
                replies += [(index, self._write(asks[index])) for index in indices]
                continue
            new_AL, logits = self.generate([asks[index] for index in indices])
            texts = self.tokenizer.batch_decode(new_AL, skip_special_tokens=True)
            for index, text, one, row in zip(indices, texts, logits, new_AL.tolist()):
                number, reason = self._ended(row, sampling)
                replies.append((index, Reply(text.strip(), one, finish_reason=reason, num_tokens=number)))
        return iter(replies)

    def answer_one(self, prompt: str, *images: bytes) -> str:
        return next(self.answer([Ask(prompt, images)]))[1].text

    @torch.inference_mode()
    def generate(self, asks: Sequence[Ask]) -> tuple[Tensor, list[dict[str, float] | None]]:
        """New tokens (A, L) of asks that are sampled alike, all with images or all without, and what is said of choices."""
        first, reading = FirstLogits(), Reading(self, asks)
        contrasting = self._contrasting(reading)
        written = self._generate(reading, [first, *contrasting])
        reading.keep(written.past_key_values)
        logits = self._compared(reading, first.logits)
        for one in contrasting if any(ask.choices for ask in asks) else ():
            less = self._compared(one.less, one.first)
            logits = [seen and contrasted_choices(seen, other, self.contrast) for seen, other in zip(logits, less)]
        return written.sequences[:, reading.start :], logits

    def _contrasting(self, reading: Reading) -> list[Contrasting]:
        """Who takes part in writing besides the model: nobody, or who takes off what is said with less to see."""
        if not self.takes_off(reading.asks[0]):
            return []
        less = Reading(self, [with_less(ask, self.contrast) for ask in reading.asks])
        return [Contrasting(reading, less, self.contrast)]

    def _choose(self, asks: Sequence[Ask]) -> list[tuple[dict[str, float], int]]:
        """Log-probabilities of the choices of asks that all have some, and how many tokens were read for each."""
        reading = Reading(self, asks)
        lengths = reading.inputs["attention_mask"].sum(-1).tolist()
        seen = self._compared(reading, reading.go_on())
        if not self._contrasts:
            return [*zip(seen, lengths)]
        doubted = [index for index, ask in enumerate(asks) if ask.images and not is_sure(seen[index], self.contrast)]
        less = {index: replace(with_less(asks[index], self.contrast), id="", sampling=Sampling()) for index in doubted}
        known = {} if self.contrast.kind == "noised" else self._without_looking
        new = [ask for ask in dict.fromkeys(less.values()) if ask not in known]
        if new:
            reading = Reading(self, new)
            known |= dict(zip(new, self._compared(reading, reading.go_on())))
        for index, ask in less.items():
            seen[index] = contrasted_choices(seen[index], known[ask], self.contrast)
        return [*zip(seen, lengths)]

    def _generate(self, reading: Reading, processors: Sequence[LogitsProcessor], **options: Any) -> Any:
        sampling = reading.asks[0].sampling
        if sampling.temperature > 0:
            options |= {"do_sample": True, "temperature": sampling.temperature, "top_p": sampling.top_p, "top_k": 0}
        options |= {"logits_processor": LogitsProcessorList(processors), "return_dict_in_generate": True}
        limit = sampling.max_new_tokens or self.max_new_tokens
        with self.adapter():
            return self.model.generate(**reading.inputs, **(GREEDY | options), max_new_tokens=limit)

    def _write(self, ask: Ask) -> Reply:
        """With what transformers' `generate` does not know: text at which to stop, a seed of its own."""
        line = Line(ask)
        batch = Batch(self, [line])
        while batch.lines:
            batch.step()
        return replace(line.reply, logits=self._choose([ask])[0][0] if ask.choices else None)

    def stream(self, ask: Ask) -> Iterator[str]:
        """The answer's text in pieces, as they come. Closing the iterator ends the writing."""
        pieces: list[str] = []
        with torch.inference_mode():
            batch = Batch(self, [Line(ask, pieces.append)])
        while batch.lines:
            # Not around the `yield`: what the caller does is no business of ours.
            with torch.inference_mode():
                batch.step()
            yield from pieces
            pieces.clear()

    def _ended(self, row: list[int], sampling: Sampling) -> tuple[int, str]:
        """How many tokens an answer has, with the one that ends it, and whether it ended or was cut: it then has all the
        tokens that it may have, and none of them ends it.
        """
        settings = self.model.generation_config
        ends = {*self.end_ids, settings.pad_token_id, self.tokenizer.eos_token_id, self.tokenizer.pad_token_id}
        number = next((place for place, token in enumerate(row, 1) if token in ends), len(row))
        limit = sampling.max_new_tokens or self.max_new_tokens
        return number, "length" if number >= limit and row[-1] not in ends else "stop"

    def _compared(self, reading: Reading, first_logits: Tensor) -> list[Any]:
        """Of every ask that was read, log-probabilities of its choices; None where it has none."""

        def continued(indices: list[int], said: list[Tokens]) -> Tensor:
            if not reading.can_go_back:
                return self.next_logits([reading.asks[index] for index in indices], said)
            reading.back_to_the_prompts()
            return reading.go_on(torch.tensor([said[0]] * len(reading.asks), device=self.model.device))[indices]

        return compare([ask.choices for ask in reading.asks], first_logits, self.choices, continued)


class FirstLogits(LogitsProcessor):
    """Keeps what a model said about its first new token; changes nothing."""

    logits: Tensor | None = None

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        if self.logits is None:
            self.logits = scores.detach().clone()
        return scores


class Contrasting(LogitsProcessor):
    """Takes off what is said with less to see, while answers are written; read on only where a gate is open.

    `first` are the logits (A, V) of the first token with less to see, where there are choices.
    """

    first: Tensor | None = None

    def __init__(self, seen: Reading, less: Reading, contrast: ContrastRecipe):
        self.less, self.contrast, self.start, self.length = less, contrast, seen.start, seen.start
        self.has_choices = any(ask.choices for ask in seen.asks)

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        wanted = self.has_choices and self.first is None
        is_open_A = torch.softmax(scores.float(), dim=-1).amax(-1) < self.contrast.gate
        if not wanted and not bool(is_open_A.any()):
            return scores
        less = self.less.go_on(input_ids[:, self.length :])
        self.first, self.length = less if wanted else self.first, input_ids.shape[1]
        written = [self.length - self.start] * len(scores)
        return contrasted(scores, less, self.contrast, written).to(scores.dtype)


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
