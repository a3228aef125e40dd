"""Single pictures: judged by their header, before anything is decompressed, then by whether there is anything in them; and
what a picture looks like in 51 bytes, so that copies are known again: re-encoded, scaled, converted, brightened a bit.

Measured on some 60 photographs: re-encoding (JPEG quality 30) and scaling (to a half, to 224 x 224) move at most 7 of the 64
bits, mostly none; different photographs are 16 bits apart or more. Crops of 1 % a side move about 2 bits, of 2.5 % about 6, of
5 % about 10; a mirrored picture is a different one. Drawn words on a plain ground are too alike for 64 bits (12 % of pairs of
different two-character words are within 4), so 256 bits are compared as well (then 0.06 %).
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np
from PIL import Image

from skymm.conversation import is_frame
from skymm.curation.record import Candidate
from skymm.images import FORMATS, UnreadableImage, format_of, on_white, read_header
from skymm.recipe.data import FiltersRecipe

BLANK_RANGE = 8
"""Levels of 256 by which the pixels of a picture of one colour may differ: compression leaves that much."""
FINE_WORDS = 4
"""64-bit words of the fine hash: 256 bits, of which four may differ for each one that may of the coarse hash's 64."""
COLOUR_RANGE = 16
"""Levels of 256 by which the mean colours of copies may differ; hashes see brightness only, and red is not blue."""


def header_reason(candidate: Candidate, recipe: FiltersRecipe) -> str | None:
    """Why its first bad picture is kept out, by kind (told by the first bytes, never by the name) and size, in some 50
    microseconds each. One bad picture is enough: what is said is about all of them.
    """
    for name, data in candidate.encoded.items():
        if data and format_of(data) not in FORMATS:
            return "no known picture format"  # pages of errors, SVG (which can hold scripts), PDF
        try:
            header = read_header(data, f"{candidate.record.key}.{name}")
        except UnreadableImage as error:
            return error.reason
        short, long = sorted((header.width, header.height))
        if short * long > recipe.max_pixels:
            return "image too large"
        if recipe.min_side is not None and short < recipe.min_side:
            return "image too small"
        if recipe.max_aspect is not None and long > recipe.max_aspect * short:
            return "image too narrow"
    return None


def pixel_reason(candidate: Candidate, recipe: FiltersRecipe) -> str | None:
    """The same for pictures that do not decode, and (`recipe.blank`) those of one colour. A film may begin in the dark: of its
    frames one with something in it is enough.
    """
    frames = []
    for name in candidate.encoded:
        try:
            image = candidate.image(name)
        except UnreadableImage as error:
            return error.reason
        blank = recipe.blank and is_blank(image)
        if is_frame(name):
            frames.append(blank)
        elif blank:
            return "blank image"
    return "blank image" if frames and all(frames) else None


def is_blank(image: Image.Image) -> bool:
    """Whether it is a picture of one colour."""
    image = on_white(image)
    # A thousand of its pixels tell most pictures apart from blank ones, twenty times as fast.
    few = image.resize((32, 32), Image.Resampling.NEAREST)
    return all(high - low <= BLANK_RANGE for part in (few, image) for low, high in part.getextrema())


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """`coarse` and `fine` are perceptual hashes (DCT) of 64 and 4 x 64 bits, `colour` is the mean of red, green, blue."""

    coarse: int
    fine: tuple[int, ...]
    colour: tuple[int, int, int]


def fingerprint(image: Image.Image) -> Fingerprint:
    """Transparent parts count as white."""
    import imagehash

    image = on_white(image)
    # Both hashes begin by scaling down a grey picture (to 32 and 64 pixels), which from this small one costs next to nothing.
    grey = image.convert("L").resize((64, 64), Image.Resampling.LANCZOS, reducing_gap=3.0)
    coarse, fine = imagehash.phash(grey, hash_size=8), imagehash.phash(grey, hash_size=16)
    mean = np.asarray(image.resize((64, 64), Image.Resampling.NEAREST), np.float64).mean(axis=(0, 1))
    red, green, blue = (int(value + 0.5) for value in mean)
    return Fingerprint(_words(coarse.hash)[0], _words(fine.hash), (red, green, blue))


def fingerprint_of(candidate: Candidate, name: str) -> Fingerprint:
    """Of a candidate's picture, computed once. Raises UnreadableImage."""
    return candidate.once(("fingerprint", name), lambda: fingerprint(candidate.image(name)))


def exact(data: bytes) -> int:
    """The first 64 bits of the SHA-256 of encoded bytes."""
    return int.from_bytes(hashlib.sha256(data).digest()[:8], "little")


def exact_of(candidate: Candidate, name: str) -> int:
    """`exact` of a candidate's picture, computed once."""
    return candidate.once(("exact", name), lambda: exact(candidate.encoded[name]))


def _words(bits: np.ndarray) -> tuple[int, ...]:
    return tuple(int(word) for word in np.packbits(bits.reshape(-1)).view("<u8"))
