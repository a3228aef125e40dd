"""Which samples stay: shares come true within a percent, and what has to go is spread evenly; and orders that never change."""

import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skymm.curation.building import choose
from skymm.curation.building.choose import Shares, scatter, shuffled


def keep(sorts, **shares):
    """`sorts`: (source, answers, Chinese ones, negative ones, number of samples), all answers being decided."""
    table = np.array([(0, answers, zh, answers, no, 0) for _, answers, zh, no, _ in sorts])
    named, counts = np.array([sort[0] for sort in sorts]), np.array([sort[-1] for sort in sorts])
    return choose.keep(named, table, counts, Shares(**{"sources": {}, **shares})).tolist()


def totals(sorts, kept):
    answers = sum(number * sort[1] for sort, number in zip(sorts, kept))
    return {
        "samples": sum(kept),
        "chinese": sum(number * sort[2] for sort, number in zip(sorts, kept)) / max(1, answers),
        "negative": sum(number * sort[3] for sort, number in zip(sorts, kept)) / max(1, answers),
        **{name: sum(n for sort, n in zip(sorts, kept) if sort[0] == name) for name in {sort[0] for sort in sorts}},
    }


def test_without_shares_everything_stays():
    sorts = [("a", 2, 1, 1, 7), ("b", 3, 0, 0, 5)]
    assert keep(sorts) == [7, 5]


def test_sources_languages_and_polarities_at_once():
    sorts = [
        ("en", 4, 0, 2, 3000),
        ("en", 4, 0, 0, 3000),
        ("zh", 4, 4, 2, 500),
        ("zh", 6, 6, 3, 500),
        ("both", 2, 1, 0, 2000),
        ("both", 2, 1, 1, 1000),
    ]
    kept = keep(sorts, sources={"both": 0.3}, chinese=0.4, negative=0.3)
    found = totals(sorts, kept)
    assert found["chinese"] == pytest.approx(0.4, abs=0.002) and found["negative"] == pytest.approx(0.3, abs=0.002)
    assert found["both"] / found["samples"] == pytest.approx(0.3, abs=0.002)
    assert all(0 <= number <= sort[-1] for sort, number in zip(sorts, kept))
    # Chinese is what is short: (nearly) all of it stays.
    assert found["chinese"] and sum(kept[2:4]) >= 995


def test_sources_that_say_no_share_keep_the_same_part():
    """Also beside one that does, and where a language decides how much of them there can be at all."""
    assert keep([("a", 1, 0, 0, 900), ("b", 1, 0, 0, 100), ("b", 2, 1, 1, 200)], num_samples=120) == [90, 10, 20]
    assert keep(
        [("a", 1, 0, 0, 900), ("b", 1, 0, 0, 300), ("c", 1, 0, 0, 50)], sources={"c": 0.2}, num_samples=100
    ) == [
        60,
        20,
        20,
    ]
    assert keep([("a", 1, 0, 0, 900), ("b", 1, 1, 0, 100)], chinese=0.5, num_samples=100) == [50, 50]


def test_as_many_as_possible_stay():
    sorts = [("a", 1, 0, 0, 900), ("b", 1, 1, 0, 100)]
    assert keep(sorts, chinese=0.5) == [100, 100]
    assert keep(sorts, chinese=0.5, num_samples=100) == [50, 50]
    assert keep(sorts, sources={"a": 0.75}) == [300, 100]


def test_what_goes_is_spread_over_all_sorts():
    """Short and long conversations of a source keep their proportion where a share allows it."""
    sorts = [("a", 1, 0, 0, 1000), ("a", 5, 0, 0, 2000), ("b", 1, 0, 0, 300)]
    kept = keep(sorts, sources={"a": 0.5})
    assert kept == [100, 200, 300]


REFUSED = [
    ([("a", 1, 0, 0, 9)], {"chinese": 0.5}, r"chinese_share is 0.5, single samples have between 0.00 and 0"),
    ([("a", 2, 0, 1, 9)], {"negative": 0.7}, r"negative_share is 0.7, .* between 0.50 and 0.50"),
    ([("a", 2, 0, 1, 9)], {"sources": {"b": 0.5}}, r"b is 0.5 of the samples, and there are none of it"),
    ([("a", 1, 0, 0, 9)], {"num_samples": 10}, r"num_samples is 10, .* the 9 samples .* give 9 at most"),
]


def test_what_cannot_be_is_said():
    for sorts, shares, message in REFUSED:
        with pytest.raises(ValueError, match=message):
            keep(sorts, **shares)


@settings(max_examples=40, deadline=None, derandomize=True)
@given(st.integers(0, 2**32), st.floats(0.1, 0.9), st.floats(0.05, 0.6))
def test_shares_are_met_within_a_percent(seed, chinese, negative):
    rng = random.Random(seed)
    sorts = [(source, 2, zh, no, 500) for source in "ab" for zh in (0, 2) for no in (0, 2)]  # so there is a mixture
    for _ in range(30):
        answers = rng.randint(1, 9)
        numbers = (rng.randint(0, answers), rng.randint(0, answers))
        sorts.append((rng.choice("ab"), answers, *numbers, rng.randint(1, 400)))
    found = totals(sorts, kept := keep(sorts, sources={"a": 0.6}, chinese=chinese, negative=negative))
    assert found["chinese"] == pytest.approx(chinese, abs=0.01) and found["negative"] == pytest.approx(
        negative, abs=0.01
    )
    assert found["a"] / found["samples"] == pytest.approx(0.6, abs=0.01)
    assert all(0 <= number <= sort[-1] for sort, number in zip(sorts, kept))


def test_an_order_is_for_ever_and_mixes():
    """Written down: another version of numpy, or of this file, must not shuffle finished data anew."""
    ten = np.arange(10, dtype=np.uint64)
    assert shuffled(ten, "0/order").tolist() == [5, 3, 9, 1, 2, 8, 7, 4, 6, 0] != shuffled(ten, "1/order").tolist()
    order = shuffled(np.arange(100_000, dtype=np.uint64), "seed")
    assert np.array_equal(np.sort(order), np.arange(100_000))
    assert abs(np.corrcoef(order, np.arange(100_000))[0, 1]) < 0.01
    assert abs(np.corrcoef(order[:-1], order[1:])[0, 1]) < 0.01
    assert scatter(np.array([7], dtype=np.uint64), "s")[0] == scatter(np.arange(20, dtype=np.uint64), "s")[7]
