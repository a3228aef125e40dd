"""What is known about a record's picture, and what may be said not to be there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

from skymm.curation.facts.caption_facts import colours_said, facts_of, mentioned, merge, read
from skymm.curation.facts.co_occurrence import Statistics
from skymm.curation.facts.mention import Mention, Reading
from skymm.curation.record import Facts, Record, Thing
from skymm.describing import ATTRIBUTES, EXCLUDES, RELATIONS
from skymm.lexicon import Word, akin, find, kinds_of, load, part_of, related, vocabulary

# What stands beside more of the records with something that is there may well stand here, and the caption leaves it out.
_MAY_GO_UNSAID = 0.1
# What a relation says of the same two things the other way round; a box in a house says nothing of the house in the box.
_INVERSE = {name: relation.opposite for name, relation in RELATIONS.items() if name not in ("inside", "outside")}


@dataclass(frozen=True, slots=True)
class Seen:
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
        """The one description of its colours; None where there is none or several."""
        said = colours_said(self.thing)
        return said[0] if self.alike and len(said) == 1 else None

    @property
    def attributes(self) -> tuple[str, ...]:
        return tuple(name for name in self.thing.attributes if name in ATTRIBUTES) if self.alike else ()


@dataclass(frozen=True, slots=True)
class Known:
    """`named` are all words that come up anywhere in the record. `absent` are the words that may be asked as absent."""

    facts: Facts
    seen: tuple[Seen, ...]
    named: frozenset[str]
    absent: tuple[Word, ...]
    texts: tuple[str, ...]

    def find(self, name: str) -> Seen | None:
        return next((seen for seen in self.seen if seen.word.en == name), None)

    def tempting(self, strategy: str, statistics: Statistics) -> list[Word]:
        """Absent words by POPE's strategies, the most tempting first ("random": in the lexicon's order)."""
        names = [word.en for word in self.absent]
        there = [seen.word.en for seen in self.seen]
        if self.facts.complete is None and self.facts.absent is None:
            usual = set().union(*(statistics.often_with(one, _MAY_GO_UNSAID) for one in there))
            names = [name for name in names if name not in usual]
        if strategy == "popular":
            names = statistics.popular(names)
        elif strategy == "adversarial":
            names = statistics.adversarial(there, names)
        return [load().words[name] for name in names]


def known_facts(record: Record) -> Facts:
    """The record's facts and what its captions say; statistics are taken over these."""
    return merge(record.facts, *(facts_of(read(caption.text, caption.language)) for caption in record.captions))


def know(record: Record) -> Known:
    """Everything that questions about the record's picture need; texts that only mention things speak against absence."""
    readings = [read(caption.text, caption.language) for caption in record.captions]
    facts = merge(record.facts, *map(facts_of, readings))
    texts = tuple(caption.text for caption in record.captions) + tuple(turn.text for turn in record.turns)
    named = mentioned(texts, facts)
    by_word: dict[str, list[Thing]] = {}
    for thing in facts.things:
        word = find(thing.name)
        if word is not None:
            by_word.setdefault(word.en, []).append(thing)
    annotated = {word.en: thing for thing in record.facts.things if (word := find(thing.name))}
    seen = tuple(_seen(name, things, annotated, facts, readings) for name, things in by_word.items())
    return Known(facts, seen, named, _absent(facts, named), texts)


def _seen(
    name: str, things: Sequence[Thing], annotated: Mapping[str, Thing], facts: Facts, readings: Sequence[Reading]
) -> Seen:
    thing = merge(*(Facts((Thing(name, one.count, one.attributes),)) for one in things)).things[0]
    mentions = [one for reading in readings for one in reading.sure() if one.word == name]
    many = (thing.count or 0) > 1 or any(one.many for one in mentions)
    single = not many and (thing.count == 1 or any(one.many is False for one in mentions))
    described = [one for one in mentions if one.colours or one.attributes]
    # Of several, what is said holds for all only where it is said of all.
    of_all = (
        bool(described)
        and all(one.many for one in described)
        and not (name in annotated and annotated[name].attributes)
    )
    repeated = any(sum(one.word == name and not one.definite for one in reading.sure()) > 1 for reading in readings)
    exact = _is_exact(name, thing, annotated, facts, mentions)
    return Seen(load().words[name], thing, many, single, (not many or of_all) and not repeated, exact)


def _is_exact(
    name: str, thing: Thing, annotated: Mapping[str, Thing], facts: Facts, mentions: Sequence[Mention]
) -> bool:
    if thing.count is None or thing.count > 10 or load().words[name].form != "count":
        return False
    if thing.count == 1 and any(mention.many for mention in mentions):
        return False
    counted = name in annotated and annotated[name].count is not None
    if counted and facts.complete is not None and facts.complete in load().words[name].flags:
        return True
    others = [word.en for one in facts.things if (word := find(one.name)) and word.en != name]
    if any(name in kinds_of(other) for other in others):
        return False  # "two people" and a child in another caption
    # A caption counts whom it is about, and leaves out who else stands there.
    return counted or "unsaid" not in load().words[name].flags


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
    barred = frozenset().union(*map(relatives, sorted(named)))
    return tuple(
        word for word in load().words.values() if word.askable and "unsaid" not in word.flags and word.en not in barred
    )


@lru_cache(maxsize=1 << 10)
def relatives(name: str) -> frozenset[str]:
    """The word itself and all that could be said of the same thing, or of a part of it, or of what it is a part of."""
    return frozenset(other for other in load().words if related(name, other))


def false_relations(known: Known, subject: str, relation: str, object_: str) -> tuple[str, ...]:
    """The relation that cannot hold between the two, where this one is stated; none where anything stated speaks for it."""
    stated = set()
    for first, name, second in known.facts.relations:
        words = (find(first), find(second))
        if None in words:
            continue
        one, other = words[0].en, words[1].en
        if akin(one, subject) and akin(other, object_):
            stated.add(name)
        if akin(one, object_) and akin(other, subject):
            stated.add(_INVERSE.get(name, ""))
    opposite = RELATIONS[relation].opposite if relation in RELATIONS else ""
    return (opposite,) if opposite and not stated.intersection(EXCLUDES[relation]) else ()
