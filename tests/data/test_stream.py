"""The walk over shards: order, resuming, splitting over readers, memory, what is left out, and several walks as one."""

from __future__ import annotations

import json
import logging
import pickle
import tracemalloc
from itertools import islice

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skymm.conversation import BadSample, Conversation, Turn, ask
from skymm.data.shard_writing import write_shards
from skymm.data.shards import ShardError
from skymm.data.stream import Cursor, Item, Mixture, Position, SkipCounter, Stream, permutation
from skymm.images import UnreadableImage


def answered(key: str, *images: str) -> Conversation:
    return Conversation(key, (Turn("user", "q", images), Turn("assistant", "a")))


def make_shards(directory, sizes, member=b"x", prefix=""):
    """One shard per size, keys "SHARD-SAMPLE"."""
    paths = []
    for shard, size in enumerate(sizes):
        samples = [(answered(f"{prefix}{shard}-{index}", "jpg"), {"jpg": member}) for index in range(size)]
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


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 5), stop=st.integers(0, 60), ranks=st.integers(1, 5), data=st.data())
def test_resume_anywhere(shards, seed, stop, ranks, data):
    rank = data.draw(st.integers(0, ranks - 1))
    stream = Stream(shards, seed=seed, rank=rank, ranks=ranks)
    whole = list(islice(stream, stop + 25))
    cursor = stream.cursor.after(*whole[:stop])
    cursor = Cursor.from_dict(json.loads(json.dumps(cursor.to_dict())))
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


# --- what is left out -------------------------------------------------------------------------------------------------


def unreadable(*bad):
    def prepare(sample, conversation):
        if sample.key in bad:
            raise UnreadableImage(f"{sample.key}: cut short")
        return sample.key

    return prepare


def test_one_bad_sample_in_many_is_counted_and_logged(tmp_path, caplog):
    paths = make_shards(tmp_path, [200])
    stream = Stream(paths, prepare=unreadable("0-17"))
    with caplog.at_level(logging.WARNING):
        items = list(islice(stream, 199))
    assert "0-17" not in keys(items)
    assert items[-1].skips == {"unreadable image": 1} and items[0].skips == {}
    assert stream.skips.summary().startswith("unreadable image 1 (0-17): fetch or write the picture again")
    assert [record.getMessage() for record in caplog.records] == [
        "skipped: unreadable image, 1 so far: 0-17: cut short"
    ]


def test_resume_goes_on_behind_a_skip(tmp_path):
    paths = make_shards(tmp_path, [12])
    order = keys(islice(Stream(paths), 12))
    stream = Stream(paths, prepare=unreadable(order[5], order[11]))
    whole = list(islice(stream, 15))
    for stop in range(13):
        cursor = stream.cursor.after(*whole[:stop])
        again = Stream(paths, prepare=stream.prepare, cursor=cursor)
        assert keys(islice(again, 3)) == keys(whole[stop : stop + 3])


def test_too_many_bad_samples_stop_the_run(tmp_path):
    paths = make_shards(tmp_path, [200])
    bad = [f"0-{index}" for index in range(20)]
    with pytest.raises(ValueError, match=r"allowed is a share of 0\.01: unreadable image \d+ \(0-") as caught:
        list(islice(Stream(paths, prepare=unreadable(*bad)), 400))
    assert "raise max_skip_ratio" in str(caught.value)
    assert len(list(islice(Stream(paths, prepare=unreadable(*bad), max_skip_ratio=0.2), 400))) == 400


def test_reasons_from_the_shards(tmp_path):
    samples = [(answered(f"good{index}"), {}) for index in range(3)]
    samples += [(ask("q", key="question"), {})]
    (path,) = write_shards(samples, tmp_path, "p")
    data = path.read_bytes()
    path.write_bytes(data.replace(b'{"turns": [{"role": "user"', b'{"turns": [{"role": "usr",', 1))
    stream = Stream(path)
    assert len(keys(islice(stream, 2))) == 2
    list(islice(stream, 4))
    assert set(stream.skips.counts) == {"no target", "bad json"}


