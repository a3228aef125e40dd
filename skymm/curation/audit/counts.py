"""What is counted of a set of shards. Parts counted apart add up to what one pass over all of them would count.

Memory: 36 bytes for a sample (prints of its key, its words and all of it) and 12 for each of its pictures. Nothing else grows
with the data: names beyond a limit are left out by their hashes, and of questions some thousands of each kind are kept.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from pathlib import PurePath

from skymm.curation.audit.lowest import Lowest
from skymm.curation.audit.prints import Prints

NUM_KINDS = 32
NUM_SOURCES = 1000
NUM_OBJECTS = 50_000
NUM_QUESTIONS = 4000
"""Questions kept of each kind and language, to guess their answers."""
PER_CELL = 4
"""Samples kept of each kind, polarity and language, to show some of them."""
NUM_EXAMPLES = 3
LONGEST = 2000
"""Words of a question or answer, and pixels / 10 of a side, that are told apart in histograms."""

Cell = tuple[str, str, str]
"""(kind, polarity, language) of an answer; ("", "text only", "") and ("", "several pictures", "") of a sample."""


@dataclass(frozen=True, slots=True)
class Reference:
    """Where a sample lies, and which cells it would show."""

    shard: str
    index: int
    cells: tuple[Cell, ...]


@dataclass(frozen=True, slots=True)
class Question:
    """A question of those that guessing is tried on. `half` (0 or 1) depends on the picture alone.

    Answers with one `label` are word for word the same; `answer` is how they begin.
    """

    half: int
    question: str
    answer: str
    label: int
    said: str | None


@dataclass(slots=True)
class KindCounts:
    """`answers`: (language, polarity, "yes", "no" or "unknown") -> how many."""

    answers: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    questions: dict[str, Lowest[Question]] = field(default_factory=dict)
    samples: dict[tuple[str, str], Lowest[Reference]] = field(default_factory=dict)

    def merge(self, other: KindCounts) -> None:
        self.answers.update(other.answers)
        for mine, theirs in ((self.questions, other.questions), (self.samples, other.samples)):
            for name, few in theirs.items():
                if name in mine:
                    mine[name].merge(few, lambda first, second: None)
                else:
                    mine[name] = few


@dataclass(slots=True)
class Counts:
    """All of it. `totals` are plain numbers by name, the rest are tables by what they are counted for."""

    num_shown: int = 24
    totals: Counter[str] = field(default_factory=Counter)
    kinds: Lowest[KindCounts] = field(default_factory=lambda: Lowest(NUM_KINDS))
    sources: Lowest[Counter[str]] = field(default_factory=lambda: Lowest(NUM_SOURCES))
    objects: Lowest[Counter[str]] = field(default_factory=lambda: Lowest(NUM_OBJECTS))
    lengths: Counter[tuple[str, str, int]] = field(default_factory=Counter)
    """("question" or "answer", language, words)."""
    rounds: Counter[int] = field(default_factory=Counter)
    """Questions in a conversation."""
    formats: Counter[str] = field(default_factory=Counter)
    sides: Counter[int] = field(default_factory=Counter)
    """Shorter side of a picture in pixels."""
    aspects: Counter[int] = field(default_factory=Counter)
    """Width to height in hundredths."""
    before: Counter[tuple[int, str, int, str]] = field(default_factory=Counter)
    """(half, yes or no said before, how many more yes than no, yes or no)."""
    before_kind: Counter[tuple[str, str, int, str, int, str]] = field(default_factory=Counter)
    """The same by kind and language."""
    unreadable: Counter[str] = field(default_factory=Counter)
    checked: Counter[tuple[str, str]] = field(default_factory=Counter)
    """(name of a check, its reason)."""
    examples: dict[str, list[str]] = field(default_factory=dict)
    """The first few of whatever is wrong, by what it is counted under."""
    bad_shards: list[tuple[str, str]] = field(default_factory=list)
    shards: list[str] = field(default_factory=list)
    keys: Prints = field(default_factory=Prints)
    texts: Prints = field(default_factory=Prints)
    wholes: Prints = field(default_factory=Prints)
    pictures: Prints = field(default_factory=Prints)
    signatures: dict[str, list[bytes]] = field(default_factory=dict)
    shown: Lowest[Reference] = field(init=False)

    def __post_init__(self) -> None:
        self.shown = Lowest(self.num_shown)

    def example(self, name: str, text: str) -> None:
        known = self.examples.setdefault(name, [])
        if len(known) < NUM_EXAMPLES:
            known.append(text)

    def close_shard(self, shard: str | PurePath) -> None:
        self.shards.append(str(shard))
        for prints in (self.keys, self.texts, self.wholes, self.pictures):
            prints.close_shard()

    def merge(self, other: Counts) -> None:
        """Add what was counted of later shards. `other` may be used up."""
        for name in (
            *(
                "totals",
                "lengths",
                "rounds",
                "formats",
                "sides",
                "aspects",
                "before",
                "before_kind",
                "unreadable",
                "checked",
            ),
            *("bad_shards", "shards"),
        ):
            mine, theirs = getattr(self, name), getattr(other, name)
            mine.extend(theirs) if isinstance(mine, list) else mine.update(theirs)
        for name in ("keys", "texts", "wholes", "pictures"):
            getattr(self, name).merge(getattr(other, name))
        self.kinds.merge(other.kinds, KindCounts.merge)
        self.sources.merge(other.sources, Counter.update)
        self.objects.merge(other.objects, Counter.update)
        self.shown.merge(other.shown, lambda first, second: None)
        for name, found in other.examples.items():
            for text in found:
                self.example(name, text)
        for name, found in other.signatures.items():
            self.signatures.setdefault(name, []).extend(found)
