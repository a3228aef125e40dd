"""Writing several answers at once, each with its own sampling, its own end, and its text as it comes.

A batch reads the prompts of some asks together and writes token by token; whoever is done leaves it. Batches of plain keys and
values can join: the memories are padded on the left to one length, as prompts are, so that new questions are written with
those that are under way (continuous batching; Yu et al., "Orca", OSDI 2022). Models with another memory (a sliding window, a
running state, positions of their own) are written in batches that stay as they are.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor
from transformers import TemperatureLogitsWarper, TopPLogitsWarper

from skymm.answering.contrast import contrasted, with_less
from skymm.answering.protocol import Ask, Reply
from skymm.answering.reading import Reading

LEAST = -9999.0
"""Stands for the logarithm of 0 where a number has to be sent as JSON."""


@dataclass(frozen=True, slots=True)
class Scored:
    """A token that was written, its log-probability, and the likeliest ones at its place with theirs."""

    text: str
    logprob: float
    top: tuple[tuple[str, float], ...] = ()


@dataclass(eq=False, slots=True)
class Line:
    """One answer while it is written.

    `say` is called with each new piece of text; the pieces are those of the reply's text, without blanks around it and
    without what follows a stop string. `top`: how many of the likeliest tokens are noted at each place; None: nothing is.
    """

    ask: Ask
    say: Callable[[str], None] = lambda piece: None
    top: int | None = None
    ids: list[int] = field(default_factory=list)
    scored: list[Scored] = field(default_factory=list)
    reply: Reply | None = None
    num_prompt_tokens: int = 0
    limit: int = 0  # of tokens; from the batch
    said: str = ""
    _held: str = ""  # read already, and perhaps the beginning of a stop string, or blanks at the end
    _settled: tuple[int, int] = (
        0,
        0,
    )  # tokens whose text is known, and where the run begins that they are decoded with
    _generator: torch.Generator | None = None

    def pick(self, scores_V: Tensor) -> int:
        """The next token, by the ask's sampling."""
        sampling = self.ask.sampling
        if sampling.temperature <= 0:
            return int(scores_V.argmax())
        if self._generator is None:
            self._generator = torch.Generator()
            if sampling.seed is None:
                self._generator.seed()
            else:
                self._generator.manual_seed(sampling.seed)
        # On the CPU, so that a seed says the same on every machine and in every batch.
        scores_1V = TemperatureLogitsWarper(float(sampling.temperature))(None, scores_V.float().cpu()[None])
        if sampling.top_p < 1:
            scores_1V = TopPLogitsWarper(float(sampling.top_p))(None, scores_1V)
        return int(torch.multinomial(scores_1V.softmax(-1)[0], 1, generator=self._generator))

    def add(self, token: int, tokenizer: Any, ends: frozenset[int]) -> None:
        """One more token; after the last one there is a `reply`."""
        self.ids.append(token)
        reason = "stop" if token in ends else "length" if len(self.ids) >= self.limit else None
        if self._tell(self._decoded(tokenizer, last=reason is not None), last=reason is not None):
            reason = "stop"
        if reason is not None:
            self.reply = Reply(
                self.said, finish_reason=reason, num_tokens=len(self.ids), num_prompt_tokens=self.num_prompt_tokens
            )

    def _decoded(self, tokenizer: Any, last: bool) -> str:
        """The text that the newest tokens add. Half a character waits for its other half."""
        start, read = self._settled
        before = tokenizer.decode(self.ids[start:read], skip_special_tokens=True)
        text = tokenizer.decode(self.ids[start:], skip_special_tokens=True)
        if len(text) <= len(before) or (text.endswith("\ufffd") and not last):
            return ""
        self._settled = (read, len(self.ids))
        return text[len(before) :]

    def _tell(self, text: str, last: bool) -> bool:
        """Says what is sure to belong to the answer. True where a stop string ends it."""
        text = self._held + text if self.said else (self._held + text).lstrip()
        found = [place for stop in self.ask.sampling.stop if (place := text.find(stop)) >= 0]
        if found:
            text, last = text[: min(found)], True
        sure = len(text)
        if not last:
            sure -= max((_overlap(text, stop) for stop in self.ask.sampling.stop), default=0)
        piece = text[:sure].rstrip()
        self._held = text[len(piece) :]
        if piece:
            self.said += piece
            self.say(piece)
        return bool(found)