def test_nothing_but_skips_is_an_error_not_a_loop(tmp_path):
    paths = make_shards(tmp_path, [4])
    bad = [f"0-{index}" for index in range(4)]
    with pytest.raises(ValueError, match="all samples were skipped: unreadable image 4"):
        next(iter(Stream(paths, prepare=unreadable(*bad), max_skip_ratio=1)))


def unwanted(*wanted):
    def prepare(sample, conversation):
        if sample.key not in wanted:
            raise BadSample(f"{sample.key}: not wanted", "no turns wanted")
        return sample.key

    return prepare


def test_what_is_not_wanted_is_counted_and_never_too_much(tmp_path, caplog):
    paths = make_shards(tmp_path, [300])
    with caplog.at_level(logging.WARNING):
        items = list(islice(Stream(paths, prepare=unwanted("0-7"), max_skip_ratio=0), 3))
    assert keys(items) == ["0-7"] * 3 and items[-1].skips["no turns wanted"] >= 299
    assert len(caplog.records) == 1


@pytest.mark.parametrize("readers", [1, 2])
def test_an_epoch_of_which_nothing_is_wanted_is_refused_with_what_to_do(tmp_path, readers):
    paths = make_shards(tmp_path, [5, 5, 5])
    stream = Stream(paths, prepare=unwanted(), ranks=readers)
    with pytest.raises(ValueError, match=r"all samples were skipped: no turns wanted \d+ \(\d-.*negative_share"):
        next(iter(stream))


def test_a_reader_whose_shards_hold_nothing_this_time_waits_for_the_next(tmp_path):
    """Shards change hands every epoch; a refusal here would be for ever, since a run that goes on comes to the same place."""
    paths = make_shards(tmp_path, [3, 3])
    for rank in (0, 1):
        assert keys(islice(Stream(paths, prepare=unwanted("0-1"), rank=rank, ranks=2), 3)) == ["0-1"] * 3


def test_mistakes_are_not_skipped(shards):
    def broken(sample, conversation):
        raise ValueError("our own mistake")

    with pytest.raises(ValueError, match="our own mistake"):
        next(iter(Stream(shards, prepare=broken)))


def test_a_cut_shard_stops_the_walk(tmp_path):
    (path,) = make_shards(tmp_path, [4])
    path.write_bytes(path.read_bytes()[:4000])
    with pytest.raises(ShardError, match="cut short"):
        next(iter(Stream([path])))


def test_skips_are_judged_from_enough_samples_on_and_logged_now_and_then(caplog):
    counter = SkipCounter(0.01)
    for index in range(3):
        counter.skipped("too long", f"k{index}")
    assert counter.summary() == "too long 3 (k0, k1, k2): raise `max_length`, or cut the conversations"
    for _ in range(96):
        counter.used()
    with pytest.raises(ValueError, match="skipped 3 of 100 samples"):
        counter.used()
    many = SkipCounter(0.01)
    for index in range(19):
        many.skipped("bad json", str(index))
    with pytest.raises(ValueError, match=r"skipped 20 of 20 .*bad json 20 \(0, 1, 2, 3, 4\)"):
        many.skipped("bad json", "19")
    caplog.clear()
    allowed = SkipCounter(1.0)
    for index in range(200):
        allowed.skipped("bad json", str(index))
    assert len(caplog.records) == 3, "the first, and every hundredth"
    exact = SkipCounter(0.01)
    exact.skipped("x", "k")
    for _ in range(500):
        exact.used()
    assert exact.num_seen == 501, "exactly the ratio is allowed"


# --- mixtures ---------------------------------------------------------------------------------------------------------

MIXED = {"en": [4, 3, 2], "zh": [1, 5], "text": [6, 6, 1, 2]}
WEIGHTS = {"en": 0.5, "zh": 0.3, "text": 0.2}


@pytest.fixture(scope="module")
def sources(tmp_path_factory):
    directory = tmp_path_factory.mktemp("mixture")
    return {name: make_shards(directory / name, sizes, prefix=f"{name}-") for name, sizes in MIXED.items()}


