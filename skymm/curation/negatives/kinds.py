"""The kinds of questions: what may be asked of a picture with answer yes, and what with answer no, out of what is known of it,
and how it is put in words.

A kind is a class here and a table of questions.toml under the same name. Which of all that may be asked is asked is decided
over all pictures at once (balance.py). Where nothing is certain there is nothing to ask.
"""

from __future__ import annotations

import random
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from importlib.resources import files
from typing import Any

from skymm.conversation import Turn
from skymm.curation.facts.co_occurrence import Statistics
from skymm.curation.facts.picture_facts import PictureFacts, Present, facts_about
from skymm.curation.negatives import wording
from skymm.curation.negatives.balance import Askable, Asked, Key, Rules, Unless, kind_of
from skymm.curation.record import Record
from skymm.lexicon import (
    NUMBERS,
    akin,
    colours_in,
    confusable,
    descriptions,
    fits,
    kinds_of,
    load,
    part_of,
    places,
    relatives,
)
from skymm.recipe.data import NegativesRecipe

Sides = tuple[Sequence[Key], Sequence[Key] | Unless]
"""What may be asked with answer yes, and what with answer no."""
Fields = dict[str, str]

_TOP = 10
"""Of the most tempting absent things so many first ones may be asked for."""
MANY = "several"
_SEVERAL = 0.3
"""Of the questions for a thing, which part says "any dogs", whether there is one, there are several, or none."""
_MOST_SEEN = 3
_TOLD = ("on", "under", "behind", "in front of")


class Kind:
    """One kind of question. Keys say what its words give away."""

    def __init__(self, name: str) -> None:
        self.name = name

    def askable(self, picture: PictureFacts, recipe: NegativesRecipe, statistics: Statistics) -> dict[str, Sides]:
        """By what follows the kind in the label ("random" of "existence/random"; "" where nothing does): the keys that may be
        asked of this picture with answer yes, and those with answer no.

        A question is asked of two pictures, once with each answer, so a key is of use where other pictures have it too: keys
        are to be few and the same for all, not made of what one picture happens to hold. Order counts: chance draws from it.
        """
        raise NotImplementedError

    def topics(self, key: Key) -> tuple[str, ...]:
        """The things that a question is about: no other question of its conversation is about them. A kind whose key names more
        than one says so itself.
        """
        return key[:1]

    def sentences(self, key: Key, language: str) -> Mapping[str, Any]:
        return _sentences()[self.name][language]

    def fields(self, rng: random.Random, asked: Asked, picture: PictureFacts, several: bool) -> Fields:
        """What the sentences are filled with. `several`: what may be absent is asked for in the plural.

        Twins have the same words in their question: what stands in it may hang on the key, on `several` and on `rng`, and on
        the picture only after everything that was drawn for the question.
        """
        raise NotImplementedError


class Existence(Kind):
    """(thing,)"""

    def askable(self, picture: PictureFacts, recipe: NegativesRecipe, statistics: Statistics) -> dict[str, Sides]:
        there = [(one.word.en,) for one in picture.present if one.word.askable]
        found = {}
        for strategy in recipe.strategies:
            # What is in no picture at all would only ever be absent.
            words = [word.en for word in picture.tempting(strategy, statistics) if statistics.things[word.en]]
            found[strategy] = there, [(word,) for word in (words if strategy == "random" else words[:_TOP])]
        return found

    def fields(self, rng: random.Random, asked: Asked, picture: PictureFacts, several: bool) -> Fields:
        word, language = load().words[asked.key[0]], asked.language
        fields = wording.thing_fields(word, several, language)
        if asked.polarity == "positive":
            present = _present(picture, word.en)
            fields["some"] = _spoken_of(present, language)
            fields["be"] = "are" if wording.is_plural(word, present.many) else "is"
        return fields


class Colour(Kind):
    """(thing, colour, whether it is one or several)"""

    def askable(self, picture: PictureFacts, *_: Any) -> dict[str, Sides]:
        coloured = _coloured(picture)
        yes = [(one.word.en, *one.colours, _number(one)) for one in coloured if one.colours and len(one.colours) == 1]
        no = [(one.word.en, wrong, _number(one)) for one in coloured for wrong in wrong_colours(picture, one)]
        return {"": (yes, no)}

    def fields(self, rng: random.Random, asked: Asked, picture: PictureFacts, several: bool) -> Fields:
        present, language = _present(picture, asked.key[0]), asked.language
        assert present.colours
        return wording.thing_fields(present.word, present.many, language) | {
            "value": wording.colour_phrase(asked.key[1:2], language),
            "truth": wording.colour_phrase(present.colours, language),
        }


