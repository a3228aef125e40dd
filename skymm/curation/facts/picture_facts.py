"""What is known about a record's picture: what its captions and annotations say is there, and what may be said not to be."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise

from skymm.curation.facts.chinese import parse_chinese
from skymm.curation.facts.co_occurrence import Statistics
from skymm.curation.facts.english import longest_form, parse_english, tokens_of
from skymm.curation.facts.parsed_caption import Mention, ParsedCaption
from skymm.curation.record import Facts, Record, Thing
from skymm.lexicon import (
    Word,
    akin,
    colours_in,
    descriptions,
    find,
    kinds_of,
    load,
    part_of,
    relatives,
    vocabulary,
)
from skymm.text import normalise

_SHORTEST_PART = 4
"""Letters of a name that is looked for within a longer word: "horse" in "horseradish", not "hat" in "that"."""
# What stands beside more of the records with something that is there may well stand here, and the caption leaves it out.
_MAY_GO_UNSAID = 0.1


# --- captions ---------------------------------------------------------------------------------------------------------


@lru_cache(maxsize=1 << 12)
def parse_caption(text: str, language: str) -> ParsedCaption:
    """`language`: "en" or "zh"."""
    return parse_chinese(text) if language == "zh" else parse_english(text)


def caption_facts(text: str, language: str) -> Facts:
    """What a caption says is there. What it denies, compares, shows a picture of or may mean otherwise is left out; a
    number is exact or None.
    """
    caption = parse_caption(text, language)
    by_word: dict[str, list[Mention]] = {}
    for mention in caption.sure():
        by_word.setdefault(mention.word, []).append(mention)
    things = []
    for name, mentions in by_word.items():
        described = [one for mention in mentions for one in (mention.colours, *mention.attributes) if one]
        things.append(Thing(name, _count(caption, mentions), tuple(dict.fromkeys(described))))
    words = [mention.word for mention in caption.mentions]
    relations = dict.fromkeys((words[one.subject], one.relation, words[one.object]) for one in caption.relations)
    return Facts(tuple(things), tuple(relations), caption.texts)


def _count(caption: ParsedCaption, those: Sequence[Mention]) -> int | None:
    """Exact only where the caption speaks of them once, or comes back to them ("two dogs ... the dogs"), and of no other
    kind of them: "two people and a child" are three people.
    """
    name, number = those[0].word, those[0].number
    if number is None or any(not mention.definite for mention in those[1:]):
        return None
    others = [mention.word for mention in caption.mentions if mention.word != name]
    return None if any(name in kinds_of(other) or other in kinds_of(name) for other in others) else number


def merge(*facts: Facts) -> Facts:
    """All that several know about one picture. Numbers that differ are no longer known."""
    by_name: dict[str, list[Thing]] = {}
    for thing in (thing for one in facts for thing in one.things):
        by_name.setdefault(thing.name, []).append(thing)
    things = []
    for name, those in by_name.items():
        counts = {thing.count for thing in those} - {None}
        attributes = dict.fromkeys(attribute for thing in those for attribute in thing.attributes)
        things.append(Thing(name, counts.pop() if len(counts) == 1 else None, tuple(attributes)))
    relations = dict.fromkeys(relation for one in facts for relation in one.relations)
    texts = dict.fromkeys(text for one in facts for text in one.texts)
    complete = next((one.complete for one in facts if one.complete), None)
    lists = [one.absent for one in facts if one.absent is not None]
    absent = tuple(dict.fromkeys(name for names in lists for name in names)) if lists else None
    return Facts(tuple(things), tuple(relations), tuple(texts), complete, absent)


def stated_facts(record: Record) -> Facts:
    """The record's facts and what its captions say; statistics are taken over these."""
    return merge(record.facts, *(caption_facts(caption.text, caption.language) for caption in record.captions))


