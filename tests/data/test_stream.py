"""The walk over shards: order, resuming, splitting over readers, and memory."""

from __future__ import annotations

import json
import pickle
import tracemalloc
from itertools import islice

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skymm.conversation import Conversation, Turn
from skymm.data.shard_writing import write_shards
from skymm.data.stream import Cursor, Item, Position, Stream, permutation, resumed


def answered(key: str, *images: str) -> Conversation:
    return Conversation(key, (Turn("user", "q", images), Turn("assistant", "a")))


def make_shards(directory, sizes, member=b"x"):
    """One shard per size, keys "SHARD-SAMPLE"."""
    paths = []
    for shard, size in enumerate(sizes):
        samples = [(answered(f"{shard}-{index}", "jpg"), {"jpg": member}) for index in range(size)]
        paths += write_shards(samples, directory / str(shard), f"s{shard}")
    return paths


SIZES = [3, 1, 7, 4, 5]


@pytest.fixture(scope="module")
def shards(tmp_path_factory):
    return make_shards(tmp_path_factory.mktemp("uneven"), SIZES)


def keys(items):
    return [item.key for item in items]


def epoch_of(stream, epoch=0):
    """All keys that one reader gets in one epoch."""
    found = []
    for item in stream.walk(Position(epoch)):
        found.append(item.key)
        if item.position[0] > epoch:
            return found


def test_resumed_equals_uninterrupted(shards):
    """First 10 and resumed 10 are the uninterrupted 20, for each of two workers, through JSON."""
    for worker in range(2):
        stream = Stream(shards, seed=1, worker=worker, workers=2)
        whole = list(islice(stream, 20))
        cursor = stream.cursor.after(*whole[:10])
        cursor = Cursor.from_dict(json.loads(json.dumps(cursor.to_dict())))
        again = Stream(shards, seed=1, worker=worker, workers=2, cursor=cursor)
        assert keys(islice(again, 10)) == keys(whole[10:])


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 5), stop=st.integers(0, 60), ranks=st.integers(1, 5), data=st.data())
def test_resume_anywhere(shards, seed, stop, ranks, data):
    rank = data.draw(st.integers(0, ranks - 1))
    stream = Stream(shards, seed=seed, rank=rank, ranks=ranks)
    whole = list(islice(stream, stop + 25))
    cursor = stream.cursor.after(*whole[:stop])
    again = list(islice(Stream(shards, seed=seed, rank=rank, ranks=ranks, cursor=cursor), 25))
    assert [(item.key, item.position) for item in again] == [(item.key, item.position) for item in whole[stop:]]


def test_readers_share_an_epoch_without_overlap(shards):
    everything = {f"{shard}-{index}" for shard, size in enumerate(SIZES) for index in range(size)}
    for epoch in (0, 1, 5):
        readers = [
            epoch_of(Stream(shards, rank=rank, ranks=2, worker=worker, workers=2), epoch)
            for rank in range(2)
            for worker in range(2)
        ]
        assert sum(map(len, readers)) == len(everything)
        assert set().union(*readers) == everything


def test_order_depends_on_seed_and_epoch_and_nothing_else(shards):
    stream = Stream(shards, seed=3)
    first = epoch_of(stream)
    assert first == epoch_of(stream) == epoch_of(Stream(shards, seed=3))
    assert first != epoch_of(stream, 1) and sorted(first) == sorted(epoch_of(stream, 1))
    assert first != epoch_of(Stream(shards, seed=4))
    shard_order = list(dict.fromkeys(key.split("-")[0] for key in first))
    assert shard_order != sorted(shard_order)
    assert shard_order != list(dict.fromkeys(key.split("-")[0] for key in epoch_of(stream, 1)))
    inside = [key for key in first if key.startswith("2-")]
    assert inside != sorted(inside)
    again = [key for key in epoch_of(stream, 1) if key.startswith("2-")]
    assert inside != again
    assert keys(islice(Stream(shards, seed=3, epoch=1), len(first))) == epoch_of(stream, 1)


def test_permutation_is_the_same_everywhere():
    assert permutation(8, 0, 0) == [0, 4, 2, 3, 7, 6, 5, 1]
    assert permutation(0, 1) == []
    firsts = [permutation(10, seed)[0] for seed in range(1000)]
    assert all(60 < firsts.count(value) < 145 for value in range(10))


def test_each_item_carries_the_position_after_it(shards):
    stream = Stream(shards, seed=1)
    items = list(islice(stream, 45))
    for index, item in enumerate(items[:-1]):
        assert next(iter(stream.walk(item.position))).key == items[index + 1].key
    assert items[sum(SIZES) - 1].position == Position(1, 0, 0)
    assert {item.place for item in items} == {"0/0"}


def test_too_few_shards_is_refused_with_both_numbers(shards):
    with pytest.raises(ValueError, match="5 shards for 3 ranks x 2 workers = 6 readers"):
        Stream(shards, ranks=3, workers=2)
    Stream(shards, ranks=5)


@pytest.mark.parametrize("place", [{"rank": 1}, {"worker": 2, "workers": 2}, {"rank": -1}])
def test_ranks_are_checked(shards, place):
    with pytest.raises(ValueError, match="expected each below its count"):
        Stream(shards, **place)


