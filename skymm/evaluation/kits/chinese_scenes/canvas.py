"""A sheet to draw Chinese scenes on: shapes without jagged edges, and text that is set to fit.

Everything is drawn at twice the size and halved at the end. Positions and sizes below are those of the sheet, SHEET x SHEET.
A model that looks at 224 x 224 pixels sees a quarter of them: SMALLEST leaves it 18 pixels for a character.
"""

from __future__ import annotations

import random
from functools import lru_cache
from typing import Literal

from PIL import Image, ImageDraw, ImageFont

SHEET = 896
SIZE = SHEET // 2  # side of the finished picture, pixels
SMALLEST = 72
Colour = tuple[int, int, int]
Box = tuple[float, float, float, float]
Face = Literal["sans", "serif"]

WHITE, BLACK, INK = (255, 255, 255), (22, 22, 24), (44, 40, 36)
RED, DEEP_RED, GOLD, CREAM = (206, 38, 38), (150, 22, 26), (255, 214, 110), (253, 246, 228)
GREEN, BLUE, YELLOW = (20, 122, 76), (24, 88, 168), (250, 208, 38)


class Sheet:
    """An RGB image with the few things that these pictures are made of."""

    def __init__(self, colour: Colour):
        self.image = Image.new("RGB", (SHEET, SHEET), colour)
        self.draw = ImageDraw.Draw(self.image)

    def shade(self, box: Box, top: Colour, bottom: Colour) -> None:
        """A soft change of colour from top to bottom."""
        left, upper, right, lower = map(round, box)
        size = (right - left, lower - upper)
        mask = Image.linear_gradient("L").resize(size)
        self.image.paste(
            Image.composite(Image.new("RGB", size, bottom), Image.new("RGB", size, top), mask), (left, upper)
        )

    def board(self, box: Box, fill: Colour, radius: int = 24, edge: Colour | None = None, inset: int = 14) -> None:
        """A plate with a shadow; `edge` is a line that runs `inset` inside it."""
        left, top, right, bottom = box
        shadow = tuple(round(channel * 0.72) for channel in self.image.getpixel((round(left), round(bottom))))
        self.draw.rounded_rectangle((left + 10, top + 14, right + 10, bottom + 14), radius, fill=shadow)
        self.draw.rounded_rectangle(box, radius, fill=fill)
        if edge:
            inner = (left + inset, top + inset, right - inset, bottom - inset)
            self.draw.rounded_rectangle(inner, max(2, radius - inset), outline=edge, width=7)

    def text(
        self,
        text: str,
        at: tuple[float, float],
        size: int,
        fill: Colour,
        *,
        width: float = SHEET,
        anchor: str = "mm",
        face: Face = "sans",
        bold: int = 0,
    ) -> None:
        """One line, made smaller until it is at most `width` wide. `bold` thickens the strokes by so much on each side."""
        while size > SMALLEST and font(face, size).getlength(text) > width:
            size -= 2
        assert font(face, size).getlength(text) <= width, f"{text!r} is too long for {width}"
        self.draw.text(at, text, font=font(face, size), fill=fill, anchor=anchor, stroke_width=bold, stroke_fill=fill)

    def column(
        self,
        text: str,
        at: tuple[float, float],
        size: int,
        pitch: int,
        fill: Colour,
        *,
        face: Face = "serif",
        bold: int = 0,
    ) -> None:
        """Characters below each other, the first with its middle at `at`."""
        for index, character in enumerate(text):
            self.text(character, (at[0], at[1] + index * pitch), size, fill, face=face, bold=bold)

    def paste(self, picture: Image.Image, at: tuple[int, int]) -> None:
        self.image.paste(picture, at, picture)

    def finished(self) -> Image.Image:
        return self.image.reduce(2)


@lru_cache(maxsize=128)
def font(face: Face, size: int) -> ImageFont.FreeTypeFont:
    """Noto Sans SC or Noto Serif SC (OFL 1.1), which hold simplified and traditional characters alike."""
    from pylopdf_fonts_zh_cn import sans_path, serif_path

    path = serif_path() if face == "serif" else sans_path()
    # The basic layout is the same whether or not Pillow finds a shaping library.
    return ImageFont.truetype(str(path), size, layout_engine=ImageFont.Layout.BASIC)


def missing_glyphs(text: str, face: Face) -> list[str]:
    """Characters that the font has no glyph for: they look like a code point that is never assigned."""
    nothing = _pixels("\U0010ffff", face)
    return sorted(
        character for character in set(text) if not character.isspace() and _pixels(character, face) == nothing
    )


def _pixels(character: str, face: Face) -> tuple[tuple[int, int], bytes]:
    mask = font(face, 40).getmask(character)
    return mask.size, bytes(mask)


def brick_wall(sheet: Sheet, box: Box, colour: Colour, rng: random.Random) -> None:
    """Rows of bricks, each a little lighter or darker."""
    left, top, right, bottom = map(round, box)
    sheet.draw.rectangle(box, fill=tuple(round(channel * 0.86) for channel in colour))
    for row, y in enumerate(range(top, bottom, 44)):
        for x in range(left - 50 * (row % 2), right, 100):
            change = rng.uniform(0.94, 1.04)
            brick = tuple(min(255, round(channel * change)) for channel in colour)
            sheet.draw.rectangle((max(left, x + 3), y + 3, min(right, x + 97), min(bottom, y + 41)), fill=brick)