def mentioned(texts: Iterable[str], facts: Facts = Facts()) -> frozenset[str]:  # noqa: B008
    """English names of all words that a text or fact about the picture brings up in any form and either language: in a
    compound (the dog of "hot dog", 人 of 人行道), denied, or in one of the meanings of the word.

    None of these, nor anything related to one, may be asked as absent.
    """
    names = [thing.name for thing in facts.things]
    names += [name for subject, _, object_ in facts.relations for name in (subject, object_)]
    found = {word.en for name in names if (word := find(name))}
    return frozenset(found.union(*(_brought_up(normalise(one).lower()) for one in (*texts, *names, *facts.texts))))


@lru_cache(maxsize=1 << 12)
def _brought_up(text: str) -> frozenset[str]:
    lexicon = load()
    found = {form.word for name, forms in lexicon.chinese.items() if name in text for form in forms}
    tokens = [token.text for token in tokens_of(text, [])]
    for start in range(len(tokens)):
        for size in range(1, longest_form() + 1):
            found.update(form.word for form in lexicon.english.get(tuple(tokens[start : start + size]), ()))
        found.update(_within(tokens[start]))
    # "sail boat" and "sailboat" are one.
    for first, second in pairwise(tokens):
        found.update(form.word for form in lexicon.english.get((first + second,), ()))
    return frozenset(found)


@lru_cache(maxsize=1 << 14)
def _within(token: str) -> frozenset[str]:
    """The words whose name begins or ends a longer word: horse of "horseradish", dog and house of "doghouse"."""
    if not token.isalpha():
        return frozenset()
    english = load().english
    found: set[str] = set()
    for cut in range(3, len(token) - 2):
        left, right = english.get((token[:cut],), ()), english.get((token[cut:],), ())
        if cut >= _SHORTEST_PART or right:
            found.update(form.word for form in left)
        if len(token) - cut >= _SHORTEST_PART or left:
            found.update(form.word for form in right)
    return frozenset(found)


# --- pictures ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Present:
    """A thing of the lexicon that is there. `many`: known to be several; `single`: spoken of as one; `alike`: what is said of
    it holds for all of it; `exact`: its number is that of the picture, not only of those whom a caption is about.
    """

    word: Word
    thing: Thing
    many: bool
    single: bool
    alike: bool
    exact: bool

    @property
    def count(self) -> int | None:
        """A number that can be asked for."""
        return self.thing.count if self.exact else None

    @property
    def colours(self) -> tuple[str, ...] | None:
        """The one description of its colours, of a thing of two colours both; None where there is none or several."""
        said = [colours for attribute in self.thing.attributes if (colours := colours_in(attribute))]
        return said[0] if self.alike and len(said) == 1 else None

    @property
    def attributes(self) -> tuple[str, ...]:
        known = descriptions("attributes")
        return tuple(name for name in self.thing.attributes if name in known) if self.alike else ()


@dataclass(frozen=True, slots=True)
class PictureFacts:
    """All that questions about a picture need. `mentioned` are all words that come up anywhere in the record, `absent` those
    that may be asked as absent, `texts` what is written about the picture.
    """

    facts: Facts
    present: tuple[Present, ...]
    mentioned: frozenset[str]
    absent: tuple[Word, ...]
    texts: tuple[str, ...]

    def find(self, name: str) -> Present | None:
        return next((one for one in self.present if one.word.en == name), None)

    def tempting(self, strategy: str, statistics: Statistics) -> list[Word]:
        """Absent words by POPE's strategies, the most tempting first ("random": in the lexicon's order)."""
        names = [word.en for word in self.absent]
        there = [one.word.en for one in self.present]
        if self.facts.complete is None and self.facts.absent is None:
            usual = set().union(*(statistics.often_with(one, _MAY_GO_UNSAID) for one in there))
            names = [name for name in names if name not in usual]
        if strategy == "popular":
            names = statistics.popular(names)
        elif strategy == "adversarial":
            names = statistics.adversarial(there, names)
        return [load().words[name] for name in names]

    def false_relations(self, subject: str, relation: str, object_: str) -> tuple[str, ...]:
        """The relation that cannot hold between the two, where this one is stated; none where anything stated speaks for it."""
        table = descriptions("relations")
        excluded = table[relation].excludes if relation in table else ()
        for first, name, second in self.facts.relations:
            one, other = find(first), find(second)
            if one is None or other is None:
                continue
            # The other way round the opposite is said; but a box in a house says nothing of the house in the box.
            turned = table[name].excludes[:1] if name in table and name not in ("inside", "outside") else ()
            if akin(one.en, subject) and akin(other.en, object_) and name in excluded:
                return ()
            if akin(one.en, object_) and akin(other.en, subject) and set(turned).intersection(excluded):
                return ()
        return excluded[:1]


