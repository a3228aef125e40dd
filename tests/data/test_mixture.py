"""Mixtures: shares, determinism, resuming."""

from __future__ import annotations

import json
import pickle
from itertools import islice

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skymm.conversation import Conversation, Turn
from skymm.data.mixture import Mixture
from skymm.data.shard_writing import write_shards
from skymm.data.stream import Cursor, Stream

SIZES = {"en": [4, 3, 2], "zh": [1, 5], "text": [6, 6, 1, 2]}


@pytest.fixture(scope="module")
def shards(tmp_path_factory):
    directory, paths = tmp_path_factory.mktemp("mixture"), {}
    for name, sizes in SIZES.items():
        paths[name] = []
        for shard, size in enumerate(sizes):
            turns = (Turn("user", "q"), Turn("assistant", "a"))
            samples = [(Conversation(f"{name}-{shard}-{index}", turns), {}) for index in range(size)]
            paths[name] += write_shards(samples, directory / name / str(shard), str(shard))
    return paths


WEIGHTS = {"en": 0.5, "zh": 0.3, "text": 0.2}


def mixture(shards, weights=WEIGHTS, cursor=None, **place):
    return Mixture({name: Stream(shards[name], **place) for name in weights}, weights, cursor)


def seen(items):
    return [(item.source, item.key, item.position) for item in items]


@pytest.mark.parametrize("weights", [WEIGHTS, {"en": 1, "zh": 2, "text": 97}, {"en": 2, "zh": 1}, {"zh": 5}])
def test_realised_shares_follow_the_weights_all_the_way(shards, weights):
    mixed = mixture(shards, weights)
    total = sum(weights.values())
    drawn = dict.fromkeys(weights, 0)
    for step, item in enumerate(islice(mixed, 1000), 1):
        drawn[item.source] += 1
        assert all(abs(drawn[name] - step * weights[name] / total) < len(weights) for name in weights)
    realised = mixed.realised()
    assert mixed.draws == drawn and sum(realised.values()) == pytest.approx(1)
    assert all(abs(realised[name] - weights[name] / total) < 0.01 for name in weights)


def test_a_pure_function_of_seed(shards):
    sources = [[item.source for item in islice(mixture(shards, seed=seed), 60)] for seed in (1, 1, 2)]
    assert sources[0] == sources[1] != sources[2]
    assert all(item.key.startswith(item.source) for item in islice(mixture(shards), 60))


def test_workers_are_out_of_phase(shards):
    """Two readers that always drew from the same stream would halve how well small batches are mixed."""
    sources = [[item.source for item in islice(mixture(shards, worker=w, workers=2), 60)] for w in range(2)]
    assert sources[0] != sources[1]


@settings(max_examples=30, deadline=None)
@given(stop=st.integers(0, 70), seed=st.integers(0, 3), worker=st.integers(0, 1))
def test_resume_anywhere(shards, stop, seed, worker):
    place = {"seed": seed, "worker": worker, "workers": 2}
    mixed = mixture(shards, **place)
    whole = list(islice(mixed, stop + 30))
    saved = json.dumps(mixed.cursor.after(*whole[:stop]).to_dict())
    again = mixture(shards, cursor=Cursor.from_dict(json.loads(saved)), **place)
    assert seen(islice(again, 30)) == seen(whole[stop:])


def test_a_run_that_was_resumed_can_be_resumed_again(shards):
    places = [{"rank": rank, "ranks": 2} for rank in range(2)]
    walks = [list(islice(mixture(shards, **place), 40)) for place in places]
    cursor, used = mixture(shards, ranks=2).cursor, 0
    for count in (9, 10, 11):
        mixed = [mixture(shards, cursor=cursor, **place) for place in places]
        parts = [one.cursor.after(*islice(one, count)) for one in mixed]
        cursor, used = parts[0].merge(parts[1]), used + count
        assert cursor.positions == {f"{rank}/0": walks[rank][used - 1].position for rank in range(2)}


def test_for_worker_and_pickle(shards):
    for worker in range(2):
        copied = pickle.loads(pickle.dumps(mixture(shards, workers=2))).for_worker(worker)
        assert seen(islice(copied, 30)) == seen(islice(mixture(shards, worker=worker, workers=2), 30))


def test_realised_over_workers(shards):
    mixed = mixture(shards, workers=2)
    last = [list(islice(mixed.for_worker(worker), 50))[-1].position for worker in range(2)]
    realised = mixed.realised(last)
    assert all(abs(realised[name] - WEIGHTS[name]) < 0.05 for name in WEIGHTS)
    assert mixed.realised() == dict.fromkeys(WEIGHTS, 0)
    next(iter(mixed))
    assert sum(mixed.realised().values()) == 1 and mixed.for_worker(1).realised() == dict.fromkeys(WEIGHTS, 0)


def test_skips_of_all_streams_are_reported(shards):
    class TooLong(ValueError):
        reason = "too long"

    def prepare(sample, conversation):
        if sample.key.endswith("-0"):
            raise TooLong(sample.key)

    streams = {name: Stream(shards[name], prepare=prepare, max_skip_ratio=1) for name in ("en", "text")}
    last = list(islice(Mixture(streams, {"en": 1, "text": 1}), 30))[-1]
    assert last.skips == {"too long": sum(stream.skips.num_skipped for stream in streams.values())}
    assert all(stream.skips.num_skipped for stream in streams.values())


@pytest.mark.parametrize(
    ("weights", "words"),
    [
        ({"en": 1}, "expected the same names"),
        ({"en": 1, "zh": 0}, "weight of zh is 0"),
        ({"en": 1, "zh": -1}, "above 0"),
        ({"en": 1, "zh": float("nan")}, "above 0"),
    ],
)
def test_bad_weights(shards, weights, words):
    with pytest.raises(ValueError, match=words):
        Mixture({name: Stream(shards[name]) for name in ("en", "zh")}, weights)


def test_streams_must_agree(shards):
    with pytest.raises(ValueError, match="zh has seed 1, another stream has 0"):
        Mixture({"en": Stream(shards["en"]), "zh": Stream(shards["zh"], seed=1)}, {"en": 1, "zh": 1})
    with pytest.raises(ValueError, match="zh has start_epoch 3"):
        Mixture({"en": Stream(shards["en"]), "zh": Stream(shards["zh"], epoch=3)}, {"en": 1, "zh": 1})
    en = Stream(shards["en"])
    resumed = Stream(shards["en"], cursor=en.cursor.after(next(iter(en))))
    with pytest.raises(ValueError, match="give the mixture its cursor"):
        Mixture({"en": resumed}, {"en": 1})


def test_a_cursor_of_another_mixture_is_refused(shards):
    mixed = mixture(shards)
    cursor = mixed.cursor.after(*islice(mixed, 40))
    with pytest.raises(ValueError, match="other weights"):
        mixture(shards, {**WEIGHTS, "en": 0.6}, cursor)
    with pytest.raises(ValueError, match=r"this run has 1 x 2.*epoch=\d"):
        mixture(shards, cursor=cursor, workers=2)
    with pytest.raises(ValueError, match="other weights"):
        Stream(shards["en"], cursor=cursor)


def test_start_at_a_later_epoch(shards):
    later = [item.key for item in islice(mixture(shards, {"en": 1}, epoch=2), 9)]
    assert later == [item.key for item in islice(Stream(shards["en"], epoch=2), 9)]
