"""What is counted of a set of shards: in one pass, by as many processes as there are shards to share out.

Parts add up to what one pass over all of them would count. Memory: 24 bytes for a sample (hashes of its key, its words and all
of it) and 8 for each of its pictures; names of things and kinds once; of questions some thousands of each kind.
"""

from __future__ import annotations

import hashlib
import json
import os
from array import array
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from functools import cached_property, lru_cache
from itertools import pairwise
from pathlib import Path, PurePath
from typing import Any, NamedTuple, TypeVar

import numpy as np

from skymm.conversation import LANGUAGES, Conversation, Turn
from skymm.curation.audit.guessing import Guess, Question, guess, guess_before
from skymm.curation.audit.reading import asked_thing, clean, source_and_licence, things_there, yes_no
from skymm.curation.building.workers import Local
from skymm.curation.filters.leakage import LeakageIndex
from skymm.curation.record import Candidate, Record
from skymm.data.shards import CARD, BadSample, Sample, conversation_of, expand, read_shard
from skymm.images import Header, UnreadableImage, decode_image, read_header
from skymm.text import language_of, normalise, words
from skymm.verdict import NO, UNKNOWN, YES

NUM_QUESTIONS = 4000
"""Questions kept of each kind and language, to guess their answers."""
NUM_TURNS_SHOWN = 12
"""Questions of a sample that are shown at most."""
NUM_EXAMPLES = 3
LONGEST = 2000
"""Words of a question or answer, and pixels / 10 of a side, that are told apart in histograms."""
_WIDEST = 20.0  # to one; wider and narrower pictures are counted as such
_MOST_LETTERS = 48  # of an answer that is named
_FURTHEST = 3  # more yes than no, or fewer, that are told apart
_PRINTS = ("pictures", "texts", "wholes", "keys")

Value = TypeVar("Value")
Cell = tuple[str, str, str]
"""(kind, polarity, language) of an answer."""


def digest(*parts: str | bytes | int) -> int:
    """64 bits that stand for what was given; among a million different things two are alike once in 37 million times."""
    hashed = hashlib.blake2b(digest_size=8)
    for part in parts:
        # Lone surrogates are legal in JSON and not in UTF-8.
        data = part if isinstance(part, bytes) else str(part).encode("utf-8", "surrogatepass")
        hashed.update(len(data).to_bytes(8, "big"))
        hashed.update(data)
    return int.from_bytes(hashed.digest(), "big")


class Lowest(dict[int, Value]):
    """Values by their hashes, of which the `size` lowest count: a choice that does not depend on how the data is cut."""

    def __init__(self, size: int):
        super().__init__()
        self.size = size

    def add(self, values: Mapping[int, Value]) -> None:
        self.update(values)
        if len(self) > 2 * self.size:
            for rank in sorted(self)[self.size :]:
                del self[rank]

    def chosen(self) -> dict[int, Value]:
        """The lowest hash first: an order that has nothing to do with the values."""
        return {rank: self[rank] for rank in sorted(self)[: self.size]}


class Reference(NamedTuple):
    """Where a sample lies, and what answers it would show."""

    shard: str
    index: int
    cells: tuple[Cell, ...]


class Balance(NamedTuple):
    """How many answers are positive and negative, and how many say yes and no. `kind`, `language`: "" for all."""

    kind: str
    language: str
    positive: int
    negative: int
    unknown: int
    yes: int
    no: int

    @property
    def total(self) -> int:
        return self.positive + self.negative + self.unknown


def share(part: int, whole: int) -> float | None:
    """None of nothing."""
    return part / whole if whole else None


