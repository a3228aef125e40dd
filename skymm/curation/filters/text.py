"""Captions and conversations judged by their words: length, repetition, boilerplate, language. No picture is looked at."""

from __future__ import annotations

import re
import tomllib
from collections import Counter
from functools import cache, lru_cache
from importlib import resources

from skymm import text as language
from skymm.conversation import Turn
from skymm.curation.record import Outcome, Record, keep
from skymm.recipe.data import FiltersRecipe

OTHER_LANGUAGE, BOILERPLATE, REPETITIVE = "neither Chinese nor English", "boilerplate", "repetitive text"
# 哈哈哈 is laughing, 哈哈哈哈 is noise; "!!!" is a mark, "!!!!!!" is noise. Digits ("1000000") and blanks ("____") are neither.
_HAN_RUN = re.compile("([\u3400-\u4dbf\u4e00-\u9fff])\\1{3}")
_LETTER_RUN = re.compile(r"([^\W\d_])\1{5}")
_MARK_RUN = re.compile(r"([^\w\s])\1{5}")
_SPACE_OR_MARK = re.compile(r"[\W_]+")
_MAY_FILL = re.compile(r"\d|@|\.\w|//")
_SPACE = re.compile(r"\s+")
_MAX_FILLING = 0.5


@lru_cache(maxsize=16384)
def words(text: str) -> tuple[str, ...]:
    """`skymm.text.words`, remembered: several filters ask for those of the same caption."""
    return tuple(language.words(text))


def repetition(text: str) -> float:
    """Share of word 3-grams that stood earlier in the text already; 0 for fewer than three words."""
    found = words(text)
    grams = list(zip(found, found[1:], found[2:]))
    return 1 - len(set(grams)) / len(grams) if grams else 0.0


def is_garbled(text: str) -> bool:
    """Whether bytes were read in the wrong encoding: replacement marks, UTF-8 as Latin-1 ("Ã©"), 锟斤拷."""
    return _patterns()["garbled"].search(text) is not None


def is_boilerplate(text: str) -> bool:
    """Whether a caption was made by a page, a camera or a shop.

    Phrases ("click here", 版权所有, 包邮) count outside of quotation marks only. File names, addresses, prices and telephone
    numbers count when they are more than half of what is there, and so does a text without letters.
    """
    patterns = _patterns()
    if is_garbled(text) or patterns["html"].search(text):
        return True
    unquoted = patterns["quoted"].sub(" ", text)
    if not unquoted.strip():
        return False
    if patterns["anywhere"].search(unquoted) or patterns["at_start"].match(unquoted.strip()):
        return True
    if patterns["whole"].fullmatch(_SPACE_OR_MARK.sub(" ", text).strip()):
        return True
    filling = patterns["filling"] if _MAY_FILL.search(text) else None
    num_filling = sum(len(match[0].replace(" ", "")) for match in filling.finditer(text)) if filling else 0
    rest = filling.sub(" ", text) if filling else text
    return not any(map(str.isalpha, rest)) or num_filling > _MAX_FILLING * len(_SPACE.sub("", text))


def text_reason(text: str, recipe: FiltersRecipe, *, caption: bool) -> str | None:
    """Why a caption, or else an answer or a question of a conversation, is kept out; or None.

    "Yes" and 是 are whole answers, and a price, an address or a table of dashes may be just what was asked for: there is no
    smallest length in a conversation, and of boilerplate only what was read in a wrong encoding counts.
    """
    if recipe.boilerplate and (is_boilerplate(text) if caption else is_garbled(text)):
        return BOILERPLATE
    runs = (_MARK_RUN, _HAN_RUN, _LETTER_RUN) if caption else (_HAN_RUN, _LETTER_RUN)
    if recipe.max_repetition is not None and any(run.search(text) for run in runs):
        return REPETITIVE
    num_words = len(words(text))
    if caption and recipe.min_words is not None and num_words < recipe.min_words:
        return "too few words"
    if recipe.max_words is not None and num_words > recipe.max_words:
        return "too many words"
    if recipe.max_repetition is not None and repetition(text) > recipe.max_repetition:
        return REPETITIVE
    return None


def prune(record: Record, recipe: FiltersRecipe, *, named: bool = False) -> Outcome:
    """The record without its bad captions, and with its conversation up to the first bad answer or question.

    What follows may refer to what was cut out, so it goes too; and where it would have shown pictures, the whole
    conversation goes. So does one whose last answer somebody compared with a rejected one. The record itself goes when
    nothing is left that was said, and there are no facts. `named`: its recipe says its language, so that nobody asks.
    """

    def reason_of(text: str, caption: bool) -> str | None:
        foreign = recipe.languages and not named and language.foreign(text)
        return OTHER_LANGUAGE if foreign else text_reason(text, recipe, caption=caption)

    reasons = [reason_of(caption.text, True) for caption in record.captions]
    captions = [caption for caption, reason in zip(record.captions, reasons) if reason is None]
    dropped = Counter(reason for reason in reasons if reason is not None)
    turns, rejected = record.turns, record.extra.get("rejected", "")
    said = [*((turn.role, turn.text) for turn in turns), *([("rejected", rejected)] if turns and rejected else [])]
    for index, (role, text) in enumerate(said):
        reason = reason_of(text, False) if role != "system" else None
        if reason is not None:
            turns = () if rejected else _until(turns, index)
            dropped[reason] += 1
            break
    return keep(record, tuple(captions), turns, dropped)


def _until(turns: tuple[Turn, ...], index: int) -> tuple[Turn, ...]:
    """Whole exchanges before the turn at `index`, or none at all."""
    last = max((at for at, turn in enumerate(turns[:index]) if turn.role == "assistant"), default=-1)
    kept, cut = turns[: last + 1], turns[last + 1 :]
    return kept if kept and not any(turn.images for turn in cut) else ()


@cache
def _patterns() -> dict[str, re.Pattern[str]]:
    """The lists of boilerplate.toml, each as one pattern."""
    lists = tomllib.loads((resources.files(__package__) / "boilerplate.toml").read_text("utf-8"))
    return {
        name: re.compile("|".join(patterns), 0 if name == "garbled" else re.IGNORECASE)
        for name, patterns in lists.items()
    }
