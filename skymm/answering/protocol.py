"""Asking a model about images: what is asked, and what comes back."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol

from skymm.conversation import Turn
from skymm.images import open_image
from skymm.video import NUM_FRAMES, frames_of, is_video

Mode = Literal["generate", "logits"]
YES_OR_NO = ("yes", "no")

_WANTS_YES_NO = re.compile(
    r"(?:is|are|was|were|am|do|does|did|can|could|has|have|had|will|would|should|isn't|aren't|doesn't|don't)\b"
    r"|.*(?:(?:[吗嗎]|(?<![什甚怎])[么麼])\s*[?？]?\s*$|是不是|有没有|有沒有|是否|能不能|对不对|對不對|在不在)",
    re.I | re.S,
)


@dataclass(frozen=True, slots=True)
class Sampling:
    """How an answer is written: at temperature 0 greedily. `max_new_tokens` None: as many as the answerer writes.

    `stop`: texts before which the answer ends. `seed`: the same one gives the same answer; None: another one each time.
    """

    temperature: float = 0.0
    top_p: float = 1.0
    max_new_tokens: int | None = None
    stop: tuple[str, ...] = ()
    seed: int | None = None


@dataclass(frozen=True, slots=True)
class Ask:
    """A prompt as it is to be sent, with the encoded images that stand before it, and what can be chosen between.

    `places` say where in it they stand, if not before it, and `names` which of them are frames of a clip, as in a Turn.
    `history` are the turns before it. What they show comes first in `images`, and their names say no more than that either.
    `id` names the question in errors. `said` is how the answer begins: models of this machine go on from it, and the reply is
    what they add.
    """

    prompt: str
    images: tuple[bytes, ...] = ()
    choices: tuple[str, ...] = ()
    id: str = "the question"
    history: tuple[Turn, ...] = ()
    sampling: Sampling = Sampling()
    places: tuple[int, ...] = ()
    names: tuple[str, ...] = ()
    said: str = ""

    @classmethod
    def about(
        cls, question: str, files: Sequence[str | Path], *, num_frames: int = NUM_FRAMES, fps: float | None = None
    ) -> Ask:
        """A question about pictures and clips, as shards of them are built: a clip is its frames, each with its time.

        Raises ValueError (UnreadableImage) for a file that is neither, and what `frames_of` raises.
        """
        images: list[tuple[str, bytes]] = []
        seconds: dict[str, float] = {}
        for file in map(Path, files):
            with file.open("rb") as opened:
                beginning = opened.read(200)
            if not is_video(beginning):
                images.append((f"{len(images)}", file.read_bytes()))
                open_image(images[-1][1], str(file))
                continue
            for frame in frames_of(file, str(file), num_frames=num_frames, fps=fps):
                name = f"{len(images)}.frame"
                images.append((name, frame.data))
                seconds[name] = frame.seconds
        names = tuple(name for name, _ in images)
        turn = Turn("user", question, names).timed(seconds)
        return cls(turn.text, tuple(data for _, data in images), places=turn.places, names=names)

    @property
    def turns(self) -> tuple[Turn, ...]:
        """The history and the prompt. Raises ValueError where the history shows more images than there are."""
        shown = sum(len(turn.images) for turn in self.history)
        if shown > len(self.images):
            raise ValueError(f"{self.id}: the turns before it show {shown} images, found {len(self.images)}")
        names = self.names or tuple(f"image {index}" for index in range(shown, len(self.images)))
        return (*self.history, Turn("user", self.prompt, names, places=self.places))


@dataclass(frozen=True, slots=True)
class Reply:
    """Raw text; log-probabilities of the choices where they could be had; or why there is no answer.

    `finish_reason`: "stop", "length" (it was cut), "content_filter", ... where whoever answered tells it; `refusal` and
    `reasoning_content` as endpoints send them beside the text. Where it is known, `num_tokens`: how many were written, and
    `num_prompt_tokens`: how many were read before, images included. A reply with an error counts as unknown in scores, and is
    asked again by the next run.
    """

    text: str
    logits: Mapping[str, float] | None = None
    error: str | None = None
    finish_reason: str | None = None
    refusal: str | None = None
    reasoning_content: str | None = None
    num_tokens: int | None = None
    num_prompt_tokens: int | None = None

    @property
    def probability_of_yes(self) -> float:
        """Of a yes, where yes and no were compared."""
        assert self.logits is not None
        return 1 / (1 + math.exp(self.logits["no"] - self.logits["yes"]))


def is_yes_no(question: str) -> bool:
    """Whether a question wants yes or no, by how its last sentence begins in English or is built in Chinese."""
    return bool(_WANTS_YES_NO.match(re.split(r"(?<=[.!。！])\s*(?=\S)", question.strip())[-1]))


class Answerer(Protocol):
    """`name`, `weights` (a fingerprint; None where there is none to be had) and `decoding` go into the predictions file.

    `batch_size` is how many asks it wants at a time at least; 0: it does not mind. Whoever writes text also has
    `stream(ask)`: pieces of the reply's text as they come; who closes the iterator ends the writing. Whoever can take off
    what is said without seeing has `contrast`, a ContrastRecipe or None.
    """

    name: str
    batch_size: int

    @property
    def weights(self) -> str | None: ...

    @property
    def decoding(self) -> Mapping[str, Any]: ...

    def answer(self, asks: Sequence[Ask], mode: Mode) -> Iterator[tuple[int, Reply]]:
        """Replies with the index of their ask, each as soon as it is there, in any order.

        "generate" writes. "logits" compares the choices in one forward pass and generates nothing: the text is the likeliest
        choice. An ask without choices is generated in both modes.
        """
        ...


def chosen(logits: Mapping[str, float]) -> str:
    """The likeliest choice as a model would have written it: Yes, No, or the letter."""
    best = max(logits, key=lambda choice: logits[choice])
    return best.capitalize() if best in ("yes", "no") else best


def calibrated(logits: Mapping[str, float], offset: float, temperature: float) -> dict[str, float]:
    """Log-probabilities of yes and no whose log-odds are (log-odds - offset) / temperature. What both have together stays."""
    odds = (logits["yes"] - logits["no"] - offset) / temperature
    both = math.log(sum(map(math.exp, logits.values())))
    return {"yes": both - _softplus(-odds), "no": both - _softplus(odds)}


def _softplus(x: float) -> float:
    return max(x, 0.0) + math.log1p(math.exp(-abs(x)))


def without_outer_blanks(pieces: Iterator[str]) -> Iterator[str]:
    """Pieces of a text -> pieces of its `strip()`."""
    held = None  # None: nothing has been said yet
    for piece in pieces:
        piece = piece.lstrip() if held is None else held + piece
        said = piece.rstrip()
        if said:
            yield said
        if piece:
            held = piece[len(said) :]
