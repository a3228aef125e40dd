"""Which samples of a whole data set are there already, and which pictures are placeholders, known by their many uses.

A sample is known by its signature of 117 bytes (5.9 GB for 50 million samples, as rows of one numpy array). All pairs are
found without comparing all with all: candidates share a key, and are then verified. Keys are chosen so that alike rows share
at least one (pigeonhole principle), so nothing is missed: where at most d of m + d blocks can differ, some m blocks are the
same. Memory is a few numbers per row, whatever the number of keys.
"""

from __future__ import annotations

import hashlib
import math
import re
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cache
from itertools import combinations, pairwise

import numpy as np

from skymm.curation.filters.pictures import COLOUR_RANGE, FINE_WORDS, exact_of, fingerprint_of
from skymm.curation.record import Candidate
from skymm.recipe.data import DuplicatesRecipe
from skymm.text import normalise

NUM_HASHES = 64
SIGNATURE = np.dtype(
    [
        ("exact", "<u8"),  # of the encoded bytes; 0 without pictures
        ("coarse", "<u8"),
        ("fine", "<u8", (FINE_WORDS,)),
        ("colour", "u1", (3,)),
        ("pictures", "u1"),  # how many, up to 255
        ("spoken", "u1"),  # whether there are any words
        ("text", "u1", (NUM_HASHES,)),  # the low byte of each MinHash value
    ]
)
"""One row. Little-endian and without objects, so `numpy.save` writes the same bytes everywhere and no pickle is needed."""

_NO_WORD = re.compile(r"[\W_]+")
_GRAM = 3
_CHUNK = 1 << 18
_MIX = np.uint64(0x9E3779B97F4A7C15)
Alike = Callable[[np.ndarray, np.ndarray], np.ndarray]
"""(earlier rows [P], later rows [P]) -> whether they are alike [P]."""


def repeated(signatures: np.ndarray, recipe: DuplicatesRecipe) -> np.ndarray:
    """[N] of SIGNATURE, in the order of the data set -> [N] of bool: whether an earlier sample is alike, so that this one goes.

    Pictures are alike when at most `hash_distance` of 64 bits differ, at most four times as many of 256, and the mean colours
    are near. Words are alike when the Jaccard similarity that their MinHash values estimate reaches `text_similarity` (from 64
    values: a standard error of 0.04 at 0.9). Samples without pictures are compared by words alone with others without, and
    those without words by pictures alone; with `match = "images"` (or "texts") they all stay.

    The array may be a memory map. The result is what comparing all with all would give; 60 bytes per sample are held meanwhile.
    """
    pictured, spoken = signatures["pictures"] > 0, signatures["spoken"] > 0
    if recipe.match == "both":
        passes = [(pictured & spoken, True, True), (pictured & ~spoken, True, False), (~pictured & spoken, False, True)]
    else:
        passes = [(pictured, True, False)] if recipe.match in ("images", "either") else []
        passes += [(spoken, False, True)] if recipe.match in ("texts", "either") else []
    gone = np.zeros(len(signatures), bool)
    for members, images, texts in passes:
        rows = np.flatnonzero(members)
        # Equal ones first: of a million white pictures one has to be compared with others.
        first = np.sort(np.unique(_identities(signatures, rows, images, texts), return_index=True)[1])
        gone[np.delete(rows, first)] = True
        rows = rows[first]
        gone[rows[_near_earlier(signatures, rows, images, texts, recipe)]] = True
    return gone


def placeholders(signatures: np.ndarray, max_uses: int) -> np.ndarray:
    """[N] of bool: samples whose picture (the exact bytes) is described in more than `max_uses` different ways.

    That is how "image not available" and its kin are known in every language and design: nobody writes hundreds of
    different captions for a photograph, and a web crawl finds them with thousands. All of them go, the first one too.
    """
    rows = np.flatnonzero(signatures["pictures"] > 0)
    exact, words = signatures["exact"][rows], _identities(signatures, rows, False, True)
    once = np.unique(_mix(np.stack([exact, words], axis=1)), return_index=True)[1]
    pictures, uses = np.unique(exact[once], return_counts=True)
    gone = np.zeros(len(signatures), bool)
    gone[rows[np.isin(exact, pictures[uses > max_uses])]] = True
    return gone


