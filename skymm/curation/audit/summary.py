"""Counts become an audit: numbers with names, sorted, as the table, the page and the findings tell them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from skymm.conversation import LANGUAGES
from skymm.curation.audit.counts import NUM_EXAMPLES, Counts, Prints
from skymm.curation.audit.guessing import Guess, guess, guess_before
from skymm.curation.audit.reading import clean
from skymm.verdict import UNKNOWN


@dataclass(frozen=True, slots=True)
class Balance:
    """Answers by what they say. `name` is a kind, "" for all; `language` is "" for both."""

    name: str
    language: str
    positive: int
    negative: int
    unknown: int
    yes: int
    no: int

    @property
    def total(self) -> int:
        return self.positive + self.negative + self.unknown

    @property
    def positive_share(self) -> float | None:
        """Of those that say which they are."""
        return share(self.positive, self.positive + self.negative)

    @property
    def yes_share(self) -> float | None:
        return share(self.yes, self.yes + self.no)


@dataclass(frozen=True, slots=True)
class Thing:
    """A name: in how many pictures it is by the facts, and how often it is asked for where it is and where it is not."""

    name: str
    pictures: int
    positive: int
    negative: int

    @property
    def asked(self) -> int:
        return self.positive + self.negative


@dataclass(frozen=True, slots=True)
class SourceRow:
    source: str
    licence: str
    samples: int
    pictures: int
    answers: int
    chinese: int
    positive: int
    negative: int


@dataclass(frozen=True, slots=True)
class Wrong:
    """What is wrong with some samples: its name, how many, the first few."""

    name: str
    count: int
    examples: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Repeat:
    """What stands several times: its hash, how often, and where first (number of the shard, and of the sample in it)."""

    hash: str
    count: int
    shard: int
    sample: int


@dataclass(frozen=True, slots=True)
class Repeats:
    """`copies` are all but the first of each; `within` of them stand in the same shard as an earlier one."""

    total: int
    copies: int
    within: int
    most: tuple[Repeat, ...] = ()

    @property
    def across(self) -> int:
        return self.copies - self.within


@dataclass(frozen=True, slots=True)
class Audit:
    """Everything. `histograms`: name -> number -> how many have it."""

    totals: Mapping[str, int]
    overall: Balance
    languages: tuple[Balance, ...]
    kinds: tuple[Balance, ...]
    kinds_by_language: tuple[Balance, ...]
    num_kinds: int
    guesses: tuple[Guess, ...]
    before: Guess | None
    before_kinds: tuple[Guess, ...]
    things: tuple[Thing, ...]
    num_things: int
    histograms: Mapping[str, Mapping[int, int]]
    formats: Mapping[str, int]
    repeats: Mapping[str, Repeats]
    alike: Mapping[str, int]
    sources: tuple[SourceRow, ...]
    num_sources: int
    unreadable: tuple[Wrong, ...]
    checked: tuple[Wrong, ...]
    details: Mapping[str, tuple[str, ...]]
    bad_shards: tuple[tuple[str, str], ...]
    shards: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """Plain data. Sorting makes it the same for the same counts."""
        return asdict(self) | {"shards": len(self.shards)}


def summarise(counts: Counts, similar: bool = False) -> Audit:
    """The audit of what was counted; `similar`: also how many samples are nearly the same as earlier ones."""
    kinds = sorted((str(name), kind) for name, kind in counts.kinds.items() if kind.answers)
    rows = [_balance(name, language, kind.answers) for name, kind in kinds for language in ("", *LANGUAGES)]
    rows.sort(key=lambda row: (-row.total, row.name))
    guesses = [
        guess(name, language, few.lowest()) for name, kind in kinds for language, few in sorted(kind.questions.items())
    ]
    before = [
        guess_before(told, name, language) for name, kind in kinds for language, told in sorted(kind.before.items())
    ]
    lengths = [f"{role}_{language}" for role in ("question", "answer") for language in LANGUAGES]
    return Audit(
        totals=dict(sorted(counts.totals.items())),
        overall=_balance("", "", counts.answers),
        languages=tuple(_balance("", language, counts.answers) for language in LANGUAGES),
        kinds=tuple(row for row in rows if not row.language),
        kinds_by_language=tuple(row for row in rows if row.language and row.total),
        num_kinds=max(len(kinds), counts.kinds.num_names if counts.kinds.full else 0),
        guesses=tuple(sorted((one for one in guesses if one), key=lambda one: (-one.gain, one.kind, one.language))),
        before=guess_before(counts.before),
        before_kinds=tuple(one for one in before if one),
        things=_things(counts),
        num_things=counts.objects.num_names,
        histograms={
            name: dict(sorted(counts.histograms.get(name, {}).items()))
            for name in ("rounds", "sides", "aspects", *lengths)
        },
        formats=dict(sorted(counts.formats.items())),
        repeats={name: repeats(counts.prints.get(name, ())) for name in ("pictures", "texts", "wholes", "keys")},
        alike=_alike(counts.signatures) if similar else {},
        sources=_sources(counts),
        num_sources=counts.sources.num_names,
        unreadable=_wrong(counts.unreadable, counts),
        checked=_wrong(counts.checked, counts),
        details={name: tuple(found[:NUM_EXAMPLES]) for name, found in sorted(counts.examples.items())},
        bad_shards=tuple(counts.bad_shards),
        shards=tuple(counts.shards),
    )


def share(part: int, whole: int) -> float | None:
    """None of nothing."""
    return part / whole if whole else None


def middle(histogram: Mapping[int, int], part: float = 0.5) -> int | None:
    """The number that this part of all are not above: the median, a percentile. None where there are none."""
    total, passed = sum(histogram.values()), 0
    for number, count in sorted(histogram.items()):
        passed += count
        if passed >= part * total:
            return number
    return None


def _balance(name: str, language: str, answers: Mapping[tuple[str, str, str], int]) -> Balance:
    found: Counter[str] = Counter()
    for (spoken, polarity, said), count in answers.items():
        if language in ("", spoken):
            found.update({polarity: count, f"says {said}": count})
    counts = (found[one] for one in ("positive", "negative", UNKNOWN, "says yes", "says no"))
    return Balance(name, language, *counts)


def _things(counts: Counts) -> tuple[Thing, ...]:
    found = [
        Thing(str(name), row["pictures"], row["positive"], row["negative"]) for name, row in counts.objects.items()
    ]
    return tuple(sorted(found, key=lambda thing: (-thing.asked, -thing.pictures, thing.name)))


def repeats(shards: Sequence[Prints], most: int = 6) -> Repeats:
    """How much stands more than once, and what stands most often. Takes the hashes' memory once more, for sorting."""
    lengths = [len(one.hashes) for one in shards]
    if not sum(lengths):
        return Repeats(0, 0, 0)
    values = np.concatenate([np.frombuffer(one.hashes, np.uint64) for one in shards if one.hashes])
    within = sum(len(one.hashes) - len(set(one.hashes)) for one in shards)
    ordered, counts = np.unique(values, return_counts=True)
    several = np.flatnonzero(counts > 1)
    # Equal counts go by hash, which is the same in whatever order the shards come.
    chosen = several[np.argsort(-counts[several], kind="stable")][:most]
    ends, found = np.cumsum(lengths), []
    for one in chosen:
        place = int(np.flatnonzero(values == ordered[one])[0])
        shard = int(np.searchsorted(ends, place, side="right"))
        sample = shards[shard].samples[place - int(ends[shard]) + lengths[shard]]
        found.append(Repeat(f"{int(ordered[one]):016x}", int(counts[one]), shard, sample))
    return Repeats(len(values), len(values) - len(ordered), within, tuple(found))


