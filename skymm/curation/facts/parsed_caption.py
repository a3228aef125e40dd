"""What parsing a caption gives, in either language: the things it names, where in the text, what it says of them, and the
writing that it quotes.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from importlib.resources import files
from typing import Any, NamedTuple

from skymm.lexicon import Form, kinds_of

Span = tuple[int, int]
LIVING_AND_MORE = frozenset({"animal", "person", "plant", "vehicle", "food"})
"""What is only an imitation of these is none of them: a toy car, a stuffed elephant."""


class Noun(NamedTuple):
    """A name from `start` to `end`, in characters of a Chinese and tokens of an English caption, and what it may mean; without
    forms it means no thing.
    """

    start: int
    end: int
    forms: tuple[Form, ...]

    @property
    def form(self) -> Form:
        """The least doubtful."""
        return min(self.forms, key=lambda form: form.doubtful)


@dataclass(frozen=True, slots=True)
class Mention:
    """A thing named in a text.

    `span` is the noun, `phrase` starts with its article or number. `sure`: the text says that it is there (it is no negation,
    comparison, picture of one, or part of a longer word). `number` is exact where a number is said, `many` tells whether
    there are several (None: not known), `definite` whether it was spoken of before ("the", 这只). `colours` is one
    attribute such as "brown and white". Spans index into the caption.
    """

    word: str
    span: Span
    phrase: Span
    sure: bool = True
    number: int | None = None
    number_span: Span | None = None
    many: bool | None = None
    definite: bool = False
    colours: str = ""
    colour_span: Span | None = None
    attributes: tuple[str, ...] = ()

    def without(self, colours: bool, number: bool) -> Mention:
        """Of a black and white photo no colours are known, and where there are "others" no number."""
        one = replace(self, colours="", colour_span=None) if colours else self
        return replace(one, number=None) if number else one


@dataclass(frozen=True, slots=True)
class StatedRelation:
    """A relation between two mentions, by their indices; `span` is the word for it ("on", 上面)."""

    subject: int
    relation: str
    object: int
    span: Span


@dataclass(frozen=True, slots=True)
class ParsedCaption:
    """`texts` is writing that the caption quotes."""

    text: str
    language: str
    mentions: tuple[Mention, ...] = ()
    relations: tuple[StatedRelation, ...] = ()
    texts: tuple[str, ...] = ()

    def sure(self) -> Sequence[Mention]:
        return [mention for mention in self.mentions if mention.sure]


def is_place(subject: str, relation: str, object_: str) -> bool:
    """Whether a relation of two words tells where the first is: not in clothes, and nobody is on the phone."""
    kinds = kinds_of(object_)
    on_screen = relation == "on" and "person" in kinds_of(subject) and {"phone", "computer", "screen"} & kinds
    return "clothes" not in kinds and not on_screen


@lru_cache(maxsize=2)
def grammar(language: str) -> Mapping[str, Any]:
    """The words and patterns by which captions of a language are parsed: grammar.en.toml and grammar.zh.toml."""
    return tomllib.loads((files("skymm") / f"curation/facts/grammar.{language}.toml").read_text("utf-8"))


@lru_cache(maxsize=64)
def pattern(name: str, language: str) -> re.Pattern[str]:
    lines = grammar(language).get("patterns", grammar(language))
    return re.compile((lines[name] % lines).replace("\n", ""))


# --- a sign that says "STOP", 写着“停”的牌子 -----------------------------------------------------------------------------

_QUOTES = re.compile(
    r"\"([^\"\n]{1,80})\"|“([^”\n]{1,80})”|「([^」\n]{1,80})」|『([^』\n]{1,80})』|《([^》\n]{1,80})》|(?<!\w)['‘]([^'’\n]{1,60})['’](?!\w)"
)
_CAPITALS = re.compile(r"\b(?:says|saying|reads|reading)\s+((?:[A-Z0-9]{2,}|[0-9]+)(?:[ -][A-Z0-9]+)*)\b")


def quoted(text: str, language: str) -> tuple[tuple[str, ...], list[Span]]:
    """The writing that is said to be in the picture, and the spans of all quotations: their words name nothing there."""
    found: list[tuple[int, str]] = []
    hidden: list[Span] = []
    for match in _QUOTES.finditer(text):
        content = next(group for group in match.groups() if group is not None).strip()
        hidden.append(match.span())
        titled = match[0].startswith("《")
        said = pattern("says", language).search(text[max(0, match.start() - 60) : match.start()])
        if content and not titled and (said or pattern("says_after", language).match(text[match.end() :])):
            found.append((match.start(), content.rstrip(".,，。") or content))
    for match in _CAPITALS.finditer(text):
        if not any(start <= match.start(1) < end for start, end in hidden):
            found.append((match.start(1), match[1]))
            hidden.append(match.span(1))
    return tuple(dict.fromkeys(content for _, content in sorted(found))), hidden
