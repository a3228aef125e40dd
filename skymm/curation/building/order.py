"""Orders that only numbers decide: the same on every machine, with every version of every library, for ever."""

from __future__ import annotations

import hashlib

import numpy as np


def scatter(indices: np.ndarray, seed: str) -> np.ndarray:
    """A pseudo-random uint64 for each uint64 index (splitmix64 of the index plus a hash of the seed).

    Sorting by it shuffles. Two indices never get the same number, so ties cannot happen.
    """
    start = np.uint64(int.from_bytes(hashlib.sha256(seed.encode()).digest()[:8], "big"))
    with np.errstate(over="ignore"):
        mixed = indices.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15) + start
        mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return mixed ^ (mixed >> np.uint64(31))


def shuffled(indices: np.ndarray, seed: str) -> np.ndarray:
    """The indices in an order that the seed decides."""
    return indices[np.argsort(scatter(indices, seed), kind="stable")]