@dataclass
class Counts:
    """All of it. `totals` are plain numbers by name, the rest are tables by what they are counted for."""

    num_shown: int = 24
    totals: Counter[str] = field(default_factory=Counter)
    answers: Counter[tuple[str, str, str, str]] = field(default_factory=Counter)
    """(kind, language, polarity, "yes", "no" or "unknown")."""
    before: Counter[tuple[str, str, int, str, int, str]] = field(default_factory=Counter)
    """(kind, language, half, yes or no said before, how many more yes than no, yes or no)."""
    questions: dict[tuple[str, str], Lowest[Question]] = field(default_factory=dict)
    """By kind and language."""
    samples: dict[Cell, Lowest[Reference]] = field(default_factory=dict)
    things: defaultdict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    """Name -> questions for it where it is ("positive") and where it is not ("negative")."""
    sources: Counter[tuple[str, str]] = field(default_factory=Counter)
    """Samples by source and licence."""
    histograms: defaultdict[str, Counter[int]] = field(default_factory=lambda: defaultdict(Counter))
    """Words by "question_LANGUAGE" and "answer_LANGUAGE", questions of a conversation by "rounds", and of pictures the shorter
    side in pixels ("sides") and width to height in hundredths ("aspects")."""
    unreadable: Counter[str] = field(default_factory=Counter)
    leaked: Counter[str] = field(default_factory=Counter)
    """What may not be trained on, by what it is of an evaluation set."""
    examples: defaultdict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    """The first of whatever is wrong, by what it is counted under."""
    bad_shards: list[tuple[str, str]] = field(default_factory=list)
    shards: list[str] = field(default_factory=list)
    prints: dict[str, array[int]] = field(default_factory=lambda: {name: array("Q") for name in _PRINTS})
    """Hashes of all "pictures", "texts" (words), "wholes" (words and pictures) and "keys"."""

    def add(
        self, sample: Sample, conversation: Conversation, headers: Mapping[str, Header], card: Mapping[str, Any]
    ) -> None:
        """Count a readable sample with the headers of its pictures by name, and what the card of its directory says."""
        pairs = [pair for pair in pairwise(conversation.turns) if pair[1].role == "assistant"]
        pictures = [digest(sample.members[name]) for name in headers]
        identity = digest(sample.key, sample.members["json"])
        self.totals.update(
            {
                "samples": 1,
                "questions": len(pairs),
                "pictures": len(sample.images),
                "pictures_not_shown": len(set(sample.images) - set(conversation.images)),
                "text_only": int(not sample.images),
                "several_pictures": int(len(sample.images) > 1),
            }
        )
        self.histograms["rounds"][min(len(pairs), LONGEST)] += 1
        for name, header in headers.items():
            self._measure(header, len(sample.members[name]))
        self._print(sample, conversation, pictures)
        there = things_there(conversation.extra)
        half = (pictures[0] if pictures else identity) & 1
        previous, more_yes = "", 0
        for index, (question, answer) in enumerate(pairs):
            said = self._add_answer(conversation.key, question, answer, half, digest(identity, index), there)
            if said is not None:
                kept = max(-_FURTHEST, min(_FURTHEST, more_yes))
                self.before[kind_of(answer), language_said(answer), half, previous, kept, said] += 1
                previous, more_yes = said, more_yes + (1 if said == YES else -1)
        source, licence = source_and_licence(conversation.extra, card)
        self.sources[source, licence] += 1
        self.totals["no_source"] += source == UNKNOWN
        self.totals["no_licence"] += licence == UNKNOWN
        cells = [cell_of(answer) for _, answer in pairs[:NUM_TURNS_SHOWN]]
        reference = Reference(sample.shard, sample.index, tuple(dict.fromkeys(cells)))
        for cell in reference.cells:
            self.samples.setdefault(cell, Lowest(self.num_shown)).add({identity: reference})

    def merge(self, other: Counts) -> None:
        """Add what was counted of later shards. `other` may be used up."""
        for one in fields(self):
            _merge(getattr(self, one.name), getattr(other, one.name))

    def _measure(self, header: Header, size: int) -> None:
        self.totals["picture_bytes"] += size
        self.histograms["sides"][min(header.width, header.height, 10 * LONGEST)] += 1
        aspect = min(max(header.width / max(header.height, 1), 1 / _WIDEST), _WIDEST)
        self.histograms["aspects"][round(100 * aspect)] += 1

    def _print(self, sample: Sample, conversation: Conversation, pictures: list[int]) -> None:
        """Keys are compared within a directory: two sets of shards may both begin at 000000. That a yes/no question stands
        with many pictures is as it should be, so words are compared where an answer says more.
        """
        spoken = digest(*(part for turn in conversation.turns for part in (turn.role, normalise(turn.text))))
        self.prints["pictures"].extend(pictures)
        if any(yes_no(answer.text) is None for answer in conversation.targets):
            self.prints["texts"].append(spoken)
        self.prints["wholes"].append(digest(spoken, *pictures))
        self.prints["keys"].append(digest(str(PurePath(sample.shard).parent), sample.key))

    def _add_answer(self, key: str, question: Turn, answer: Turn, half: int, rank: int, there: set[str]) -> str | None:
        """Count a question with its answer; "yes", "no" or None for what the answer says."""
        kind, polarity, language = cell_of(answer)
        said, num_words = yes_no(answer.text), len(words(answer.text))
        # One word of another script may well be a foreign name.
        other_script = answer.language is not None and num_words >= 4 and language_of(answer.text) != answer.language
        self.totals["answers_of_other_script"] += other_script
        self.totals["polarity_against_answer"] += (said, polarity) in ((YES, "negative"), (NO, "positive"))
        self.histograms[f"question_{language_of(question.text)}"][min(len(words(question.text)), LONGEST)] += 1
        self.histograms[f"answer_{language}"][min(num_words, LONGEST)] += 1
        self.answers[kind, language, polarity, said or UNKNOWN] += 1
        text = normalise(answer.text).lower()
        if len(text) > _MOST_LETTERS:
            text = f"{text[: _MOST_LETTERS - 1]}…\n{digest(text)}"
        kept = Question(half, clean(question.text), text, said)
        self.questions.setdefault((kind, language), Lowest(NUM_QUESTIONS)).add({rank: kept})
        stated = answer.polarity or {YES: "positive", NO: "negative"}.get(said or "")
        name = clean(asked_thing(question.text, kind) or "") if stated else ""
        if stated and name:
            self.things[name][stated] += 1
            self.totals["existence_questions"] += 1
            if stated == "negative" and name in there:
                self.totals["denied_facts"] += 1
                self.examples["denied facts"].append(clean(f"{key}: {name}"))
        return said

    # --- what the counts say ---------------------------------------------------------------------------------------------

    def balance(self, kind: str = "", language: str = "") -> Balance:
        """Of the answers of a kind and language."""
        found: Counter[str] = Counter()
        for (its_kind, its_language, polarity, said), count in self.answers.items():
            if kind in ("", its_kind) and language in ("", its_language):
                found.update({polarity: count, f"says {said}": count})
        return Balance(
            kind, language, *(found[one] for one in ("positive", "negative", UNKNOWN, "says yes", "says no"))
        )

    @property
    def languages(self) -> list[Balance]:
        return [self.balance("", language) for language in LANGUAGES]

    @cached_property
    def kinds(self) -> list[Balance]:
        """The most frequent first."""
        found = [self.balance(kind) for kind in {kind for kind, *_ in self.answers}]
        return sorted(found, key=lambda row: (-row.total, row.kind))

    @cached_property
    def kinds_by_language(self) -> list[Balance]:
        found = [self.balance(*both) for both in {(kind, language) for kind, language, *_ in self.answers}]
        return sorted(found, key=lambda row: (-row.total, row.kind, row.language))

    @cached_property
    def guesses(self) -> list[Guess]:
        """From the words of the questions, by kind and language; what is given away most first."""
        found = [guess(*both, list(few.chosen().values())) for both, few in sorted(self.questions.items())]
        return sorted((one for one in found if one), key=lambda one: (-one.gain, one.kind, one.language))

    def guess_before(self, kind: str = "", language: str = "") -> Guess | None:
        """From what was said before in the conversation."""
        found: Counter[tuple[int, str, int, str]] = Counter()
        for (its_kind, its_language, *told), count in self.before.items():
            if kind in ("", its_kind) and language in ("", its_language):
                found[tuple(told)] += count
        return guess_before(kind or UNKNOWN, language or UNKNOWN, found)

    @cached_property
    def repeats(self) -> dict[str, dict[str, int]]:
        """What is compared -> "total" and "copies", which are all but the first of each."""
        different = {name: len(np.unique(np.frombuffer(found, np.uint64))) for name, found in self.prints.items()}
        return {
            name: {"total": len(found), "copies": len(found) - different[name]} for name, found in self.prints.items()
        }


