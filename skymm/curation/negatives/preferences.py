"""For preference learning: a true answer, and the same with one thing made up.

Two sorts: a caption with one error in it, and "yes" to a question about what is not there. Like the error injection of
BPO (arXiv 2403.08730), but by rules over what is known, so that the rejected text is wrong for certain.
"""

from __future__ import annotations

import random
from dataclasses import dataclass

from skymm.conversation import Turn
from skymm.curation.facts.caption_facts import read
from skymm.curation.facts.co_occurrence import Statistics
from skymm.curation.facts.known import Known, know
from skymm.curation.negatives.errors import mistakes
from skymm.curation.negatives.questions import thing_fields
from skymm.curation.negatives.templates import ASSENTS, DENIED, DESCRIBE, OPEN, PREMISED, QUESTIONS
from skymm.curation.negatives.wording import colour_phrase, sentence, some, zh_counted
from skymm.curation.record import Record
from skymm.describing import COLOURS

_TOP = 5
_IN_CAPTIONS = 0.7


@dataclass(frozen=True, slots=True)
class Preference:
    """`prompt` shows the pictures. `kind` is the error of `rejected`: object, added_object, color, count, position,
    existence or false_premise.
    """

    prompt: Turn
    chosen: Turn
    rejected: Turn
    kind: str


def preference(rng: random.Random, record: Record, statistics: Statistics, language: str) -> Preference | None:
    """One made of a record, or None where nothing is certainly wrong. The same `rng` gives the same."""
    if len(record.pictures) != 1:
        return None
    known = know(record)
    choices: dict[str, list[tuple[str, str, str]]] = {}
    for caption in record.captions:
        if caption.language == language:
            for kind, text in mistakes(read(caption.text, language), known, statistics):
                choices.setdefault(kind, []).append((rng.choice(DESCRIBE[language]), caption.text, text))
    if known.seen and known.absent:
        choices["existence"] = [_assent(rng, known, statistics, language)]
        choices["false_premise"] = [_premise(rng, known, statistics, language)]
    if not choices:
        return None
    in_captions = sorted(set(choices) - {"existence", "false_premise"})
    # Errors in captions need a caption in this language, so where there is one they come first.
    kind = rng.choice(in_captions if in_captions and rng.random() < _IN_CAPTIONS else sorted(choices))
    prompt, chosen, rejected = rng.choice(choices[kind])
    polarity = "negative" if kind in ("existence", "false_premise") else "positive"
    return Preference(
        Turn("user", prompt, tuple(record.pictures)),
        Turn("assistant", chosen, (), polarity, kind, language),
        Turn("assistant", rejected, (), None, kind, language),
        kind,
    )


def _absent(rng: random.Random, known: Known, statistics: Statistics):
    strategy = rng.choice(("random", "popular", "adversarial"))
    tempting = known.tempting(strategy, statistics)[: _TOP if strategy != "random" else None]
    return rng.choice(tempting or list(known.absent))


def _assent(rng: random.Random, known: Known, statistics: Statistics, language: str) -> tuple[str, str, str]:
    """ "Is there a bus?" answered with yes."""
    word = _absent(rng, known, statistics)
    fields = thing_fields(word, False, language)
    fields["some"] = some(word) if language == "en" else zh_counted(word)
    question, yes, no = rng.choice(QUESTIONS["existence"][language])
    denied = {**fields, "lead": no.rstrip("。.")}
    assented = {**fields, "lead": yes.rstrip("。.")}
    place = rng.randrange(len(DENIED[language]))
    return (
        sentence(question.format_map(fields)),
        DENIED[language][place].format_map(denied),
        ASSENTS[language][place].format_map(assented),
    )


def _premise(rng: random.Random, known: Known, statistics: Statistics, language: str) -> tuple[str, str, str]:
    """ "What color is the bus?" answered with a color."""
    word = _absent(rng, known, statistics)
    fields = thing_fields(word, False, language)
    colour = rng.choice([one.en for one in COLOURS.values() if one.common])
    fields["truth"] = colour_phrase((colour,), language)
    question = rng.choice(OPEN["color"][language][0])
    answer = rng.choice(OPEN["color"][language][1])
    return tuple(sentence(one.format_map(fields)) for one in (question, PREMISED[language], answer))
