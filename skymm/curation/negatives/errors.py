"""One made-up error in a true caption: another thing, a color, number or place that is wrong by what is known.

Everything else of the caption stays as it is, so that what is learned from the two is the error and no style.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from skymm.curation.facts import chinese_words, english_words
from skymm.curation.facts.chinese_phrases import stem_of
from skymm.curation.facts.co_occurrence import Statistics
from skymm.curation.facts.known import Known
from skymm.curation.facts.mention import Mention, Reading, Span
from skymm.curation.negatives.candidates import placed, wrong_colours, wrong_numbers
from skymm.curation.negatives.wording import article, noun, sentence, some, zh_counted
from skymm.describing import (
    COLOURS,
    NUMBERS,
    RELATIONS,
    english_attributes,
    english_colours,
    english_numbers,
)
from skymm.lexicon import Word, akin, load

_ARTICLE = re.compile(r"\b(an?)(\s+)$", re.I)
_ZH_NUMBER = re.compile(rf"(?P<number>[一两二三四五六七八九十]|\d+)(?P<measure>[{chinese_words.MEASURES}])")
# Where a second thing can join the first and no verb has to agree with both.
_JOINABLE = re.compile(r"(?:\s(?:on|in|at|near|next|under|beside|behind|by)\b|[.,]?$)")
_ZH_JOINABLE = re.compile(r"(?:$|[，。在坐站躺趴停])")


class Mistake(NamedTuple):
    kind: str
    text: str


def mistakes(reading: Reading, known: Known, statistics: Statistics) -> list[Mistake]:
    """Every error that can be made in a caption, in the order of the text."""
    found: list[Mistake] = []
    for mention in reading.mentions:
        if mention.sure:
            found.extend(_objects(reading, mention, known, statistics))
            found.extend(_colours(reading, mention, known))
            found.extend(_numbers(reading, mention, known))
    found.extend(_places(reading, known))
    return [one for one in dict.fromkeys(found) if one.text != reading.text]


def _replaced(text: str, *edits: tuple[Span, str]) -> str:
    for (start, end), new in sorted(edits, reverse=True):
        text = text[:start] + new + text[end:]
    return text


def _with_article(text: str, span: Span, new: str) -> str:
    """Puts `new` in the place of a span; an article right before it follows the new sound, a capital letter stays."""
    if text[span[0]].isupper() and text[span[0]].isascii():
        new = sentence(new)
    match = _ARTICLE.search(text[: span[0]])
    if match is None:
        return _replaced(text, (span, new))
    said = article(new)
    return _replaced(text, (match.span(1), said.capitalize() if match[1][0].isupper() else said), (span, new))


# --- things -----------------------------------------------------------------------------------------------------------


def _objects(reading: Reading, mention: Mention, known: Known, statistics: Statistics) -> Iterator[Mistake]:
    word = load().words[mention.word]
    alone = sum(akin(one.word, mention.word) for one in reading.mentions) == 1
    if not word.askable or not alone:
        return
    places = [reading.mentions[stated.object] for stated in reading.relations]
    for other in _rivals(word, known, statistics):
        swap = _swapped(reading, mention, word, other)
        if swap is not None:
            yield Mistake("object", swap)
        joined = None if mention in places else _joined(reading, mention, other)
        if joined is not None:
            yield Mistake("added_object", joined)


def _rivals(word: Word, known: Known, statistics: Statistics) -> list[Word]:
    """Absent things of the same kind, those first that often stand with what is there; a cow for a horse, no bus."""
    fitting = [
        other
        for other in known.absent
        if other.form == word.form and set(other.kinds) == set(word.kinds) and word.kinds and other.worn == word.worn
    ]
    tempting = [other for other in known.tempting("adversarial", statistics) if other in fitting]
    return list(dict.fromkeys(tempting[:5] or fitting))


def _swapped(reading: Reading, mention: Mention, word: Word, other: Word) -> str | None:
    text = reading.text
    if not _plainly_described(reading, mention):
        return None
    if reading.language == "en":
        if mention.many is None and word.form == "count":
            return None
        return _with_article(text, mention.span, noun(other, bool(mention.many)))
    number = _ZH_NUMBER.match(text, mention.phrase[0], mention.span[0])
    if number is None or number["measure"] == "个":
        return _replaced(text, (mention.span, other.zh))
    if number["measure"] != word.measure:
        return None
    return _replaced(text, (number.span("measure"), other.measure), (mention.span, other.zh))


def _plainly_described(reading: Reading, mention: Mention) -> bool:
    """Whether only a number, colors and such stand before the noun: a tabby cat cannot become a tabby horse."""
    between = reading.text[mention.phrase[0] : mention.span[0]].lower()
    if reading.language == "zh":
        if mention.colour_span and mention.colour_span[1] <= mention.span[0]:
            between = between.replace(reading.text[mention.colour_span[0] : mention.colour_span[1]].lower(), "")
        return re.fullmatch(rf"(?:{_ZH_NUMBER.pattern})?的?", between) is not None
    allowed = (
        english_words.ARTICLES | set(english_colours()) | set(english_numbers()) | {"and", "the", "some", "several"}
    )
    return set(re.findall(r"\w+", between)) <= allowed | (set(english_attributes()) - {"old", "young"})


def _joined(reading: Reading, mention: Mention, other: Word) -> str | None:
    text, end = reading.text, mention.span[1]
    tail = text[end:]
    if reading.language == "zh":
        counted = _ZH_NUMBER.match(text, mention.phrase[0], mention.span[0])
        fits = counted is not None and _ZH_JOINABLE.match(tail)
        return _replaced(text, ((end, end), f"和{zh_counted(other)}")) if fits else None
    agreeing = {"is", "was", "has", "its", "it", "that", "which"} | english_words.VERBS_3RD
    if not _JOINABLE.match(tail) or agreeing.intersection(re.findall(r"\w+", tail.lower())):
        return None
    if re.search(r"\band\s*$", text[: mention.phrase[0]]) or mention.many is None:
        return None
    return _replaced(text, ((end, end), f" and {some(other)}"))


# --- what is said of them ---------------------------------------------------------------------------------------------


def _colours(reading: Reading, mention: Mention, known: Known) -> Iterator[Mistake]:
    seen = known.find(mention.word)
    if seen is None or mention.colour_span is None or " and " in mention.colours or seen.colours != (mention.colours,):
        return
    said = reading.text[slice(*mention.colour_span)]
    for name in wrong_colours(known, seen, natural=True):
        if reading.language == "en":
            yield Mistake("color", _with_article(reading.text, mention.colour_span, name))
            continue
        new = stem_of(said, COLOURS[name].zh)
        if new is not None:
            yield Mistake("color", _replaced(reading.text, (mention.colour_span, new)))


def _numbers(reading: Reading, mention: Mention, known: Known) -> Iterator[Mistake]:
    seen = known.find(mention.word)
    if seen is None or mention.number_span is None or mention.number is None or mention.number < 2:
        return
    if seen.thing.count != mention.number:
        return
    said = reading.text[slice(*mention.number_span)]
    index = 0 if reading.language == "en" else 1
    for number in wrong_numbers(mention.number):
        if number < 2:
            continue  # the noun would have to change too
        new = str(number) if said.isdigit() else NUMBERS[number][index]
        if said[0].isupper():
            new = new.capitalize()
        yield Mistake("count", _replaced(reading.text, (mention.number_span, new)))


def _places(reading: Reading, known: Known) -> Iterator[Mistake]:
    sensible = {
        (subject.word.en, relation, object_.word.en): wrong for subject, relation, object_, wrong in placed(known)
    }
    for stated in reading.relations:
        names: Sequence[str] = (
            reading.mentions[stated.subject].word,
            stated.relation,
            reading.mentions[stated.object].word,
        )
        for name in sensible.get((names[0], names[1], names[2]), ()):
            said = reading.text[slice(*stated.span)]
            new = RELATIONS[name].zh if reading.language == "zh" else name
            if re.match(r"(?:to|on) the ", said, re.I):
                new = f"to the {new}"
            yield Mistake("position", _replaced(reading.text, (stated.span, new)))
