"""Pictures that tell less than they should: what a model says of one comes from its habits, not from what it sees.

Preference pairs are made with them, preference learning sets them against the true pictures, and contrastive decoding
subtracts what is said of them.
"""

from __future__ import annotations

import hashlib

import numpy as np
from PIL import Image

NUM_STEPS = 1000
_MEAN = np.array([0.48145466, 0.4578275, 0.40821073])
_STD = np.array([0.26862954, 0.26130258, 0.27577711])
"""Of CLIP's pixels, between 0 and 1: the schedule is for pixels of mean 0 and deviation 1."""


def noise_level(step: int) -> tuple[float, float]:
    """What is left of the picture, and how much noise comes in its place: sqrt(alphas_bar), sqrt(1 - alphas_bar) at a step.

    The schedule of VCD (arXiv 2311.16922), which BPO (2403.08730) uses too. Raises ValueError outside of 0 to 999.
    """
    if not 0 <= step < NUM_STEPS:
        raise ValueError(
            f"found damage at step {step}, expected 0 (nearly none) to {NUM_STEPS - 1} (nearly noise alone)"
        )
    betas = 1 / (1 + np.exp(-np.linspace(-6, 6, NUM_STEPS))) * (0.5e-2 - 1e-5) + 1e-5
    kept = np.prod(1 - betas[: step + 1])
    return float(np.sqrt(kept)), float(np.sqrt(1 - kept))


def noised(image: Image.Image, step: int, seed: object, *, side: int = 336) -> Image.Image:
    """A picture as RGB with the noise of a step. Of `seed`, a number or a key, counts what it prints as.

    The papers add the noise to what the tower sees. So a larger picture is scaled down first until its shorter side has
    `side` pixels (theirs is 336): noise on more pixels than the tower has would be averaged away.
    """
    scale = side / min(image.size)
    if scale < 1:
        size = tuple(max(side, round(length * scale)) for length in image.size)
        image = image.resize(size, Image.Resampling.BICUBIC)
    kept, noise = noise_level(step)
    digest = hashlib.blake2b(str(seed).encode("utf-8", "surrogatepass"), digest_size=16).digest()
    pixels = (np.asarray(image.convert("RGB")) / 255 - _MEAN) / _STD
    pixels = kept * pixels + noise * np.random.default_rng(int.from_bytes(digest, "big")).standard_normal(pixels.shape)
    return Image.fromarray(((pixels * _STD + _MEAN) * 255).round().clip(0, 255).astype(np.uint8))


def blank(image: Image.Image) -> Image.Image:
    """A picture of the same size that shows nothing: the mean colour of CLIP's pixels, which its towers read as zeros."""
    return Image.new("RGB", image.size, tuple(round(255 * value) for value in _MEAN))
