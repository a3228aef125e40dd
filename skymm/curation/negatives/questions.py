"""Questions with their true answers about one picture: what they need of what is known, in words.

A Question is asked about what is so ("Is there a dog?") or about what is not ("Is there a bus?"); both have the same
fields, so that one template says either.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from skymm.conversation import Turn
from skymm.curation.facts.describing import ATTRIBUTES, NUMBERS, RELATIONS
from skymm.curation.facts.known import Known, Seen
from skymm.curation.facts.lexicon import Word, kinds_of
from skymm.curation.negatives.templates import DENIALS, EXPLAINED, OPEN, QUESTIONS, WORN
from skymm.curation.negatives.wording import (
    any_,
    colour_phrase,
    counted,
    is_plural,
    listed,
    noun,
    plural,
    sentence,
    some,
    verb,
    zh_counted,
    zh_some,
)

Exchange = tuple[Turn, Turn]  # a question and its answer
_MOST_SEEN = 3
_TOLD = ("on", "under", "behind", "in front of")


@dataclass(frozen=True, slots=True)
class Pair:
    """A positive and a negative about the same picture: of one kind, in one language, phrased by one template."""

    kind: str
    language: str
    positive: Exchange
    negative: Exchange

    @property
    def turns(self) -> tuple[Turn, ...]:
        return (*self.positive, *self.negative)


def exchange(question: str, answer: str, kind: str, polarity: str, language: str) -> Exchange:
    return Turn("user", question), Turn("assistant", answer, (), polarity, kind, language)


def yes_no_pair(
    rng: random.Random,
    kind: str,
    language: str,
    explained: bool,
    right: Mapping[str, str],
    wrong: Mapping[str, str],
    labelled: str = "",
) -> Pair:
    """`right` and `wrong` fill the templates of the kind; `labelled` is the kind that the answers bear, where it says more."""
    question, yes, no = rng.choice(QUESTIONS[kind][language])
    if explained:
        affirmed, denied = EXPLAINED[kind][language]
        right, wrong = {**right, "lead": yes.rstrip("。.")}, {**wrong, "lead": no.rstrip("。.")}
        yes, no = rng.choice(affirmed), rng.choice([one for one in denied if "{seen" not in one or "seen" in wrong])
    label = labelled or kind
    return Pair(
        label,
        language,
        exchange(_fill(question, right), _fill(yes, right), label, "positive", language),
        exchange(_fill(question, wrong), _fill(no, wrong), label, "negative", language),
    )


def open_pair(
    rng: random.Random, form: str, language: str, right: Mapping[str, str], absent: Mapping[str, str]
) -> Pair:
    """An open question about what is there, and the same about what is not: a false premise, which the answer denies."""
    questions, answers = OPEN[form][language]
    question, answer = rng.choice(questions), rng.choice(answers)
    denial = rng.choice([one for one in DENIALS[language] if "{seen" not in one or "seen" in absent])
    return Pair(
        "false_premise",
        language,
        exchange(_fill(question, right), _fill(answer, right), "false_premise", "positive", language),
        exchange(_fill(question, absent), _fill(denial, absent), "false_premise", "negative", language),
    )


def worn_pair(rng: random.Random, language: str, right: Mapping[str, str], owner: Word, absent: Word) -> Pair:
    """The color of something that nobody has on or with them; its twin asks for the color of what is there."""
    questions, denials = WORN[language]
    asked = rng.choice(OPEN["color"][language][0])
    fields = {
        "owner": noun(owner) if language == "en" else owner.zh,
        "noun": noun(absent) if language == "en" else absent.zh,
        "has": "wears" if absent.worn in "戴穿系" else "has",
        "worn": absent.worn,
    }
    return Pair(
        "false_premise",
        language,
        exchange(
            _fill(asked, right), _fill(OPEN["color"][language][1][0], right), "false_premise", "positive", language
        ),
        exchange(
            _fill(rng.choice(questions), fields),
            _fill(rng.choice(denials), fields),
            "false_premise",
            "negative",
            language,
        ),
    )


def _fill(template: str, fields: Mapping[str, str]) -> str:
    return sentence(template.format_map(fields))


# --- the fields of templates ------------------------------------------------------------------------------------------


def thing_fields(word: Word, many: bool, language: str) -> dict[str, str]:
    """What every template may say of a thing, whether it is there or not."""
    if language == "zh":
        return {"noun": word.zh, "measure": word.measure}
    several = is_plural(word, many)
    return {
        "noun": noun(word, many),
        "nouns": plural(word),
        "verb": verb(word, many),
        "Verb": sentence(verb(word, many)),
        "Do": "Do" if several else "Does",
        "any": any_(word, many),
        "they": "they" if several else "it",
        "They": "They" if several else "It",
    }


def spoken_of(seen: Seen, language: str) -> str:
    """ "a dog", "two dogs" / 一只狗, 两只狗, 狗: no number is said that is not known."""
    if language == "en":
        return some(seen.word, seen.many, seen.count)
    return zh_some(seen.word, seen.many, seen.count) if seen.many or seen.single else seen.word.zh


def colour_fields(seen: Seen, asked: Sequence[str], language: str) -> dict[str, str]:
    assert seen.colours
    return thing_fields(seen.word, seen.many, language) | {
        "value": colour_phrase(asked, language),
        "truth": colour_phrase(seen.colours, language),
    }


def attribute_fields(seen: Seen, asked: str, truth: str, language: str) -> dict[str, str]:
    def said(name: str) -> str:
        attribute = ATTRIBUTES[name]
        return attribute.predicate if language == "zh" else attribute.en_predicate or attribute.en

    return thing_fields(seen.word, seen.many, language) | {"value": said(asked), "truth": said(truth)}


def count_fields(word: Word, asked: int, truth: int, language: str) -> dict[str, str]:
    if language == "zh":
        return thing_fields(word, False, language) | {
            "value": zh_counted(word, asked),
            "truth": zh_counted(word, truth),
            "number": NUMBERS[asked][1],
        }
    return thing_fields(word, False, language) | {
        "value": counted(word, asked),
        "truth": counted(word, truth),
        "number": NUMBERS[asked][0],
        "Be": "Is" if asked == 1 else "Are",
        "be": "is" if truth == 1 else "are",
    }


def position_fields(subject: Seen, object_: Seen, asked: str, truth: str, language: str) -> dict[str, str]:
    def said(name: str) -> str:
        if language == "zh":
            return RELATIONS[name].zh
        return f"to the {name}" if name in ("left of", "right of") else name

    return thing_fields(subject.word, subject.many, language) | {
        "value": said(asked),
        "truth": said(truth),
        "object": object_.word.zh if language == "zh" else noun(object_.word, object_.many),
    }


def seen_fields(rng: random.Random, known: Known, language: str) -> dict[str, str]:
    """What there is to be seen instead; nothing where that is not known well enough to be said."""
    told = [seen for seen in known.seen if seen.word.askable]
    # A man is not told of as a person beside him.
    told = [seen for seen in told if not any(seen.word.en in kinds_of(one.word.en) for one in told if one is not seen)]
    placed = [
        (subject, relation, object_)
        for first, relation, second in known.facts.relations
        if relation in _TOLD and (subject := known.find(first)) and (object_ := known.find(second))
        if subject in told and not (subject.many or object_.many) and subject.alike and object_.alike
    ]
    if placed and rng.random() < 0.5:
        subject, relation, object_ = rng.choice(placed)
        if language == "zh":
            there = f"{object_.word.zh}{RELATIONS[relation].zh}有{spoken_of(subject, language)}"
            return {"seen": there, "seen_there": f"图里{there}"}
        return {"seen": f"{some(subject.word)} {relation} {some(object_.word)}"}
    if not told:
        return {}
    chosen = told if len(told) <= _MOST_SEEN else sorted(rng.sample(told, _MOST_SEEN), key=told.index)
    there = listed([spoken_of(seen, language) for seen in chosen], language)
    return {"seen": there, "seen_there": f"图里有{there}"}
