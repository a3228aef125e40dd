"""Copies are counted, told apart by shard, and found again."""

from skymm.curation.audit.prints import Prints


def prints(*shards):
    whole = Prints()
    for hashes in shards:
        part = Prints()
        for sample, value in enumerate(hashes):
            part.add(value, sample)
        part.close_shard()
        whole.merge(part)
    return whole


def test_copies_within_and_across_shards():
    found = prints([5, 7, 5, 5], [7, 9], [], [9, 9, 2**64 - 1]).repeats()
    assert (found.total, found.copies, found.within, found.across) == (9, 5, 3, 2)
    assert [(one.hash, one.count, one.shard, one.sample) for one in found.most] == [
        ("0000000000000005", 3, 0, 0),
        ("0000000000000009", 3, 1, 1),
        ("0000000000000007", 2, 0, 1),
    ]


def test_nothing_and_nothing_twice():
    assert prints().repeats().total == 0 and prints([], []).repeats().copies == 0
    assert prints([1, 2], [3]).repeats().most == ()


def test_twelve_bytes_each():
    part = prints(range(1000))
    assert part.hashes.itemsize + part.samples.itemsize == 12