class Batch:
    """Answers of one LocalAnswerer that are written together. Use it inside `torch.inference_mode`.

    All asks have as many images, or all are read to their first token already (`join`). Where the model's context ends, an
    answer is cut. Raises ValueError for a prompt that leaves no room in it.
    """

    def __init__(self, answerer: Any, lines: Sequence[Line]):
        self.answerer, self.lines = answerer, list(lines)
        asks = [line.ask for line in lines]
        self.contrasts = answerer.takes_off(asks[0])
        self.seen = Reading(answerer, asks)
        lengths = self.seen.inputs["attention_mask"].sum(-1).tolist()
        for line, length in zip(lines, lengths):
            line.num_prompt_tokens = length
            line.limit = line.ask.sampling.max_new_tokens or answerer.max_new_tokens
            if (room := answerer.context_length) is not None:
                if length >= room:
                    raise ValueError(
                        f"{line.ask.id}: {length} tokens to read, the model's context has {room}; shorten it"
                    )
                line.limit = min(line.limit, room - length)
        contrast = answerer.contrast
        self.less = Reading(answerer, [with_less(ask, contrast) for ask in asks]) if self.contrasts else None
        self.scores_AV = self._go_on(None)

    def step(self) -> list[Line]:
        """One token for each answer. Returns those that it ends."""
        under_way = [line for line in self.lines if line.reply is None]
        tokens = self._write()
        ended = [line for line in under_way if line.reply is not None]
        rows = self._without(ended)
        if rows:
            self.scores_AV = self._go_on([tokens[row] for row in rows])
        return ended

    def drop(self, gone: Sequence[Line]) -> None:
        """Goes on without these answers."""
        for line in gone:
            line.reply = line.reply or Reply(line.said, finish_reason="cancelled", num_tokens=len(line.ids))
        rows = self._without(gone)
        self.scores_AV = self.scores_AV[rows]

    def _without(self, gone: Sequence[Line]) -> list[int]:
        """The rows that stay. Where rows cannot leave, all do until the last one is done."""
        rows = [row for row, line in enumerate(self.lines) if line.reply is None]
        if rows and not self.can_change:
            rows = [*range(len(self.lines))]
        elif rows and gone:
            for reading in self._readings:
                reading.select(rows)
        self.lines = [self.lines[row] for row in rows]
        return rows

    def join(self, other: Batch) -> None:
        """The other batch's answers are written here from now on. Both have to be of one kind, and `can_change`."""
        for mine, theirs in zip(self._readings, other._readings):
            mine.join(theirs)
        self.lines += other.lines
        self.scores_AV = torch.cat([self.scores_AV, other.scores_AV])

    @property
    def can_change(self) -> bool:
        return all(reading.can_be_joined for reading in self._readings)

    @property
    def _readings(self) -> list[Any]:
        return [self.seen] if self.less is None else [self.seen, self.less]

    def _go_on(self, tokens: list[int] | None) -> Tensor:
        more = None if tokens is None else torch.tensor(tokens, device=self.answerer.model.device)[:, None]
        seen_AV, *less = [reading.go_on(more) for reading in self._readings]
        written = [len(line.ids) for line in self.lines]
        return contrasted(seen_AV, less[0], self.answerer.contrast, written) if less else seen_AV.float()

    def _write(self) -> list[int]:
        greedy = self.scores_AV.argmax(-1).tolist()
        tokens = []
        for row, line in enumerate(self.lines):
            if line.reply is not None:  # it could not leave
                tokens.append(greedy[row])
                continue
            scores_V = self.scores_AV[row]
            tokens.append(greedy[row] if line.ask.sampling.temperature <= 0 else line.pick(scores_V))
            if line.top is not None:
                line.scored.append(self._scored(scores_V, tokens[-1], line.top))
            line.add(tokens[-1], self.answerer.tokenizer, self.answerer.end_ids)
        return tokens

    def _scored(self, scores_V: Tensor, token: int, top: int) -> Scored:
        log_p = torch.log_softmax(scores_V, dim=-1)
        values, ids = log_p.topk(top)
        decode = self.answerer.tokenizer.decode
        listed = [(decode([id_]), _finite(value)) for id_, value in zip(ids.tolist(), values.tolist())]
        return Scored(decode([token]), _finite(float(log_p[token])), tuple(listed))


def _finite(value: float) -> float:
    return value if math.isfinite(value) else LEAST


def _overlap(text: str, stop: str) -> int:
    """How many characters at the end of a text may be the beginning of a stop string."""
    return next((size for size in range(min(len(stop) - 1, len(text)), 0, -1) if stop.startswith(text[-size:])), 0)