def _identities(signatures: np.ndarray, rows: np.ndarray, images: bool, texts: bool) -> np.ndarray:
    """[rows] of uint64 that are the same where all that is compared is the same, but for one pair in 2^64."""
    found = np.empty(len(rows), np.uint64)
    for start in range(0, len(rows), _CHUNK):
        part = signatures[rows[start : start + _CHUNK]]
        columns = []
        if images:
            bytes_ = np.concatenate([part["colour"], part["pictures"][:, None]], axis=1)
            columns += [part["coarse"][:, None], part["fine"], bytes_.view("<u4").astype(np.uint64)]
        if texts:
            columns.append(np.ascontiguousarray(part["text"]).view("<u8"))
        found[start : start + _CHUNK] = _mix(np.concatenate(columns, axis=1))
    return found


def _near_earlier(
    signatures: np.ndarray, rows: np.ndarray, images: bool, texts: bool, recipe: DuplicatesRecipe
) -> np.ndarray:
    """[rows] of bool: whether an earlier one of these rows is alike in its pictures, in its words, or in both."""
    coarse = np.ascontiguousarray(signatures["coarse"][rows])
    # How many values may differ for the estimate to reach the similarity; one in 256 is the same by chance.
    mismatches = NUM_HASHES - math.ceil(NUM_HASHES * (1 + 255 * recipe.text_similarity) / 256 - 1e-9)

    def alike(earlier: np.ndarray, later: np.ndarray) -> np.ndarray:
        near = np.arange(len(later))
        if images:  # by one number, and what is left by all of it
            near = near[np.bitwise_count(coarse[earlier] ^ coarse[later]) <= recipe.hash_distance]
            both = signatures[rows[earlier[near]]], signatures[rows[later[near]]]
            near = near[_seen_alike(*both, recipe.hash_distance)]
        if texts:
            different = signatures["text"][rows[earlier[near]]] != signatures["text"][rows[later[near]]]
            near = near[np.count_nonzero(different, axis=1) <= mismatches]
        found = np.zeros(len(later), bool)
        found[near] = True
        return found

    def keys() -> Iterator[np.ndarray]:
        # One block of bits beside a block of words is narrow enough; alone, two of them are.
        masks = block_masks(recipe.hash_distance, 1 if texts else 2) if images else []
        if not texts:
            yield from (coarse & mask for mask in masks)
            return
        for band in text_bands(mismatches, NUM_HASHES):
            block = np.ascontiguousarray(signatures["text"][rows, band])
            words = block.view(f"<u{block.shape[1]}")[:, 0].astype(np.uint64)
            yield from (_mix(np.stack([words, coarse & mask], axis=1)) for mask in masks)
            if not images:
                yield words

    return mark(keys(), alike, len(rows))


def _seen_alike(earlier: np.ndarray, later: np.ndarray, distance: int) -> np.ndarray:
    fine = np.bitwise_count(earlier["fine"] ^ later["fine"]).sum(axis=1, dtype=np.int64)
    colours = np.abs(earlier["colour"].astype(np.int16) - later["colour"]).max(axis=1, initial=0)
    return (earlier["pictures"] == later["pictures"]) & (fine <= FINE_WORDS * distance) & (colours <= COLOUR_RANGE)


# --- signatures -----------------------------------------------------------------------------------------------------------


def signatures(candidates: Sequence[Candidate]) -> np.ndarray:
    """[candidates] of SIGNATURE. Pictures must have passed the filters: raises UnreadableImage for those that do not decode.

    Several pictures have one signature for all of them in their order: only exact copies and those whose hashes are the same
    to the bit are alike. Words are all captions and all that is said in the conversation, questions too: "Yes" to another
    question is another sample.
    """
    rows = np.zeros(len(candidates), SIGNATURE)
    for row, candidate in zip(rows, candidates):
        _see(row, candidate)
        texts = [caption.text for caption in candidate.record.captions]
        texts += [turn.text for turn in candidate.record.turns if turn.role != "system"]
        words = " ".join(_NO_WORD.sub(" ", normalise(text).lower()).strip() for text in texts).strip()
        if words:
            row["spoken"], row["text"] = 1, _minhash(words)
    return rows


