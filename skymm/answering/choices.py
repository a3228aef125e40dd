"""Choices without generating: how probable is it that an answer begins with "yes", with "B", ...?

A choice is written in many ways ("Yes", " yes", 是, 有, 对 ...), and tokenizers cut each of them their own way. A choice's
probability is the sum over its surface forms, each as the shortest run of tokens that no other choice begins with. Mostly
that is one token, and one forward pass decides; where a token is common to several choices ("(" before a letter, the first
byte of Chinese characters), the text is continued with it and the next token decides.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

FORMS = {
    "yes": ("Yes", "yes", "YES", "是", "有", "对", "對"),
    "no": ("No", "no", "NO", "否", "不", "没", "沒", "无", "無"),
}
Tokens = tuple[int, ...]


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
        self._branches: dict[tuple[str, ...], dict[Tokens, dict[str, list[int]]]] = {}

    def branches(self, choices: tuple[str, ...]) -> dict[Tokens, dict[str, list[int]]]:
        """What was said so far -> the tokens that decide for each choice next. () is the start of the answer.

        Raises ValueError when a choice cannot be told from another by its tokens.
        """
        if choices not in self._branches:
            self._branches[choices] = self._build(choices)
        return self._branches[choices]

    def _build(self, choices: tuple[str, ...]) -> dict[Tokens, dict[str, list[int]]]:
        written = {choice: self._written(choice) for choice in choices}
        branches: dict[Tokens, dict[str, list[int]]] = {}
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
        runs: dict[Tokens, None] = {}
        for form in forms_of(choice):
            for before in ("", " ", "\n"):
                # After a line end a tokenizer that marks the starts of words (SentencePiece) does not mark this one.
                lead = "\n" if before == "\n" else ""
                skip = len(self._encode(lead)) if lead else 0
                ids = self._encode(before + form)
                if lead and ids[:skip] != self._encode(lead):
                    continue
                run = tuple(ids[skip:])
                if run and (before != " " or self.tokenizer.decode([run[0]]).strip()):
                    runs[run] = None
        return _shortest(runs)

    def _encode(self, text: str) -> list[int]:
        return self.tokenizer.encode(text, add_special_tokens=False)


def _begins(runs: Iterable[Tokens], start: Tokens) -> bool:
    return any(run[: len(start)] == start for run in runs)


def _shortest(runs: Iterable[Tokens]) -> list[Tokens]:
    """Without the runs that begin with another one: they are counted in it."""
    runs = list(runs)
    return [run for run in runs if not any(other != run and run[: len(other)] == other for other in runs)]


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
    found: list[dict[str, list[float]] | None] = [{choice: [] for choice in one} if one else None for one in choices]
    reached: dict[tuple[int, Tokens], tuple[float, Tensor]] = {
        (index, ()): (0.0, log_first[index]) for index, one in enumerate(choices) if one
    }
    # What is said further on needs every beginning of it before; each is one pass over the asks that it matters to.
    beginnings = {
        said[:length] for one in choices if one for said in tokens.branches(one) for length in range(1, len(said) + 1)
    }
    for said in sorted(beginnings, key=lambda said: (len(said), said)):
        indices = [
            index
            for index, one in enumerate(choices)
            if one and any(whole[: len(said)] == said for whole in tokens.branches(one))
        ]
        log_next = torch.log_softmax(continued(indices, [said] * len(indices)).float(), dim=-1)
        for row, index in enumerate(indices):
            before, distribution = reached[index, said[:-1]]
            reached[index, said] = (before + float(distribution[said[-1]]), log_next[row])
    for index, one in enumerate(choices):
        if not one:
            continue
        for said, deciding in tokens.branches(one).items():
            before, distribution = reached[index, said]
            for choice, ids in deciding.items():
                found[index][choice].append(before + float(torch.logsumexp(distribution[ids], dim=0)))
    return [_summed(one) for one in found]


def _summed(found: Mapping[str, list[float]] | None) -> dict[str, float] | None:
    if found is None:
        return None
    return {choice: float(torch.logsumexp(torch.tensor(values), dim=0)) for choice, values in found.items()}
