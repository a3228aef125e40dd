import json

import numpy as np
import pytest
from official import oracle
from PIL import Image

from skymm.damage import blank, noise_level, noised

PUBLISHED = {
    0: (0.9999888307428481, 0.004726350553182477),
    500: (0.8630171064602814, 0.5051746964733322),
    999: (0.2850424429870048, 0.9585148959176378),
}
GREY = Image.new("RGB", (400, 300), (123, 117, 104))


@pytest.mark.parametrize("step", PUBLISHED)
def test_the_schedule_is_the_published_one(step):
    assert noise_level(step) == pytest.approx(PUBLISHED[step], rel=1e-12)


def test_every_published_step():
    for step, value in json.loads(oracle("bpo/noise_schedule.json").read_text())["values"].items():
        assert noise_level(int(step)) == pytest.approx(
            (value["sqrt_alphas_bar"], value["sqrt_one_minus_alphas_bar"]), rel=1e-12
        )


@pytest.mark.parametrize("step", [-1, 1000])
def test_a_step_outside_of_the_schedule_is_refused(step):
    with pytest.raises(ValueError, match=f"step {step}, expected 0 .* to 999"):
        noised(GREY, step, 0)


def test_noise_has_the_size_that_the_step_says_and_hangs_on_the_seed_alone():
    noise = np.asarray(noised(GREY, 500, "key"), dtype=float) - np.asarray(GREY)
    expected = [255 * std * PUBLISHED[500][1] for std in (0.26862954, 0.26130258, 0.27577711)]
    assert noise.std(axis=(0, 1)) == pytest.approx(expected, rel=0.02)
    assert noised(GREY, 500, "key") == noised(GREY, 500, "key") != noised(GREY, 500, "other")


def test_a_large_picture_is_scaled_down_before():
    assert noised(GREY.resize((1600, 1200)), 500, 0).size == (448, 336)
    assert noised(GREY, 500, 0).size == GREY.size
    assert noised(GREY.resize((1600, 1200)), 500, 0, side=60).size == (80, 60)


def test_a_blank_picture_is_the_mean_colour():
    assert blank(GREY).size == GREY.size and blank(GREY).getcolors() == [(120000, (123, 117, 104))]