class Attribute(Kind):
    """(thing, attribute, whether it is one or several)"""

    def askable(self, picture: PictureFacts, *_: Any) -> dict[str, Sides]:
        yes, no = [], []
        for one in picture.present:
            for name in one.attributes:
                wrong = self._wrong(one, name)
                if wrong and "place" not in one.word.flags:
                    yes.append((one.word.en, name, _number(one)))
                    no.extend((one.word.en, other, _number(one)) for other in wrong)
        return {"": (yes, no)}

    def _wrong(self, present: Present, name: str) -> list[str]:
        table = descriptions("attributes")
        group = table[name].group
        several = any(table[other].group == group for other in present.attributes if other != name)
        if several or not fits(group, present.word.en):
            return []
        return [one.en for one in table.values() if one.group == group and one.en != name and not one.rare]

    def fields(self, rng: random.Random, asked: Asked, picture: PictureFacts, several: bool) -> Fields:
        table, (name, said, _) = descriptions("attributes"), asked.key
        present, group = _present(picture, name), table[said].group
        truth = next(one for one in present.attributes if table[one].group == group)
        return wording.thing_fields(present.word, present.many, asked.language) | {
            field: one.predicate if asked.language == "zh" else one.en_predicate or one.en
            for field, one in (("value", table[said]), ("truth", table[truth]))
        }


class Count(Kind):
    """(thing, number)"""

    def askable(self, picture: PictureFacts, *_: Any) -> dict[str, Sides]:
        there = [(one.word.en, one.count) for one in picture.present if one.count and one.word.askable]
        yes = [(name, str(number)) for name, number in there]
        no = [(name, str(wrong)) for name, number in there for wrong in wrong_numbers(number)]
        return {"": (yes, no)}

    def fields(self, rng: random.Random, asked: Asked, picture: PictureFacts, several: bool) -> Fields:
        present, said, language = _present(picture, asked.key[0]), int(asked.key[1]), asked.language
        assert present.count
        return wording.thing_fields(present.word, False, language) | {
            "value": wording.counted(present.word, said, language),
            "truth": wording.counted(present.word, present.count, language),
            "number": NUMBERS[said][language == "zh"],
            "Be": "Is" if said == 1 else "Are",
            "be": "is" if present.count == 1 else "are",
        }


class Position(Kind):
    """(thing, relation, other thing, whether each is one or several)"""

    def askable(self, picture: PictureFacts, *_: Any) -> dict[str, Sides]:
        yes, no = [], []
        for subject, relation, object_, wrong in placed(picture):
            things = (object_.word.en, _number(subject, object_))
            yes.append((subject.word.en, relation, *things))
            no.extend((subject.word.en, other, *things) for other in wrong)
        return {"": (yes, no)}

    def topics(self, key: Key) -> tuple[str, ...]:
        return key[0], key[2]

    def fields(self, rng: random.Random, asked: Asked, picture: PictureFacts, several: bool) -> Fields:
        (name, said, other, _), chinese = asked.key, asked.language == "zh"
        subject, object_ = _present(picture, name), _present(picture, other)
        truth = said
        if asked.polarity == "negative":
            fitting = [one for one in placed(picture) if (one[0].word.en, one[2].word.en) == (name, other)]
            truth = next(relation for _, relation, _, wrong in fitting if said in wrong)
        return wording.thing_fields(subject.word, subject.many, asked.language) | {
            "value": self._phrase(said, chinese),
            "truth": self._phrase(truth, chinese),
            "object": object_.word.zh if chinese else wording.noun(object_.word, object_.many),
        }

    def _phrase(self, relation: str, chinese: bool) -> str:
        if chinese:
            return descriptions("relations")[relation].zh
        return f"to the {relation}" if relation in ("left of", "right of") else relation


class Writing(Kind):
    """(text,) The wrong text is one that is right at another picture."""

    def askable(self, picture: PictureFacts, *_: Any) -> dict[str, Sides]:
        texts = picture.facts.texts
        return {"": ([(text,) for text in texts], Unless(texts, picture.texts))} if texts else {}

    def topics(self, key: Key) -> tuple[str, ...]:
        """It is followed by no other, for its answer may tell all of the writing."""
        return (self.name,)

    def fields(self, rng: random.Random, asked: Asked, picture: PictureFacts, several: bool) -> Fields:
        truth = asked.key[0] if asked.polarity == "positive" else picture.facts.texts[0]
        return {"value": asked.key[0], "truth": truth}


