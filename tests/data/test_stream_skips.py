"""What the walk leaves out: counted, said, and too much of it stops the run."""

from __future__ import annotations

import logging
from itertools import islice

import pytest

from skymm.conversation import BadSample, Conversation, Turn, ask
from skymm.data.shard_writing import write_shards
from skymm.data.shards import ShardError
from skymm.data.stream import SkipCounter, Stream
from skymm.images import UnreadableImage


def answered(key: str, *images: str) -> Conversation:
    return Conversation(key, (Turn("user", "q", images), Turn("assistant", "a")))


def make_shards(directory, sizes, member=b"x"):
    """One shard per size, keys "SHARD-SAMPLE"."""
    paths = []
    for shard, size in enumerate(sizes):
        samples = [(answered(f"{shard}-{index}", "jpg"), {"jpg": member}) for index in range(size)]
        paths += write_shards(samples, directory / str(shard), f"s{shard}")
    return paths


def keys(items):
    return [item.key for item in items]


@pytest.fixture
def shards(tmp_path):
    return make_shards(tmp_path, [3, 2])


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


def test_skip_counter_waits_for_enough_samples(caplog):
    counter = SkipCounter(0.01, log_every=2, num_keys=2)
    for index in range(3):
        counter.skipped("too long", f"k{index}")
    assert counter.summary() == "too long 3 (k0, k1): raise `max_length`, or cut the conversations"
    assert len(caplog.records) == 2  # the first, and the second
    for _ in range(96):
        counter.used()
    with pytest.raises(ValueError, match="skipped 3 of 100 samples"):
        counter.used()
    many = SkipCounter(0.01)
    for index in range(19):
        many.skipped("bad json", str(index))
    with pytest.raises(ValueError, match="skipped 20 of 20"):
        many.skipped("bad json", "19")
    with pytest.raises(ValueError, match="expected a share"):
        SkipCounter(1.5)


def test_exactly_the_ratio_is_allowed():
    counter = SkipCounter(0.01)
    counter.skipped("x", "k")
    for _ in range(500):
        counter.used()
    assert counter.num_seen == 501
