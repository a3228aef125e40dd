"""Parsing English captions: things, numbers, colours, attributes, places and quoted writing.

A noun is taken for what is there only where the words around it leave no other reading. The closed classes of words by which
that is seen stand in grammar.en.toml.
"""

from __future__ import annotations

import re
from functools import lru_cache
from itertools import pairwise
from typing import NamedTuple

from skymm.curation.facts.parsed_caption import (
    LIVING_AND_MORE,
    Mention,
    Noun,
    ParsedCaption,
    Span,
    StatedRelation,
    grammar,
    is_place,
    pattern,
    quoted,
)
from skymm.lexicon import ENGLISH_NUMBERS, forms_of, kinds_of, load, part_of, plural_of

_TOKEN = re.compile(r"['’](?:s|re|ll|ve|d|m|t)\b|[^\W_]+|[^\w\s]", re.I)
_LEFT = 7  # words that may stand before a noun


class Token(NamedTuple):
    text: str
    start: int
    end: int
    glued: bool  # a hyphen stands before it


@lru_cache(maxsize=1)
def _classes() -> dict[str, frozenset[str]]:
    found = {name: frozenset(words.split()) for name, words in grammar("en").items() if name != "patterns"}
    third_persons = frozenset(map(plural_of, found["verbs"] - {"go"})) | {"has", "does", "goes"}
    followers = found["followers"] | found["prepositions"]
    return {
        **found,
        "third_persons": third_persons,
        "followers": followers,
        "depictions": found["depictions"] | found["pictures"],
        "determiners": found["articles"] | found["definite"] | found["vague_numbers"] | ENGLISH_NUMBERS.keys(),
        "no_modifiers": followers.union(
            *(found[name] for name in ("clause_ends", "negations", "past", "unsure_before")), third_persons
        ),
    }


def closed_class(name: str) -> frozenset[str]:
    """The words of one: a table of grammar.en.toml, or several together ("determiners"), or verbs in -s ("third_persons")."""
    return _classes()[name]


def _is_verb(token: str, plural: bool | None) -> bool:
    """Whether a word after a noun can be its verb: sits, sitting, parked; "walk" only where the noun is a plural."""
    if token in closed_class("third_persons") or token in closed_class("past"):
        return True
    if token in closed_class("verbs"):
        return plural is not False
    return len(token) > 4 and token.endswith(("ing", "ed")) and token not in closed_class("not_verbs")


def tokens_of(text: str, hidden: list[Span]) -> list[Token]:
    """Words and marks, without what is quoted."""
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


@lru_cache(maxsize=1)
def longest_form() -> int:
    """Of the lexicon's English ones, in words."""
    return max(map(len, load().english))


def parse_english(text: str) -> ParsedCaption:
    """Positions are in `text` as it is."""
    texts, hidden = quoted(text, "en")
    caption = _Caption(tokens_of(text, hidden))
    colourless = pattern("colourless", "en").search(text) is not None
    more_of_it = not closed_class("more_of_it").isdisjoint(caption.texts)
    kept = [(noun, caption.mention(noun).without(colourless, more_of_it)) for noun in caption.nouns if noun.forms]
    return ParsedCaption(text, "en", tuple(mention for _, mention in kept), caption.relations(kept), texts)


