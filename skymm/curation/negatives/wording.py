"""Grammar of things in sentences: articles and plurals in English, measure words and 两 in Chinese."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Sequence
from functools import cache
from importlib.resources import files

from skymm.lexicon import NUMBERS, Word, descriptions

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


def is_plural(word: Word, many: bool) -> bool:
    """Whether English speaks of it in the plural."""
    return word.form == "plural" or (many and word.form == "count")


def noun(word: Word, many: bool = False) -> str:
    return plural(word) if is_plural(word, many) else _SPOKEN.get(word.en, (word.en,))[0]


def plural(word: Word) -> str:
    """Of a mass noun: the word itself."""
    return _SPOKEN.get(word.en, ("", word.plural))[1]


def some(word: Word, many: bool = False, number: int | None = None) -> str:
    """What is first spoken of: a dog, two dogs, some dogs, some rice, scissors."""
    if word.form == "count" and number is not None and 1 < number <= max(NUMBERS):
        return f"{NUMBERS[number][0]} {plural(word)}"
    phrase = noun(word, many)
    return f"some {phrase}" if is_plural(word, many) or word.form == "mass" else f"{article(phrase)} {phrase}"


def counted(word: Word, number: int, language: str) -> str:
    """ "two dogs" / 两只狗; `number` is 1 to 10. In Chinese also of what is not counted: 一些米饭."""
    if language == "en":
        return f"{NUMBERS[number][0]} {noun(word, number > 1)}"
    return f"一些{word.zh}" if word.form == "mass" else f"{NUMBERS[number][1]}{word.measure}{word.zh}"


def spoken_of(word: Word, many: bool, single: bool, number: int | None, language: str) -> str:
    """ "a dog", "two dogs" / 一只狗, 两只狗, 几只狗, 狗: no number is said that is not known."""
    if language == "en":
        return some(word, many, number)
    if not many and not single:
        return word.zh
    if not number and many and word.form == "count":
        return f"几{word.measure}{word.zh}"
    return counted(word, number or 1, "zh")


def thing_fields(word: Word, many: bool, language: str) -> dict[str, str]:
    """What every sentence of questions.toml may say of a thing, whether it is there or not."""
    if language == "zh":
        return {"noun": word.zh, "measure": word.measure}
    several, phrase = is_plural(word, many), noun(word, many)
    return {
        "noun": phrase,
        "nouns": plural(word),
        "verb": "are" if several else "is",
        "Verb": "Are" if several else "Is",
        "Do": "Do" if several else "Does",
        "any": f"any {phrase}" if several or word.form == "mass" else f"{article(phrase)} {phrase}",
        "they": "they" if several else "it",
        "They": "They" if several else "It",
    }


def colour_phrase(colours: Sequence[str], language: str) -> str:
    """ "brown and white" / 棕色和白色相间的; one colour: "red" / 红色的."""
    if language == "en":
        return colours[0] if len(colours) == 1 else f"{', '.join(colours[:-1])} and {colours[-1]}"
    names = [f"{descriptions('colours')[one].zh}色" for one in colours]
    if len(names) == 1:
        return f"{names[0]}的"
    if set(colours) == {"black", "white"}:
        return "黑白相间的"
    return f"{'、'.join(names[:-1])}和{names[-1]}相间的"


def listed(phrases: Sequence[str], language: str) -> str:
    """ "a cat, a dog and a table" / 一只猫、一只狗和一张桌子."""
    if len(phrases) < 2:
        return "".join(phrases)
    comma, last = (", ", " and ") if language == "en" else ("、", "和")
    return f"{comma.join(phrases[:-1])}{last}{phrases[-1]}"


def sentence(text: str) -> str:
    """With a capital letter in front, which leaves the others as they are."""
    return text[:1].upper() + text[1:]


@cache
def about_pictures() -> dict[str, list[str]]:
    """How a description is asked for, by language, and how a picture of nothing is described."""
    return tomllib.loads((files(__package__) / "describe.toml").read_text("utf-8"))
