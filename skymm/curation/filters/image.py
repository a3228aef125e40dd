"""Pictures judged by their header, before anything is decompressed, and then by whether there is anything in them."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from PIL import Image

from skymm.curation.candidate import Candidate, Check
from skymm.images import FORMATS, UnreadableImage, format_of, on_white, read_header
from skymm.recipe.data import FiltersRecipe

BLANK_RANGE = 8
"""Levels of 256 by which the pixels of a picture of one colour may differ: compression leaves that much."""


def is_blank(image: Image.Image) -> bool:
    """Whether it is a picture of one colour."""
    image = on_white(image)
    # A thousand of its pixels tell most pictures apart from blank ones, twenty times as fast.
    few = image.resize((32, 32), Image.Resampling.NEAREST)
    return _one_colour(few) and _one_colour(image)


def _one_colour(image: Image.Image) -> bool:
    return all(high - low <= BLANK_RANGE for low, high in image.getextrema())


def header_check(recipe: FiltersRecipe) -> Check:
    """Kind (told by the first bytes, never by the name) and size of every picture, in some 50 microseconds each."""

    def reason_of(data: bytes, where: str) -> str | None:
        if data and format_of(data) not in FORMATS:
            return "no known picture format"  # pages of errors, SVG (which can hold scripts), PDF
        try:
            header = read_header(data, where)
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

    return _every_picture(lambda candidate, name: reason_of(candidate.encoded[name], f"{candidate.record.key}.{name}"))


def pixel_check(recipe: FiltersRecipe) -> Check:
    """Pictures that do not decode, and (`recipe.blank`) those of one colour."""

    def reason_of(candidate: Candidate, name: str) -> str | None:
        try:
            image = candidate.image(name)
        except UnreadableImage as error:
            return error.reason
        return "blank image" if recipe.blank and is_blank(image) else None

    return _every_picture(reason_of)


def _every_picture(reason_of: Callable[[Candidate, str], str | None]) -> Check:
    """One bad picture is enough: what is said is about all of them."""

    def check(candidates: Sequence[Candidate]) -> list[str | None]:
        return [
            next(filter(None, (reason_of(candidate, name) for name in candidate.encoded)), None)
            for candidate in candidates
        ]

    return check
