"""The yes/no questions of shards that were kept back from training: does the model see what it was taught to look for?

Any shards that `skymm data build` writes (or others with `polarity` or a yes/no answer in their turns) are a benchmark of
their own kind: every question that is answered with yes or no is asked by itself, with its picture and without what was said
before it. There is no official scorer; the one reading is the strict bilingual one.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from skymm.data.shards import Sample, conversation_of, expand, read_shard
from skymm.evaluation.benchmark import YES_NO, Answer, Files, Question, declared
from skymm.evaluation.statistics import auroc, calibration
from skymm.recipe import EvalRecipe
from skymm.text import language_of
from skymm.verdict import NO, UNKNOWN, YES, yes_no

_POLARITY = {"positive": YES, "negative": NO}


def load(recipe: EvalRecipe) -> list[Question]:
    """The questions of the shards at `root`, in their order. `split` is one language (en, zh) or one kind ("existence").

    Raises ValueError where shards have no such questions.
    """
    found = [
        question
        for path in expand(str(recipe.root))
        for sample in read_shard(path)
        for question in _questions(sample)
        if recipe.split in (None, question.fields["language"], question.fields["kind"])
    ]
    if not found:
        wanted = f" of {recipe.split!r}" if recipe.split else ""
        raise ValueError(f"{recipe.root}: found no questions{wanted} that are answered with yes or no")
    return found


def _questions(sample: Sample) -> Iterator[Question]:
    conversation = conversation_of(sample)
    first = conversation.turns[0].role == "system"
    for number, (turn, answer) in enumerate(pairwise(conversation.turns)):
        if answer.role != "assistant":
            continue
        asked = conversation.with_pairs([(number - first) // 2]).turns[first]  # it shows what stood before it
        if not asked.images:
            continue
        gold = yes_no(answer.text, turn.text)
        if gold == UNKNOWN or _POLARITY.get(answer.polarity, gold) != gold:
            continue
        kind = (answer.kind or "unknown").partition("/")[0]
        fields = {"language": answer.language or language_of(turn.text), "kind": kind}
        pictures = tuple(sample.members[name] for name in asked.images)
        name = f"{sample.key}/{number}"
        yield Question(name, asked.text, gold, sample.key, pictures, YES_NO, fields, asked.places, asked.images)


def score(answers: Sequence[Answer], files: Files) -> dict[str, Any]:
    """`accuracy`, `correct`, `total`, `yes_ratio` (of what was read), `unknown`, and `auroc` of the log-odds of yes where
    there are logits, with `ece` (how far their probability of yes can be taken at its word) and `best_accuracy` (what the
    best threshold would get, chosen on the answers themselves); the same of each language, kind, and kind in a language.
    """
    groups: dict[str, dict[str, list[Answer]]] = {"languages": {}, "kinds": {}, "kinds_by_language": {}}
    for answer in answers:
        language, kind = answer.question.fields["language"], answer.question.fields["kind"]
        for group, name in zip(groups, (language, kind, f"{kind} {language}")):
            groups[group].setdefault(name, []).append(answer)
    tables = {group: {name: _counted(those) for name, those in found.items()} for group, found in groups.items()}
    return {**_counted(answers), **tables}


def _counted(answers: Sequence[Answer]) -> dict[str, Any]:
    said = list(map(strict, answers))
    right = sum(one == answer.question.gold for one, answer in zip(said, answers))
    read = len(said) - said.count(UNKNOWN)
    return {
        "accuracy": right / max(1, len(said)),
        "correct": right,
        "total": len(said),
        "yes_ratio": said.count(YES) / read if read else None,
        "unknown": said.count(UNKNOWN) / max(1, len(said)),
        **_compared(answers),
    }


def _compared(answers: Sequence[Answer]) -> dict[str, float | None]:
    """What log-odds say beyond the answer; None where there are none."""
    odds = [log_odds(answer.logits) for answer in answers]
    if None in odds or not odds:
        return {"auroc": None, "ece": None, "best_accuracy": None}
    found, truth = np.array(odds), np.array([answer.question.gold == YES for answer in answers])
    sure = calibration((1 / (1 + np.exp(-found))).tolist(), truth.tolist())
    order = np.argsort(found)
    below, from_here = np.cumsum(~truth[order]), np.cumsum(truth[order][::-1])[::-1]
    # A threshold lies below all, between two different odds, or above all.
    right = np.concatenate([from_here[:1], (below[:-1] + from_here[1:])[np.diff(found[order]) > 0], below[-1:]])
    best = float(right.max()) / len(found)
    return {"auroc": auroc(odds, truth.tolist()), "ece": sure and sure.ece, "best_accuracy": best}


def log_odds(logits: Mapping[str, float] | None) -> float | None:
    return None if logits is None else logits[YES] - logits[NO]


def strict(answer: Answer) -> str:
    return yes_no(answer.response, answer.question.text)


BENCHMARK = declared("held_out", load=load, score=score, official=strict, strict=strict)
