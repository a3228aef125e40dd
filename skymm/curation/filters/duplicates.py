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
from skymm.curation.record import Candidate, Record
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
Read = Callable[[np.ndarray], np.ndarray]
"""Row numbers [P] -> the rows [P, columns] of uint64."""


def repeated(signatures: np.ndarray, recipe: DuplicatesRecipe) -> np.ndarray:
    """[N] of SIGNATURE, in the order of the data set -> [N] of bool: whether an earlier sample is alike, so that this one goes.

    Pictures are alike when at most `hash_distance` of 64 bits differ, at most four times as many of 256, and the mean colours
    are near. Words are alike when the Jaccard similarity that their MinHash values estimate reaches `text_similarity` (from 64
    values: a standard error of 0.04 at 0.9). Samples without pictures are compared by words alone with others without, and
    those without words by pictures alone; with `match = "images"` (or "texts") they all stay.

    The array may be a memory map. The result is what comparing all with all would give; 60 bytes per sample are held meanwhile.
    """
    pictured, spoken = signatures["pictures"] > 0, signatures["spoken"] > 0
    gone = np.zeros(len(signatures), bool)
    if recipe.match == "both":
        passes = [
            (pictured & spoken, True, True),
            (pictured & ~spoken, True, False),
            (~pictured & spoken, False, True),
        ]
    else:
        passes = [(pictured, True, False)] if recipe.match in ("images", "either") else []
        passes += [(spoken, False, True)] if recipe.match in ("texts", "either") else []
    for members, images, texts in passes:
        rows = np.flatnonzero(members)
        gone[rows[_repeated(signatures, rows, images, texts, recipe)]] = True
    return gone


def placeholders(signatures: np.ndarray, max_uses: int) -> np.ndarray:
    """[N] of bool: samples whose picture (the exact bytes) is described in more than `max_uses` different ways.

    That is how "image not available" and its kin are known in every language and design: nobody writes hundreds of
    different captions for a photograph, and a web crawl finds them with thousands. All of them go, the first one too.
    """
    rows = np.flatnonzero(signatures["pictures"] > 0)
    exact, words = signatures["exact"][rows], mixed_rows(_reader(signatures, rows, False, True), len(rows))
    order = np.lexsort((words, exact))
    exact, words = exact[order], words[order]
    new_picture, new_words = np.ones(len(rows), bool), np.ones(len(rows), bool)
    new_picture[1:] = exact[1:] != exact[:-1]
    new_words[1:] = new_picture[1:] | (words[1:] != words[:-1])
    group = np.cumsum(new_picture) - 1
    uses = np.bincount(group[new_words]) if len(rows) else np.zeros(0, int)
    gone = np.zeros(len(signatures), bool)
    gone[rows[order[uses[group] > max_uses]]] = True
    return gone


def _repeated(
    signatures: np.ndarray, rows: np.ndarray, images: bool, texts: bool, recipe: DuplicatesRecipe
) -> np.ndarray:
    if not len(rows):
        return np.zeros(0, bool)
    # Equal ones first: of a million white pictures one has to be compared with others.
    gone = same_as_earlier(_reader(signatures, rows, images, texts), len(rows))
    left = np.flatnonzero(~gone)
    rows = rows[left]
    coarse = np.ascontiguousarray(signatures["coarse"][rows]) if images else np.zeros(0, np.uint64)
    max_mismatches = NUM_HASHES - _least_matches(recipe.text_similarity)

    def alike(earlier: np.ndarray, later: np.ndarray) -> np.ndarray:
        found = np.ones(len(later), bool)
        if images:
            found = np.bitwise_count(coarse[earlier] ^ coarse[later]) <= recipe.hash_distance
            near = np.flatnonzero(found)
            found[near] = _seen_alike(signatures, rows[earlier[near]], rows[later[near]], recipe.hash_distance)
        if texts:
            near = np.flatnonzero(found)
            different = signatures["text"][rows[earlier[near]]] != signatures["text"][rows[later[near]]]
            found[near] = np.count_nonzero(different, axis=1) <= max_mismatches
        return found

    def keys() -> Iterator[np.ndarray]:
        # Two kinds of blocks together are narrow enough, so images need no wide masks then.
        masks = block_masks(recipe.hash_distance, 1 if texts else len(rows)) if images else []
        if not texts:
            yield from (coarse & mask for mask in masks)
            return
        for band in text_bands(max_mismatches, NUM_HASHES):
            block = np.ascontiguousarray(signatures["text"][rows, band])
            words = block.view(f"<u{block.shape[1]}")[:, 0]
            if not images:
                yield words
            for mask in masks:
                yield mix(np.stack([words.astype(np.uint64), coarse & mask], axis=1))

    gone[left[mark(keys(), alike, len(rows))]] = True
    return gone


