"""What an answerer is: anything that answers questions about images, one reply for each ask."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

Mode = Literal["generate", "logits"]


@dataclass(frozen=True, slots=True)
class Ask:
    """A prompt as it is to be sent, with the encoded images that stand before it, and what can be chosen between.

    `id` names the question in errors.
    """

    prompt: str
    images: tuple[bytes, ...] = ()
    choices: tuple[str, ...] = ()
    id: str = "the question"


@dataclass(frozen=True, slots=True)
class Reply:
    """Raw text; log-probabilities of the choices where they could be had; or why there is no answer.

    `finish_reason`: "stop", "length" (it was cut), "content_filter", ... where whoever answered tells it; `refusal` and
    `reasoning_content` as endpoints send them beside the text. A reply with an error counts as unknown in scores, and is
    asked again by the next run.
    """

    text: str
    logits: Mapping[str, float] | None = None
    error: str | None = None
    finish_reason: str | None = None
    refusal: str | None = None
    reasoning_content: str | None = None


class Answerer(Protocol):
    """`name`, `weights` (a fingerprint; None where there is none to be had) and `decoding` go into the predictions file.

    `batch_size` is how many asks it wants at a time at least; 0: it does not mind.
    """

    name: str
    weights: str | None
    decoding: Mapping[str, Any]
    batch_size: int

    def answer(self, asks: Sequence[Ask], mode: Mode) -> Iterator[tuple[int, Reply]]:
        """Replies with the index of their ask, each as soon as it is there, in any order.

        "generate" is greedy decoding. "logits" compares the choices in one forward pass and generates nothing: the text is
        the likeliest choice. An ask without choices is generated in both modes.
        """
        ...


def chosen(logits: Mapping[str, float]) -> str:
    """The likeliest choice as a model would have written it: Yes, No, or the letter."""
    best = max(logits, key=lambda choice: logits[choice])
    return best.capitalize() if best in ("yes", "no") else best
