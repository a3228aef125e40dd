"""What is counted of a set of shards: samples are added one by one, and parts counted apart are merged.

Parts add up to what one pass over all of them would count. Memory: 36 bytes for a sample (hashes of its key, its words and all
of it) and 12 for each of its pictures. Nothing else grows with the data: names beyond a limit are left out by their hashes, and
of questions some thousands of each kind are kept.
"""

from __future__ import annotations

import hashlib
from array import array
from bisect import insort
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, is_dataclass
from itertools import pairwise
from pathlib import PurePath
from typing import Any, Generic, NamedTuple, TypeVar

from skymm.conversation import Conversation, Turn
from skymm.curation.audit.reading import asked_thing, clean, facts_of, source_and_licence, yes_no
from skymm.curation.record import Facts
from skymm.data.shards import Sample
from skymm.images import Header
from skymm.text import language_of, normalise, words
from skymm.verdict import NO, UNKNOWN, YES

NUM_KINDS = 32
NUM_SOURCES = 1000
NUM_OBJECTS = 50_000
NUM_QUESTIONS = 4000
"""Questions kept of each kind and language, to guess their answers."""
PER_CELL = 4
"""Samples kept of each kind, polarity and language, to show some of them."""
NUM_EXAMPLES = 3
NUM_TURNS_SHOWN = 12
"""Questions of a sample that are shown at most."""
LONGEST = 2000
"""Words of a question or answer, and pixels / 10 of a side, that are told apart in histograms."""
_WIDEST = 20.0  # to one; wider and narrower pictures are counted as such
_MOST_LETTERS = 48  # of an answer that is named
_FURTHEST = 3  # more yes than no, or fewer, that are told apart
_ALL_HASHES = 2**64

Value = TypeVar("Value")
Cell = tuple[str, str, str]
"""(kind, polarity, language) of an answer; TEXT_ONLY and SEVERAL of a sample."""
TEXT_ONLY: Cell = ("", "text only", "")
SEVERAL: Cell = ("", "several pictures", "")


def digest(*parts: str | bytes | int) -> int:
    """64 bits that stand for what was given; among a million different things two are alike once in 37 million times."""
    hashed = hashlib.blake2b(digest_size=8)
    for part in parts:
        # Lone surrogates are legal in JSON and not in UTF-8.
        data = part if isinstance(part, bytes) else str(part).encode("utf-8", "surrogatepass")
        hashed.update(len(data).to_bytes(8, "big"))
        hashed.update(data)
    return int.from_bytes(hashed.digest(), "big")


class Lowest(dict[str | int, Value], Generic[Value]):
    """At most `size` names with their values: those whose hashes are the lowest of all that were met.

    A name that is among the lowest of everything is among the lowest of every part that has it, so its value misses nothing,
    and parts may be merged in any order. Up to `size` names this is a dictionary. A name that is a number is its own hash.
    """

    def __init__(self, size: int):
        super().__init__()
        self.size = size
        self.full = False  # whether names had to be left out
        self.order: list[tuple[int, str | int]] = []  # hashes with their names, the lowest first

    def take(self, name: str | int, make: Callable[[], Value]) -> Value | None:
        """The value of a name, made where it is new; None for a name that is left out, whose value is not even made."""
        if name in self:
            return self[name]
        rank = name if isinstance(name, int) else digest(name)
        if len(self) >= self.size:
            self.full = True
            if not self.order or rank >= self.order[-1][0]:
                return None
            del self[self.order.pop()[1]]
        insort(self.order, (rank, name))
        self[name] = make()
        return self[name]

    def lowest(self) -> list[Value]:
        """Values, that of the lowest hash first: an order that has nothing to do with what is in them."""
        return [self[name] for _, name in self.order]

    @property
    def num_names(self) -> int:
        """How many names were met; an estimate where some were left out."""
        if not self.full or not self.order:
            return len(self)
        return max(len(self), round((len(self) - 1) * _ALL_HASHES / max(1, self.order[-1][0])))


class Reference(NamedTuple):
    """Where a sample lies, and which cells it would show."""

    shard: str
    index: int
    cells: tuple[Cell, ...]


