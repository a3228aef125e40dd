"""For preference learning: a true answer, and the same with one thing made up.

Two sorts: a caption with one error in it (another thing, a color, number or place), and "yes" to a question about what is not
there or "no" to one about what is, as often, or denying would be learned. Like the error injection of BPO (arXiv 2403.08730),
but by rules over what is known, so that the rejected text is wrong for certain. Everything else of a caption stays as it is, so
that what is learned from the two is the error and no style.
"""

from __future__ import annotations

import random
import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from typing import Any, NamedTuple

from skymm.conversation import Turn
from skymm.curation.facts.chinese import colour_like
from skymm.curation.facts.co_occurrence import Statistics
from skymm.curation.facts.english import closed_class
from skymm.curation.facts.parsed_caption import Mention, ParsedCaption, Span, pattern
from skymm.curation.facts.picture_facts import PictureFacts, facts_about, parse_caption
from skymm.curation.negatives.kinds import KINDS, placed, wrong_colours, wrong_numbers
from skymm.curation.negatives.wording import (
    article,
    colour_phrase,
    counted,
    noun,
    sentence,
    some,
    thing_fields,
)
from skymm.curation.record import Record
from skymm.lexicon import ENGLISH_NUMBERS, NUMBERS, Word, akin, descriptions, forms_of, load

_TOP = 5
_IN_CAPTIONS = 0.7
_ARTICLE = re.compile(r"\b(an?)(\s+)$", re.I)
# Where a second thing can join the first and no verb has to agree with both.
_JOINABLE = re.compile(r"(?:\s(?:on|in|at|near|next|under|beside|behind|by)\b|[.,]?$)")
_ZH_JOINABLE = re.compile(r"(?:$|[，。在坐站躺趴停])")


@dataclass(frozen=True, slots=True)
class Preference:
    """`prompt` shows the pictures. `kind` is the error of `rejected`: object, added_object, color, count, position,
    existence (of what is not there), absence (of what is) or false_premise.
    """

    prompt: Turn
    chosen: Turn
    rejected: Turn
    kind: str


class Mistake(NamedTuple):
    kind: str
    text: str


@lru_cache(maxsize=1)
def _sentences() -> Mapping[str, Any]:
    return tomllib.loads((files("skymm") / "curation/negatives/preferences.toml").read_text("utf-8"))


def describing(language: str) -> list[str]:
    """Requests to describe a picture."""
    return list(_sentences()[language]["describe"])


def preference(rng: random.Random, record: Record, statistics: Statistics, language: str) -> Preference | None:
    """One made of a record, or None where nothing is certainly wrong. The same `rng` gives the same."""
    if len(record.pictures) != 1:
        return None
    picture = facts_about(record)
    choices: dict[str, list[tuple[str, str, str]]] = {}
    for caption in record.captions:
        if caption.language == language:
            for kind, text in mistakes(parse_caption(caption.text, language), picture, statistics):
                prompt = rng.choice(describing(language))
                choices.setdefault(kind, []).append((prompt, caption.text, text))
    in_captions = sorted(choices)
    if picture.present and picture.absent:
        choices["existence"] = [_existence(rng, _absent(rng, picture, statistics), False, language)]
        there = [one.word for one in picture.present if one.word.askable]
        if there:
            choices["absence"] = [_existence(rng, rng.choice(there), True, language)]
        choices["false_premise"] = [_premise(rng, _absent(rng, picture, statistics), language)]
    if not choices:
        return None
    # Errors in captions need a caption in this language, so where there is one they come first.
    kind = rng.choice(in_captions if in_captions and rng.random() < _IN_CAPTIONS else sorted(choices))
    prompt, chosen, rejected = rng.choice(choices[kind])
    polarity = "negative" if kind in ("existence", "false_premise") else "positive"
    return Preference(
        Turn("user", prompt, tuple(record.pictures)),
        Turn("assistant", chosen, (), polarity, kind, language),
        Turn("assistant", rejected, (), None, kind, language),
        kind,
    )


