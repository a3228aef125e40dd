"""What is made of a record: one conversation of questions, captions and the turns it came with, and one of a preference."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from skymm.conversation import LANGUAGES, Turn
from skymm.curation.facts.co_occurrence import Statistics
from skymm.curation.negatives.preferences import preference
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
    """A conversation to be, which questions may still be added to (`with_questions`). It may have no turns yet.

    `suffix` tells several of one record apart, `extra` goes into the sample's JSON; `room`: how many more questions fit.
    """

    turns: tuple[Turn, ...]
    suffix: str
    extra: dict[str, Any]
    room: int = 0


def converse(
    record: Record, tasks: Sequence[str], recipe: DataRecipe, statistics: Statistics, seed: str, own: int = 0
) -> Iterator[Made]:
    """The conversations that the tasks make of a record: one of captions and turns, one of a preference.

    `seed` names the record among all, so that every choice is its own. A record that gives nothing gives none, but for one that
    may be asked questions: at most `own` of its source's own ones, and as many as the recipe says of the others.
    """
    rng = random.Random(seed)
    share = 0.5 if recipe.chinese_share is None else recipe.chinese_share
    language = "zh" if rng.random() < share else "en"
    answered: list[tuple[Turn, Turn]] = []
    opening: tuple[Turn, ...] = ()
    rejected = record.extra.get("rejected")
    if rejected and record.turns:  # a preference that the source has, whole: nothing is asked before or after it
        fits = recipe.max_turns is None or sum(turn.role == "user" for turn in record.turns) <= recipe.max_turns
        if fits and ("turns" in tasks or "preferences" in tasks):
            yield Made(tuple(map(_told, record.turns)), "", {})
        return
    if "turns" in tasks and record.turns:
        opening = tuple(turn for turn in record.turns[:1] if turn.role == "system")
        spoken = record.turns[len(opening) :]
        answered += [(question, _told(answer)) for question, answer in zip(spoken[::2], spoken[1::2])]
    if "captions" in tasks:  # after the turns, which may show the pictures themselves
        answered += _captions(record, rng)
    answered = answered[: recipe.max_turns]
    room = own + ("negatives" in tasks) * 2 * recipe.negatives.pairs_per_sample
    if recipe.max_turns is not None:
        room = min(room, recipe.max_turns - len(answered))
    if any(turn.places for pair in answered for turn in pair):
        room = 0  # a picture amid a sentence stays there, and nothing can be asked before it is shown
    if set(tasks) != {"preferences"}:
        yield Made((*opening, *(turn for pair in answered for turn in pair)), "", {}, room)
    if "preferences" in tasks:
        made = preference(rng, record, statistics, language)
        if made is not None:
            extra = {"rejected": made.rejected.text, "error": made.kind}
            yield Made((made.prompt, made.chosen), "-p", extra)


def with_questions(
    turns: Sequence[Turn], questions: Sequence[tuple[Turn, Turn]], pictures: Sequence[str]
) -> list[Turn]:
    """The questions come first: what captions and answers tell of the picture would answer them without a look at it.

    The first question of all shows the pictures, where no turn shows some of several.
    """
    opening = [turn for turn in turns[:1] if turn.role == "system"]
    asked = [turn for pair in questions for turn in pair]
    later = list(turns[len(opening) :])
    if asked and len(pictures) == 1:
        later = [replace(turn, images=(), places=()) for turn in later]
    found = [*opening, *asked, *later]
    if pictures and not any(turn.images for turn in found):
        first = next(index for index, turn in enumerate(found) if turn.role == "user")
        found[first] = replace(found[first], images=tuple(pictures))
    return found


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