class FalsePremise(Kind):
    """(what is asked for, thing, whether it is one or several)

    Asks for the colour, number or place of what is there, and elsewhere for the same of what is not, which the answer denies.
    """

    def askable(self, picture: PictureFacts, recipe: NegativesRecipe, statistics: Statistics) -> dict[str, Sides]:
        yes = [("color", one.word.en, _number(one)) for one in _coloured(picture)]
        yes += [("count", one.word.en, MANY) for one in picture.present if one.count and one.word.askable]
        yes += [("position", subject.word.en, _number(subject)) for subject, *_ in placed(picture)]
        no = [
            (form, word.en, several)
            for word in picture.tempting("random", statistics)
            if statistics.things[word.en]
            for form in ("color", "count", "position")
            for several in ("one", MANY)
        ]
        return {"": (yes, no)}

    def topics(self, key: Key) -> tuple[str, ...]:
        return key[1:2]

    def sentences(self, key: Key, language: str) -> Mapping[str, Any]:
        table = super().sentences(key, language)
        return {**table, **table[key[0]]}

    def fields(self, rng: random.Random, asked: Asked, picture: PictureFacts, several: bool) -> Fields:
        form, name, number = asked.key
        if asked.polarity == "negative":
            return wording.thing_fields(load().words[name], number == MANY, asked.language)
        # The same as the question of the kind of this name, asked for what is so.
        present = _present(picture, name)
        if form == "position":
            _, relation, object_, _ = rng.choice([one for one in placed(picture) if one[0].word.en == name])
            truth = (relation, object_.word.en, number)
        else:
            truth = (str(present.count) if form == "count" else (present.colours or ("",))[0],)
        return KINDS[form].fields(rng, replace(asked, key=(name, *truth)), picture, several)


# In the order of the tables in questions.toml.
KINDS = {
    kind.name: kind
    for kind in (
        Existence("existence"),
        Colour("color"),
        Attribute("attribute"),
        Count("count"),
        Position("position"),
        Writing("OCR"),
        FalsePremise("false_premise"),
    )
}


@lru_cache(maxsize=1)
def _sentences() -> Mapping[str, Any]:
    return tomllib.loads((files("skymm") / "questions.toml").read_text("utf-8"))


# --- what is asked ----------------------------------------------------------------------------------------------------


def askable(record: Record, recipe: NegativesRecipe, statistics: Statistics) -> Askable:
    """By label. Nothing about a record of several pictures or of none, for "the picture" would mean nothing."""
    if len(record.pictures) != 1:
        return {}
    picture = facts_about(record)
    found = {}
    for kind in (kind for kind, number in recipe.kinds.items() if number):
        for part, (yes, no) in KINDS[kind].askable(picture, recipe, statistics).items():
            if yes and (no or isinstance(no, Unless)):
                found[f"{kind}/{part}" if part else kind] = (list(dict.fromkeys(yes)), no)
    return found


def rules(recipe: NegativesRecipe, chinese_share: float, negative_share: float) -> Rules:
    """Things that could be said of the same, or are part of each other, are one topic: whoever saw a man saw a person."""
    return Rules(
        {kind: 2 * number for kind, number in recipe.kinds.items()},
        lambda label, key: KINDS[kind_of(label)].topics(key),
        lambda topic: relatives(topic) if topic in load().words else (topic,),
        chinese_share=chinese_share,
        negative_share=negative_share,
    )


def exchange(asked: Asked, picture: PictureFacts, last: bool, explained_share: float) -> tuple[Turn, Turn]:
    """A question and its answer in words. Both twins have the same question, and are both explained or both short; only the
    answers differ.

    Only the `last` question of a conversation is answered with what can be seen instead: earlier it would tell what is there
    of what is asked next, and so would its being left out.
    """
    rng = random.Random(asked.seed)
    kind, there = KINDS[kind_of(asked.label)], asked.polarity == "positive"
    explained, several = rng.random() < explained_share, rng.random() < _SEVERAL
    sentences = kind.sentences(asked.key, asked.language)
    question, *short = rng.choice(sentences["questions"])
    fields = kind.fields(rng, asked, picture, several)
    if last and not there:
        fields |= _seen_instead(random.Random(asked.seed + 1), picture, asked.language)
    answer = short[0 if there else 1] if short else ""
    if explained or not short:
        fields["lead"] = answer.rstrip("。.")
        choices = sentences["yes" if there else "no"]
        answer = rng.choice([one for one in choices if "{seen" not in one or "seen" in fields]).format_map(fields)
    return (
        Turn("user", wording.sentence(question.format_map(fields))),
        Turn("assistant", wording.sentence(answer), (), asked.polarity, asked.label, asked.language),
    )


