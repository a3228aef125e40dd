"""Duplicates: the fast way finds what comparing all with all finds, and real copies are known again."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from filter_pictures import candidate, encoded, photo
from PIL import Image

from skymm.conversation import Turn
from skymm.curation.filters.duplicates import (
    NUM_HASHES,
    SIGNATURE,
    block_masks,
    placeholders,
    repeated,
    signatures,
    text_bands,
)
from skymm.curation.filters.pictures import COLOUR_RANGE, fingerprint
from skymm.recipe.data import DuplicatesRecipe


def everyone_with_everyone(rows: np.ndarray, recipe: DuplicatesRecipe) -> list[bool]:
    """The definition, pair by pair."""

    def bits(a, b) -> int:
        return sum(int(x ^ y).bit_count() for x, y in zip(np.atleast_1d(a), np.atleast_1d(b)))

    def images(a, b) -> bool:
        return bool(
            a["pictures"] == b["pictures"] > 0
            and bits(a["coarse"], b["coarse"]) <= recipe.hash_distance
            and bits(a["fine"], b["fine"]) <= 4 * recipe.hash_distance
            and np.abs(a["colour"].astype(int) - b["colour"].astype(int)).max() <= COLOUR_RANGE
        )

    def texts(a, b) -> bool:
        same = (a["text"] == b["text"]).mean()
        return bool(a["spoken"] and b["spoken"] and (same - 1 / 256) / (255 / 256) >= recipe.text_similarity - 1e-9)

    def alike(a, b) -> bool:
        if recipe.match == "images":
            return images(a, b)
        if recipe.match == "texts":
            return texts(a, b)
        if recipe.match == "either":
            return images(a, b) or texts(a, b)
        if bool(a["pictures"]) != bool(b["pictures"]) or a["spoken"] != b["spoken"]:
            return False
        seen, said = bool(a["pictures"]), bool(a["spoken"])
        return (seen or said) and (not seen or images(a, b)) and (not said or texts(a, b))

    return [any(alike(rows[earlier], rows[later]) for earlier in range(later)) for later in range(len(rows))]


def random_rows(seed: int, size: int) -> np.ndarray:
    """Families around a few ancestors: equal, near, just too far; without pictures, without words, several pictures."""
    rng = np.random.default_rng(seed)
    ancestors = np.zeros(6, SIGNATURE)
    ancestors["coarse"] = rng.integers(0, 2**64, 6, np.uint64)
    ancestors["fine"] = rng.integers(0, 2**64, (6, 4), np.uint64)
    ancestors["colour"] = rng.integers(0, 256, (6, 3))
    ancestors["text"] = rng.integers(0, 256, (6, NUM_HASHES))
    rows = ancestors[rng.integers(0, 6, size)]
    rows["text"] = ancestors["text"][rng.integers(0, 6, size)]
    rows["pictures"] = rng.choice([0, 1, 1, 1, 2], size)
    rows["spoken"] = rng.choice([0, 1, 1, 1], size)
    for row in rows:
        for place in rng.choice(64, rng.integers(0, 7), replace=False):
            row["coarse"] ^= np.uint64(1) << np.uint64(place)
        for place in rng.choice(256, rng.integers(0, 24), replace=False):
            row["fine"][place // 64] ^= np.uint64(1) << np.uint64(place % 64)
        row["colour"] = np.clip(row["colour"].astype(int) + rng.integers(-12, 13), 0, 255)
        places = rng.choice(NUM_HASHES, rng.integers(0, 36), replace=False) if rng.random() < 0.7 else []
        row["text"][places] = rng.integers(0, 256, len(places))
        if not row["spoken"]:
            row["text"] = 0
    again = rng.integers(0, size, size // 8)
    rows[rng.integers(0, size, size // 8)] = rows[again]
    return rows


def test_the_fast_way_gives_what_all_pairs_give():
    for match in ("both", "images", "texts", "either"):
        for distance, similarity in ((4, 0.9), (0, 1.0), (8, 0.6), (16, 0.5)):
            recipe = DuplicatesRecipe(match=match, hash_distance=distance, text_similarity=similarity)
            share = []
            for seed in range(2):
                rows = random_rows(seed, 120)
                expected = everyone_with_everyone(rows, recipe)
                assert repeated(rows, recipe).tolist() == expected, (match, distance, seed)
                share.append(np.mean(expected))
            assert 0 < np.mean(share) < 1, "the data has both kinds"


def test_words_and_hashes_within_the_distance_share_a_key():
    rng = np.random.default_rng(0)
    for distance in range(17):
        for width in (1, 2):
            masks = np.array(block_masks(distance, width))
            for _ in range(200):
                other = sum((1 << int(place)) for place in rng.choice(64, distance, replace=False))
                assert ((np.uint64(other) & masks) == 0).any(), (distance, width)
    for mismatches in range(32):
        bands = list(text_bands(mismatches, NUM_HASHES))
        assert len(bands) == mismatches + 1 and bands[-1].stop <= NUM_HASHES
        assert all(before.stop == after.start for before, after in pairwise(bands))


def test_millions_of_equal_ones_are_no_work():
    """100,000 times each of eight: the first of each is left, whatever the few do to one another."""
    few = random_rows(3, 8)
    recipe = DuplicatesRecipe()
    rows = np.repeat(few, 100_000)
    left = np.zeros(len(rows), bool)
    left[::100_000] = True
    compared = few["pictures"].astype(bool) | few["spoken"].astype(bool)
    assert (~repeated(rows, recipe)).tolist() == (
        (left & np.repeat(~repeated(few, recipe), 100_000)) | np.repeat(~compared, 100_000)
    ).tolist()


def test_a_chain_keeps_its_first():
    """a ~ b ~ c, and not a ~ c: b goes, and c, since b stands before it."""
    rows = np.zeros(3, SIGNATURE)
    rows["pictures"], rows["coarse"] = 1, [0, 0b111, 0b111111]
    recipe = DuplicatesRecipe(match="images", hash_distance=3)
    assert repeated(rows, recipe).tolist() == [False, True, True]
    assert repeated(rows[[0, 2, 1]], recipe).tolist() == [False, False, True]


def test_nothing_and_what_has_neither_pictures_nor_words():
    for match in ("both", "images", "texts", "either"):
        recipe = DuplicatesRecipe(match=match)
        assert repeated(np.zeros(0, SIGNATURE), recipe).shape == (0,) == placeholders(np.zeros(0, SIGNATURE), 1).shape
        assert repeated(np.zeros(3, SIGNATURE), recipe).tolist() == [False] * 3


# --- real pictures and words ------------------------------------------------------------------------------------------


def gone(*candidates, **recipe) -> list[bool]:
    return repeated(signatures(candidates), DuplicatesRecipe(**recipe)).tolist()


COPIES = {
    "re-encoded": lambda image: encoded(image, quality=40),
    "png": lambda image: encoded(image, "PNG"),
    "halved": lambda image: encoded(image.resize((image.width // 2, image.height // 2))),
    "stretched": lambda image: encoded(image.resize((128, 128))),
}


def test_copies_of_pictures_are_known_again():
    for name, copy in COPIES.items():
        for seed in range(8):
            both = candidate(encoded(photo(seed))), candidate(copy(photo(seed)))
            assert gone(*both, match="images") == [False, True], (name, seed)


def test_other_pictures_are_other_pictures():
    assert not any(gone(*(candidate(encoded(photo(seed))) for seed in range(40)), match="images"))
    mirrored = photo(1).transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    assert gone(candidate(encoded(photo(1))), candidate(encoded(mirrored)), match="images") == [False, False]


def test_the_same_shape_in_another_colour_is_another_picture():
    def disc(colour) -> Image.Image:
        image = Image.new("RGB", (120, 120), "white")
        image.paste(colour, (20, 20, 100, 90))
        return image

    red, blue = disc((200, 40, 40)), disc((40, 60, 255))
    assert fingerprint(red).coarse == fingerprint(blue).coarse
    assert gone(candidate(encoded(red)), candidate(encoded(blue)), match="images") == [False, False]


EN, EN_SAME, EN_OTHER = (
    "Two dogs play with a yellow ball in the park",
    "two dogs play with a yellow ball in the park.",
    "Two dogs play with a green frisbee in the park",
)
ZH, ZH_SAME, ZH_OTHER = "两只狗在公园里玩黄色的球", "两只狗在公园里玩黄色的球。", "两只猫在公园里玩绿色的球"


def test_words_and_both_means_both():
    for texts in ((EN, EN_SAME, EN_OTHER), (ZH, ZH_SAME, ZH_OTHER)):
        assert gone(*(candidate(captions=(each,)) for each in texts), match="texts") == [False, True, False]
    a, b = encoded(photo(1)), encoded(photo(2))
    pairs = ((a, EN), (a, EN_OTHER), (b, EN), (a, EN_SAME))
    candidates = [candidate(picture, captions=(text,)) for picture, text in pairs]
    found = {match: gone(*candidates, match=match) for match in ("both", "images", "texts", "either")}
    assert found == {
        "both": [False, False, False, True],
        "images": [False, True, False, True],
        "texts": [False, False, True, True],
        "either": [False, True, True, True],
    }


def test_the_same_answer_to_another_question_is_another_sample():
    picture = encoded(photo(1))

    def asked(question: str):
        return candidate(picture, turns=(Turn("user", question), Turn("assistant", "Yes")))

    assert gone(asked("Is there a dog?"), asked("Is there a cat?"), asked("Is there a dog?")) == [False, False, True]


def test_several_pictures_have_to_be_the_same_in_their_order():
    a, b, c = (encoded(photo(seed)) for seed in (1, 2, 3))
    candidates = [candidate(*each) for each in ((a, b), (b, a), (a, c), (a, b, c), (a,), (a, b))]
    assert gone(*candidates, match="images") == [False] * 5 + [True]
    candidates = [candidate(a, b, captions=(f"words {index * 7919}",)) for index in range(3)]
    assert placeholders(signatures([*candidates, candidate(b, a)]), 2).tolist() == [True, True, True, False]


def test_text_only_samples_are_compared_with_their_like():
    picture = encoded(photo(1))
    mixed = [
        candidate(captions=(EN,)),
        candidate(picture, captions=(EN,)),
        candidate(captions=(EN,)),
        candidate(picture),
    ]
    assert gone(*mixed, match="both") == [False, False, True, False]
    assert gone(*mixed, candidate(picture), match="both") == [False, False, True, False, True]
    assert gone(*mixed, match="images") == [False, False, False, True]


def test_placeholders_are_known_by_their_many_uses():
    gone_missing, shared = encoded(photo(1)), encoded(photo(2))
    candidates = [candidate(gone_missing, captions=(f"thing number {index * 7919}",)) for index in range(6)]
    candidates += [candidate(shared, captions=("the very same words",)) for _ in range(6)]
    rows = signatures(candidates)
    assert placeholders(rows, 5).tolist() == [True] * 6 + [False] * 6
    assert not placeholders(rows, 6).any()


def test_signatures_are_the_same_everywhere():
    row = signatures([candidate(encoded(photo(1), "PNG"), captions=(ZH,))])[0]
    assert row.nbytes == 117 and int(row["text"].sum()) == 7579 and row["text"][:4].tolist() == [113, 141, 106, 215]