class _Caption:
    def __init__(self, tokens: list[Token]) -> None:
        self.tokens = tokens
        self.texts = [token.text for token in tokens]
        self.nouns = self._nouns()

    def _nouns(self) -> list[Noun]:
        """The longest forms from left to right; forms that name nothing are passed over, and so hide what is in them."""
        forms, found, position = load().english, [], 0
        while position < len(self.texts):
            step = 1
            for size in range(min(longest_form(), len(self.texts) - position), 0, -1):
                key = tuple(self.texts[position : position + size])
                if key in forms:
                    found.append(Noun(position, position + size, forms[key]))
                    step = size
                    break
            position += step
        return found

    def at(self, index: int) -> str:
        return self.texts[index] if 0 <= index < len(self.texts) else ""

    def span(self, first: int, after: int) -> Span:
        return self.tokens[first].start, self.tokens[after - 1].end

    def mention(self, noun: Noun) -> Mention:
        form = noun.form
        word = load().words[form.word]
        first, first_modifier = self._phrase(noun.start)
        modifiers = range(first_modifier, noun.start)
        before = self.texts[first : noun.start]
        number_at, number = self._number(first, noun, word.form)
        many = form.plural if word.form == "count" else None
        if number is not None:
            many = number > 1
        elif many is None and word.form == "count" and before[:1] and before[0] in closed_class("articles"):
            many = False
        colours, colour_span = self._colours(modifiers, noun.end)
        dressed = self._dressed_in(first, noun)
        if dressed or "person" in kinds_of(word.en):
            colours, colour_span = "", None  # of people, colours mean something else
        table = forms_of("attributes", "en")
        attributes = tuple(dict.fromkeys(table[self.texts[one]] for one in modifiers if self.texts[one] in table))
        return Mention(
            word.en,
            self.span(noun.start, noun.end),
            self.span(first, noun.end),
            not dressed and self._is_sure(first, noun),
            number,
            self.span(number_at, number_at + 1) if number_at is not None else None,
            many,
            not closed_class("definite").isdisjoint(before),
            colours,
            colour_span,
            attributes + self._predicate_attributes(noun.end),
        )

    # --- what stands before a noun, and is said of it ---

    def _phrase(self, head: int) -> tuple[int, int]:
        """Where the noun phrase begins, and where the words in it that are neither article nor number."""
        first = head
        while first > 0 and head - first < _LEFT:
            text = self.at(first - 1)
            if text in closed_class("determiners"):
                with_article = text in ENGLISH_NUMBERS and self.at(first - 2) in closed_class("definite")
                return first - (2 if with_article else 1), first
            if self._ends_phrase(first, head):
                break
            first -= 1
        return first, first

    def _ends_phrase(self, first: int, head: int) -> bool:
        """Whether the word before `first` is no part of the phrase."""
        text, before = self.at(first - 1), self.at(first - 2)
        colours, attributes = forms_of("colours", "en"), forms_of("attributes", "en")
        if text in (",", "and", "&"):
            following = self.at(first)
            return first >= head or before not in colours or not (following in colours or following in attributes)
        if not text.isalpha() or text in closed_class("no_modifiers"):
            return True
        if text.endswith(("ing", "ed")) and text not in closed_class("not_verbs") and text not in colours:
            return before not in closed_class("determiners") or before in closed_class("vague_numbers")
        return False

    def _number(self, first: int, noun: Noun, kind: str) -> tuple[int | None, int | None]:
        """Where an exact number is said, and the number."""
        if kind != "count":
            return None, None
        form = noun.form
        place = first + (self.at(first) in closed_class("definite"))
        before, text = self.at(place - 1), self.at(place)
        if place < noun.start and text in ENGLISH_NUMBERS:
            number = ENGLISH_NUMBERS[text]
            spoilers = closed_class("number_spoilers")
            spoiled = before in spoilers or not spoilers.isdisjoint(self.texts[place + 1 : noun.start])
            fits = form.plural is not False if number > 1 else form.plural is False
            glued = self.tokens[place + 1].glued  # two-story
            one_of_them = before == "of" and self.at(place - 2) not in ("group", "team", "herd", "flock", "pack")
            return (place, number) if fits and not (spoiled or glued or one_of_them) else (None, None)
        if self.texts[max(0, first - 3) : first] == ["a", "pair", "of"] and form.plural:
            return None, 2
        return None, None

    def _colours(self, modifiers: range, after: int) -> tuple[str, Span | None]:
        """Of a black cat, or of a cat that is black."""
        table = forms_of("colours", "en")
        said = [one for one in modifiers if self.texts[one] in table]
        if not said:
            said = self._predicate_colours(after)
        if not said:
            return "", None
        names = dict.fromkeys(table[self.texts[one]] for one in said)
        return " and ".join(names), self.span(said[0], said[-1] + 1)

    def _predicate_colours(self, position: int) -> list[int]:
        table = forms_of("colours", "en")
        if self.at(position) in ("that", "which"):
            position += 1
        if self.at(position) not in ("is", "are", "was", "were", "'s"):
            return []
        position += 1
        while self.at(position) in ("very", "bright", "dark", "light", "all", "completely", "brightly", "also"):
            position += 1
        said = []
        while self.at(position) in table:
            said.append(position)
            position += 1
            if self.at(position) in ("and", ",") and self.at(position + 1) in table:
                position += 1
        return said if self._sentence_may_end(position) else []

    def _predicate_attributes(self, after: int) -> tuple[str, ...]:
        """ "the door is open", "a box made of wood" """
        table = forms_of("attributes", "en")
        if self.at(after) in ("is", "are") and self.at(after + 1) in table and self._sentence_may_end(after + 2):
            return (table[self.at(after + 1)],)
        if self.texts[after : after + 2] == ["made", "of"] and self.at(after + 2) in table:
            return (table[self.at(after + 2)],)
        return ()

    def _sentence_may_end(self, position: int) -> bool:
        following = self.at(position)
        return not following.isalpha() or following in closed_class("followers")

    def _dressed_in(self, first: int, noun: Noun) -> bool:
        """Whether the colour before a noun is what somebody is dressed in, and the noun may be what they do: "a man in red
        watches the game", but "a man in red shoes", "in green grass".
        """
        between = self.texts[first : noun.start]
        coloured = not forms_of("colours", "en").keys().isdisjoint(between)
        if self.at(first - 1) != "in" or not coloured or not closed_class("articles").isdisjoint(between):
            return False
        last, word = self.at(noun.end - 1), noun.form.word
        verb = last in closed_class("verbs") or last in closed_class("third_persons")
        worn = "clothes" in kinds_of(word) or load().words[word].worn
        return verb or (noun.form.plural is True and not worn)

    # --- whether the text says that it is there ---

    def _is_sure(self, first: int, noun: Noun) -> bool:
        form = noun.form
        return (
            not form.doubtful
            and (form.noun_only or self._is_noun(noun))
            and self._ends_here(noun)
            and not self._denied(noun)
            and not self._imagined(first, noun)
        )

    def _is_noun(self, noun: Noun) -> bool:
        """Whether what is a verb or an adjective too stands as a noun."""
        before, form = self.at(noun.start - 1), noun.form
        colours, attributes = forms_of("colours", "en"), forms_of("attributes", "en")
        counted = before in closed_class("determiners")
        if " ".join(self.texts[noun.start : noun.end]) in colours:
            following, then = self.at(noun.end), self.at(noun.end + 1)
            described = following in ("and", "or") and (then in colours or then in attributes)
            return counted and following != "," and not described
        if before in ("to", "who", "that", "which", "they", "it", "he", "she", "can", "will"):
            return False
        if before.endswith("ly") and before not in closed_class("verbs"):
            return False
        behind = next((other for other in self.nouns if other.end == noun.start and other.forms), None)
        if behind and self.at(behind.start) not in closed_class("verbs"):
            # "a man boxes", "people fish", but "the living room mirror"
            return form.plural is False and behind.forms[0].plural is False and form.word != "train"
        return (
            counted
            or form.plural is False
            or not before.isalpha()
            or before in ("and", "or", "of", "is", "are")
            or before.endswith("ing")
            or any(before in closed_class(name) for name in ("prepositions", "verbs", "third_persons"))
            or before in colours
            or before in attributes
        )

    def _ends_here(self, noun: Noun) -> bool:
        """Whether the noun is the last of its phrase: a dog, but not of "dog food", "dog-friendly" or "the dog's bowl"."""
        if noun.end >= len(self.tokens):
            return True
        following, form = self.tokens[noun.end], noun.form
        if following.glued:
            return following.text in ("covered", "lined", "filled", "and")
        if following.text == "'s":
            if self.at(noun.end + 1) in closed_class("followers") or "person" in kinds_of(form.word):
                return True
            owned = next((one for one in self.nouns if one.start > noun.end), None)
            return bool(owned and owned.forms and part_of(owned.forms[0].word, form.word))
        if not following.text.isalpha():
            return following.text not in ("&", "'") or form.plural is True
        if following.text in closed_class("followers") or following.text in closed_class("clause_ends"):
            return True
        # "people fish", "a dog lies"; else one noun before another
        is_name = any(one.start == noun.end for one in self.nouns)
        return _is_verb(following.text, form.plural) and not (is_name and following.text in closed_class("not_verbs"))

    def _clause_start(self, position: int) -> int:
        while position > 0 and self.at(position - 1) not in closed_class("clause_ends"):
            position -= 1
        return position

    def _denied(self, noun: Noun) -> bool:
        said = self.texts[self._clause_start(noun.start) : noun.start]
        if not (closed_class("negations").isdisjoint(said) and closed_class("hypothetical").isdisjoint(said)):
            return True
        if self.at(noun.end) not in ("is", "are", "was", "were", "seem", "seems"):
            return False
        first, second = self.at(noun.end + 1), self.at(noun.end + 2)
        return first in ("missing", "absent", "gone", "nowhere", "invisible") or (
            first in ("not", "'t") and second in ("there", "visible", "seen", "shown", "present", "in", "allowed", "to")
        )

    def _imagined(self, first: int, noun: Noun) -> bool:
        """Toys, pictures, comparisons: what is named but not there."""
        before = self.texts[first : noun.start]
        if LIVING_AND_MORE & kinds_of(noun.form.word) and not closed_class("imitations").isdisjoint(before):
            return True
        lead, earlier = self.at(first - 1), self.at(first - 2)
        if lead in closed_class("unsure_before") or (lead == "to" and earlier not in closed_class("nearness")):
            return True
        if lead == "from" and earlier in ("made", "built", "carved", "constructed", "away"):
            return True
        return any(self._depicts(one) for one in range(max(1, self._clause_start(noun.start)), noun.start))

    def _depicts(self, position: int) -> bool:
        """Whether what follows is only shown: "a statue of", but not "a photo of" where that is all the caption is."""
        text, what = self.at(position), self.at(position - 1)
        if text not in closed_class("depicting"):
            return False
        if what not in closed_class("depictions") and text not in ("depicting", "depicts", "shaped"):
            return False
        photo = what in closed_class("pictures") and position <= 8
        return not (photo and all(one.isalpha() for one in self.texts[: position - 1]))

    # --- where things are ---

    def relations(self, kept: list[tuple[Noun, Mention]]) -> tuple[StatedRelation, ...]:
        """Said of two nouns with nothing but the relation between them: "a cat lying on the table"."""
        stated = []
        for index, ((noun, subject), (_, object_)) in enumerate(pairwise(kept)):
            if not (subject.sure and object_.sure) or subject.word == object_.word:
                continue
            between = [token for token in self.tokens[noun.end :] if token.end <= object_.phrase[0]]
            line = " ".join(token.text for token in between)
            match = _between().fullmatch(line)
            if match is None:
                continue
            name = forms_of("relations", "en")[match["relation"]]
            worn = match["relation"] == "in" and load().words[object_.word].worn
            if worn or not is_place(subject.word, name, object_.word):
                continue
            last = len(between) - (line.endswith(" of") and not match["relation"].endswith(" of"))
            span = (between[last - len(match["relation"].split())].start, between[last - 1].end)
            stated.append(StatedRelation(index, name, index + 1, span))
        return tuple(stated)


@lru_cache(maxsize=1)
def _between() -> re.Pattern[str]:
    longest_first = sorted(forms_of("relations", "en"), key=lambda form: (-len(form), form))
    forms = "|".join(map(re.escape, longest_first))
    postures = "|".join(sorted(closed_class("postures")))
    return re.compile(
        rf"(?:,? ?(?:that|which|who) )?(?:(?:is|are|was|were|'s) )?(?:(?:\w+ly|still|all|just|both|also) )*"
        rf"(?:(?:{postures}) )?"
        rf"(?:(?:directly|right|just|down|up|out|asleep|alone|together|\w+ly) )*(?P<relation>{forms})(?: of)?"
    )