# --- what is so, and what is not --------------------------------------------------------------------------------------


def _number(*things: Present) -> str:
    """Whether a question speaks of them in the plural: it has to be the same for both twins."""
    return " ".join(MANY if wording.is_plural(one.word, one.many) else "one" for one in things)


def _present(picture: PictureFacts, name: str) -> Present:
    found = picture.find(name)
    assert found is not None, name
    return found


def _coloured(picture: PictureFacts) -> list[Present]:
    return [one for one in picture.present if one.colours and "place" not in one.word.flags]


def wrong_colours(picture: PictureFacts, present: Present, natural: bool = False) -> list[str]:
    """Colors that nothing by that name, wider or narrower, is said to have, nor one that could be called so; where they are to
    be `natural`, none that nobody would take an animal for.
    """
    name = present.word.en
    said = {
        colour
        for other in picture.present
        if akin(other.word.en, name)
        for attribute in other.thing.attributes
        for colour in colours_in(attribute) or ()
    }
    table = descriptions("colours").values()
    wrong = [one for one in table if not one.rare and not any(confusable(one.en, other) for other in said)]
    usual = [one for one in wrong if one.natural]
    return [one.en for one in (usual if natural and usual and "animal" in kinds_of(name) else wrong)]


def wrong_numbers(truth: int) -> list[int]:
    """Near the truth, for nobody takes two for nine."""
    return [number for number in NUMBERS if number != truth and abs(number - truth) <= 3]


def placed(picture: PictureFacts) -> list[tuple[Present, str, Present, tuple[str, ...]]]:
    """(subject, relation, object, relations that are wrong) where a wrong one can be asked for with sense."""
    found = []
    for first, relation, second in picture.facts.relations:
        subject, object_ = picture.find(first), picture.find(second)
        if subject is None or object_ is None or not (subject.alike and object_.alike):
            continue
        if "vague" in subject.word.flags + object_.word.flags or "place" in subject.word.flags:
            continue
        kinds = kinds_of(object_.word.en)
        if relation in ("inside", "outside"):
            if not kinds & places("containers"):
                continue
        elif "place" in object_.word.flags or kinds & places("ground") or object_.word.form == "mass":
            continue
        if part_of(subject.word.en, object_.word.en) and "unsaid" in subject.word.flags:
            continue
        wrong = picture.false_relations(subject.word.en, relation, object_.word.en)
        if wrong:
            found.append((subject, relation, object_, wrong))
    return found


# --- how it is said ---------------------------------------------------------------------------------------------------


def _spoken_of(present: Present, language: str) -> str:
    return wording.spoken_of(present.word, present.many, present.single, present.count, language)


def told(picture: PictureFacts, language: str) -> str:
    """All that is known to be there, as a sentence: "A dog and two cars." / 一只狗和两辆汽车。 "" where nothing is known."""
    phrases = [_spoken_of(one, language) for one in picture.present]
    return (
        f"{wording.sentence(wording.listed(phrases, language))}{'。' if language == 'zh' else '.'}" if phrases else ""
    )


def _seen_instead(rng: random.Random, picture: PictureFacts, language: str) -> Fields:
    """What there is to be seen instead; nothing where that is not known well enough to be said."""
    told = [one for one in picture.present if one.word.askable]
    # A man is not told of as a person beside him.
    told = [
        one for one in told if not any(one.word.en in kinds_of(other.word.en) for other in told if other is not one)
    ]
    related = [
        (subject, relation, object_)
        for first, relation, second in picture.facts.relations
        if relation in _TOLD and (subject := picture.find(first)) and (object_ := picture.find(second))
        if subject in told and not (subject.many or object_.many) and subject.alike and object_.alike
    ]
    if related and rng.random() < 0.5:
        subject, relation, object_ = rng.choice(related)
        if language == "zh":
            there = f"{object_.word.zh}{descriptions('relations')[relation].zh}有{_spoken_of(subject, language)}"
            return {"seen": there, "seen_there": f"图里{there}"}
        return {"seen": f"{wording.some(subject.word)} {relation} {wording.some(object_.word)}"}
    if not told:
        return {}
    chosen = told if len(told) <= _MOST_SEEN else sorted(rng.sample(told, _MOST_SEEN), key=told.index)
    there = wording.listed([_spoken_of(one, language) for one in chosen], language)
    return {"seen": there, "seen_there": f"图里有{there}"}