def mixture(sources, weights=WEIGHTS, cursor=None, **place):
    return Mixture({name: Stream(sources[name], **place) for name in weights}, weights, cursor)


def seen(items):
    return [(item.source, item.key, item.position) for item in items]


@pytest.mark.parametrize("weights", [WEIGHTS, {"en": 1, "zh": 2, "text": 97}, {"en": 2, "zh": 1}, {"zh": 5}])
def test_realised_shares_follow_the_weights_all_the_way(sources, weights):
    mixed = mixture(sources, weights)
    total = sum(weights.values())
    drawn = dict.fromkeys(weights, 0)
    for step, item in enumerate(islice(mixed, 1000), 1):
        drawn[item.source] += 1
        assert all(abs(drawn[name] - step * weights[name] / total) < len(weights) for name in weights)


def test_a_pure_function_of_seed(sources):
    drawn = [[item.source for item in islice(mixture(sources, seed=seed), 60)] for seed in (1, 1, 2)]
    assert drawn[0] == drawn[1] != drawn[2]
    assert all(item.key.startswith(item.source) for item in islice(mixture(sources), 60))


def test_workers_are_out_of_phase(sources):
    """Two readers that always drew from the same stream would halve how well small batches are mixed."""
    drawn = [[item.source for item in islice(mixture(sources, worker=w, workers=2), 60)] for w in range(2)]
    assert drawn[0] != drawn[1]


@settings(max_examples=30, deadline=None)
@given(stop=st.integers(0, 70), seed=st.integers(0, 3), worker=st.integers(0, 1))
def test_a_mixture_resumes_anywhere(sources, stop, seed, worker):
    place = {"seed": seed, "worker": worker, "workers": 2}
    mixed = mixture(sources, **place)
    whole = list(islice(mixed, stop + 30))
    saved = json.dumps(mixed.cursor.after(*whole[:stop]).to_dict())
    again = mixture(sources, cursor=Cursor.from_dict(json.loads(saved)), **place)
    assert seen(islice(again, 30)) == seen(whole[stop:])


def test_a_mixture_that_was_resumed_can_be_resumed_again(sources):
    places = [{"rank": rank, "ranks": 2} for rank in range(2)]
    walks = [list(islice(mixture(sources, **place), 40)) for place in places]
    cursor, used = mixture(sources, ranks=2).cursor, 0
    for count in (9, 10, 11):
        mixed = [mixture(sources, cursor=cursor, **place) for place in places]
        parts = [one.cursor.after(*islice(one, count)) for one in mixed]
        cursor, used = parts[0].merge(parts[1]), used + count
        assert cursor.positions == {f"{rank}/0": walks[rank][used - 1].position for rank in range(2)}


def test_mixtures_for_worker_and_pickle(sources):
    for worker in range(2):
        copied = pickle.loads(pickle.dumps(mixture(sources, workers=2))).for_worker(worker)
        assert seen(islice(copied, 30)) == seen(islice(mixture(sources, worker=worker, workers=2), 30))


def test_skips_of_all_streams_are_reported(sources):
    class TooLong(ValueError):
        reason = "too long"

    def prepare(sample, conversation):
        if sample.key.endswith("-0"):
            raise TooLong(sample.key)

    streams = {name: Stream(sources[name], prepare=prepare, max_skip_ratio=1) for name in ("en", "text")}
    last = list(islice(Mixture(streams, {"en": 1, "text": 1}), 30))[-1]
    assert last.skips == {"too long": sum(stream.skips.num_skipped for stream in streams.values())}
    assert all(stream.skips.num_skipped for stream in streams.values())


def test_a_cursor_of_another_mixture_is_refused(sources):
    mixed = mixture(sources)
    cursor = mixed.cursor.after(*islice(mixed, 40))
    with pytest.raises(ValueError, match="other weights"):
        mixture(sources, {**WEIGHTS, "en": 0.6}, cursor)
    with pytest.raises(ValueError, match=r"this run has 1 x 2.*epoch=\d"):
        mixture(sources, cursor=cursor, workers=2)
    with pytest.raises(ValueError, match="other weights"):
        Stream(sources["en"], cursor=cursor)