def _absent(rng: random.Random, picture: PictureFacts, statistics: Statistics) -> Word:
    strategy = rng.choice(("random", "popular", "adversarial"))
    tempting = picture.tempting(strategy, statistics)[: _TOP if strategy != "random" else None]
    return rng.choice(tempting or list(picture.absent))


def _existence(rng: random.Random, word: Word, there: bool, language: str) -> tuple[str, str, str]:
    """ "Is there a bus?", answered truly and with the opposite; in the same words whether it is there or not."""
    sentences, assents = KINDS["existence"].sentences((word.en,), language), _sentences()[language]["assents"]
    question, yes, no = rng.choice(sentences["questions"])
    fields = thing_fields(word, False, language)
    if language == "en":
        fields["some"] = some(word)
    place = rng.randrange(len(assents))
    denial = sentences["no"][place].format_map({**fields, "lead": no.rstrip("。.")})
    assent = assents[place].format_map({**fields, "lead": yes.rstrip("。.")})
    return (sentence(question.format_map(fields)), *((assent, denial) if there else (denial, assent)))


def _premise(rng: random.Random, word: Word, language: str) -> tuple[str, str, str]:
    """ "What color is the bus?" answered with a color."""
    colour = rng.choice([one.en for one in descriptions("colours").values() if not one.rare])
    fields = {**thing_fields(word, False, language), "truth": colour_phrase((colour,), language)}
    sentences = KINDS["false_premise"].sentences(("color", word.en), language)
    (question,), answer = rng.choice(sentences["questions"]), rng.choice(sentences["yes"])
    premised = rng.choice(_sentences()[language]["premised"])
    return tuple(sentence(one.format_map(fields)) for one in (question, premised, answer))


# --- one error in a caption -------------------------------------------------------------------------------------------


def mistakes(caption: ParsedCaption, picture: PictureFacts, statistics: Statistics) -> list[Mistake]:
    """Every error that can be made in a caption, in the order of the text."""
    found: list[Mistake] = []
    for mention in caption.sure():
        found.extend(_objects(caption, mention, picture, statistics))
        found.extend(_colours(caption, mention, picture))
        found.extend(_numbers(caption, mention, picture))
    found.extend(_places(caption, picture))
    return [one for one in dict.fromkeys(found) if one.text != caption.text]


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


def _objects(
    caption: ParsedCaption, mention: Mention, picture: PictureFacts, statistics: Statistics
) -> Iterator[Mistake]:
    word = load().words[mention.word]
    alone = sum(akin(one.word, mention.word) for one in caption.mentions) == 1
    if not word.askable or not alone:
        return
    places = [caption.mentions[stated.object] for stated in caption.relations]
    for other in _rivals(word, picture, statistics):
        swap = _swapped(caption, mention, word, other)
        if swap is not None:
            yield Mistake("object", swap)
        joined = None if mention in places else _joined(caption, mention, other)
        if joined is not None:
            yield Mistake("added_object", joined)


def _rivals(word: Word, picture: PictureFacts, statistics: Statistics) -> list[Word]:
    """Absent things of the same kind, those first that often stand with what is there; a cow for a horse, no bus."""
    fitting = [
        other
        for other in picture.absent
        if other.form == word.form and set(other.kinds) == set(word.kinds) and word.kinds and other.worn == word.worn
    ]
    tempting = [other for other in picture.tempting("adversarial", statistics) if other in fitting]
    return list(dict.fromkeys(tempting[:5] or fitting))


def _swapped(caption: ParsedCaption, mention: Mention, word: Word, other: Word) -> str | None:
    text = caption.text
    if not _plainly_described(caption, mention):
        return None
    if caption.language == "en":
        if mention.many is None and word.form == "count":
            return None
        return _with_article(text, mention.span, noun(other, bool(mention.many)))
    number = pattern("counted", "zh").match(text, mention.phrase[0], mention.span[0])
    if number is None or number["measure"] == "个":
        return _replaced(text, (mention.span, other.zh))
    if number["measure"] != word.measure:
        return None
    return _replaced(text, (number.span("measure"), other.measure), (mention.span, other.zh))