def kind_of(answer: Turn) -> str:
    return clean(answer.kind, 60) if isinstance(answer.kind, str) and answer.kind.strip() else UNKNOWN


def language_said(answer: Turn) -> str:
    """What the answer says, else what its script says."""
    return answer.language or language_of(answer.text)


def cell_of(answer: Turn) -> Cell:
    return kind_of(answer), answer.polarity or UNKNOWN, language_said(answer)


def _merge(mine: Any, theirs: Any) -> None:
    """Add up two tables of one sort, in place of the first."""
    if isinstance(mine, Counter):
        mine.update(theirs)
    elif isinstance(mine, Lowest):
        mine.add(theirs)
    elif isinstance(mine, dict):
        for name, value in theirs.items():
            if name in mine:
                _merge(mine[name], value)
            else:
                mine[name] = value
    elif isinstance(mine, list | array):
        mine.extend(theirs)


# --- the pass over shards -------------------------------------------------------------------------------------------------


def count_shards(
    shards: str | Path | Sequence[str | Path],
    *,
    num_shown: int = 24,
    decode: bool = False,
    leakage: str | None = None,
    workers: int | Local | None = None,
    advance: Callable[[int], None] = lambda shards: None,
) -> Counts:
    """Counts of all shards, in the order of their names; `advance` is told of every shard that is done.

    `decode` reads all pixels: slower, and damage behind headers is found. `leakage`: an index of evaluation sets on disk, whose
    pictures and questions may not be trained on. `workers`: processes, or an engine that has some; None: as many as there are
    processors. The counts are the same whatever their number. A shard that cannot be read to its end is told in `bad_shards`,
    and what stands before the damage is counted. Raises ValueError where there are no shards.
    """
    paths = expand(shards)
    if not paths:
        raise ValueError(f"no shards found: looked for {shards!r}; expected .tar files there")
    engine = workers if isinstance(workers, Local) else Local((os.cpu_count() or 1) if workers is None else workers)
    jobs = [{"path": path, "num_shown": num_shown, "decode": decode, "leakage": leakage} for path in paths]
    counts, parts, merged = Counts(num_shown), {}, 0
    for number, part in engine.run(_count_shard, jobs):
        parts[number] = part
        while merged in parts:  # in the order of the shards
            counts.merge(parts.pop(merged))
            merged += 1
            advance(1)
    return counts


