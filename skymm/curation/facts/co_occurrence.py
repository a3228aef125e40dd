"""How often things are there, and together: what makes an absent thing a tempting one.

POPE (Li et al., arXiv 2305.10355) asks for absent things in three ways: any (random), those most often there elsewhere
(popular), and those most often seen together with what is there (adversarial).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from skymm.curation.record import Facts
from skymm.lexicon import find


@dataclass(slots=True)
class Statistics:
    """Counted over records, by the English names of the lexicon: no other name is kept, so that it stays small.

    `things`: in how many records a thing is; `together[a][b]`: in how many a and b both are, the same as `together[b][a]`.
    """

    records: int = 0
    things: Counter[str] = field(default_factory=Counter)
    together: dict[str, Counter[str]] = field(default_factory=dict)

    def add(self, facts: Facts) -> None:
        """One record's."""
        names = {word.en for thing in facts.things if (word := find(thing.name))}
        self.records += 1
        self.things.update(names)
        for name in names:
            self.together.setdefault(name, Counter()).update(names - {name})

    def merge(self, other: Statistics) -> None:
        """Adds what another process counted; the order of merging does not matter."""
        self.records += other.records
        self.things.update(other.things)
        for name, row in other.together.items():
            self.together.setdefault(name, Counter()).update(row)

    def often_with(self, there: str, share: float) -> set[str]:
        """What is in more than this share of the records with `there`."""
        least = share * self.things[there]
        return {name for name, number in self.together.get(there, {}).items() if number > least}

    def popular(self, candidates: Iterable[str]) -> list[str]:
        """The most frequent first; none that was never seen."""
        return _ranked({name: self.things[name] for name in candidates})

    def adversarial(self, there: Iterable[str], candidates: Iterable[str]) -> list[str]:
        """Those that are most often together with what is there first; none that never was."""
        wanted = set(candidates)
        counts: Counter[str] = Counter()
        for one in set(there):
            counts.update({name: number for name, number in self.together.get(one, {}).items() if name in wanted})
        return _ranked(counts)

    def to_json(self) -> dict[str, Any]:
        """Plain data, the same for the same counts whatever the order in which they came."""
        pairs: dict[str, dict[str, int]] = {}
        for name, row in sorted(self.together.items()):
            for other, number in sorted(row.items()):
                if name < other:
                    pairs.setdefault(name, {})[other] = number
        return {"records": self.records, "things": dict(sorted(self.things.items())), "pairs": pairs}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Statistics:
        """Raises ValueError where it is no such data."""
        found = cls()
        try:
            found.records = int(data["records"])
            found.things.update({name: int(number) for name, number in data["things"].items()})
            for first, row in data["pairs"].items():
                for second, number in row.items():
                    found.together.setdefault(first, Counter())[second] = int(number)
                    found.together.setdefault(second, Counter())[first] = int(number)
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            raise ValueError(f"statistics: expected records, things and pairs with numbers ({error!r})") from error
        return found


def _ranked(counts: Mapping[str, int]) -> list[str]:
    return sorted((name for name, number in counts.items() if number > 0), key=lambda name: (-counts[name], name))