def _plainly_described(caption: ParsedCaption, mention: Mention) -> bool:
    """Whether only a number, colors and such stand before the noun: a tabby cat cannot become a tabby horse."""
    between = caption.text[mention.phrase[0] : mention.span[0]].lower()
    if caption.language == "zh":
        if mention.colour_span:
            between = between.replace(caption.text[slice(*mention.colour_span)].lower(), "")
        return re.fullmatch(rf"(?:{pattern('counted', 'zh').pattern})?的?", between) is not None
    allowed = closed_class("articles").union(
        forms_of("colours", "en"),
        ENGLISH_NUMBERS,
        ("and", "the", "some", "several"),
        forms_of("attributes", "en").keys() - {"old", "young"},
    )
    return allowed.issuperset(re.findall(r"\w+", between))


def _joined(caption: ParsedCaption, mention: Mention, other: Word) -> str | None:
    text, end = caption.text, mention.span[1]
    tail = text[end:]
    if caption.language == "zh":
        number = pattern("counted", "zh").match(text, mention.phrase[0], mention.span[0])
        fits = number is not None and _ZH_JOINABLE.match(tail)
        return _replaced(text, ((end, end), f"和{counted(other, 1, 'zh')}")) if fits else None
    agreeing = closed_class("third_persons") | {"is", "was", "has", "its", "it", "that", "which"}
    if not _JOINABLE.match(tail) or agreeing.intersection(re.findall(r"\w+", tail.lower())):
        return None
    if re.search(r"\band\s*$", text[: mention.phrase[0]]) or mention.many is None:
        return None
    return _replaced(text, ((end, end), f" and {some(other)}"))


def _colours(caption: ParsedCaption, mention: Mention, picture: PictureFacts) -> Iterator[Mistake]:
    present = picture.find(mention.word)
    if present is None or mention.colour_span is None or " and " in mention.colours:
        return
    if present.colours != (mention.colours,):
        return
    said = caption.text[slice(*mention.colour_span)]
    for name in wrong_colours(picture, present, natural=True):
        if caption.language == "en":
            yield Mistake("color", _with_article(caption.text, mention.colour_span, name))
            continue
        new = colour_like(said, descriptions("colours")[name].zh)
        if new is not None:
            yield Mistake("color", _replaced(caption.text, (mention.colour_span, new)))


def _numbers(caption: ParsedCaption, mention: Mention, picture: PictureFacts) -> Iterator[Mistake]:
    present = picture.find(mention.word)
    if present is None or mention.number_span is None or mention.number is None or mention.number < 2:
        return
    if present.thing.count != mention.number:
        return
    said = caption.text[slice(*mention.number_span)]
    for number in wrong_numbers(mention.number):
        if number < 2:
            continue  # the noun would have to change too
        new = str(number) if said.isdigit() else NUMBERS[number][caption.language == "zh"]
        if said[0].isupper():
            new = new.capitalize()
        yield Mistake("count", _replaced(caption.text, (mention.number_span, new)))


def _places(caption: ParsedCaption, picture: PictureFacts) -> Iterator[Mistake]:
    sensible = {
        (subject.word.en, relation, object_.word.en): wrong for subject, relation, object_, wrong in placed(picture)
    }
    words = [mention.word for mention in caption.mentions]
    for stated in caption.relations:
        said = caption.text[slice(*stated.span)]
        for name in sensible.get((words[stated.subject], stated.relation, words[stated.object]), ()):
            new = descriptions("relations")[name].zh if caption.language == "zh" else name
            if re.match(r"(?:to|on) the ", said, re.I):
                new = f"to the {new}"
            yield Mistake("position", _replaced(caption.text, (stated.span, new)))
