"""Fingerprints of everything, eight bytes each, and what they say about things that stand more than once."""

from __future__ import annotations

from array import array
from dataclasses import dataclass, field

import numpy as np


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


@dataclass(slots=True)
class Prints:
    """Hashes in the order of the shards, twelve bytes each: what it is (8), and the number of its sample (4)."""

    hashes: array[int] = field(default_factory=lambda: array("Q"))
    samples: array[int] = field(default_factory=lambda: array("I"))
    ends: list[int] = field(default_factory=list)
    """After how many hashes each shard ends."""
    within: int = 0

    def add(self, value: int, sample: int) -> None:
        self.hashes.append(value)
        self.samples.append(sample)

    def close_shard(self) -> None:
        start = self.ends[-1] if self.ends else 0
        here = self.hashes[start:]
        self.within += len(here) - len(set(here))
        self.ends.append(len(self.hashes))

    def merge(self, other: Prints) -> None:
        start = len(self.hashes)
        self.hashes.extend(other.hashes)
        self.samples.extend(other.samples)
        self.ends.extend(start + end for end in other.ends)
        self.within += other.within

    def repeats(self, most: int = 6) -> Repeats:
        """How much stands more than once, and what stands most often. Takes the hashes' memory once more, for sorting."""
        if not self.hashes:
            return Repeats(0, 0, 0)
        values = np.frombuffer(self.hashes, dtype=np.uint64)
        ordered = np.sort(values)
        starts = np.flatnonzero(np.concatenate(([True], ordered[1:] != ordered[:-1])))
        counts = np.diff(np.append(starts, len(ordered)))
        several = np.flatnonzero(counts > 1)
        # Equal counts go by hash, which is the same in whatever order the shards come.
        chosen = several[np.argsort(-counts[several], kind="stable")][:most]
        found = []
        for group in chosen:
            place = int(np.flatnonzero(values == ordered[starts[group]])[0])
            shard = int(np.searchsorted(self.ends, place, side="right"))
            name = f"{int(ordered[starts[group]]):016x}"
            found.append(Repeat(name, int(counts[group]), shard, self.samples[place]))
        return Repeats(len(values), len(values) - len(starts), self.within, tuple(found))