def _see(row: np.void, candidate: Candidate) -> None:
    names = sorted(candidate.encoded)
    row["pictures"] = min(len(names), 255)
    prints = [fingerprint_of(candidate, name) for name in names]
    bytes_of = [exact_of(candidate, name) for name in names]
    if len(names) == 1:
        row["exact"] = bytes_of[0]
        row["coarse"], row["fine"], row["colour"] = prints[0].coarse, prints[0].fine, prints[0].colour
    elif names:
        # A digest in place of a hash: two of them are as far apart as any two pictures, unless all parts are the same.
        row["exact"] = _digest(repr(bytes_of))
        row["coarse"] = _digest(repr([print_.coarse for print_ in prints]))
        row["fine"] = _digest(repr([(print_.coarse, print_.fine) for print_ in prints]))


def _digest(text: str) -> int:
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "little")


def _minhash(words: str) -> np.ndarray:
    """The low bytes of MinHash values (b-bit minwise hashing, Li and Koenig 2010): as good, in a quarter of the room.

    Of character 3-grams, for both languages: on English captions a slip of the pen leaves a Jaccard similarity of 0.77 to
    0.96, another colour or thing 0.44 to 0.83. A Chinese character carries more: one that is missing leaves 0.4 to 0.8.
    """
    from datasketch import MinHash

    grams = {words[start : start + _GRAM] for start in range(max(1, len(words) - _GRAM + 1))}
    # zlib.crc32 is three times as fast as the library's SHA-1, and the library mixes its input once more.
    values = MinHash(NUM_HASHES, hashfunc=zlib.crc32, permutations=_permutations(), scheme="affine32")
    values.update_batch(sorted(gram.encode("utf-8", "surrogatepass") for gram in grams))
    return (values.hashvalues & 0xFF).astype(np.uint8)


@cache
def _permutations() -> np.ndarray:
    from datasketch import MinHash

    return MinHash(NUM_HASHES, seed=1, scheme="affine32").permutations


# --- rows that are alike ----------------------------------------------------------------------------------------------------


def mark(keys: Iterable[np.ndarray], alike: Alike, num_rows: int) -> np.ndarray:
    """[num_rows] of bool: whether an earlier row is alike. `keys` are arrays [num_rows] of integers."""
    gone = np.zeros(num_rows, bool)
    for key in keys:
        order, first = _in_buckets(key)
        position, starts = np.flatnonzero(~first), np.flatnonzero(first)
        rank = position - starts[np.searchsorted(starts, position, side="right") - 1]
        undecided = ~gone[order[position]]
        position, rank, back = position[undecided], rank[undecided], 1
        # Each row against the one before it in its bucket, then the one before that, until one is alike.
        while len(position):
            found = np.empty(len(position), bool)
            for start in range(0, len(position), _CHUNK):
                part = position[start : start + _CHUNK]
                found[start : start + _CHUNK] = alike(order[part - back], order[part])
            gone[order[position[found]]] = True
            going_on = ~found & (rank > back)
            position, rank = position[going_on], rank[going_on]
            back += 1
    return gone


def _mix(rows: np.ndarray) -> np.ndarray:
    """[N, columns] of uint64 -> [N] of uint64 that are different where rows are, but for one pair in 2^64."""
    mixed = np.zeros(len(rows), np.uint64)
    for column in range(rows.shape[1]):
        mixed = (mixed ^ rows[:, column]) * _MIX
        mixed ^= mixed >> np.uint64(29)
        mixed *= np.uint64(0xBF58476D1CE4E5B9)
        mixed ^= mixed >> np.uint64(32)
    return mixed


def block_masks(distance: int, width: int) -> list[np.uint64]:
    """Masks of a 64-bit word, `width` blocks each: words that differ in at most `distance` bits are equal under one of them."""
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
    packed = key * _MIX & np.uint64(0xFFFFFFFF00000000) | np.arange(len(key), dtype=np.uint64)
    packed.sort()
    first = np.ones(len(key), bool)
    np.not_equal(packed[1:] >> np.uint64(32), packed[:-1] >> np.uint64(32), out=first[1:])
    return (packed & np.uint64(0xFFFFFFFF)).astype(np.int64), first
