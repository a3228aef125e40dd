"""Every kind of picture becomes the same kind of numbers, and nothing of it is cropped away."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image

from skymm.model.vision import Preprocessing

PLAIN = Preprocessing(16, (0.0, 0.0, 0.0), (1.0, 1.0, 1.0))


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "L", "LA", "P", "1", "CMYK", "I;16", "YCbCr"])
@pytest.mark.parametrize("size", [(1, 1), (3000, 2), (2, 3000), (16, 16)])
def test_every_mode_and_shape_fits(mode: str, size: tuple[int, int]) -> None:
    pixels = PLAIN(Image.new(mode, size))
    assert pixels.shape == (3, 16, 16) and pixels.dtype == torch.float32 and pixels.is_contiguous()
    assert torch.isfinite(pixels).all() and pixels.min() >= 0 and pixels.max() <= 1


def test_no_corner_is_cropped() -> None:
    image = Image.new("RGB", (160, 16), "white")
    image.paste("red", (0, 0, 20, 16))
    image.paste("blue", (140, 0, 160, 16))
    pixels = PLAIN(image)
    assert pixels[:, 8, 0].tolist() == pytest.approx([1, 0, 0], abs=0.05)
    assert pixels[:, 8, -1].tolist() == pytest.approx([0, 0, 1], abs=0.05)


def test_values_are_normalised_per_channel_and_repeatable() -> None:
    preprocessing = Preprocessing(2, (0.5, 0.25, 0.0), (0.5, 0.25, 2.0))
    picture = Image.new("RGB", (3, 3), (255, 255, 255))
    assert preprocessing(picture)[:, 1, 1].tolist() == pytest.approx([1.0, 3.0, 0.5])
    assert torch.equal(preprocessing(picture), preprocessing(picture))


def test_the_resample_filter_is_used() -> None:
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8))
    nearest = Preprocessing(16, PLAIN.mean, PLAIN.std, int(Image.Resampling.NEAREST))
    assert not torch.allclose(nearest(noise), PLAIN(noise))


def test_nonsense_is_refused() -> None:
    with pytest.raises(ValueError, match="expected three numbers each, std above 0"):
        Preprocessing(16, (0.5, 0.5, 0.5), (0.0, 1.0, 1.0))
    with pytest.raises(ValueError, match="found image_size 0"):
        Preprocessing(0, (0.5, 0.5, 0.5), (1.0, 1.0, 1.0))
