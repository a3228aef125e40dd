"""What may be asked of a picture with answer yes, and what with answer no, out of what is known of it.

Nothing here chooses: which of it is asked is decided over all pictures at once (balance.py), and put in words after that
(questions.py). Where nothing is certain there is nothing to ask.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from skymm.curation.facts.co_occurrence import Statistics
from skymm.curation.facts.known import Known, Seen, false_relations, know, relatives
from skymm.curation.negatives.balance import Askable, Key, Rules, Unless, kind_of
from skymm.curation.negatives.wording import is_plural
from skymm.curation.record import Record
from skymm.describing import ATTRIBUTES, COLOURS, NUMBERS, colours_in, confusable
from skymm.lexicon import akin, kinds_of, load, part_of
from skymm.recipe.data import NegativesRecipe

_TOP = 10
"""Of the most tempting absent things so many first ones may be asked for."""
MANY = "several"
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


def askable(record: Record, recipe: NegativesRecipe, statistics: Statistics) -> Askable:
    """By label. Nothing about a record of several pictures or of none, for "the picture" would mean nothing."""
    if len(record.pictures) != 1:
        return {}
    known = know(record)
    found: dict[str, tuple[list[Key], Any]] = {}
    for kind, number in recipe.kinds.items():
        if number:
            found.update(_KINDS[kind](known, recipe, statistics))
    return {
        label: (list(dict.fromkeys(yes)), no)
        for label, (yes, no) in found.items()
        if yes and (no or kind_of(label) == "OCR")
    }


def topics(label: str, key: Key) -> tuple[str, ...]:
    """The things that a question is about. One about writing is followed by no other: its answer may tell all of it."""
    kind = kind_of(label)
    if kind == "OCR":
        return (kind,)
    return key[1:2] if kind == "false_premise" else (key[0], key[2]) if kind == "position" else key[:1]


def rules(recipe: NegativesRecipe, chinese_share: float, negative_share: float) -> Rules:
    """Things that could be said of the same, or are part of each other, are one topic: whoever saw a man saw a person."""
    quotas = {kind: 2 * number for kind, number in recipe.kinds.items()}
    return Rules(quotas, topics, kin, chinese_share=chinese_share, negative_share=negative_share)


def kin(name: str) -> Iterable[str]:
    return relatives(name) if name in load().words else (name,)


def _form(*seen: Seen) -> str:
    """Whether a question speaks of them in the plural: it has to be the same for both twins."""
    return " ".join(MANY if is_plural(one.word, one.many) else "one" for one in seen)


def _existence(
    known: Known, recipe: NegativesRecipe, statistics: Statistics
) -> Iterable[tuple[str, tuple[list[Key], Any]]]:
    there = [(seen.word.en,) for seen in known.seen if seen.word.askable]
    for strategy in recipe.strategies:
        words = known.tempting(strategy, statistics)
        # What is in no picture at all would only ever be absent.
        missing = [(word.en,) for word in words if statistics.things[word.en]]
        yield f"existence/{strategy}", (there, missing if strategy == "random" else missing[:_TOP])


def coloured(known: Known) -> list[Seen]:
    return [seen for seen in known.seen if seen.colours and "place" not in seen.word.flags]


def wrong_colours(known: Known, seen: Seen, natural: bool = False) -> list[str]:
    """Colors that nothing by that name, wider or narrower, is said to have, nor one that could be called so; where they are to
    be `natural`, none that nobody would take an animal for.
    """
    said = {
        colour
        for other in known.seen
        if akin(other.word.en, seen.word.en)
        for attribute in other.thing.attributes
        for colour in colours_in(attribute) or ()
    }
    wrong = [one.en for one in COLOURS.values() if one.common and not any(confusable(one.en, other) for other in said)]
    usual = [colour for colour in wrong if colour in _NATURAL]
    return usual if natural and usual and "animal" in kinds_of(seen.word.en) else wrong


def _colour(known: Known, *_: Any) -> Iterable[tuple[str, tuple[list[Key], Any]]]:
    fitting = [(seen, _form(seen)) for seen in coloured(known)]
    yes = [(seen.word.en, colours[0], form) for seen, form in fitting if len(colours := seen.colours or ()) == 1]
    no = [(seen.word.en, wrong, form) for seen, form in fitting for wrong in wrong_colours(known, seen)]
    yield "color", (yes, no)


def wrong_attributes(seen: Seen, name: str) -> list[str]:
    group = ATTRIBUTES[name].group
    if not _FITS[group](kinds_of(seen.word.en)):
        return []
    if any(ATTRIBUTES[other].group == group for other in seen.attributes if other != name):
        return []
    others = [one.en for one in ATTRIBUTES.values() if one.group == group and one.en != name]
    # Next to nothing could be of brick or leather.
    return [other for other in others if other not in ("brick", "leather")]


def _attribute(known: Known, *_: Any) -> Iterable[tuple[str, tuple[list[Key], Any]]]:
    yes, no = [], []
    for seen in known.seen:
        for name in seen.attributes:
            if "place" not in seen.word.flags and (wrong := wrong_attributes(seen, name)):
                yes.append((seen.word.en, name, _form(seen)))
                no.extend((seen.word.en, other, _form(seen)) for other in wrong)
    yield "attribute", (yes, no)


def wrong_numbers(truth: int) -> list[int]:
    """Near the truth, for nobody takes two for nine."""
    return [number for number in NUMBERS if number != truth and abs(number - truth) <= 3]


def _count(known: Known, *_: Any) -> Iterable[tuple[str, tuple[list[Key], Any]]]:
    counted = [(seen.word.en, seen.count) for seen in known.seen if seen.count and seen.word.askable]
    yield (
        "count",
        (
            [(name, str(number)) for name, number in counted],
            [(name, str(wrong)) for name, number in counted for wrong in wrong_numbers(number)],
        ),
    )


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


def _position(known: Known, *_: Any) -> Iterable[tuple[str, tuple[list[Key], Any]]]:
    yes, no = [], []
    for subject, relation, object_, wrong in placed(known):
        things = (subject.word.en, object_.word.en, _form(subject, object_))
        yes.append((things[0], relation, *things[1:]))
        no.extend((things[0], other, *things[1:]) for other in wrong)
    yield "position", (yes, no)


def _writing(known: Known, *_: Any) -> Iterable[tuple[str, tuple[list[Key], Any]]]:
    """The wrong text is one that is right at another picture."""
    texts = known.facts.texts
    if texts:
        yield "OCR", ([(text,) for text in texts], Unless(texts, known.texts))


def _false_premise(
    known: Known, recipe: NegativesRecipe, statistics: Statistics
) -> Iterable[tuple[str, tuple[list[Key], Any]]]:
    """Asks for the color, number or place of what is there, and elsewhere for the same of what is not."""
    yes = [("color", seen.word.en, _form(seen)) for seen in coloured(known)]
    yes += [("count", seen.word.en, MANY) for seen in known.seen if seen.count and seen.word.askable]
    yes += [("position", subject.word.en, _form(subject)) for subject, *_ in placed(known)]
    no = [
        (form, word.en, several)
        for word in known.tempting("random", statistics)
        if statistics.things[word.en]
        for form in ("color", "count", "position")
        for several in ("one", MANY)
    ]
    yield "false_premise", (yes, no)


_KINDS: dict[str, Callable[..., Iterable[tuple[str, tuple[list[Key], Any]]]]] = {
    "existence": _existence,
    "color": _colour,
    "attribute": _attribute,
    "count": _count,
    "position": _position,
    "OCR": _writing,
    "false_premise": _false_premise,
}
