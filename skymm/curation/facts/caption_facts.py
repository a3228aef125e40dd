"""From captions to Facts: what they say is there, and every name that they bring up in any way."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import lru_cache
from itertools import pairwise

from skymm.curation.facts.chinese_captions import read_chinese
from skymm.curation.facts.english_captions import read_english
from skymm.curation.facts.english_phrases import tokens_of
from skymm.curation.facts.mention import Mention, Reading
from skymm.curation.record import Facts, Thing
from skymm.describing import colours_in
from skymm.lexicon import find, kinds_of, load
from skymm.text import normalise

NOTHING = Facts()
_SHORTEST_PART = (
    4  # letters of a name that is looked for within a longer word: "horse" in "horseradish", not "hat" in "that"
)


@lru_cache(maxsize=1 << 12)
def read(text: str, language: str) -> Reading:
    """What a caption says. `language`: "en" or "zh"."""
    return read_chinese(text) if language == "zh" else read_english(text)


def caption_facts(text: str, language: str) -> Facts:
    """What a caption says is there. What it denies, compares, shows a picture of or may mean otherwise is left out; a
    number is exact or None.
    """
    return facts_of(read(text, language))


def facts_of(reading: Reading) -> Facts:
    mentions = reading.sure()
    names = dict.fromkeys(mention.word for mention in mentions)
    things = []
    for name in names:
        those = [mention for mention in mentions if mention.word == name]
        described = [one for mention in those for one in (mention.colours, *mention.attributes) if one]
        things.append(Thing(name, _count(reading, those), tuple(dict.fromkeys(described))))
    relations = dict.fromkeys(
        (reading.mentions[one.subject].word, one.relation, reading.mentions[one.object].word)
        for one in reading.relations
    )
    return Facts(tuple(things), tuple(relations), reading.texts)


def _count(reading: Reading, those: Sequence[Mention]) -> int | None:
    """Exact only where the caption speaks of them once, or comes back to them ("two dogs ... the dogs"), and of no other
    kind of them: "two people and a child" are three people.
    """
    number = those[0].number
    if number is None or any(not mention.definite for mention in those[1:]):
        return None
    others = [mention.word for mention in reading.mentions if mention.word != those[0].word]
    if any(those[0].word in kinds_of(other) or other in kinds_of(those[0].word) for other in others):
        return None
    return number


def merge(*facts: Facts) -> Facts:
    """All that several know about one picture. Numbers that differ are no longer known."""
    names = dict.fromkeys(thing.name for one in facts for thing in one.things)
    things = []
    for name in names:
        those = [thing for one in facts for thing in one.things if thing.name == name]
        counts = {thing.count for thing in those} - {None}
        attributes = dict.fromkeys(attribute for thing in those for attribute in thing.attributes)
        things.append(Thing(name, counts.pop() if len(counts) == 1 else None, tuple(attributes)))
    relations = dict.fromkeys(relation for one in facts for relation in one.relations)
    texts = dict.fromkeys(text for one in facts for text in one.texts)
    complete = next((one.complete for one in facts if one.complete), None)
    lists = [one.absent for one in facts if one.absent is not None]
    absent = tuple(dict.fromkeys(name for names in lists for name in names)) if lists else None
    return Facts(tuple(things), tuple(relations), tuple(texts), complete, absent)


def colours_said(thing: Thing) -> tuple[tuple[str, ...], ...]:
    """Each description of a thing's colours on its own: (("brown", "white"),) is one thing of two colours."""
    return tuple(colours for attribute in thing.attributes if (colours := colours_in(attribute)))


def mentioned(texts: Iterable[str], facts: Facts = NOTHING) -> frozenset[str]:
    """English names of all words that a text or fact about the picture brings up in any form and either language: in a
    compound (the dog of "hot dog", 人 of 人行道), denied, or in one of the meanings of the word.

    None of these, nor anything related to one, may be asked as absent.
    """
    found: set[str] = set()
    names = [thing.name for thing in facts.things] + [
        name for subject, _, object_ in facts.relations for name in (subject, object_)
    ]
    for text in (*texts, *names, *facts.texts):
        found |= _brought_up(normalise(text).lower())
    for name in names:
        word = find(name)
        if word is not None:
            found.add(word.en)
    return frozenset(found)


@lru_cache(maxsize=1 << 12)
def _brought_up(text: str) -> frozenset[str]:
    lexicon = load()
    found = {form.word for name, forms in lexicon.chinese.items() if name in text for form in forms}
    tokens = [token.text for token in tokens_of(text, [])]
    for start in range(len(tokens)):
        for size in range(1, _longest_form() + 1):
            found.update(form.word for form in lexicon.english.get(tuple(tokens[start : start + size]), ()))
        found.update(_within(tokens[start]))
    # "sail boat" and "sailboat" are one.
    for first, second in pairwise(tokens):
        found.update(form.word for form in lexicon.english.get((first + second,), ()))
    return frozenset(found)


@lru_cache(maxsize=1)
def _longest_form() -> int:
    return max(map(len, load().english))


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
