"""What is kept does not depend on how the data is cut, and counts of what is kept are exact."""

import random
from collections import Counter

import pytest

from skymm.curation.audit.lowest import Lowest, digest

WORDS = [f"word {random.Random(index).randrange(60)}" for index in range(2000)]


def counted(words, size):
    few = Lowest(size)
    for word in words:
        row = few.get(word, Counter)
        if row is not None:
            row["seen"] += 1
    return few


@pytest.mark.parametrize("size", [0, 1, 7, 59, 60, 1000])
@pytest.mark.parametrize("parts", [1, 2, 9])
def test_parts_merge_to_what_one_pass_gives(size, parts):
    whole = counted(WORDS, size)
    merged = Lowest(size)
    for part in range(parts):
        merged.merge(counted(WORDS[part::parts], size), Counter.update)
    assert merged.values == whole.values and list(merged.lowest()) == list(whole.lowest())
    assert merged.full == whole.full == (size < 60)
    exact = Counter(WORDS)
    assert all(row["seen"] == exact[word] for word, row in whole.values.items())
    assert [name for name, _ in whole.lowest()] == sorted(exact, key=digest)[:size]


def test_how_many_names_there_are_is_estimated_when_some_are_left_out():
    few = Lowest(500)
    for index in range(20_000):
        few.get(f"name {index}", int)
    assert 17_000 < few.num_names < 23_000
    assert counted(WORDS, 1000).num_names == 60


def test_numbers_are_their_own_hashes_and_values_are_made_only_where_they_stay():
    few, made = Lowest(2), []
    for number in (9, 5, 7, 8, 1, 9):
        few.get(number, lambda number=number: made.append(number))
    assert [name for name, _ in few.lowest()] == [1, 5] and made == [9, 5, 7, 1]


def test_a_digest_tells_parts_apart_and_takes_lone_surrogates():
    assert digest("ab", "c") != digest("a", "bc") != digest("abc") and digest("\ud800") != digest("?")
    assert 0 <= digest(b"") < 2**64
