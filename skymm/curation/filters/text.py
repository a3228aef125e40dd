"""Captions and conversations judged by their words: length, repetition, boilerplate. No picture is looked at."""

from __future__ import annotations

import re
from collections import Counter
from functools import lru_cache

from skymm import text as language
from skymm.conversation import Turn
from skymm.curation.filters.boilerplate import is_boilerplate, is_garbled
from skymm.curation.filters.outcome import Outcome, keep
from skymm.curation.record import Record
from skymm.recipe.data import FiltersRecipe

# 哈哈哈 is laughing, 哈哈哈哈 is noise; "!!!" is a mark, "!!!!!!" is noise. Digits ("1000000") and blanks ("____") are neither.
_HAN_RUN = re.compile("([\u3400-\u4dbf\u4e00-\u9fff])\\1{3}")
_LETTER_RUN = re.compile(r"([^\W\d_])\1{5}")
OTHER_LANGUAGE = "neither Chinese nor English"
_MARK_RUN = re.compile(r"([^\w\s])\1{5}")


@lru_cache(maxsize=16384)
def words(text: str) -> tuple[str, ...]:
    """`skymm.text.words`, remembered: several filters ask for those of the same caption."""
    return tuple(language.words(text))


def repetition(text: str) -> float:
    """Share of word 3-grams that stood earlier in the text already; 0 for fewer than three words."""
    found = words(text)
    grams = list(zip(found, found[1:], found[2:]))
    return 1 - len(set(grams)) / len(grams) if grams else 0.0


def caption_reason(text: str, recipe: FiltersRecipe) -> str | None:
    """Why a caption is kept out, or None."""
    if recipe.boilerplate and is_boilerplate(text):
        return "boilerplate"
    if recipe.max_repetition is not None and _MARK_RUN.search(text):
        return "repetitive text"
    return _reason(text, recipe, recipe.min_words)


def answer_reason(text: str, recipe: FiltersRecipe) -> str | None:
    """Why an answer, or a question, of a conversation is kept out, or None.

    "Yes" and 是 are whole answers, and a price, an address or a table of dashes may be just what was asked for, so there is
    no smallest length here, and of boilerplate only what was read in a wrong encoding counts.
    """
    if recipe.boilerplate and is_garbled(text):
        return "boilerplate"
    return _reason(text, recipe, None)


def prune(record: Record, recipe: FiltersRecipe, *, named: bool = False) -> Outcome:
    """The record without its bad captions, and with its conversation up to the first bad answer or question.

    What follows may refer to what was cut out, so it goes too; and where it would have shown pictures, the whole
    conversation goes. So does one whose last answer somebody compared with a rejected one. The record itself goes when
    nothing is left that was said, and there are no facts. `named`: its recipe says its language, so that nobody asks.
    """
    other = recipe.languages and not named
    dropped: Counter[str] = Counter()
    captions = []
    for caption in record.captions:
        reason = OTHER_LANGUAGE if other and language.foreign(caption.text) else caption_reason(caption.text, recipe)
        if reason is None:
            captions.append(caption)
        else:
            dropped[reason] += 1
    turns, rejected = record.turns, record.extra.get("rejected", "")
    said = [*((turn.role, turn.text) for turn in turns), *([("rejected", rejected)] if turns and rejected else [])]
    for index, (role, text) in enumerate(said):
        if role == "system":
            continue
        reason = OTHER_LANGUAGE if other and language.foreign(text) else answer_reason(text, recipe)
        if reason is not None:
            turns = () if rejected else _until(turns, index)
            dropped[reason] += 1
            break
    return keep(record, tuple(captions), turns, dropped)


def _reason(text: str, recipe: FiltersRecipe, min_words: int | None) -> str | None:
    if recipe.max_repetition is not None and (_HAN_RUN.search(text) or _LETTER_RUN.search(text)):
        return "repetitive text"
    num_words = len(words(text))
    if min_words is not None and num_words < min_words:
        return "too few words"
    if recipe.max_words is not None and num_words > recipe.max_words:
        return "too many words"
    if recipe.max_repetition is not None and repetition(text) > recipe.max_repetition:
        return "repetitive text"
    return None


def _until(turns: tuple[Turn, ...], index: int) -> tuple[Turn, ...]:
    """Whole exchanges before the turn at `index`, or none at all."""
    last = max((at for at, turn in enumerate(turns[:index]) if turn.role == "assistant"), default=-1)
    kept, cut = turns[: last + 1], turns[last + 1 :]
    return kept if kept and not any(turn.images for turn in cut) else ()
