"""What the demo shows and asks by itself: Chinese scenes whose truth is known, and things that may or may not be there."""

from __future__ import annotations

import random
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from skymm import lexicon
from skymm.curation.negatives.wording import thing_fields
from skymm.evaluation.kits.chinese_scenes.families import is_there
from skymm.evaluation.kits.chinese_scenes.questions import LANGUAGES, Picture
from skymm.evaluation.kits.chinese_scenes.scenes import pictures
from skymm.evaluation.kits.chinese_scenes.words import words as scene_words

NUM_PROBES = 10
MOST_PRESENT = 5
_SHOWN = (
    "things-016",
    "things-005",
    "signs-000",
    "shops-000",
    "directions-000",
    "menus-000",
    "couplets-000",
    "tickets-000",
)
_NUMBER = re.compile(r"\d")
Words = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Probe:
    """A thing that is asked for by its name; `is_there` None where nobody knows."""

    name: str
    question: str
    is_there: bool | None = None


@cache
def examples() -> Mapping[str, Picture]:
    """Some of the Chinese scenes by name, not drawn yet."""
    known = pictures()
    return {name: known[name] for name in _SHOWN}


def questions(name: str, language: str) -> dict[str, str]:
    """What can be asked of an example, with the true answer: "yes", "no", or a text in the language."""
    index = LANGUAGES.index(language)
    found = {}
    for twin in examples()[name].twins:
        if twin.form != "choice":
            found[twin.question[index]] = twin.gold or next(
                (one for one in twin.accepted if one.isascii() == (language == "en")), twin.accepted[0]
            )
    return found


def probes_of(name: str, language: str, words: Words) -> list[Probe]:
    """What stands in an example, and what does not and is like nothing there: NUM_PROBES of them in all, mixed."""
    picture, rng = examples()[name], random.Random(name)
    if picture.things:
        index, kins = LANGUAGES.index(language), {thing.kin for thing in picture.things}
        others = [thing for thing in scene_words()["things"].values() if thing.kin not in kins]
        present = [(thing.text[index], is_there(thing)[index]) for thing in picture.things]
        absent = [(thing.text[index], is_there(thing)[index]) for thing in others]
    else:
        shown = [text for text in picture.shown if not _NUMBER.search(text)]
        # What pictures of its own family show is the likelier to be taken for it; the others help out.
        rivals = sorted(pictures().values(), key=lambda other: other.family != picture.family)
        elsewhere = dict.fromkeys(
            text
            for other in rivals
            if other.script == picture.script or picture.script == "both"
            for text in other.shown
            if not _NUMBER.search(text) and not any(text in one or one in text for one in shown)
        )
        texts = (shown, list(elsewhere)[: 2 * NUM_PROBES])
        present, absent = ([(text, words["says"].format(text=text)) for text in some] for some in texts)
    present = rng.sample(present, min(MOST_PRESENT, len(present)))
    absent = rng.sample(absent, min(NUM_PROBES - len(present), len(absent)))
    found = [Probe(*one, True) for one in present] + [Probe(*one, False) for one in absent]
    return rng.sample(found, len(found))


def probes_for(things: str, language: str, words: Words, seed: object) -> list[Probe]:
    """Things that a user named, or as many of the lexicon: what of them is in the picture is not known here."""
    named = [name for one in re.split(r"[,，、;；\n]", things) if (name := one.strip())][:NUM_PROBES]
    if not named:
        chosen = random.Random(str(seed)).sample(lexicon.vocabulary("coco80"), NUM_PROBES)
        return [_probe(word, language, words) for word in chosen]
    return [
        _probe(word, language, words)
        if (word := lexicon.find(name))
        else Probe(name, words["is_there_named"].format(name=name))
        for name in named
    ]


def _probe(word: lexicon.Word, language: str, words: Words) -> Probe:
    fields = thing_fields(word, False, language)
    return Probe(fields["noun"], words["is_there"].format(**fields))
