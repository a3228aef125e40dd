"""Questions with their true answers about one picture: what they need of what is known, in words."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence

from skymm.conversation import Turn
from skymm.curation.facts.known import Known, Seen
from skymm.curation.negatives.balance import Asked, Key, kind_of
from skymm.curation.negatives.candidates import MANY, placed
from skymm.curation.negatives.templates import DENIALS, EXPLAINED, OPEN, QUESTIONS
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
from skymm.describing import ATTRIBUTES, NUMBERS, RELATIONS
from skymm.lexicon import Word, kinds_of, load

Exchange = tuple[Turn, Turn]  # a question and its answer
Fields = dict[str, str]
_MOST_SEEN = 3
_TOLD = ("on", "under", "behind", "in front of")


_SEVERAL = (
    0.3  # of the questions for a thing, which part says "any dogs", whether there is one, there are several, or none
)


def exchange(asked: Asked, known: Known, last: bool, explained_share: float) -> Exchange:
    """In words. Both twins have the same question, and are both explained or both short; only the answers differ.

    Only the `last` question of a conversation is answered with what can be seen instead: earlier it would tell what is there
    of what is asked next, and so would its being left out.
    """
    rng = random.Random(asked.seed)
    kind, language = kind_of(asked.label), asked.language
    explained, several = rng.random() < explained_share, rng.random() < _SEVERAL
    there = asked.polarity == "positive"
    instead = seen_fields(random.Random(asked.seed + 1), known, language) if last and not there else {}
    if kind == "false_premise":
        return _open(rng, asked, known, instead)
    question, yes, no = rng.choice(QUESTIONS[kind][language])
    fields, answer = _FIELDS[kind](asked.key, known, there, language, several)
    answer |= instead
    short = yes if there else no
    if explained:
        choices = EXPLAINED[kind][language][0 if there else 1]
        answer["lead"] = short.rstrip("。.")
        short = rng.choice([one for one in choices if "{seen" not in one or "seen" in answer])
    return _said(_fill(question, fields), _fill(short, answer), asked)


def _open(rng: random.Random, asked: Asked, known: Known, instead: Mapping[str, str]) -> Exchange:
    """An open question about what is there, and the same about what is not: a false premise, which the answer denies."""
    form, name, number = asked.key
    word, language = load().words[name], asked.language
    questions, answers = OPEN[form][language]
    question = rng.choice(questions)
    fields = thing_fields(word, number == MANY, language)
    if asked.polarity == "negative":
        denial = rng.choice([one for one in DENIALS[language] if "{seen" not in one or "seen" in instead])
        return _said(_fill(question, fields), _fill(denial, {**fields, **instead}), asked)
    seen = _known(known, name)
    if form == "color":
        fields |= colour_fields(seen, seen.colours or (), language)
    elif form == "count":
        assert seen.count
        fields |= count_fields(word, seen.count, seen.count, language)
    else:
        fitting = [one for one in placed(known) if one[0].word.en == name]
        subject, relation, object_, _ = rng.choice(fitting)
        fields |= position_fields(subject, object_, relation, relation, language)
    return _said(_fill(question, fields), _fill(rng.choice(answers), fields), asked)


def _said(question: str, answer: str, asked: Asked) -> Exchange:
    return Turn("user", question), Turn("assistant", answer, (), asked.polarity, asked.label, asked.language)


def _known(known: Known, name: str) -> Seen:
    seen = known.find(name)
    assert seen is not None, name
    return seen


def _existence(key: Key, known: Known, there: bool, language: str, several: bool) -> tuple[Fields, Fields]:
    word = load().words[key[0]]
    fields = thing_fields(word, several, language)
    if not there:
        return fields, dict(fields)
    seen = _known(known, key[0])
    return fields, thing_fields(word, seen.many, language) | {"some": spoken_of(seen, language)}


def _colour(key: Key, known: Known, there: bool, language: str, several: bool) -> tuple[Fields, Fields]:
    fields = colour_fields(_known(known, key[0]), (key[1],), language)
    return fields, dict(fields)


def _attribute(key: Key, known: Known, there: bool, language: str, several: bool) -> tuple[Fields, Fields]:
    seen = _known(known, key[0])
    group = ATTRIBUTES[key[1]].group
    truth = key[1] if there else next(name for name in seen.attributes if ATTRIBUTES[name].group == group)
    fields = attribute_fields(seen, key[1], truth, language)
    return fields, dict(fields)


def _count(key: Key, known: Known, there: bool, language: str, several: bool) -> tuple[Fields, Fields]:
    seen = _known(known, key[0])
    assert seen.count
    fields = count_fields(seen.word, int(key[1]), seen.count, language)
    return fields, dict(fields)


def _position(key: Key, known: Known, there: bool, language: str, several: bool) -> tuple[Fields, Fields]:
    subject, object_ = _known(known, key[0]), _known(known, key[2])
    fitting = [one for one in placed(known) if (one[0].word.en, one[2].word.en) == (key[0], key[2])]
    truth = key[1] if there else next(relation for _, relation, _, wrong in fitting if key[1] in wrong)
    fields = position_fields(subject, object_, key[1], truth, language)
    return fields, dict(fields)


def _writing(key: Key, known: Known, there: bool, language: str, several: bool) -> tuple[Fields, Fields]:
    fields = {"value": key[0], "truth": key[0] if there else known.facts.texts[0]}
    return fields, dict(fields)


_FIELDS = {
    "existence": _existence,
    "color": _colour,
    "attribute": _attribute,
    "count": _count,
    "position": _position,
    "OCR": _writing,
}


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
