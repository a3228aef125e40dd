"""One sample goes into the counts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import PurePath
from typing import Any

from skymm.conversation import Conversation, Turn
from skymm.curation.audit.counts import (
    LONGEST,
    NUM_QUESTIONS,
    PER_CELL,
    Cell,
    Counts,
    KindCounts,
    Question,
    Reference,
)
from skymm.curation.audit.lowest import Lowest, digest
from skymm.curation.audit.reading import (
    NO,
    UNKNOWN,
    YES,
    asked_thing,
    clean,
    facts_of,
    is_other_script,
    language,
    source_and_licence,
    yes_no,
)
from skymm.curation.record import Facts
from skymm.data.shards import Sample
from skymm.images import Header
from skymm.text import language_of, normalise, words

NUM_TURNS_SHOWN = 12
"""Questions of a sample that are shown at most."""
TEXT_ONLY: Cell = ("", "text only", "")
SEVERAL: Cell = ("", "several pictures", "")
_WIDEST = 20.0  # to one; wider and narrower pictures are counted as such
_MOST_LETTERS = 48  # of an answer that is named
_FURTHEST = 3  # more yes than no, or fewer, that are told apart


@dataclass(slots=True)
class Opened:
    """A readable sample with the headers of its pictures by name."""

    sample: Sample
    conversation: Conversation
    headers: Mapping[str, Header]
    facts: Facts | None = None


def tally(counts: Counts, opened: Opened, card: Mapping[str, Any]) -> None:
    """Count a sample. Sets `opened.facts`, where the sample has readable ones."""
    sample, conversation = opened.sample, opened.conversation
    pairs = list(_questions(conversation))
    prints = _pictures(counts, opened)
    identity = digest(sample.key, sample.members["json"])
    _prints(counts, opened, prints)
    totals = counts.totals
    totals["samples"] += 1
    totals["questions"] += len(pairs)
    totals["text_only"] += not sample.images
    totals["several_pictures"] += len(sample.images) > 1
    totals["system"] += conversation.turns[0].role == "system"
    counts.rounds[min(len(pairs), LONGEST)] += 1
    opened.facts = _facts(counts, opened)
    half = (prints[0] if prints else identity) & 1
    said = [_answer(counts, opened, pair, half, digest(identity, index)) for index, pair in enumerate(pairs)]
    _before(counts, pairs, said, half)
    _source(counts, opened, pairs, card)
    _reference(counts, opened, pairs, identity)


def _questions(conversation: Conversation) -> Iterator[tuple[Turn, Turn]]:
    for question, answer in pairwise(conversation.turns):
        if answer.role == "assistant":
            yield question, answer


def _pictures(counts: Counts, opened: Opened) -> list[int]:
    """Hashes of the pictures' bytes."""
    sample, found = opened.sample, []
    counts.totals["pictures"] += len(sample.images)
    counts.totals["pictures_left_out"] += len(sample.images) - len(opened.headers)
    counts.totals["pictures_not_shown"] += len(set(sample.images) - set(opened.conversation.images))
    for name, header in opened.headers.items():
        data = sample.members[name]
        counts.totals["picture_bytes"] += len(data)
        counts.formats[header.kind] += 1
        counts.sides[min(header.width, header.height, 10 * LONGEST)] += 1
        aspect = min(max(header.width / max(header.height, 1), 1 / _WIDEST), _WIDEST)
        counts.aspects[round(100 * aspect)] += 1
        found.append(digest(data))
        counts.pictures.add(found[-1], sample.index)
    return found


def _prints(counts: Counts, opened: Opened, pictures: list[int]) -> None:
    """Keys are compared within a directory: two sets of shards may both begin at 000000. That a yes/no question stands
    with many pictures is as it should be, so words are compared where an answer says more.
    """
    sample = opened.sample
    spoken = digest(*(part for turn in opened.conversation.turns for part in (turn.role, normalise(turn.text))))
    counts.keys.add(digest(str(PurePath(sample.shard).parent), sample.key), sample.index)
    if any(yes_no(answer.text) is None for answer in opened.conversation.targets):
        counts.texts.add(spoken, sample.index)
    counts.wholes.add(digest(spoken, *pictures), sample.index)


def _facts(counts: Counts, opened: Opened) -> Facts | None:
    try:
        facts = facts_of(opened.conversation.extra)
    except ValueError as error:
        counts.totals["bad_facts"] += 1
        counts.example("bad facts", clean(f"{opened.sample.shard}: {opened.sample.key}: {error}"))
        return None
    if facts is not None:
        counts.totals["facts"] += 1
        for name in dict.fromkeys(clean(thing.name.lower(), 60) for thing in facts.things):
            _object(counts, name)["pictures"] += 1
    return facts