def facts_about(record: Record) -> PictureFacts:
    """What is known about the record's picture; texts that only mention things speak against their absence."""
    captions = [parse_caption(caption.text, caption.language) for caption in record.captions]
    facts = stated_facts(record)
    texts = tuple(caption.text for caption in record.captions) + tuple(turn.text for turn in record.turns)
    named = mentioned(texts, facts)
    by_word: dict[str, list[Thing]] = {}
    for thing in facts.things:
        word = find(thing.name)
        if word is not None:
            by_word.setdefault(word.en, []).append(thing)
    annotated = {word.en: thing for thing in record.facts.things if (word := find(thing.name))}
    present = tuple(_present(name, things, annotated.get(name), facts, captions) for name, things in by_word.items())
    return PictureFacts(facts, present, named, _absent(facts, named), texts)


def _present(
    name: str,
    things: Sequence[Thing],
    annotated: Thing | None,
    facts: Facts,
    captions: Sequence[ParsedCaption],
) -> Present:
    thing = merge(*(Facts((Thing(name, one.count, one.attributes),)) for one in things)).things[0]
    by_caption = [[one for one in caption.sure() if one.word == name] for caption in captions]
    mentions = [one for those in by_caption for one in those]
    many = (thing.count or 0) > 1 or any(one.many for one in mentions)
    single = not many and (thing.count == 1 or any(one.many is False for one in mentions))
    described = [one for one in mentions if one.colours or one.attributes]
    # Of several, what is said holds for all only where it is said of all.
    of_all = bool(described) and all(one.many for one in described) and not (annotated and annotated.attributes)
    repeated = any(sum(not one.definite for one in those) > 1 for those in by_caption)
    exact = _is_exact(load().words[name], thing, annotated, facts, mentions)
    return Present(load().words[name], thing, many, single, (not many or of_all) and not repeated, exact)


def _is_exact(word: Word, thing: Thing, annotated: Thing | None, facts: Facts, mentions: Sequence[Mention]) -> bool:
    if thing.count is None or thing.count > 10 or word.form != "count":
        return False
    if thing.count == 1 and any(mention.many for mention in mentions):
        return False
    counted = annotated is not None and annotated.count is not None
    if counted and facts.complete is not None and facts.complete in word.flags:
        return True
    others = [other.en for one in facts.things if (other := find(one.name)) and other != word]
    if any(word.en in kinds_of(other) for other in others):
        return False  # "two people" and a child in another caption
    # A caption counts whom it is about, and leaves out who else stands there.
    return counted or "unsaid" not in word.flags


def _absent(facts: Facts, named: frozenset[str]) -> tuple[Word, ...]:
    if facts.complete is not None or facts.absent is not None:
        # Annotators looked for these, so an oven may be missing in a kitchen; but where a wheel is named there is a vehicle.
        sought = [*(vocabulary(facts.complete) if facts.complete else ()), *filter(None, map(find, facts.absent or ()))]
        return tuple(
            word
            for word in dict.fromkeys(sought)
            if word.askable and not any(akin(word.en, name) or part_of(name, word.en) for name in named)
        )
    if not named:
        return ()
    barred = frozenset().union(*map(relatives, named))
    return tuple(
        word for word in load().words.values() if word.askable and "unsaid" not in word.flags and word.en not in barred
    )
