"""Reading English captions: things, numbers, colours, attributes, places and quoted writing."""

from __future__ import annotations

import re
from dataclasses import replace
from functools import lru_cache

from skymm.curation.facts import english_words as closed
from skymm.curation.facts.english_phrases import (
    Found,
    Token,
    at,
    colours_of,
    names_in,
    number_in,
    phrase_of,
    predicate_attributes,
    tokens_of,
)
from skymm.curation.facts.mention import Mention, Reading, Stated
from skymm.curation.facts.quotations import quoted
from skymm.describing import RELATIONS, english_attributes, english_colours, english_numbers
from skymm.lexicon import Form, kinds_of, load, part_of

_COLOURLESS = re.compile(
    r"\b(?:black[ -]and[ -]white|monochrome|sepia|gr[ae]yscale)[\w ]{0,20}\b(?:photo|picture|image|shot|film)|"
    r"\bin black and white\b",
    re.I,
)
_ALIVE = frozenset({"animal", "person", "plant", "vehicle", "food"})


def read_english(text: str) -> Reading:
    """Positions are in `text` as it is."""
    texts, hidden = quoted(text, "en")
    tokens = tokens_of(text, hidden)
    found = names_in(tokens)
    mentions = [_mention(tokens, found, index) for index in range(len(found))]
    if _COLOURLESS.search(text):
        mentions = [replace(mention, colours="", colour_span=None) for mention in mentions if mention] or mentions
    kept = [(place, mention) for place, mention in zip(found, mentions) if mention]
    if closed.MORE_OF_IT.intersection(token.text for token in tokens):
        kept = [(place, replace(mention, number=None)) for place, mention in kept]
    return Reading(text, "en", tuple(mention for _, mention in kept), _relations(tokens, kept), texts)


def _mention(tokens: list[Token], found: list[Found], index: int) -> Mention | None:
    """None for forms that name nothing."""
    place = found[index]
    if not place.forms:
        return None
    form = min(place.forms, key=lambda one: one.doubtful)
    first, modifiers = phrase_of(tokens, place.first, {one.after: one.first for one in found})
    before = [token.text for token in tokens[first : place.first]]
    word = load().words[form.word]
    number_at, number = number_in(tokens, first, place.first, form, word.form)
    many = (
        True if form.plural and word.form == "count" else None if form.plural is None or word.form != "count" else False
    )
    if number is not None:
        many = number > 1
    elif many is None and word.form == "count" and closed.ARTICLES.intersection(before[:1]):
        many = False
    colours, colour_span = colours_of(tokens, modifiers, place)
    attributes = tuple(
        dict.fromkeys(english_attributes()[token.text] for token in modifiers if token.text in english_attributes())
    )
    dressed = _dressed_in(tokens, first, place, form)
    if dressed or "person" in kinds_of(word.en):
        colours, colour_span = "", None  # of people, colours mean something else
    return Mention(
        word.en,
        (tokens[place.first].start, tokens[place.after - 1].end),
        (tokens[first].start, tokens[place.after - 1].end),
        not dressed and _sure(tokens, found, index, form, first, before),
        number,
        (tokens[number_at].start, tokens[number_at].end) if number is not None and number_at is not None else None,
        many,
        bool(closed.DEFINITE.intersection(before)),
        colours,
        colour_span,
        attributes + predicate_attributes(tokens, place.after),
    )


def _dressed_in(tokens: list[Token], first: int, place: Found, form: Form) -> bool:
    """Whether the colour before a noun is what somebody is dressed in, and the noun may be what they do: "a man in red watches
    the game", but "a man in red shoes", "in green grass".
    """
    between = {token.text for token in tokens[first : place.first]}
    if at(tokens, first - 1) != "in" or not english_colours().keys() & between or closed.ARTICLES & between:
        return False
    verb = at(tokens, place.after - 1) in closed.VERBS | closed.VERBS_3RD
    worn = "clothes" in kinds_of(form.word) or load().words[form.word].worn
    return verb or (form.plural is True and not worn)


def _sure(tokens: list[Token], found: list[Found], index: int, form: Form, first: int, before: list[str]) -> bool:
    place = found[index]
    return (
        not form.doubtful
        and (form.noun_only or _is_noun(tokens, found, index, form))
        and _ends_here(tokens, found, index, form)
        and not _denied(tokens, place)
        and not _imagined(tokens, place, first, before, form)
    )


def _is_noun(tokens: list[Token], found: list[Found], index: int, form: Form) -> bool:
    """Whether what is a verb or an adjective too stands as a noun."""
    place = found[index]
    before = at(tokens, place.first - 1)
    counted = before in closed.ARTICLES | closed.DEFINITE | closed.VAGUE_NUMBERS or before in english_numbers()
    if " ".join(token.text for token in tokens[place.first : place.after]) in english_colours():
        return (
            counted
            and at(tokens, place.after) != ","
            and not (
                at(tokens, place.after) in ("and", "or")
                and at(tokens, place.after + 1) in {**english_colours(), **english_attributes()}
            )
        )
    if before in ("to", "who", "that", "which", "they", "it", "he", "she", "can", "will") or (
        before.endswith("ly") and before not in closed.VERBS
    ):
        return False
    behind = next((other for other in found if other.after == place.first and other.forms), None)
    if behind and at(tokens, behind.first) not in closed.VERBS:
        # "a man boxes", "people fish", but "the living room mirror"
        return form.plural is False and behind.forms[0].plural is False and form.word != "train"
    known = counted or not before.isalpha() or before in closed.PREPOSITIONS | {"and", "or", "of", "is", "are"}
    known = known or before in closed.VERBS or before in closed.VERBS_3RD or before.endswith("ing")
    return known or before in english_colours() or before in english_attributes() or form.plural is False