def _object(counts: Counts, name: str) -> Counter[str]:
    found = counts.objects.get(name, Counter)
    return Counter() if found is None else found


def _answer(counts: Counts, opened: Opened, pair: tuple[Turn, Turn], half: int, rank: int) -> str | None:
    """Count a question with its answer; "yes", "no" or None for what the answer says."""
    question, answer = pair
    spoken, polarity, said = language(answer.language, answer.text), answer.polarity or UNKNOWN, yes_no(answer.text)
    kind_name = kind_of(answer)
    num_words = len(words(answer.text))
    counts.totals["answers_of_other_script"] += is_other_script(answer.language, answer.text, num_words)
    counts.totals["polarity_against_answer"] += (said, polarity) in ((YES, "negative"), (NO, "positive"))
    counts.lengths["question", language_of(question.text), min(len(words(question.text)), LONGEST)] += 1
    counts.lengths["answer", spoken, min(num_words, LONGEST)] += 1
    counts.totals[f"{spoken}/{polarity}/{said or UNKNOWN}"] += 1
    kind = counts.kinds.get(kind_name, KindCounts)
    if kind is not None:
        kind.answers[spoken, polarity, said or UNKNOWN] += 1
        kind.questions.setdefault(spoken, Lowest(NUM_QUESTIONS)).get(rank, lambda: _kept(half, question, answer, said))
    there = answer.polarity or {YES: "positive", NO: "negative"}.get(said or "")
    name = asked_thing(question.text, kind_name) if there else None
    if name:
        name = clean(name)
        _object(counts, name)[there or ""] += 1
        counts.totals["existence_questions"] += 1
        known = opened.facts.things if opened.facts else ()
        if there == "negative" and any(thing.name.lower() == name for thing in known):
            counts.totals["denied_facts"] += 1
            counts.example("denied facts", clean(f"{opened.sample.key}: {name}"))
    return said


def _kept(half: int, question: Turn, answer: Turn, said: str | None) -> Question:
    text = normalise(answer.text).lower()
    begins = text if len(text) <= _MOST_LETTERS else text[: _MOST_LETTERS - 1] + "…"
    return Question(half, clean(question.text), clean(begins), digest(text), said)


def kind_of(answer: Turn) -> str:
    return clean(answer.kind, 60) if isinstance(answer.kind, str) and answer.kind.strip() else UNKNOWN


def _before(counts: Counts, pairs: list[tuple[Turn, Turn]], said: list[str | None], half: int) -> None:
    """Each yes and no with what was said before it in the conversation."""
    previous, more_yes = "", 0
    for (_, turn), answer in zip(pairs, said, strict=True):
        if answer is None:
            continue
        told = (half, previous, max(-_FURTHEST, min(_FURTHEST, more_yes)), answer)
        counts.before[told] += 1
        kind = kind_of(turn)
        if kind in counts.kinds.values:  # those that are kept
            counts.before_kind[kind, language(turn.language, turn.text), *told] += 1
        previous, more_yes = answer, more_yes + (1 if answer == YES else -1)


def _source(counts: Counts, opened: Opened, pairs: list[tuple[Turn, Turn]], card: Mapping[str, Any]) -> None:
    source, licence = source_and_licence(opened.conversation.extra, card)
    counts.totals["no_source"] += source == UNKNOWN
    counts.totals["no_licence"] += licence == UNKNOWN
    row = counts.sources.get(f"{source}\n{licence}", Counter)
    if row is None:
        return
    row["samples"] += 1
    row["pictures"] += len(opened.sample.images)
    for _, answer in pairs:
        row["answers"] += 1
        row[language(answer.language, answer.text)] += 1
        row[answer.polarity or UNKNOWN] += 1


def _reference(counts: Counts, opened: Opened, pairs: list[tuple[Turn, Turn]], identity: int) -> None:
    """Keep the sample in mind for the sheet of samples, if its hash is low enough."""
    sample = opened.sample
    cells = [
        (kind_of(answer), answer.polarity or UNKNOWN, language(answer.language, answer.text))
        for _, answer in pairs[:NUM_TURNS_SHOWN]
    ]
    special = [TEXT_ONLY] if not sample.images else [SEVERAL] if len(sample.images) > 1 else []
    reference = Reference(sample.shard, sample.index, tuple(dict.fromkeys([*cells, *special])))
    counts.shown.get(identity, lambda: reference)
    for cell in reference.cells:
        kind = counts.kinds.get(cell[0], KindCounts)
        if kind is not None:
            kind.samples.setdefault(cell[1:], Lowest(PER_CELL)).get(identity, lambda: reference)
