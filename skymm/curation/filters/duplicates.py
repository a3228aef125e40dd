"""Which samples of a whole data set are there already, and which pictures are placeholders, known by their many uses."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from skymm.curation.filters.fingerprint import COLOUR_RANGE, FINE_WORDS
from skymm.curation.filters.near import Read, block_masks, mark, mix, mixed_rows, same_as_earlier, text_bands
from skymm.curation.filters.signature import NUM_HASHES
from skymm.recipe.data import DuplicatesRecipe


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
