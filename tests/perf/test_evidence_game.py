"""The pointing game, against numbers worked out by hand."""

import pytest
from evidence import pointing

from skymm.serve.evidence import EvidenceMap


def test_the_pointing_game_counts_hits_and_what_chance_would():
    def at(cell):
        return EvidenceMap(
            4, "yes", 1.0, tuple(float(one == cell) for one in range(16)), frozenset({cell}), 1.0, (0.0,)
        )

    right_half, corner = [(0.5, 0.0, 1.0, 1.0)], [(0.0, 0.0, 0.25, 0.25)]
    found = pointing([at(3), at(4), at(0)], [right_half, right_half, corner])
    assert (found.hits, found.num_maps, found.chance) == (2, 3, pytest.approx((0.5 + 0.5 + 1 / 16) / 3))
    assert found.share.value == pytest.approx(2 / 3)
    assert (found.share.low, found.share.high) == pytest.approx((0.2077, 0.9385), abs=1e-3), "Wilson's interval"
