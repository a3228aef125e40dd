"""Grammar of things in sentences: articles and plurals in English, measure words and 两 in Chinese."""

from __future__ import annotations

import re
from collections.abc import Sequence

from skymm.describing import COLOURS, NUMBERS
from skymm.lexicon import Word

# Names that a sentence says otherwise than the vocabulary that they come from.
_SPOKEN = {
    "tv": ("TV", "TVs"),
    "t-shirt": ("T-shirt", "T-shirts"),
    "mouse": ("computer mouse", "computer mice"),
    "remote": ("remote control", "remote controls"),
    "hair drier": ("hair dryer", "hair dryers"),
    "crane bird": ("crane", "cranes"),
    "christmas tree": ("Christmas tree", "Christmas trees"),
}
# A vowel that is not heard as one, and the other way round.
_A = re.compile(r"(?:uni(?![mn])|use|usu|eu|one\b|once|ukulele|u-)", re.I)
_AN = re.compile(r"(?:[aeiou]|hour|honest|heir|(?:SUV|X-|MRI|LED|NBA|MP3|FM)\b)", re.I)


def article(phrase: str) -> str:
    """ "a" or "an", by the sound that a phrase begins with."""
    return "an" if _AN.match(phrase) and not _A.match(phrase) else "a"


def singular(word: Word) -> str:
    return _SPOKEN.get(word.en, (word.en, ""))[0]


def plural(word: Word) -> str:
    """Of a mass noun: the word itself."""
    return _SPOKEN.get(word.en, ("", word.plural))[1]


def is_plural(word: Word, many: bool) -> bool:
    """Whether English speaks of it in the plural."""
    return word.form == "plural" or (many and word.form == "count")


def noun(word: Word, many: bool = False) -> str:
    return plural(word) if is_plural(word, many) else singular(word)


def verb(word: Word, many: bool = False) -> str:
    """ "is" or "are" """
    return "are" if is_plural(word, many) else "is"


def some(word: Word, many: bool = False, number: int | None = None, described: str = "") -> str:
    """What is first spoken of: a dog, two dogs, some dogs, some rice, scissors; `described` stands before the noun."""
    if word.form == "count" and number is not None and 1 < number <= max(NUMBERS):
        return " ".join(filter(None, (NUMBERS[number][0], described, plural(word))))
    phrase = " ".join(filter(None, (described, noun(word, many))))
    if is_plural(word, many) or word.form == "mass":
        return f"some {phrase}"
    return f"{article(phrase)} {phrase}"


def any_(word: Word, many: bool = False) -> str:
    """In a question or denial: a dog, any dogs, any rice."""
    if is_plural(word, many) or word.form == "mass":
        return f"any {noun(word, many)}"
    return f"{article(singular(word))} {singular(word)}"


def counted(word: Word, number: int) -> str:
    """ "two dogs"; `number` is 1 to 10 and the word a count noun."""
    return f"{NUMBERS[number][0]} {singular(word) if number == 1 else plural(word)}"


def zh_counted(word: Word, number: int = 1, described: str = "") -> str:
    """一只狗, 两只狗; of what is not counted, 一些."""
    if word.form == "mass":
        return f"一些{described}{word.zh}"
    return f"{NUMBERS[number][1]}{word.measure}{described}{word.zh}"


def zh_some(word: Word, many: bool = False, number: int | None = None) -> str:
    """What is first spoken of: 一只狗, 两只狗, 几只狗, 一些米饭."""
    if number is not None and number in NUMBERS:
        return zh_counted(word, number)
    if many and word.form == "count":
        return f"几{word.measure}{word.zh}"
    return zh_counted(word)


def colour_phrase(colours: Sequence[str], language: str) -> str:
    """ "brown and white" / 棕色和白色相间的; one colour: "red" / 红色的."""
    if language == "en":
        return colours[0] if len(colours) == 1 else f"{', '.join(colours[:-1])} and {colours[-1]}"
    if len(colours) == 1:
        return f"{COLOURS[colours[0]].zh_noun}的"
    if set(colours) == {"black", "white"}:
        return "黑白相间的"
    return f"{'、'.join(COLOURS[one].zh_noun for one in colours[:-1])}和{COLOURS[colours[-1]].zh_noun}相间的"


def listed(phrases: Sequence[str], language: str) -> str:
    """ "a cat, a dog and a table" / 一只猫、一只狗和一张桌子."""
    if len(phrases) < 2:
        return "".join(phrases)
    comma, last = (", ", " and ") if language == "en" else ("、", "和")
    return f"{comma.join(phrases[:-1])}{last}{phrases[-1]}"


def sentence(text: str) -> str:
    """With a capital letter in front, which leaves the others as they are."""
    return text[:1].upper() + text[1:]
