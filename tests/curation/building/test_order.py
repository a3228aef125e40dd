"""Orders that never change."""

import numpy as np

from skymm.curation.building.order import scatter, shuffled

FIRST = [5, 3, 9, 1, 2, 8, 7, 4, 6, 0]


def test_an_order_is_for_ever():
    """Written down: another version of numpy, or of this file, must not shuffle finished data anew."""
    assert shuffled(np.arange(10, dtype=np.uint64), "0/order").tolist() == FIRST
    assert shuffled(np.arange(10, dtype=np.uint64), "1/order").tolist() != FIRST


def test_it_is_a_permutation_that_mixes():
    order = shuffled(np.arange(100_000, dtype=np.uint64), "seed")
    assert np.array_equal(np.sort(order), np.arange(100_000))
    assert abs(np.corrcoef(order, np.arange(100_000))[0, 1]) < 0.01
    assert abs(np.corrcoef(order[:-1], order[1:])[0, 1]) < 0.01


def test_numbers_do_not_depend_on_how_many_are_asked():
    assert scatter(np.array([7], dtype=np.uint64), "s")[0] == scatter(np.arange(20, dtype=np.uint64), "s")[7]
