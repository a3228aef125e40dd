"""What is made of a record: a conversation about its captions, the one it came with, questions about what is not there."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from skymm.conversation import LANGUAGES, Turn
from skymm.curation.facts.co_occurrence import Statistics
from skymm.curation.negatives.pairs import pairs
from skymm.curation.negatives.preferences import preference
from skymm.curation.negatives.questions import Pair
from skymm.curation.record import Record
from skymm.recipe import DataRecipe
from skymm.text import language_of

DESCRIBE = {
    "en": (
        "Describe this picture.",
        "What is in the picture?",
        "What does this picture show?",
        "Say in a sentence what can be seen here.",
        "Give this image a caption.",
        "What do you see?",
    ),
    "zh": (
        "描述这张图片。",
        "图里有什么？",
        "这张图片展示了什么？",
        "用一句话说说图中的内容。",
        "给这张图写一个标题。",
        "你看到了什么？",
    ),
}


@dataclass(frozen=True, slots=True)
class Made:
    """A conversation to be: `suffix` tells several of one record apart, `extra` goes into the sample's JSON."""

    turns: tuple[Turn, ...]
    suffix: str
    extra: dict[str, Any]


def converse(
    record: Record, tasks: Sequence[str], recipe: DataRecipe, statistics: Statistics, seed: str
) -> Iterator[Made]:
    """The conversations that the tasks make of a record: one of captions, turns and negatives, one of a preference.

    `seed` names the record among all, so that every choice is its own. A record that gives nothing gives none.
    """
    rng = random.Random(seed)
    language = _language(record, recipe, rng)
    answered: list[tuple[Turn, Turn]] = []
    opening: tuple[Turn, ...] = ()
    rejected = record.extra.get("rejected")
    if rejected and record.turns:  # a preference that the source has, whole: nothing is asked before or after it
        fits = recipe.max_turns is None or sum(turn.role == "user" for turn in record.turns) <= recipe.max_turns
        if fits and ("turns" in tasks or "preferences" in tasks):
            yield Made(_shown(tuple(map(_told, record.turns)), record), "", {})
        return
    if "turns" in tasks and record.turns:
        opening = tuple(turn for turn in record.turns[:1] if turn.role == "system")
        spoken = record.turns[len(opening) :]
        answered += [(question, _told(answer)) for question, answer in zip(spoken[::2], spoken[1::2])]
    if "captions" in tasks:  # after the turns, which may show the pictures themselves
        answered += _captions(record, rng)
    twins: list[tuple[int, int]] = []
    if "negatives" in tasks:
        found = pairs(rng, record, recipe.negatives, statistics, language)
        asked, twins = _arranged(found, answered, recipe.negative_share, rng)
        answered += asked
    if recipe.max_turns is not None:
        answered = answered[: recipe.max_turns]
    if answered:
        turns = (*opening, *(turn for pair in answered for turn in pair))
        twins = [(first, second) for first, second in twins if max(first, second) < len(answered)]
        yield Made(_shown(turns, record), "", {"twins": twins} if twins else {})
    if "preferences" in tasks:
        made = preference(rng, record, statistics, language)
        if made is not None:
            turns = (made.prompt, made.chosen)
            yield Made(_shown(turns, record), "-p", {"rejected": made.rejected.text, "error": made.kind})


def _language(record: Record, recipe: DataRecipe, rng: random.Random) -> str:
    """Of the questions about a record: by the share that the recipe wants, half and half where it says nothing."""
    share = 0.5 if recipe.chinese_share is None else recipe.chinese_share
    return "zh" if rng.random() < share else "en"


def _captions(record: Record, rng: random.Random) -> list[tuple[Turn, Turn]]:
    """One caption per language, in any order: with several, each answer would begin where the last one ended."""
    found = []
    for language in LANGUAGES:
        texts = [caption.text for caption in record.captions if caption.language == language]
        if texts:
            answer = Turn("assistant", rng.choice(texts), (), "positive", "caption", language)
            found.append((Turn("user", rng.choice(DESCRIBE[language])), answer))
    rng.shuffle(found)
    return found


def _told(answer: Turn) -> Turn:
    return (
        answer if answer.language or answer.role != "assistant" else replace(answer, language=language_of(answer.text))
    )


def _arranged(
    found: Sequence[Pair], answered: Sequence[tuple[Turn, Turn]], share: float | None, rng: random.Random
) -> tuple[list[tuple[Turn, Turn]], list[tuple[int, int]]]:
    """The questions of all pairs, mixed, and which two are twins (numbers of answers within the conversation).

    With a negative share, as many twins are left out as bring the conversation near it.
    """
    told = [(pair, polarity) for pair in range(len(found)) for polarity in ("positive", "negative")]
    if share is not None:
        told = _thinned(told, sum(answer.polarity == "negative" for _, answer in answered), len(answered), share, rng)
    rng.shuffle(told)
    places = {told_of: len(answered) + index for index, told_of in enumerate(told)}
    twins = [
        (places[pair, "positive"], places[pair, "negative"])
        for pair in range(len(found))
        if (pair, "positive") in places and (pair, "negative") in places
    ]
    return [getattr(found[pair], polarity) for pair, polarity in told], twins


def _thinned(
    told: list[tuple[int, str]], negatives: int, answers: int, share: float, rng: random.Random
) -> list[tuple[int, str]]:
    """Leaves out answers of the polarity that there is too much of; the fraction of the last one is a coin's business."""
    num_pairs = len(told) // 2
    have = negatives + num_pairs
    if have > share * (answers + 2 * num_pairs):
        surplus, polarity = (have - share * (answers + 2 * num_pairs)) / (1 - share) if share < 1 else 0.0, "negative"
    else:
        wanted = (share * (answers + 2 * num_pairs) - have) / share if share else 0.0
        surplus, polarity = wanted, "positive"
    leave = int(surplus) + (rng.random() < surplus - int(surplus))
    gone = set(rng.sample(range(num_pairs), min(num_pairs, leave)))
    return [(pair, which) for pair, which in told if which != polarity or pair not in gone]


def _shown(turns: Sequence[Turn], record: Record) -> tuple[Turn, ...]:
    """The first question shows the pictures where no turn does."""
    if not record.pictures or any(turn.images for turn in turns):
        return tuple(turns)
    first = next(index for index, turn in enumerate(turns) if turn.role == "user")
    return (*turns[:first], replace(turns[first], images=tuple(record.pictures)), *turns[first + 1 :])