def _alike(signatures: Sequence[bytes]) -> dict[str, int]:
    """By pictures (perceptual hashes), and by pictures with their words (MinHash) together."""
    from skymm.curation.filters.duplicates import SIGNATURE, repeated
    from skymm.recipe.data import DuplicatesRecipe

    rows = np.frombuffer(b"".join(signatures), SIGNATURE)
    ways = {"picture": "images", "picture and words": "both"}
    return {name: int(repeated(rows, DuplicatesRecipe(match=match)).sum()) for name, match in ways.items()}


def _sources(counts: Counts) -> tuple[SourceRow, ...]:
    rows = []
    for name, row in counts.sources.items():
        source, _, licence = str(name).partition("\n")
        fields = ("samples", "pictures", "answers", "zh", "positive", "negative")
        rows.append(SourceRow(source, licence, *(row[field] for field in fields)))
    return tuple(sorted(rows, key=lambda row: (-row.samples, row.source, row.licence)))


def _wrong(found: Mapping[str, int], counts: Counts) -> tuple[Wrong, ...]:
    ordered = sorted(found.items(), key=lambda item: (-item[1], item[0]))
    return tuple(
        Wrong(clean(name), count, tuple(counts.examples.get(name, ())[:NUM_EXAMPLES]))
        for name, count in ordered
        if count
    )
