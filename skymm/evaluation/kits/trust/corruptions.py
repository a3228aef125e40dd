"""Eight corruptions with three severities, and pictures that show nothing: numpy and Pillow only.

Formulas and constants are those of ImageNet-C (Hendrycks and Dietterich, arXiv 1903.12261; github.com/hendrycks/robustness,
imagenet_c/corruptions.py), severities 1, 3 and 5 of its five. They are meant for pictures of SIDE pixels.
"""

from __future__ import annotations

import io
from functools import reduce

import numpy as np
from PIL import Image, ImageChops, ImageFilter, ImageOps

SIDE = 224
SEVERITIES = (1, 3, 5)
CONSTANTS = {
    "gaussian_noise": (0.08, 0.12, 0.18, 0.26, 0.38),  # deviation, of pixels from 0 to 1
    "shot_noise": (60, 25, 12, 5, 3),  # photons of a white pixel
    "impulse_noise": (0.03, 0.06, 0.09, 0.17, 0.27),  # share of values that become black or white
    "gaussian_blur": (1, 2, 3, 4, 6),  # deviation, pixels
    "brightness": (0.1, 0.2, 0.3, 0.4, 0.5),  # added to HSV's value
    "contrast": (0.4, 0.3, 0.2, 0.1, 0.05),  # what is left of it
    "pixelate": (0.6, 0.5, 0.4, 0.3, 0.25),  # of the side
    "jpeg_compression": (25, 18, 15, 10, 7),  # quality
}


def corrupted(image: Image.Image, name: str, severity: int, seed: int) -> Image.Image:
    """The picture at SIDE x SIDE pixels with a corruption. `severity`: 1 to 5."""
    image = image.convert("RGB").resize((SIDE, SIDE), Image.Resampling.BICUBIC)
    c, generator = CONSTANTS[name][severity - 1], np.random.default_rng(seed)
    if name == "gaussian_blur":
        return image.filter(ImageFilter.GaussianBlur(c))
    if name == "pixelate":
        small = image.resize((int(SIDE * c),) * 2, Image.Resampling.BOX)
        return small.resize((SIDE, SIDE), Image.Resampling.BOX)
    if name == "jpeg_compression":
        buffer = io.BytesIO()
        image.save(buffer, "JPEG", quality=c)
        return Image.open(buffer).convert("RGB")
    x = np.asarray(image) / 255
    if name == "gaussian_noise":
        x = x + generator.normal(size=x.shape, scale=c)
    elif name == "shot_noise":
        x = generator.poisson(x * c) / c
    elif name == "impulse_noise":
        struck, white = generator.random(x.shape) < c, generator.random(x.shape) < 0.5
        x = np.where(struck, white.astype(float), x)
    elif name == "brightness":
        value = x.max(-1, keepdims=True)
        wanted = np.clip(value + c, 0, 1)
        # Scaling keeps hue and saturation; black has none, and becomes grey.
        x = np.where(value > 0, x * wanted / np.maximum(value, 1e-9), wanted)
    elif name == "contrast":
        mean = x.mean((0, 1), keepdims=True)
        x = (x - mean) * c + mean
    return Image.fromarray((np.clip(x, 0, 1) * 255).round().astype(np.uint8))


def noise(seed: int) -> Image.Image:
    """A picture that shows noise alone."""
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, (SIDE, SIDE, 3), dtype=np.uint8))


def pencil(image: Image.Image) -> Image.Image:
    """The picture as lines on white, also where two colours are as light as each other."""
    edges = image.convert("RGB").filter(ImageFilter.GaussianBlur(0.7)).filter(ImageFilter.FIND_EDGES)
    lines = reduce(ImageChops.lighter, edges.split())
    drawn = ImageOps.invert(ImageOps.autocontrast(lines, cutoff=(0, 2))).convert("RGB")
    drawn.paste((255, 255, 255), (0, 0, image.width, 3))  # the filter has no edge to look at there
    drawn.paste((255, 255, 255), (0, 0, 3, image.height))
    drawn.paste((255, 255, 255), (0, image.height - 3, image.width, image.height))
    drawn.paste((255, 255, 255), (image.width - 3, 0, image.width, image.height))
    return drawn