def test_a_cursor_of_another_run_is_refused_with_the_way_out(shards):
    stream = Stream(shards, seed=1, workers=2)
    cursor = stream.cursor.after(*islice(stream, 30))
    epoch = cursor.positions["0/0"].epoch + 1
    with pytest.raises(ValueError, match=rf"1 ranks x 2 workers, this run has 2 x 2.*epoch={epoch}"):
        Stream(shards, seed=1, ranks=2, workers=2, cursor=cursor)
    with pytest.raises(ValueError, match="another list of shards"):
        Stream(shards[::-1], seed=1, workers=2, cursor=cursor)
    with pytest.raises(ValueError, match="another list of shards"):
        Stream(shards[:4], seed=1, workers=2, cursor=cursor)
    with pytest.raises(ValueError, match="seed 1, this run has 2"):
        Stream(shards, seed=2, workers=2, cursor=cursor)


def test_the_folder_may_move(tmp_path):
    paths = make_shards(tmp_path / "here", [3, 2])
    stream = Stream(paths)
    cursor = stream.cursor.after(*islice(stream, 2))
    expected = keys(islice(Stream(paths, cursor=cursor), 6))
    (tmp_path / "here").rename(tmp_path / "there")
    moved = [tmp_path / "there" / path.relative_to(tmp_path / "here") for path in paths]
    assert keys(islice(Stream(moved, cursor=cursor), 6)) == expected


def test_cursor_dict_is_checked():
    good = Cursor(0, 1, 1, "f", 0, {"0/0": Position(1, 2, 3)}).to_dict()
    assert Cursor.from_dict(json.loads(json.dumps(good))).positions == {"0/0": (1, 2, 3)}
    old = {name: value for name, value in good.items() if name != "latest"} | {"version": 1}
    assert Cursor.from_dict(old).positions == {"0/0": (1, 2, 3)}, "cursors from before there were turns"
    with pytest.raises(ValueError, match="version is 99"):
        Cursor.from_dict({**good, "version": 99})
    with pytest.raises(ValueError, match="fields"):
        Cursor.from_dict({name: value for name, value in good.items() if name != "seed"})


def test_cursors_of_ranks_merge(shards):
    streams = [Stream(shards, rank=rank, ranks=2) for rank in range(2)]
    parts = [stream.cursor.after(*islice(stream, 4)) for stream in streams]
    merged = parts[0].merge(parts[1])
    assert merged.latest == {"0": 0, "1": 0}
    for stream, rank in zip(streams, range(2)):
        again = Stream(shards, rank=rank, ranks=2, cursor=merged)
        assert keys(islice(again, 5)) == keys(islice(stream, 9))[4:]
    with pytest.raises(ValueError, match="cannot be merged"):
        parts[0].merge(Stream(shards, seed=7).cursor)


def test_a_run_that_was_resumed_can_be_resumed_again(shards):
    """A resumed rank holds where all ranks were when it began; merging must not put the others back there."""
    ranks = range(3)
    walks = [list(islice(Stream(shards, rank=rank, ranks=3), 25)) for rank in ranks]
    cursor, used = Stream(shards, ranks=3).cursor, 0
    for count in (4, 5, 6):
        streams = [Stream(shards, rank=rank, ranks=3, cursor=cursor) for rank in ranks]
        parts = [stream.cursor.after(*islice(stream, count)) for stream in streams]
        cursor, used = parts[0].merge(*parts[1:]), used + count
        assert cursor == parts[2].merge(*parts[:2])
        assert cursor.positions == {f"{rank}/0": walks[rank][used - 1].position for rank in ranks}


def test_the_list_is_put_in_order_once_an_epoch(shards):
    """Not once a shard, which would make an epoch of many shards cost the square of their number."""

    asked = []

    class Counting(Stream):
        def own_shards(self, epoch):
            asked.append(epoch)
            return super().own_shards(epoch)

    for _ in islice(Counting(shards), 3 * sum(SIZES)):
        pass
    assert asked == [0, 1, 2]


def test_for_worker_and_pickle(shards):
    stream = Stream(shards, workers=3)
    for worker in range(3):
        copied = pickle.loads(pickle.dumps(stream)).for_worker(worker)
        assert keys(islice(copied, 9)) == keys(islice(Stream(shards, worker=worker, workers=3), 9))
    item = next(iter(stream))
    assert pickle.loads(pickle.dumps(item)) == item
    with pytest.raises(ValueError, match="worker 3"):
        stream.for_worker(3)
    other = stream.for_worker(1)
    other.skips.skipped("x", "key")
    assert stream.skips.num_skipped == 0


def test_prepare_makes_the_value(shards):
    stream = Stream(shards, prepare=lambda sample, conversation: (sample.key, len(conversation.turns)))
    item = next(iter(stream))
    assert isinstance(item, Item) and item.value == (item.key, 2)


def test_one_shard_of_bytes_at_a_time(tmp_path):
    member = 50_000
    paths = make_shards(tmp_path, [20] * 6, b"x" * member)
    stream = Stream(paths)
    next(iter(stream))  # whatever is imported or cached at first
    tracemalloc.start()
    for _ in islice(stream, 120):
        pass
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1.5 * 20 * member


def test_resumed_is_about_the_run_only():
    fresh = Cursor(0, 1, 1, "f")
    assert resumed(fresh, Cursor(0, 1, 1, "f", 0, {"0/0": (2, 0, 0)})).positions == {"0/0": (2, 0, 0)}