class Question(NamedTuple):
    """A question of those that guessing is tried on. `half` (0 or 1) depends on the picture alone.

    Answers with one `label` are word for word the same; `answer` is how they begin.
    """

    half: int
    question: str
    answer: str
    label: int
    said: str | None


class Prints(NamedTuple):
    """Hashes of a shard in their order, twelve bytes each: what it is (8), and the number of its sample (4)."""

    hashes: array[int]
    samples: array[int]


@dataclass(slots=True)
class Kind:
    """Of the answers of one kind."""

    answers: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    """(language, polarity, "yes", "no" or "unknown")."""
    before: dict[str, Counter[tuple[int, str, int, str]]] = field(default_factory=dict)
    """By language: as `Counts.before`."""
    questions: dict[str, Lowest[Question]] = field(default_factory=dict)
    """By language."""
    samples: dict[tuple[str, str], Lowest[Reference]] = field(default_factory=dict)
    """By polarity and language."""


@dataclass(slots=True)
class Counts:
    """All of it. `totals` are plain numbers by name, the rest are tables by what they are counted for."""

    num_shown: int = 24
    totals: Counter[str] = field(default_factory=Counter)
    answers: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    """(language, polarity, "yes", "no" or "unknown")."""
    kinds: Lowest[Kind] = field(default_factory=lambda: Lowest(NUM_KINDS))
    sources: Lowest[Counter[str]] = field(default_factory=lambda: Lowest(NUM_SOURCES))
    objects: Lowest[Counter[str]] = field(default_factory=lambda: Lowest(NUM_OBJECTS))
    histograms: dict[str, Counter[int]] = field(default_factory=dict)
    """Words by "question_LANGUAGE" and "answer_LANGUAGE", questions of a conversation by "rounds", and of pictures the shorter
    side in pixels ("sides") and width to height in hundredths ("aspects")."""
    formats: Counter[str] = field(default_factory=Counter)
    before: Counter[tuple[int, str, int, str]] = field(default_factory=Counter)
    """(half, yes or no said before, how many more yes than no, yes or no)."""
    unreadable: Counter[str] = field(default_factory=Counter)
    checked: Counter[str] = field(default_factory=Counter)
    """By "CHECK: REASON"."""
    examples: dict[str, list[str]] = field(default_factory=dict)
    """The first few of whatever is wrong, by what it is counted under."""
    bad_shards: list[tuple[str, str]] = field(default_factory=list)
    shards: list[str] = field(default_factory=list)
    prints: dict[str, list[Prints]] = field(default_factory=dict)
    """Of "pictures", "texts" (words), "wholes" (words and pictures) and "keys": of each shard its own."""
    signatures: list[bytes] = field(default_factory=list)
    """Of the filter that finds near copies, where that is asked for."""
    shown: Lowest[Reference] = field(init=False)

    def __post_init__(self) -> None:
        self.shown = Lowest(self.num_shown)

    def open_shard(self, shard: str | PurePath) -> None:
        """What is added from now on stands in this shard."""
        self.shards.append(str(shard))
        for name in ("pictures", "texts", "wholes", "keys"):
            self.prints.setdefault(name, []).append(Prints(array("Q"), array("I")))

    def example(self, name: str, text: str) -> None:
        known = self.examples.setdefault(name, [])
        if len(known) < NUM_EXAMPLES:
            known.append(text)

    def add(
        self, sample: Sample, conversation: Conversation, headers: Mapping[str, Header], card: Mapping[str, Any]
    ) -> Facts | None:
        """Count a readable sample with the headers of its pictures by name, and what the card of its directory says.

        Returns its facts, None where it has no readable ones.
        """
        pairs = [pair for pair in pairwise(conversation.turns) if pair[1].role == "assistant"]
        pictures = self._add_pictures(sample, conversation, headers)
        identity = digest(sample.key, sample.members["json"])
        self._add_prints(sample, conversation, pictures)
        self.totals.update(
            {
                "samples": 1,
                "questions": len(pairs),
                "text_only": int(not sample.images),
                "several_pictures": int(len(sample.images) > 1),
                "system": int(conversation.turns[0].role == "system"),
            }
        )
        self._measure("rounds", min(len(pairs), LONGEST))
        facts = self._add_facts(sample, conversation)
        half = (pictures[0] if pictures else identity) & 1
        previous, more_yes = "", 0
        for index, (question, answer) in enumerate(pairs):
            said = self._add_answer(conversation.key, question, answer, half, digest(identity, index), facts)
            if said is not None:
                told = (half, previous, max(-_FURTHEST, min(_FURTHEST, more_yes)), said)
                self.before[told] += 1
                kind = self.kinds.get(kind_of(answer))
                if kind is not None:
                    kind.before.setdefault(_language(answer), Counter())[told] += 1
                previous, more_yes = said, more_yes + (1 if said == YES else -1)
        self._add_source(sample, conversation, [answer for _, answer in pairs], card)
        self._add_reference(sample, [answer for _, answer in pairs], identity)
        return facts

    def merge(self, other: Counts) -> None:
        """Add what was counted of later shards. `other` may be used up."""
        merge(self, other)

    def _measure(self, name: str, number: int) -> None:
        self.histograms.setdefault(name, Counter())[number] += 1

    def _add_pictures(self, sample: Sample, conversation: Conversation, headers: Mapping[str, Header]) -> list[int]:
        """Hashes of the pictures' bytes."""
        found = []
        self.totals["pictures"] += len(sample.images)
        self.totals["pictures_left_out"] += len(sample.images) - len(headers)
        self.totals["pictures_not_shown"] += len(set(sample.images) - set(conversation.images))
        for name, header in headers.items():
            data = sample.members[name]
            self.totals["picture_bytes"] += len(data)
            self.formats[header.kind] += 1
            self._measure("sides", min(header.width, header.height, 10 * LONGEST))
            aspect = min(max(header.width / max(header.height, 1), 1 / _WIDEST), _WIDEST)
            self._measure("aspects", round(100 * aspect))
            found.append(digest(data))
            self._print("pictures", found[-1], sample)
        return found

    def _print(self, name: str, value: int, sample: Sample) -> None:
        prints = self.prints[name][-1]
        prints.hashes.append(value)
        prints.samples.append(sample.index)

    def _add_prints(self, sample: Sample, conversation: Conversation, pictures: list[int]) -> None:
        """Keys are compared within a directory: two sets of shards may both begin at 000000. That a yes/no question stands
        with many pictures is as it should be, so words are compared where an answer says more.
        """
        spoken = digest(*(part for turn in conversation.turns for part in (turn.role, normalise(turn.text))))
        self._print("keys", digest(str(PurePath(sample.shard).parent), sample.key), sample)
        if any(yes_no(answer.text) is None for answer in conversation.targets):
            self._print("texts", spoken, sample)
        self._print("wholes", digest(spoken, *pictures), sample)

    def _add_facts(self, sample: Sample, conversation: Conversation) -> Facts | None:
        try:
            facts = facts_of(conversation.extra)
        except ValueError as error:
            self.totals["bad_facts"] += 1
            self.example("bad facts", clean(f"{sample.shard}: {sample.key}: {error}"))
            return None
        if facts is not None:
            self.totals["facts"] += 1
            for name in dict.fromkeys(clean(thing.name.lower(), 60) for thing in facts.things):
                self._count_thing(name, "pictures")
        return facts

    def _count_thing(self, name: str, what: str) -> None:
        found = self.objects.take(name, Counter)
        if found is not None:
            found[what] += 1

    def _add_answer(
        self, key: str, question: Turn, answer: Turn, half: int, rank: int, facts: Facts | None
    ) -> str | None:
        """Count a question with its answer; "yes", "no" or None for what the answer says."""
        spoken, polarity, said = _language(answer), answer.polarity or UNKNOWN, yes_no(answer.text)
        num_words = len(words(answer.text))
        # One word of another script may well be a foreign name.
        other_script = answer.language is not None and num_words >= 4 and language_of(answer.text) != answer.language
        self.totals["answers_of_other_script"] += other_script
        self.totals["polarity_against_answer"] += (said, polarity) in ((YES, "negative"), (NO, "positive"))
        self._measure(f"question_{language_of(question.text)}", min(len(words(question.text)), LONGEST))
        self._measure(f"answer_{spoken}", min(num_words, LONGEST))
        self.answers[spoken, polarity, said or UNKNOWN] += 1
        kind = self.kinds.take(kind_of(answer), Kind)
        if kind is not None:
            kind.answers[spoken, polarity, said or UNKNOWN] += 1
            kept = kind.questions.setdefault(spoken, Lowest(NUM_QUESTIONS))
            kept.take(rank, lambda: _kept(half, question, answer, said))
        there = answer.polarity or {YES: "positive", NO: "negative"}.get(said or "")
        name = asked_thing(question.text, kind_of(answer)) if there else None
        if there and name:
            name = clean(name)
            self._count_thing(name, there)
            self.totals["existence_questions"] += 1
            if there == "negative" and facts and any(thing.name.lower() == name for thing in facts.things):
                self.totals["denied_facts"] += 1
                self.example("denied facts", clean(f"{key}: {name}"))
        return said

    def _add_source(
        self, sample: Sample, conversation: Conversation, answers: list[Turn], card: Mapping[str, Any]
    ) -> None:
        source, licence = source_and_licence(conversation.extra, card)
        self.totals["no_source"] += source == UNKNOWN
        self.totals["no_licence"] += licence == UNKNOWN
        row = self.sources.take(f"{source}\n{licence}", Counter)
        if row is not None:
            row.update({"samples": 1, "pictures": len(sample.images), "answers": len(answers)})
            row.update(_language(answer) for answer in answers)
            row.update(answer.polarity or UNKNOWN for answer in answers)

    def _add_reference(self, sample: Sample, answers: list[Turn], identity: int) -> None:
        """Keep the sample in mind for those that are shown, if its hash is low enough."""
        cells = [
            (kind_of(answer), answer.polarity or UNKNOWN, _language(answer)) for answer in answers[:NUM_TURNS_SHOWN]
        ]
        special = [TEXT_ONLY] if not sample.images else [SEVERAL] if len(sample.images) > 1 else []
        reference = Reference(sample.shard, sample.index, tuple(dict.fromkeys([*cells, *special])))
        self.shown.take(identity, lambda: reference)
        for cell in reference.cells:
            kind = self.kinds.take(cell[0], Kind)
            if kind is not None:
                kind.samples.setdefault(cell[1:], Lowest(PER_CELL)).take(identity, lambda: reference)