def _ends_here(tokens: list[Token], found: list[Found], index: int, form: Form) -> bool:
    """Whether the noun is the last of its phrase: a dog, but not of "dog food", "dog-friendly" or "the dog's bowl"."""
    place = found[index]
    if place.after >= len(tokens):
        return True
    following = tokens[place.after]
    if following.glued:
        return following.text in ("covered", "lined", "filled") or following.text in ("and",)
    if following.text == "'s":
        if at(tokens, place.after + 1) in closed.FOLLOWERS or "person" in kinds_of(form.word):
            return True
        owned = next((one for one in found if one.first > place.after), None)
        return bool(owned and owned.forms and part_of(owned.forms[0].word, form.word))
    if not following.text.isalpha():
        return following.text not in ("&", "'") or form.plural is True
    if following.text in closed.FOLLOWERS or following.text in closed.CLAUSE_ENDS:
        return True
    if is_name := any(one.first == place.after for one in found):
        # "people fish", "a dog lies"; else one noun before another
        return is_name and closed.is_verb(following.text, form.plural) and following.text not in closed.NOT_VERBS
    return closed.is_verb(following.text, form.plural)


def _denied(tokens: list[Token], place: Found) -> bool:
    position = place.first - 1
    while position >= 0 and tokens[position].text not in closed.CLAUSE_ENDS:
        text = tokens[position].text
        if text in closed.NEGATIONS or text in closed.HYPOTHETICAL:
            return True
        position -= 1
    if at(tokens, place.after) not in ("is", "are", "was", "were", "seem", "seems"):
        return False
    after = [at(tokens, place.after + 1), at(tokens, place.after + 2)]
    return after[0] in ("missing", "absent", "gone", "nowhere", "invisible") or (
        after[0] in ("not", "'t")
        and after[1] in ("there", "visible", "seen", "shown", "present", "in", "allowed", "to")
    )


def _imagined(tokens: list[Token], place: Found, first: int, before: list[str], form: Form) -> bool:
    """Toys, pictures, comparisons: what is named but not there."""
    if _ALIVE & kinds_of(form.word) and closed.IMITATIONS.intersection(before):
        return True
    lead = at(tokens, first - 1)
    if lead in closed.UNSURE_BEFORE or (lead == "to" and at(tokens, first - 2) not in closed.NEARNESS):
        return True
    if lead == "from" and at(tokens, first - 2) in ("made", "built", "carved", "constructed", "away"):
        return True
    position = place.first - 1
    while position > 0 and tokens[position].text not in closed.CLAUSE_ENDS:
        if tokens[position].text in (
            "of",
            "with",
            "showing",
            "depicting",
            "featuring",
            "shows",
            "depicts",
            "shaped",
        ) and (
            tokens[position - 1].text in closed.DEPICTIONS
            or tokens[position].text in ("depicting", "depicts", "shaped")
        ):
            photo = tokens[position - 1].text in closed.PICTURES and position <= 8
            if not (photo and all(token.text.isalpha() for token in tokens[: position - 1])):
                return True
        position -= 1
    return False


@lru_cache(maxsize=1)
def _between() -> re.Pattern[str]:
    names = {form: one.en for one in RELATIONS.values() for form in (one.en, *one.en_also)}
    forms = "|".join(sorted(map(re.escape, names), key=lambda form: (-len(form), form)))
    return re.compile(
        rf"(?:,? ?(?:that|which|who) )?(?:(?:is|are|was|were|'s) )?(?:(?:\w+ly|still|all|just|both|also) )*"
        rf"(?:(?:{closed.POSTURES}) )?"
        rf"(?:(?:directly|right|just|down|up|out|asleep|alone|together|\w+ly) )*(?P<relation>{forms})(?: of)?"
    )


@lru_cache(maxsize=1)
def _relation_names() -> dict[str, str]:
    return {form: one.en for one in RELATIONS.values() for form in (one.en, *one.en_also)}


def _relations(tokens: list[Token], kept: list[tuple[Found, Mention]]) -> tuple[Stated, ...]:
    """Said of two nouns with nothing but the relation between them: "a cat lying on the table"."""
    stated = []
    for index in range(len(kept) - 1):
        (place, subject), (_, object_) = kept[index], kept[index + 1]
        if not (subject.sure and object_.sure):
            continue
        between = [token for token in tokens[place.after :] if token.end <= object_.phrase[0]]
        line = " ".join(token.text for token in between)
        match = _between().fullmatch(line)
        if match is None or subject.word == object_.word:
            continue
        name = _relation_names()[match["relation"]]
        worn = "clothes" in kinds_of(object_.word) or bool(
            load().words[object_.word].worn and match["relation"] == "in"
        )
        if worn or (
            name == "on"
            and {"phone", "computer", "screen"} & kinds_of(object_.word)
            and "person" in kinds_of(subject.word)
        ):
            continue
        size = len(match["relation"].split())
        last = len(between) - (1 if line.endswith(" of") and not match["relation"].endswith(" of") else 0)
        span = (between[last - size].start, between[last - 1].end)
        stated.append(Stated(index, name, index + 1, span))
    return tuple(stated)
