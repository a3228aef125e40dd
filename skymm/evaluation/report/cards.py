"""Cards with a picture, the question about it, and what every run made of it: a report's worst mistakes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from skymm.evaluation.benchmark import Answer, Picture
from skymm.evaluation.report.figures import probability
from skymm.evaluation.report.mistakes import confidence_of, in_turn, pictures_of, thumbnail
from skymm.evaluation.report.seeing import Run, is_right

MAX_CARDS = 12


@dataclass(frozen=True, slots=True)
class Reply:
    """What the run at place `series` answered: `verdict` is "right", "wrong" or "" (none); `confidence` may be ""."""

    label: str
    series: int
    text: str
    verdict: str
    confidence: str


@dataclass(frozen=True, slots=True)
class Card:
    """A question; `picture` is a data URL, None where it could not be had."""

    id: str
    picture: str | None
    question: str
    gold: str
    replies: list[Reply]


def cards_of(runs: Sequence[Run], labels: Sequence[str]) -> tuple[list[Card], str]:
    """At most MAX_CARDS questions that the runs were wrong about; and why pictures could not be read, "" if they could."""
    chosen = in_turn(runs, MAX_CARDS)
    pictures, reason = _pictures(runs) if chosen else ({}, "")
    replies: dict[tuple[str, str], list[Reply]] = {_asked(answer): [] for answer in chosen}
    for series, (run, label) in enumerate(zip(runs, labels)):
        for answer in run.answers:
            if _asked(answer) in replies:
                replies[_asked(answer)].append(_reply(run, label, series, answer))
    cards = []
    for answer in chosen:
        question, picture = answer.question, pictures.get(_asked(answer))
        shown = None if picture is None else thumbnail(picture)
        cards.append(Card(question.id, shown, question.text, question.gold, replies[_asked(answer)]))
    return cards, reason


def _asked(answer: Answer) -> tuple[str, str]:
    """Runs in two languages may have the same ids: the same question has the same words too."""
    return answer.question.id, answer.question.text


def _pictures(runs: Sequence[Run]) -> tuple[dict[tuple[str, str], Picture], str]:
    found: dict[tuple[str, str], Picture] = {}
    reasons: list[str] = []
    read = set()
    for run in runs:
        source = run.recipe.model_dump_json(include={"root", "images", "split", "files"})
        if source not in read:
            read.add(source)
            pictures, reason = pictures_of(run)
            found = {**pictures, **found}
            reasons += [reason] if reason else []
    return found, reasons[0] if reasons else ""


def _reply(run: Run, label: str, series: int, answer: Answer) -> Reply:
    right, confidence = is_right(answer, run.benchmark), confidence_of(answer, run.benchmark)
    verdict = "" if right is None else "right" if right else "wrong"
    return Reply(label, series, answer.response.strip(), verdict, "" if confidence is None else probability(confidence))
