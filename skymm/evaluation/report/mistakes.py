"""The mistakes that say most about a model: those it was surest of, with the picture it was shown and what every run said."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from pathlib import Path

from PIL import Image, ImageOps

from skymm.evaluation.benchmark import Answer, Benchmark, Picture
from skymm.evaluation.report.measure import Measured, Run, is_right, probabilities, said
from skymm.page.document import Card, Cards, Line, Section, Words, data_url
from skymm.page.drawing import swatch
from skymm.page.numbers import probability
from skymm.verdict import UNKNOWN

MAX_CARDS = 12
_LONGEST_SIDE = 560  # pixels: twice what a card shows, for dense screens


def mistakes(runs: Sequence[Measured], words: Words) -> Section:
    """At most MAX_CARDS questions that the runs were wrong about, and what all of them answered."""
    cards, unread = cards_of([one.run for one in runs], [one.label for one in runs], words)
    confident = any(line.note for card in cards for line in card.lines)
    title = words["mistakes" if confident else "mistakes_unsure"]
    if not cards:
        return Section(title, [words["no_mistakes"]])
    note = [words["mistakes_note"], *([words["mistakes_percent"]] if confident else [])]
    reason = [words["pictures_unread"].format(error=unread)] if unread else []
    return Section(title, [words["between_sentences"].join(note), *reason, Cards(cards, words["no_picture"])])


def cards_of(runs: Sequence[Run], labels: Sequence[str], words: Words) -> tuple[list[Card], str]:
    """The cards, and why pictures could not be read, "" if they could."""
    chosen = in_turn(runs, MAX_CARDS)
    pictures, reason = _pictures(runs) if chosen else ({}, "")
    replies: dict[tuple[str, str], list[Line]] = {_asked(answer): [] for answer in chosen}
    for series, (run, label) in enumerate(zip(runs, labels)):
        for answer in run.answers:
            if _asked(answer) in replies:
                right, confidence = is_right(answer, run.benchmark), confidence_of(answer, run.benchmark)
                style = "" if right is None else "right" if right else "wrong"
                note = "" if confidence is None else probability(confidence)
                text = answer.response.strip() or words["nothing_said"]
                replies[_asked(answer)].append(Line(text, style, label, swatch(series), note))
    cards = []
    for answer in chosen:
        question, picture = answer.question, pictures.get(_asked(answer))
        shown = words["picture"].format(id=question.id), None if picture is None else thumbnail(picture)
        asked = [Line(question.text or question.id), Line(question.gold, label=words["right_answer"])]
        cards.append(Card([shown], [*asked, *replies[_asked(answer)]]))
    return cards, reason


def in_turn(runs: Sequence[Run], most: int) -> list[Answer]:
    """At most `most` answers: the worst mistake of each run, then the second worst, one for each cluster in all."""
    queues = [worst_mistakes(run) for run in runs]
    chosen: dict[tuple[str, str], Answer] = {}
    for place in range(max(map(len, queues), default=0)):
        for run, queue in zip(runs, queues):
            if place < len(queue) and len(chosen) < most:
                # Two tables of one benchmark may number their pictures alike.
                chosen.setdefault((run.recipe.root, queue[place].question.cluster), queue[place])
    return list(chosen.values())


def worst_mistakes(run: Run) -> list[Answer]:
    """Wrong answers that are definite, one for each cluster: the surest first where confidence was recorded.

    Without it: evenly spread over the benchmark's own order, so that no part of it fills the page.
    """
    wrong = [(confidence_of(one, run.benchmark), one) for one in run.answers if _definitely_wrong(one, run.benchmark)]
    sure = sorted(((sure, one) for sure, one in wrong if sure is not None), key=lambda pair: -pair[0])
    unsure = _spread([one for sure, one in wrong if sure is None])
    first: dict[str, Answer] = {}
    for answer in [*(one for _, one in sure), *unsure]:
        first.setdefault(answer.question.cluster, answer)
    return list(first.values())


def confidence_of(answer: Answer, benchmark: Benchmark) -> float | None:
    """The recorded probability of what was said; where that cannot be read, of the most likely choice."""
    chances = probabilities(answer)
    if chances is None:
        return None
    return chances.get(said(answer, benchmark) or "", max(chances.values()))


def _definitely_wrong(answer: Answer, benchmark: Benchmark) -> bool:
    if said(answer, benchmark) == UNKNOWN:
        return False
    return is_right(answer, benchmark) is False and benchmark.right(answer) is not True


def _spread(answers: list[Answer]) -> Iterator[Answer]:
    """All of them, in an order of which every beginning covers the whole: by halving steps."""
    step = 1
    while step < len(answers):
        step *= 2
    seen: set[int] = set()
    while step:
        for index in range(0, len(answers), step):
            if index not in seen:
                seen.add(index)
                yield answers[index]
        step //= 2


def _asked(answer: Answer) -> tuple[str, str]:
    """Runs in two languages may have the same ids: the same question has the same words too."""
    return answer.question.id, answer.question.text


def _pictures(runs: Sequence[Run]) -> tuple[dict[tuple[str, str], Picture], str]:
    """(id, text) of a question -> its first picture, as the files have it now; and why some could not be read, or ""."""
    found: dict[tuple[str, str], Picture] = {}
    reasons: list[str] = []
    sources = {run.recipe.model_dump_json(include={"root", "images", "split", "files"}): run for run in reversed(runs)}
    for run in reversed(sources.values()):
        try:
            questions = run.benchmark.load(run.recipe)
        except Exception as error:  # the page is about answers: whatever keeps files from being read is said on it
            reasons.append(f"{type(error).__name__}: {error}")
            continue
        pictures = {(question.id, question.text): question.images[0] for question in questions if question.images}
        found = {**pictures, **found}
    return found, reasons[0] if reasons else ""


def thumbnail(picture: Picture) -> str | None:
    """The picture as a data URL, upright and scaled down; None where it is gone or cannot be read."""
    try:
        data = Path(picture).read_bytes() if not isinstance(picture, bytes) else picture
        with Image.open(io.BytesIO(data)) as opened:
            return data_url(ImageOps.exif_transpose(opened), _LONGEST_SIDE)
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):  # SyntaxError: Pillow, for broken PNGs
        return None
