"""How often things are there, and together: what makes an absent thing a tempting one.

POPE (Li et al., arXiv 2305.10355) asks for absent things in three ways: any (random), those most often there elsewhere
(popular), and those most often seen together with what is there (adversarial).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from skymm.curation.lexicon import find
from skymm.curation.record import Facts


@dataclass(slots=True)
class Statistics:
    """Counted over records, by the English names of the lexicon: no other name is kept, so that it stays small.

    `things`: in how many records a thing is; `pairs`: in how many two are together, names in alphabetical order.
    """

    records: int = 0
    things: Counter[str] = field(default_factory=Counter)
    pairs: Counter[tuple[str, str]] = field(default_factory=Counter)

    def add(self, facts: Facts) -> None:
        """One record's."""
        names = sorted({word.en for thing in facts.things if (word := find(thing.name))})
        self.records += 1
        self.things.update(names)
        self.pairs.update((first, second) for index, first in enumerate(names) for second in names[index + 1 :])

    def merge(self, other: Statistics) -> None:
        """Adds what another process counted; the order of merging does not matter."""
        self.records += other.records
        self.things.update(other.things)
        self.pairs.update(other.pairs)

    def together(self, first: str, second: str) -> int:
        return self.pairs[min(first, second), max(first, second)]

    def share(self, name: str, there: str) -> float:
        """In which share of the records with `there` the other thing is as well."""
        return self.together(name, there) / self.things[there] if self.things[there] else 0.0

    def popular(self, candidates: Iterable[str]) -> list[str]:
        """The most frequent first; none that was never seen."""
        return _ranked({name: self.things[name] for name in candidates})

    def adversarial(self, there: Iterable[str], candidates: Iterable[str]) -> list[str]:
        """Those that are most often together with what is there first; none that never was."""
        present = sorted(set(there))
        return _ranked({name: sum(self.together(name, one) for one in present) for name in candidates})

    def to_json(self) -> dict[str, Any]:
        """Plain data, the same for the same counts whatever the order in which they came."""
        pairs: dict[str, dict[str, int]] = {}
        for (first, second), number in sorted(self.pairs.items()):
            pairs.setdefault(first, {})[second] = number
        return {"records": self.records, "things": dict(sorted(self.things.items())), "pairs": pairs}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Statistics:
        """Raises ValueError where it is no such data."""
        try:
            pairs = {(first, second): int(n) for first, row in data["pairs"].items() for second, n in row.items()}
            things = {name: int(number) for name, number in data["things"].items()}
            return cls(int(data["records"]), Counter(things), Counter(pairs))
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            raise ValueError(f"statistics: expected records, things and pairs with numbers ({error!r})") from error


def _ranked(counts: Mapping[str, int]) -> list[str]:
    return sorted((name for name, number in counts.items() if number > 0), key=lambda name: (-counts[name], name))