def _count_shard(job: Mapping[str, Any]) -> Counts:
    path, index = job["path"], _index(job["leakage"]) if job["leakage"] else None
    counts = Counts(job["num_shown"], shards=[str(path)])
    counts.totals["shards"] = 1
    card = _card(path.parent, counts)
    try:
        counts.totals["shard_bytes"] = path.stat().st_size
        for sample in read_shard(path):
            try:
                conversation, headers = conversation_of(sample), _headers(sample, job["decode"])
            except BadSample as error:
                counts.unreadable[error.reason] += 1
                counts.examples[error.reason].append(clean(str(error)))
                continue
            counts.add(sample, conversation, headers, card)
            encoded = {name: sample.members[name] for name in headers}
            if index and (reason := index.reason(Candidate(Record(sample.key, turns=conversation.turns), encoded))):
                counts.leaked[reason] += 1
                counts.examples[reason].append(clean(sample.key))
    except (ValueError, OSError) as error:
        counts.bad_shards.append((str(path), clean(str(error), 500)))
    counts.examples = defaultdict(list, {name: found[:NUM_EXAMPLES] for name, found in counts.examples.items()})
    return counts


@lru_cache(maxsize=1)
def _index(path: str) -> LeakageIndex:
    return LeakageIndex.load(path)


def _headers(sample: Sample, decode: bool) -> dict[str, Header]:
    """Of all pictures whose data is there, and not only their features. Raises BadSample for what training would skip."""
    headers = {}
    for name in sample.images:
        if name not in sample.members:
            continue
        data, where = sample.members[name], f"{sample.shard}: {sample.key}.{name}"
        try:
            headers[name] = read_header(data, where)
            if decode:
                decode_image(data, where)
        except UnreadableImage as error:
            raise BadSample(str(error), error.reason) from error
    return headers


def _card(directory: Path, counts: Counts) -> Mapping[str, Any]:
    """What lies beside the shards; a directory need not have one, and a broken one is told."""
    try:
        card = json.loads((directory / CARD).read_bytes())
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, RecursionError) as error:
        counts.examples["card"].append(clean(f"{directory / CARD}: {error}"))
        return {}
    return card if isinstance(card, Mapping) else {}
