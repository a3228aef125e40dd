"""The filters of a build, asked about finished shards: what is nearly the same, and what a benchmark asks about."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from skymm.curation.audit.count import Likeness
from skymm.curation.filters.duplicates import SIGNATURE, repeated, signatures
from skymm.curation.filters.leakage import LeakageIndex
from skymm.curation.record import Candidate
from skymm.recipe.data import DuplicatesRecipe


@dataclass(frozen=True, slots=True)
class _Alike:
    match: str

    def __call__(self, found: Sequence[bytes]) -> list[bool]:
        return repeated(np.frombuffer(b"".join(found), SIGNATURE), DuplicatesRecipe(match=self.match)).tolist()


@dataclass(frozen=True, slots=True)
class Leakage:
    """The check of an index on disk; it travels to other processes by its path."""

    path: str

    def __call__(self, candidates: Sequence[Candidate]) -> list[str | None]:
        return [_index(self.path).reason(candidate) for candidate in candidates]


@lru_cache(maxsize=1)
def _index(path: str) -> LeakageIndex:
    return LeakageIndex.load(path)


def _signature(candidate: Candidate) -> bytes:
    return signatures([candidate]).tobytes()


def likenesses() -> dict[str, Likeness]:
    """Ways of comparing, by name: pictures (perceptual hashes), and pictures with their words (MinHash) together."""
    return {
        "picture": Likeness(_signature, _Alike("images")),
        "picture and words": Likeness(_signature, _Alike("both")),
    }
