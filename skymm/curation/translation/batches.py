"""Batches of fixed shapes: what a model says about a text must not depend on the texts beside it.

Sums in another order differ in their last digits, and a kernel sums in another order for another shape; between two words
that are equally likely this decides. So a text is always computed in the shape that follows from its own length.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

SHORTEST = 16


def padded_length(length: int) -> int:
    """16, 32, 48, 64, 96, 128, 192, ...: the next power of two, or the middle before it."""
    size = SHORTEST
    while size < length:
        size *= 2
    middle = size * 3 // 4
    return middle if size > 2 * SHORTEST and length <= middle else size


def fixed_batches(lengths: Sequence[int], batch_size: int) -> Iterator[tuple[int, list[int]]]:
    """(length to pad to, `batch_size` indices), the shortest first. Where too few are left, the last is repeated."""
    by_length: dict[int, list[int]] = {}
    for index, length in enumerate(lengths):
        by_length.setdefault(padded_length(length), []).append(index)
    for length in sorted(by_length):
        indices = by_length[length]
        for start in range(0, len(indices), batch_size):
            part = indices[start : start + batch_size]
            yield length, part + part[-1:] * (batch_size - len(part))


def generate_all(
    prompts: Sequence[list[int]], generate: Callable[[int, list[list[int]]], list[str]], batch_size: int, limit: int
) -> list[str]:
    """An answer per prompt (tokens). `generate` gets the length to pad to and a batch; prompts longer than `limit` tokens
    are not asked and have the answer "".
    """
    answers = [""] * len(prompts)
    short = [index for index, prompt in enumerate(prompts) if len(prompt) <= limit]
    for length, chosen in fixed_batches([len(prompts[index]) for index in short], batch_size):
        said = generate(min(length, limit), [prompts[short[index]] for index in chosen])
        for index, answer in zip(chosen, said):
            answers[short[index]] = answer
    return answers
