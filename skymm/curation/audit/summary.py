"""Counts become an audit: numbers with names, sorted, as the table, the page and the findings tell them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from skymm.conversation import LANGUAGES
from skymm.curation.audit.count import Plan
from skymm.curation.audit.counts import Counts
from skymm.curation.audit.guessing import Guess, guess, guess_before
from skymm.curation.audit.prints import Repeats
from skymm.curation.audit.reading import UNKNOWN, clean


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


def summarise(counts: Counts, plan: Plan | None = None) -> Audit:
    """The audit of what was counted by a plan."""
    totals = {name: count for name, count in sorted(counts.totals.items()) if "/" not in name}
    answers = {tuple(name.split("/")): count for name, count in counts.totals.items() if "/" in name}
    kinds = {str(name): kind for name, kind in counts.kinds.values.items() if kind.answers}
    rows = [
        _balance(name, language, {key: count for key, count in kind.answers.items() if language in ("", key[0])})
        for name, kind in sorted(kinds.items())
        for language in ("", *LANGUAGES)
    ]
    rows.sort(key=lambda row: (-row.total, row.name))
    guesses = [
        guess(name, language, [question for _, question in few.lowest()])
        for name, kind in sorted(kinds.items())
        for language, few in sorted(kind.questions.items())
    ]
    return Audit(
        totals=totals,
        overall=_balance("", "", answers),
        languages=tuple(
            _balance("", language, {key: count for key, count in answers.items() if key[0] == language})
            for language in LANGUAGES
        ),
        kinds=tuple(row for row in rows if not row.language),
        kinds_by_language=tuple(row for row in rows if row.language and row.total),
        num_kinds=max(len(kinds), counts.kinds.num_names if counts.kinds.full else 0),
        guesses=tuple(sorted((one for one in guesses if one), key=lambda one: (-one.gain, one.kind, one.language))),
        before=guess_before(counts.before),
        before_kinds=tuple(_before_kinds(counts)),
        things=_things(counts),
        num_things=counts.objects.num_names,
        histograms=_histograms(counts),
        formats=dict(sorted(counts.formats.items())),
        repeats={name: getattr(counts, name).repeats() for name in ("pictures", "texts", "wholes", "keys")},
        alike=_alike(counts, plan or Plan()),
        sources=_sources(counts),
        num_sources=counts.sources.num_names,
        unreadable=_wrong(counts.unreadable, counts),
        checked=_wrong(
            Counter({f"{name}: {reason}": count for (name, reason), count in counts.checked.items()}), counts
        ),
        details={name: tuple(found) for name, found in sorted(counts.examples.items())},
        bad_shards=tuple(counts.bad_shards),
        shards=tuple(counts.shards),
    )


def _before_kinds(counts: Counts) -> Iterator[Guess]:
    of_kind: dict[tuple[str, str], dict[tuple[int, str, int, str], int]] = {}
    for (kind, language, *told), count in counts.before_kind.items():
        if kind in counts.kinds.values:
            of_kind.setdefault((kind, language), {})[tuple(told)] = count
    for (kind, language), before in sorted(of_kind.items()):
        found = guess_before(before, kind, language)
        if found is not None:
            yield found


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


def _balance(name: str, language: str, answers: Mapping[tuple[str, ...], int]) -> Balance:
    polarities: Counter[str] = Counter()
    sayings: Counter[str] = Counter()
    for (_, polarity, said), count in answers.items():
        polarities[polarity] += count
        sayings[said] += count
    return Balance(
        *(name, language, polarities["positive"], polarities["negative"], polarities[UNKNOWN]),
        *(sayings["yes"], sayings["no"]),
    )


def _things(counts: Counts) -> tuple[Thing, ...]:
    found = [
        Thing(str(name), row["pictures"], row["positive"], row["negative"])
        for name, row in counts.objects.values.items()
    ]
    return tuple(sorted(found, key=lambda thing: (-thing.asked, -thing.pictures, thing.name)))


def _histograms(counts: Counts) -> dict[str, dict[int, int]]:
    found = {"rounds": counts.rounds, "sides": counts.sides, "aspects": counts.aspects}
    for role in ("question", "answer"):
        for language in LANGUAGES:
            found[f"{role}_{language}"] = Counter(
                {
                    length: count
                    for (one, spoken, length), count in counts.lengths.items()
                    if (one, spoken) == (role, language)
                }
            )
    return {name: dict(sorted(histogram.items())) for name, histogram in found.items()}


def _alike(counts: Counts, plan: Plan) -> dict[str, int]:
    """How many samples are like an earlier one, for each way of comparing."""
    found = {}
    for name, likeness in sorted(plan.likenesses.items()):
        found[name] = sum(likeness.alike(counts.signatures.get(name, [])))
    return found


def _sources(counts: Counts) -> tuple[SourceRow, ...]:
    rows = []
    for name, row in counts.sources.values.items():
        source, _, licence = str(name).partition("\n")
        fields = ("samples", "pictures", "answers", "zh", "positive", "negative")
        rows.append(SourceRow(source, licence, *(row[field] for field in fields)))
    return tuple(sorted(rows, key=lambda row: (-row.samples, row.source, row.licence)))


def _wrong(found: Mapping[str, int], counts: Counts) -> tuple[Wrong, ...]:
    ordered = sorted(found.items(), key=lambda item: (-item[1], item[0]))
    return tuple(Wrong(clean(name), count, tuple(counts.examples.get(name, ()))) for name, count in ordered if count)
