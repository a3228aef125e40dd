"""Which rows have an earlier row that is alike, without comparing all with all: candidates share a key, and are then verified.

Keys are chosen so that alike rows share at least one (pigeonhole principle), so nothing is missed: where at most d of m + d
blocks can differ, some m blocks are the same. Memory is a few numbers per row, whatever the number of keys.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import combinations, pairwise
from math import comb

import numpy as np

_CHUNK = 1 << 18
_MIX = np.uint64(0x9E3779B97F4A7C15)
Alike = Callable[[np.ndarray, np.ndarray], np.ndarray]
"""(earlier rows [P], later rows [P]) -> whether they are alike [P]."""
Read = Callable[[np.ndarray], np.ndarray]
"""Row numbers [P] -> the rows [P, columns] of uint64."""


def mark(keys: Iterable[np.ndarray], alike: Alike, num_rows: int) -> np.ndarray:
    """[num_rows] of bool: whether an earlier row is alike. `keys` are arrays [num_rows] of integers."""
    gone = np.zeros(num_rows, bool)
    for key in keys:
        order, first = _in_buckets(key)
        position = np.flatnonzero(~first)
        starts = np.flatnonzero(first)
        rank = position - starts[np.searchsorted(starts, position, side="right") - 1]
        undecided = ~gone[order[position]]
        position, rank = position[undecided], rank[undecided]
        back = 1
        while len(
            position
        ):  # each row against the one before it in its bucket, then the one before that, until one is alike
            found = _in_chunks(alike, order[position - back], order[position])
            gone[order[position[found]]] = True
            going_on = ~found & (rank > back)
            position, rank = position[going_on], rank[going_on]
            back += 1
    return gone


def same_as_earlier(read: Read, num_rows: int) -> np.ndarray:
    """[num_rows] of bool: for rows that are equal in every column to an earlier one. Millions of equal rows are one sort.

    One in 2^32 may be overlooked, which costs time only: `mark` finds it too.
    """
    order, first = _in_buckets(mixed_rows(read, num_rows))
    leader = order[np.maximum.accumulate(np.where(first, np.arange(num_rows), 0))]
    same = np.zeros(num_rows, bool)
    same[order] = ~first & _in_chunks(lambda a, b: (read(a) == read(b)).all(axis=1), leader, order)
    return same


def mixed_rows(read: Read, num_rows: int) -> np.ndarray:
    """[num_rows] of uint64: `mix` of all rows, read in chunks."""
    mixed = np.empty(num_rows, np.uint64)
    for start in range(0, num_rows, _CHUNK):
        part = np.arange(start, min(start + _CHUNK, num_rows))
        mixed[part] = mix(read(part))
    return mixed


def mix(rows: np.ndarray) -> np.ndarray:
    """[N, columns] of uint64 -> [N] of uint64 that are different where rows are, but for one pair in 2^64."""
    mixed = np.zeros(len(rows), np.uint64)
    for column in range(rows.shape[1]):
        mixed = (mixed ^ rows[:, column]) * _MIX
        mixed ^= mixed >> np.uint64(29)
        mixed *= np.uint64(0xBF58476D1CE4E5B9)
        mixed ^= mixed >> np.uint64(32)
    return mixed


def block_masks(distance: int, num_rows: int) -> list[np.uint64]:
    """Masks of a 64-bit word: words that differ in at most `distance` bits are equal under at least one of them.

    Wide masks find fewer candidates and are many; what costs least for this many rows is taken.
    """

    def cost(width: int) -> float:
        share = width / (width + distance)
        return comb(width + distance, width) * (20.0 * num_rows + num_rows**2 / 2 / 2.0 ** (64 * share))

    width = min((width for width in range(1, 5)), key=cost) if distance else 1
    edges = [round(64 * block / (width + distance)) for block in range(width + distance + 1)]
    blocks = [(1 << high) - (1 << low) for low, high in pairwise(edges)]
    return [np.uint64(sum(chosen)) for chosen in combinations(blocks, width)]


def text_bands(max_mismatches: int, num_hashes: int) -> Iterator[slice]:
    """Slices of a row of hashes: rows that differ in at most `max_mismatches` places are equal in at least one of them."""
    width = next(width for width in (8, 4, 2, 1) if num_hashes // width > max_mismatches)
    for band in range(max_mismatches + 1):
        yield slice(band * width, (band + 1) * width)


def _in_buckets(key: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Rows by key, those of one key in their order, and where in it a bucket begins.

    32 bits made from the key and the row number make one number, so one plain sort does it, three times as fast as a stable
    sort of keys. A bucket may so hold two keys, one time in 2^32; whoever looks into it compares anyway.
    """
    assert len(key) < 1 << 32
    packed = key.astype(np.uint64) * _MIX
    packed &= np.uint64(0xFFFFFFFF00000000)
    packed |= np.arange(len(key), dtype=np.uint64)
    packed.sort()
    first = np.ones(len(key), bool)
    np.not_equal(packed[1:] >> np.uint64(32), packed[:-1] >> np.uint64(32), out=first[1:])
    packed &= np.uint64(0xFFFFFFFF)
    return packed.view(np.int64), first


def _in_chunks(compare: Alike, earlier: np.ndarray, later: np.ndarray) -> np.ndarray:
    found = np.empty(len(later), bool)
    for start in range(0, len(later), _CHUNK):
        part = slice(start, start + _CHUNK)
        found[part] = compare(earlier[part], later[part])
    return found
