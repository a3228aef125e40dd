"""What reading a caption gives: the things it names, where in the text, and what it says of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

Span = tuple[int, int]


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


@dataclass(frozen=True, slots=True)
class Stated:
    """A relation between two mentions, by their indices; `span` is the word for it ("on", 上面)."""

    subject: int
    relation: str
    object: int
    span: Span


@dataclass(frozen=True, slots=True)
class Reading:
    """A caption, read. `texts` is writing that it quotes."""

    text: str
    language: str
    mentions: tuple[Mention, ...] = ()
    relations: tuple[Stated, ...] = ()
    texts: tuple[str, ...] = ()

    def sure(self) -> Sequence[Mention]:
        return [mention for mention in self.mentions if mention.sure]