def _seen_alike(signatures: np.ndarray, earlier: np.ndarray, later: np.ndarray, distance: int) -> np.ndarray:
    fine = np.bitwise_count(signatures["fine"][earlier] ^ signatures["fine"][later]).sum(axis=1, dtype=np.int64)
    colours = np.abs(signatures["colour"][earlier].astype(np.int16) - signatures["colour"][later]).max(
        axis=1, initial=0
    )
    numbers = signatures["pictures"][earlier] == signatures["pictures"][later]
    return numbers & (fine <= FINE_WORDS * distance) & (colours <= COLOUR_RANGE)


def _least_matches(similarity: float) -> int:
    """How many of the values must be the same for the estimate to reach this; one in 256 is the same by chance."""
    return math.ceil(NUM_HASHES * (1 + 255 * similarity) / 256 - 1e-9)


def _reader(signatures: np.ndarray, rows: np.ndarray, images: bool, texts: bool) -> Read:
    """Reads all that is compared, as it is."""

    def read(part: np.ndarray) -> np.ndarray:
        found = signatures[rows[part]]
        columns = []
        if images:
            bytes_ = np.concatenate([found["colour"], found["pictures"][:, None]], axis=1)
            columns += [found["coarse"][:, None], found["fine"], bytes_.view("<u4").astype(np.uint64)]
        if texts:
            columns.append(np.ascontiguousarray(found["text"]).view("<u8"))
        return np.concatenate(columns, axis=1)

    return read


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
        grams = _grams(_words_of(candidate.record))
        if grams:
            row["spoken"], row["text"] = 1, _minhash(grams)
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


def _words_of(record: Record) -> str:
    spoken = [caption.text for caption in record.captions] + [
        turn.text for turn in record.turns if turn.role != "system"
    ]
    return " ".join(_NO_WORD.sub(" ", normalise(text).lower()).strip() for text in spoken).strip()


def _grams(text: str) -> set[bytes]:
    """Character 3-grams, for both languages.

    On English captions of 4 to 18 words, a slip of the pen leaves a Jaccard similarity of 0.77 to 0.96 (word 3-grams: 0 to
    0.73), another colour or thing 0.44 to 0.83 (one of 18 words: 0.93): characters tell a typing error from another meaning. A
    Chinese character carries more: one that is missing in a short caption leaves 0.4 to 0.8, and that is not taken for alike.
    """
    return (
        {text[start : start + _GRAM].encode("utf-8", "surrogatepass") for start in range(max(1, len(text) - _GRAM + 1))}
        if text
        else set()
    )


def _minhash(grams: set[bytes]) -> np.ndarray:
    """The low bytes of MinHash values (b-bit minwise hashing, Li and Koenig 2010): as good, in a quarter of the room."""
    from datasketch import MinHash

    # zlib.crc32 is three times as fast as the library's SHA-1, and the library mixes its input once more.
    values = MinHash(NUM_HASHES, hashfunc=zlib.crc32, permutations=_permutations(), scheme="affine32")
    values.update_batch(sorted(grams))
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
        return math.comb(width + distance, width) * (20.0 * num_rows + num_rows**2 / 2 / 2.0 ** (64 * share))

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
