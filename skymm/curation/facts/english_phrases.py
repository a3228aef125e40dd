"""English noun phrases: the words of a caption, the things among them, and what stands before them."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import NamedTuple

from skymm.curation.facts import english_words as closed
from skymm.curation.facts.mention import Span
from skymm.describing import english_attributes, english_colours, english_numbers
from skymm.lexicon import Form, load

_TOKEN = re.compile(r"['’](?:s|re|ll|ve|d|m|t)\b|[^\W_]+|[^\w\s]", re.I)
_LEFT = 7  # words that may stand before a noun


class Token(NamedTuple):
    text: str
    start: int
    end: int
    glued: bool  # a hyphen stands before it


class Found(NamedTuple):
    first: int
    after: int
    forms: tuple[Form, ...]


def tokens_of(text: str, hidden: list[Span]) -> list[Token]:
    tokens: list[Token] = []
    glued = False
    for match in _TOKEN.finditer(text):
        if any(start <= match.start() < end for start, end in hidden):
            continue
        if match[0] in "-‐" and tokens and text[match.start() - 1 : match.start()].strip():
            glued = True
            continue
        tokens.append(Token(match[0].lower().replace("’", "'"), match.start(), match.end(), glued))
        glued = False
    return tokens


def names_in(tokens: list[Token]) -> list[Found]:
    """The longest forms from left to right; forms that name nothing are passed over, and so hide what is in them."""
    forms = load().english
    longest = _longest()
    found = []
    position = 0
    while position < len(tokens):
        step = 1
        for size in range(min(longest, len(tokens) - position), 0, -1):
            key = tuple(token.text for token in tokens[position : position + size])
            if key in forms:
                found.append(Found(position, position + size, forms[key]))
                step = size
                break
        position += step
    return found


@lru_cache(maxsize=1)
def _longest() -> int:
    return max(map(len, load().english))


def at(tokens: list[Token], index: int) -> str:
    return tokens[index].text if 0 <= index < len(tokens) else ""


def phrase_of(tokens: list[Token], head: int, ends: dict[int, int]) -> tuple[int, list[Token]]:
    """Where the noun phrase begins, and the words in it before the noun that are neither article nor number."""
    first, modifiers = head, []
    colours, attributes = english_colours(), english_attributes()
    while first > 0 and head - first < _LEFT:
        token = tokens[first - 1]
        text = token.text
        if (
            text in closed.ARTICLES
            or text in closed.DEFINITE
            or text in closed.VAGUE_NUMBERS
            or text in english_numbers()
        ):
            first -= 1
            if text in english_numbers() and at(tokens, first - 1) in closed.DEFINITE:
                first -= 1
            break
        if text in (",", "and", "&"):
            if (
                first - 2 < 0
                or first >= head
                or tokens[first - 2].text not in colours
                or tokens[first].text not in (colours | attributes)
            ):
                break
        elif (
            not text.isalpha()
            or (text in closed.FOLLOWERS or text in closed.CLAUSE_ENDS or text in closed.NEGATIONS)
            or text in closed.VERBS_3RD
            or text in closed.PAST
            or text in closed.UNSURE_BEFORE
        ):
            break
        elif text.endswith(("ing", "ed")) and text not in closed.NOT_VERBS and text not in colours:
            before = at(tokens, first - 2)
            if not (before in closed.ARTICLES or before in closed.DEFINITE or before in english_numbers()):
                break
        modifiers.insert(0, token)
        first -= 1
    return first, modifiers


def number_in(tokens: list[Token], first: int, head: int, form: Form, kind: str) -> tuple[int | None, int | None]:
    """Where an exact number is said, and the number."""
    if kind != "count":
        return None, None
    place = first
    if at(tokens, place) in closed.DEFINITE:
        place += 1
    before, text = at(tokens, place - 1), at(tokens, place)
    if place < head and text in english_numbers():
        number = english_numbers()[text]
        after = [at(tokens, index) for index in range(place + 1, head)]
        spoiled = before in closed.NUMBER_SPOILERS or closed.NUMBER_SPOILERS.intersection(after)
        fits = form.plural is not False if number > 1 else form.plural is False
        glued = place + 1 < len(tokens) and tokens[place + 1].glued  # two-story
        part = before == "of" and at(tokens, place - 2) not in ("group", "team", "herd", "flock", "pack")  # one of two
        return (place, number) if fits and not (spoiled or glued or part) else (None, None)
    if [at(tokens, index) for index in (first - 3, first - 2, first - 1)] == ["a", "pair", "of"] and form.plural:
        return None, 2
    return None, None


def colours_of(tokens: list[Token], modifiers: list[Token], place: Found) -> tuple[str, Span | None]:
    table = english_colours()
    said = [token for token in modifiers if token.text in table]
    if said:
        names = list(dict.fromkeys(table[token.text] for token in said))
        return " and ".join(names), (said[0].start, said[-1].end)
    position = place.after
    if at(tokens, position) in ("that", "which"):
        position += 1
    if at(tokens, position) not in ("is", "are", "was", "were", "'s"):
        return "", None
    position += 1
    while at(tokens, position) in (
        "very",
        "bright",
        "dark",
        "light",
        "all",
        "mostly",
        "completely",
        "brightly",
        "also",
    ):
        if at(tokens, position) == "mostly":
            return "", None
        position += 1
    start = position
    names = []
    while at(tokens, position) in table:
        names.append(table[at(tokens, position)])
        position += 1
        if at(tokens, position) in ("and", ",") and at(tokens, position + 1) in table:
            position += 1
    following = at(tokens, position)
    ends = not following or not following.isalpha() or following in closed.FOLLOWERS
    if not names or not ends:
        return "", None
    return " and ".join(dict.fromkeys(names)), (tokens[start].start, tokens[position - 1].end)


def predicate_attributes(tokens: list[Token], after: int) -> tuple[str, ...]:
    """ "the door is open", "a box made of wood" """
    table = english_attributes()
    if at(tokens, after) in ("is", "are") and at(tokens, after + 1) in table:
        following = at(tokens, after + 2)
        if not following or not following.isalpha() or following in closed.FOLLOWERS:
            return (table[at(tokens, after + 1)],)
    if (at(tokens, after), at(tokens, after + 1)) == ("made", "of") and at(tokens, after + 2) in table:
        return (table[at(tokens, after + 2)],)
    return ()
