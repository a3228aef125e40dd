"""Positive and negative instructions about one picture, in twins, that never contradict what is known of it.

For every question about what is not there (an absent thing, a wrong color, number, place or word, a false premise) there is
one of the same kind, in the same language, about what is. Where nothing is certain nothing is asked.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field

from skymm.curation.facts.co_occurrence import Statistics
from skymm.curation.facts.describing import ATTRIBUTES, COLOURS, NUMBERS, colours_in, confusable
from skymm.curation.facts.known import Known, Seen, false_relations, know
from skymm.curation.facts.lexicon import Word, akin, kinds_of, part_of
from skymm.curation.negatives.questions import (
    Pair,
    attribute_fields,
    colour_fields,
    count_fields,
    open_pair,
    position_fields,
    seen_fields,
    spoken_of,
    thing_fields,
    worn_pair,
    yes_no_pair,
)
from skymm.curation.negatives.writing import other_writing
from skymm.curation.record import Record
from skymm.recipe.data import NegativesRecipe

# Of the most tempting absent things one of the first is taken, so that not every picture is asked for the same.
_TOP = 5
_LIVING = frozenset({"animal", "person", "food", "plant"})
_OPENED = frozenset({"door", "window", "umbrella", "laptop", "book", "refrigerator", "oven", "box", "suitcase"})
_FILLED = frozenset({"cup", "bowl", "plate", "bottle", "box", "basket", "vase", "pot", "jar", "bench", "chair"})
_WOVEN = frozenset({"clothes", "umbrella", "couch", "tie", "blanket", "pillow", "curtain", "carpet", "scarf"})
# What an attribute can be said of at all: a car is no "young" one, and nobody is made of metal.
_FITS: dict[str, Callable[[frozenset[str]], bool]] = {
    "material": lambda kinds: not kinds & _LIVING,
    "age": lambda kinds: bool(kinds & {"animal", "person"}),
    "opening": lambda kinds: bool(kinds & _OPENED),
    "filling": lambda kinds: bool(kinds & _FILLED),
    "pattern": lambda kinds: bool(kinds & _WOVEN),
    "wetness": lambda kinds: not kinds & {"water", "ocean", "river", "lake", "sky", "snow", "food", "drink"},
    "shape": lambda kinds: not kinds & _LIVING,
    "size": lambda kinds: "person" not in kinds,
    "cleanness": lambda kinds: not kinds & {"food", "sky"},
}
_CONTAINERS = frozenset(
    {"box", "basket", "bag", "suitcase", "car", "bus", "truck", "house", "tent", "cage", "bowl", "cup", "refrigerator"}
    | {"oven", "bathtub", "sink", "vase", "toilet"}
)
_NATURAL = ("black", "white", "gray", "brown", "orange")
_GROUND = frozenset({"floor", "wall", "sky", "water", "grass", "snow", "sand", "ocean", "field", "road", "bridge"})


@dataclass(slots=True)
class _Asker:
    """One picture's questions. `asked` are the absent things that were asked for, `told` the ones that are there: a model that
    read the first answer would only repeat it at the second.
    """

    rng: random.Random
    known: Known
    statistics: Statistics
    recipe: NegativesRecipe
    language: str
    asked: set[str] = field(default_factory=set)
    told: set[str] = field(default_factory=set)

    @property
    def explained(self) -> bool:
        return self.rng.random() < self.recipe.explained_share

    def absent(self) -> tuple[Word, str] | None:
        """An absent thing, and by which strategy it was found. One that statistics know nothing of is chosen at random."""
        strategy = self.rng.choice(self.recipe.strategies)
        words = [word for word in self.known.tempting(strategy, self.statistics) if word.en not in self.asked]
        if not words and strategy != "random":
            strategy = "random"
            words = [word for word in self.known.tempting(strategy, self.statistics) if word.en not in self.asked]
        if not words:
            return None
        word = self.rng.choice(words if strategy == "random" else words[:_TOP])
        self.asked.add(word.en)
        return word, strategy

    def seen_instead(self) -> dict[str, str]:
        return seen_fields(self.rng, self.known, self.language)

    def choose(self, fitting: list) -> object | None:
        return self.rng.choice(fitting) if fitting else None


def pairs(
    rng: random.Random, record: Record, recipe: NegativesRecipe, statistics: Statistics, language: str
) -> list[Pair]:
    """At most `recipe.pairs_per_sample`, in a random order of kinds; fewer, or none, where less is certain.

    None about a record of several pictures or of none, for "the picture" would mean nothing. The same `rng` gives the same.
    """
    if len(record.pictures) != 1:
        return []
    asker = _Asker(rng, know(record), statistics, recipe, language)
    if not asker.known.seen and not asker.known.facts.texts:
        return []
    tries = [kind for kind, number in recipe.kinds.items() for _ in range(number)]
    rng.shuffle(tries)
    found: dict[str, Pair] = {}
    for kind in tries:
        if len(found) == recipe.pairs_per_sample:
            break
        pair = _KINDS[kind](asker)
        if pair is not None:
            found.setdefault(pair.positive[0].text, pair)
    return list(found.values())


def _existence(asker: _Asker) -> Pair | None:
    there = asker.choose([seen for seen in asker.known.seen if seen.word.askable and seen.word.en not in asker.told])
    missing = asker.absent() if there else None
    if there is None or missing is None:
        return None
    asker.told.add(there.word.en)
    word, strategy = missing
    right = thing_fields(there.word, there.many, asker.language) | {"some": spoken_of(there, asker.language)}
    wrong = thing_fields(word, there.many, asker.language) | asker.seen_instead()
    return yes_no_pair(asker.rng, "existence", asker.language, asker.explained, right, wrong, f"existence/{strategy}")


def coloured(known: Known) -> list[Seen]:
    return [seen for seen in known.seen if seen.colours and "place" not in seen.word.flags]


def wrong_colours(known: Known, seen: Seen) -> list[str]:
    """Colors that nothing by that name, wider or narrower, is said to have, nor one that could be called so."""
    said = {
        colour
        for other in known.seen
        if akin(other.word.en, seen.word.en)
        for attribute in other.thing.attributes
        for colour in colours_in(attribute) or ()
    }
    wrong = [one.en for one in COLOURS.values() if one.common and not any(confusable(one.en, other) for other in said)]
    # Nobody takes a horse for purple.
    natural = [colour for colour in wrong if colour in _NATURAL]
    return natural if natural and "animal" in kinds_of(seen.word.en) else wrong


def _colour(asker: _Asker) -> Pair | None:
    fitting = [(seen, wrong) for seen in coloured(asker.known) if (wrong := wrong_colours(asker.known, seen))]
    chosen = asker.choose(fitting)
    if chosen is None:
        return None
    seen, wrong = chosen
    right = colour_fields(seen, seen.colours, asker.language)
    # A color that something else has is the more tempting one.
    elsewhere = [colour for other in coloured(asker.known) for colour in other.colours or () if colour in wrong]
    tempting = elsewhere if elsewhere and asker.rng.random() < 0.5 else wrong
    false = colour_fields(seen, (asker.rng.choice(tempting),), asker.language)
    return yes_no_pair(asker.rng, "color", asker.language, asker.explained, right, false)


def wrong_attributes(seen: Seen, name: str) -> list[str]:
    group = ATTRIBUTES[name].group
    if not _FITS[group](kinds_of(seen.word.en)):
        return []
    if any(ATTRIBUTES[other].group == group for other in seen.attributes if other != name):
        return []
    others = [one.en for one in ATTRIBUTES.values() if one.group == group and one.en != name]
    # Next to nothing could be of brick or leather.
    return [other for other in others if other not in ("brick", "leather")]


def _attribute(asker: _Asker) -> Pair | None:
    fitting = [
        (seen, name, wrong)
        for seen in asker.known.seen
        for name in seen.attributes
        if "place" not in seen.word.flags and (wrong := wrong_attributes(seen, name))
    ]
    chosen = asker.choose(fitting)
    if chosen is None:
        return None
    seen, name, wrong = chosen
    right = attribute_fields(seen, name, name, asker.language)
    false = attribute_fields(seen, asker.rng.choice(wrong), name, asker.language)
    return yes_no_pair(asker.rng, "attribute", asker.language, asker.explained, right, false)


def wrong_numbers(truth: int) -> list[int]:
    """Near the truth, for nobody takes two for nine."""
    return [number for number in NUMBERS if number != truth and abs(number - truth) <= 3]


def _count(asker: _Asker) -> Pair | None:
    seen = asker.choose([seen for seen in asker.known.seen if seen.count and seen.word.askable])
    if seen is None:
        return None
    right = count_fields(seen.word, seen.count, seen.count, asker.language)
    wrong = count_fields(seen.word, asker.rng.choice(wrong_numbers(seen.count)), seen.count, asker.language)
    return yes_no_pair(asker.rng, "count", asker.language, asker.explained, right, wrong)


def placed(known: Known) -> list[tuple[Seen, str, Seen, tuple[str, ...]]]:
    """(subject, relation, object, relations that are wrong) where a wrong one can be asked for with sense."""
    found = []
    for first, relation, second in known.facts.relations:
        subject, object_ = known.find(first), known.find(second)
        if subject is None or object_ is None or not (subject.alike and object_.alike):
            continue
        if "vague" in subject.word.flags + object_.word.flags or "place" in subject.word.flags:
            continue
        kinds = kinds_of(object_.word.en)
        if relation in ("inside", "outside"):
            if not kinds & _CONTAINERS:
                continue
        elif "place" in object_.word.flags or kinds & _GROUND or object_.word.form == "mass":
            continue
        if part_of(subject.word.en, object_.word.en) and "unsaid" in subject.word.flags:
            continue
        wrong = false_relations(known, subject.word.en, relation, object_.word.en)
        if wrong:
            found.append((subject, relation, object_, wrong))
    return found


def _position(asker: _Asker) -> Pair | None:
    chosen = asker.choose(placed(asker.known))
    if chosen is None:
        return None
    subject, relation, object_, wrong = chosen
    right = position_fields(subject, object_, relation, relation, asker.language)
    false = position_fields(subject, object_, asker.rng.choice(wrong), relation, asker.language)
    return yes_no_pair(asker.rng, "position", asker.language, asker.explained, right, false)


def _writing(asker: _Asker) -> Pair | None:
    text = asker.choose(list(asker.known.facts.texts))
    other = other_writing(asker.rng, text, asker.known.texts + asker.known.facts.texts) if text else None
    if other is None:
        return None
    right, wrong = {"value": text, "truth": text}, {"value": other, "truth": text}
    return yes_no_pair(asker.rng, "OCR", asker.language, asker.explained, right, wrong)


def _false_premise(asker: _Asker) -> Pair | None:
    """Asks for the color, number or place of what is not there; its twin for that of what is, as far as it is known."""
    known, language = asker.known, asker.language
    open_facts: dict[str, list[dict[str, str]]] = {
        "color": [colour_fields(seen, seen.colours, language) for seen in coloured(known)],
        "count": [
            count_fields(seen.word, seen.count, seen.count, language)
            for seen in known.seen
            if seen.count and seen.word.askable
        ],
        "position": [
            position_fields(subject, object_, relation, relation, language)
            for subject, relation, object_, _ in placed(known)
        ],
    }
    form = asker.choose([form for form, facts in open_facts.items() if facts])
    if form is None:
        return None
    right = asker.rng.choice(open_facts[form])
    if form == "color":
        owner = asker.choose([seen.word for seen in known.seen if _could_wear(seen)])
        worn = [word for word in known.absent if word.worn and word.en not in asker.asked]
        if owner and worn and asker.rng.random() < 0.5:
            absent = asker.rng.choice(worn)
            asker.asked.add(absent.en)
            return worn_pair(asker.rng, language, right, owner, absent)
    missing = asker.absent()
    if missing is None or (form == "count" and missing[0].form != "count"):
        return None
    absent = thing_fields(missing[0], form == "count", language) | asker.seen_instead()
    return open_pair(asker.rng, form, language, right, absent)


def _could_wear(seen: Seen) -> bool:
    return seen.word.en in ("man", "woman", "boy", "girl", "child") and not seen.many and seen.alike


_KINDS: dict[str, Callable[[_Asker], Pair | None]] = {
    "existence": _existence,
    "color": _colour,
    "attribute": _attribute,
    "count": _count,
    "position": _position,
    "OCR": _writing,
    "false_premise": _false_premise,
}
