"""The mistakes that say most about a model: those it was surest of, with the picture it was shown."""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from PIL import Image, ImageOps

from skymm.evaluation.benchmark import Answer, Benchmark, Picture
from skymm.evaluation.report.seeing import Run, is_right, probabilities, said
from skymm.page.thumbnails import data_url

_LONGEST_SIDE = 560  # pixels: twice what a card shows, for dense screens


@dataclass(frozen=True, slots=True)
class Mistake:
    """A wrong answer. `confidence` is that in the wrong choice; None where none was recorded."""

    answer: Answer
    confidence: float | None


def confidence_of(answer: Answer, benchmark: Benchmark) -> float | None:
    """The recorded probability of what was said; where that cannot be read, of the most likely choice."""
    chances = probabilities(answer)
    if chances is None:
        return None
    return chances.get(said(answer, benchmark) or "", max(chances.values()))


def worst_mistakes(run: Run) -> list[Mistake]:
    """Wrong answers that are definite, one for each cluster: the surest first where confidence was recorded.

    Without it: evenly spread over the benchmark's own order, so that no part of it fills the page.
    """
    wrong = [answer for answer in run.answers if _definitely_wrong(answer, run.benchmark)]
    found = [Mistake(answer, confidence_of(answer, run.benchmark)) for answer in wrong]
    sure = [mistake for mistake in found if mistake.confidence is not None]
    sure.sort(key=lambda mistake: -(mistake.confidence or 0))
    unsure = list(_spread([mistake for mistake in found if mistake.confidence is None]))
    first: dict[str, Mistake] = {}
    for mistake in sure + unsure:
        first.setdefault(mistake.answer.question.cluster, mistake)
    return list(first.values())


def _definitely_wrong(answer: Answer, benchmark: Benchmark) -> bool:
    choice = said(answer, benchmark)
    if choice == "unknown":
        return False
    return is_right(answer, benchmark) is False and benchmark.right(answer) is not True


def _spread(mistakes: list[Mistake]) -> Iterator[Mistake]:
    """All of them, in an order of which every beginning covers the whole: by halving steps."""
    step = 1
    while step < len(mistakes):
        step *= 2
    seen: set[int] = set()
    while step:
        for index in range(0, len(mistakes), step):
            if index not in seen:
                seen.add(index)
                yield mistakes[index]
        step //= 2


def in_turn(runs: Sequence[Run], most: int) -> list[Answer]:
    """At most `most` answers: the worst mistake of each run, then the second worst, one for each cluster in all."""
    queues = [worst_mistakes(run) for run in runs]
    chosen: dict[tuple[str, str], Answer] = {}
    for place in range(max(map(len, queues), default=0)):
        for run, queue in zip(runs, queues):
            if place < len(queue) and len(chosen) < most:
                # Two tables of one benchmark may number their pictures alike.
                chosen.setdefault((run.recipe.root, queue[place].answer.question.cluster), queue[place].answer)
    return list(chosen.values())


def pictures_of(run: Run) -> tuple[Mapping[tuple[str, str], Picture], str]:
    """Id and text of a question -> its first picture, as the files have it now; and why they could not be read, or ""."""
    try:
        questions = run.benchmark.load(run.recipe)
    except Exception as error:  # the page is about answers: whatever keeps files from being read is said on it
        return {}, f"{type(error).__name__}: {error}"
    return {(question.id, question.text): question.images[0] for question in questions if question.images}, ""


def thumbnail(picture: Picture) -> str | None:
    """The picture as a data URL, upright and scaled down; None where it is gone or cannot be read."""
    try:
        data = Path(picture).read_bytes() if not isinstance(picture, bytes) else picture
        with Image.open(io.BytesIO(data)) as opened:
            return data_url(ImageOps.exif_transpose(opened), _LONGEST_SIDE)
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):  # SyntaxError: Pillow, for broken PNGs
        return None