def kind_of(answer: Turn) -> str:
    return clean(answer.kind, 60) if isinstance(answer.kind, str) and answer.kind.strip() else UNKNOWN


def _language(answer: Turn) -> str:
    """What the answer says, else what its script says."""
    return answer.language or language_of(answer.text)


def _kept(half: int, question: Turn, answer: Turn, said: str | None) -> Question:
    text = normalise(answer.text).lower()
    begins = text if len(text) <= _MOST_LETTERS else text[: _MOST_LETTERS - 1] + "…"
    return Question(half, clean(question.text), clean(begins), digest(text), said)


def merge(mine: Any, theirs: Any) -> Any:
    """The sum of two counts of one kind, in place of the first where that can be changed; of what cannot, the first."""
    if is_dataclass(mine):
        for one in fields(mine):
            setattr(mine, one.name, merge(getattr(mine, one.name), getattr(theirs, one.name)))
    elif isinstance(mine, Counter):
        mine.update(theirs)
    elif isinstance(mine, Lowest):
        for name, value in theirs.items():
            if name in mine:
                merge(mine[name], value)
            else:
                mine.take(name, lambda value=value: value)
        mine.full = mine.full or theirs.full
    elif isinstance(mine, dict):
        for name, value in theirs.items():
            mine[name] = merge(mine[name], value) if name in mine else value
    elif isinstance(mine, list):
        mine.extend(theirs)
    return mine
