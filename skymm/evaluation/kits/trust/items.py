"""What an item of the trust report is: one question over as many contexts as it has answers, each answer right once.

So nothing can be had without the context: whoever looks at the question alone, or always says the same, is right as often as
guessing. A context is a text, a program, a picture or a clip. Words lie in words.LANGUAGE.toml; an item is the same in both
languages.
"""

from __future__ import annotations

import io
import random
import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib import resources
from types import SimpleNamespace
from typing import Any

from PIL import Image

LANGUAGES = ("zh", "en")
Said = dict[str, str]
"""By language."""


@dataclass(frozen=True, slots=True)
class Case:
    """A context and what is right over it: "yes", "no", a letter, "refused" or "answered".

    `seconds`: when each picture is seen, where they are the frames of a clip.
    """

    gold: str
    context: Said = field(default_factory=lambda: dict.fromkeys(LANGUAGES, ""))
    pictures: tuple[Image.Image, ...] = ()
    seconds: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class Group:
    """A question with its contexts. `form`: yes_no, choice (with `options`: letter -> words) or request (free text)."""

    kind: str
    question: Said
    cases: Sequence[Case]
    form: str = "yes_no"
    options: Mapping[str, Mapping[str, str]] = field(default_factory=dict)


Family = Callable[[random.Random, int], Group]
"""Makes group number `index` of a kind of question, from a generator of its own."""


@cache
def words(language: str) -> Mapping[str, Any]:
    return tomllib.loads(resources.files(__package__).joinpath(f"words.{language}.toml").read_text("utf-8"))


def say(key: str, **slots: Any) -> Said:
    """A sentence in both languages. Slots that are mappings hold a value for each language."""
    return {
        language: words(language)["sentences"][key].format(
            **{name: one[language] if isinstance(one, Mapping) else one for name, one in slots.items()}
        )
        for language in LANGUAGES
    }


def joined(*parts: Said) -> Said:
    """One text behind the other, in each language."""
    between = {"zh": "", "en": " "}
    return {language: between[language].join(part[language] for part in parts) for language in LANGUAGES}


def things() -> list[str]:
    """The emoji that are shown and spoken of."""
    return list(words("en")["things"])


def named(thing: str) -> dict[str, SimpleNamespace]:
    """What a thing is called: `name`, `a` (one of it) and `many` (behind a number), by language."""
    en, zh = words("en")["things"][thing], words("zh")["things"][thing]
    return {
        "en": SimpleNamespace(name=en[0], a=f"{'an' if en[0][0] in 'aeiou' else 'a'} {en[0]}", many=f" {en[1]}"),
        "zh": SimpleNamespace(name=zh[0], a=f"一{zh[1]}{zh[0]}", many=f"{zh[1]}{zh[0]}"),
    }


def listed(rng: random.Random, name: str, number: int) -> list[Said]:
    """Different entries of a list that both languages have."""
    places = rng.sample(range(len(words("en")[name])), number)
    return [{language: words(language)[name][place] for language in LANGUAGES} for place in places]


def pair(rng: random.Random, draw: Callable[[random.Random], tuple[Any, bool]]) -> tuple[Any, Any]:
    """Draws until there is one for which yes is right and one for which no is: (yes, no)."""
    found: dict[bool, Any] = {}
    for _ in range(1000):
        drawn, truth = draw(rng)
        found.setdefault(truth, drawn)
        if len(found) == 2:
            return found[True], found[False]
    raise AssertionError("1000 draws that are all alike: the question does not depend on its context")


def jpeg(image: Image.Image) -> bytes:
    buffer = io.BytesIO()
    image.convert("RGB").save(buffer, "JPEG", quality=92)
    return buffer.getvalue()
