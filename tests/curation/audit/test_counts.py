"""What is kept does not depend on how the data is cut, counts of it are exact, and copies are told apart by shard."""

import random
from array import array
from collections import Counter

from skymm.curation.audit.counts import Lowest, Prints, digest, merge
from skymm.curation.audit.summary import repeats

WORDS = [f"word {random.Random(index).randrange(60)}" for index in range(2000)]


def counted(words, size):
    few = Lowest(size)
    for word in words:
        row = few.take(word, Counter)
        if row is not None:
            row["seen"] += 1
    return few


def test_parts_merge_to_what_one_pass_gives():
    exact = Counter(WORDS)
    for size in (0, 1, 7, 59, 60, 1000):
        whole = counted(WORDS, size)
        for parts in (1, 2, 9):
            merged = Lowest(size)
            for part in range(parts):
                merge(merged, counted(WORDS[part::parts], size))
            assert merged == whole and merged.lowest() == whole.lowest(), (size, parts)
            assert merged.full == whole.full == (size < 60), (size, parts)
        assert all(row["seen"] == exact[word] for word, row in whole.items()), size
        assert [name for _, name in whole.order] == sorted(exact, key=digest)[:size]


def test_how_many_names_there_are_is_estimated_when_some_are_left_out():
    few = Lowest(500)
    for index in range(20_000):
        few.take(f"name {index}", int)
    assert 17_000 < few.num_names < 23_000
    assert counted(WORDS, 1000).num_names == 60


def test_numbers_are_their_own_hashes_and_values_are_made_only_where_they_stay():
    few, made = Lowest(2), []
    for number in (9, 5, 7, 8, 1, 9):
        few.take(number, lambda number=number: made.append(number))
    assert [name for _, name in few.order] == [1, 5] and made == [9, 5, 7, 1]


def test_a_digest_tells_parts_apart_and_takes_lone_surrogates():
    assert digest("ab", "c") != digest("a", "bc") != digest("abc") and digest("\ud800") != digest("?")
    assert 0 <= digest(b"") < 2**64


def prints(*shards):
    return [Prints(array("Q", hashes), array("I", range(len(hashes)))) for hashes in shards]


def test_copies_within_and_across_shards():
    found = repeats(prints([5, 7, 5, 5], [4, 9], [], [9, 9, 2**64 - 1, 4]))
    assert (found.total, found.copies, found.within, found.across) == (10, 5, 3, 2)
    assert [(one.hash, one.count, one.shard, one.sample) for one in found.most] == [
        ("0000000000000005", 3, 0, 0),
        ("0000000000000009", 3, 1, 1),
        ("0000000000000004", 2, 1, 0),
    ]
    assert [len(repeats(prints([4, 4, 5, 5])).most), len(repeats(prints([4, 4, 5, 5]), most=1).most)] == [2, 1]
    assert repeats([]).total == 0 and repeats(prints([], [])).copies == 0
    assert repeats(prints([1, 2], [3])).most == ()
