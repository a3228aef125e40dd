"""The plan's arithmetic, against numbers worked out by hand."""

import pytest
from plan import Assumptions, plan, table


def test_seven_billion_parameters_on_eight_gpus():
    """4 x 7e9 x (64 + 100) = 4.592e12 FLOPs a pair, and 0.163e12 for the tower; 8 x 989e12 x 0.4 = 3.1648e15 a second."""
    found = plan(7e9, 8, 0.4)
    assert found.flops == 4.755e12
    assert found.tower_share == pytest.approx(0.03428, abs=1e-5)
    assert found.samples_per_second == pytest.approx(665.573, abs=1e-3)
    assert found.hours == pytest.approx(20.8676, abs=1e-4)  # 50e6 / 665.573 = 75,123.2 s
    assert found.image_bytes_per_second == pytest.approx(33.2787e6, rel=1e-5)  # 50 kB each
    assert found.decoding_cores == pytest.approx(1.33115, abs=1e-5)  # 500 a second each
    assert found.feature_bytes_per_second == pytest.approx(350.315e6, rel=1e-5)  # 257 x 1024 x 2 = 526,336 bytes each
    assert found.shards == 50_000 and found.weight_bytes == 14e9
    assert found.dataset_bytes == 2.5e12 and found.cache_bytes == 26_316_800_000_000


def test_thirteen_billion_on_sixty_four():
    """4 x 13e9 x 164 + 163e9 = 8.691e12; 64 x 989e12 x 0.5 = 31.648e15 a second: 3641.47 pairs, 13,730.7 s."""
    found = plan(13e9, 64, 0.5)
    assert found.flops == 8.691e12
    assert found.samples_per_second == pytest.approx(3641.47, abs=0.01)
    assert found.hours == pytest.approx(3.81409, abs=1e-5)


def test_what_is_given_counts():
    given = Assumptions(
        samples=1001, latents=0, text_tokens=1, tower_flops=0, patches=2, width=3, peak=4e9, image_bytes=7
    )
    found = plan(1e9, 1, 1, given)
    assert (found.flops, found.samples_per_second, found.hours) == (4e9, 1, 1001 / 3600)
    assert (found.shards, found.cache_bytes, found.dataset_bytes, found.tower_share) == (2, 1001 * 12, 7007, 0)


@pytest.mark.parametrize(("parameters", "gpus", "share"), [(0, 8, 0.4), (7e9, 0, 0.4), (7e9, 8, 0), (7e9, 8, 40)])
def test_what_cannot_be_is_refused(parameters, gpus, share):
    with pytest.raises(ValueError, match="a share of at most 1"):
        plan(parameters, gpus, share)


def test_the_table_says_that_it_is_arithmetic():
    text = table([8], [0.4])
    assert text.startswith("ARITHMETIC, not measured")
    [line] = [line for line in text.splitlines() if line.split()[:1] == ["7B"]]
    assert line.split() == ["7B", "14.0", "GB", "8", "40%", "4.75", "3.4%", "666", "20.9", "33", "1.3", "350"]
