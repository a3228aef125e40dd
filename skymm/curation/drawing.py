"""Text and boards in drawn pictures: two fonts that have both languages, text that is set to fit, sheets to draw scenes on."""

from __future__ import annotations

import random
import re
import tomllib
from dataclasses import dataclass
from functools import cache, lru_cache
from importlib.resources import files
from typing import Literal

from PIL import Image, ImageDraw, ImageFont

Colour = tuple[int, int, int]
Box = tuple[float, float, float, float]
Face = Literal["sans", "serif"]


@lru_cache(maxsize=256)
def font(face: Face, size: int, shaped: bool = False) -> ImageFont.FreeTypeFont:
    """Noto Sans SC or Noto Serif SC (OFL 1.1), which hold simplified and traditional characters alike.

    `shaped`: with Pillow's best layout engine, which is not in every build and sets letters elsewhere.
    """
    from pylopdf_fonts_zh_cn import sans_path, serif_path

    path = serif_path() if face == "serif" else sans_path()
    return ImageFont.truetype(str(path), size, layout_engine=None if shaped else ImageFont.Layout.BASIC)


def fitting_font(
    text: str, face: Face, size: int, smallest: int, width: float, step: int, shaped: bool = False
) -> ImageFont.FreeTypeFont:
    """Of this size, less so many times `step` that one line of the text is at most `width` wide, or `smallest` is reached."""
    while size > smallest and font(face, size, shaped).getlength(text) > width:
        size -= step
    return font(face, size, shaped)


def scaled(colour: Colour, factor: float) -> Colour:
    """A lighter or darker shade of a colour."""
    return tuple(min(255, round(channel * factor)) for channel in colour)


# --- a sheet to draw scenes on --------------------------------------------------------------------------------------------

SHEET = 896  # side of what is drawn on; positions and sizes are given on it
SIZE = SHEET // 2  # side of the finished picture, pixels
SMALLEST = 72
"""A model that looks at 224 x 224 pixels sees a quarter of a sheet: this size leaves it 18 pixels for a character."""


class Sheet:
    """An RGB picture that is drawn at twice its size and halved at the end, so that no edge is jagged."""

    def __init__(self, colour: Colour):
        self.image = Image.new("RGB", (SHEET, SHEET), colour)
        self.draw = ImageDraw.Draw(self.image)

    def shade(self, box: Box, top: Colour, bottom: Colour) -> None:
        """A soft change of colour from top to bottom."""
        left, upper, right, lower = map(round, box)
        size = (right - left, lower - upper)
        mask = Image.linear_gradient("L").resize(size)
        blend = Image.composite(Image.new("RGB", size, bottom), Image.new("RGB", size, top), mask)
        self.image.paste(blend, (left, upper))

    def board(self, box: Box, fill: Colour, radius: int = 24, edge: Colour | None = None, inset: int = 14) -> None:
        """A plate with a shadow; `edge` is a line that runs `inset` inside it."""
        left, top, right, bottom = box
        shadow = scaled(self.image.getpixel((round(left), round(bottom))), 0.72)
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
        letters = fitting_font(text, face, size, SMALLEST, width, 2)
        assert letters.getlength(text) <= width, f"{text!r} is too long for {width}"
        self.draw.text(at, text, font=letters, fill=fill, anchor=anchor, stroke_width=bold, stroke_fill=fill)

    def column(self, text: str, at: tuple[float, float], size: int, pitch: int, fill: Colour, bold: int = 0) -> None:
        """Characters below each other, the first with its middle at `at`."""
        for index, character in enumerate(text):
            self.text(character, (at[0], at[1] + index * pitch), size, fill, face="serif", bold=bold)

    def bricks(self, box: Box, colour: Colour, rng: random.Random) -> None:
        """Rows of bricks, each a little lighter or darker."""
        left, top, right, bottom = map(round, box)
        self.draw.rectangle(box, fill=scaled(colour, 0.86))
        for row, y in enumerate(range(top, bottom, 44)):
            for x in range(left - 50 * (row % 2), right, 100):
                brick = (max(left, x + 3), y + 3, min(right, x + 97), min(bottom, y + 41))
                self.draw.rectangle(brick, fill=scaled(colour, rng.uniform(0.94, 1.04)))

    def finished(self) -> Image.Image:
        return self.image.reduce(2)


# --- texts as people write them -----------------------------------------------------------------------------------------

_PUNCTUATION = re.compile(r"[^\w]")
# No line begins with these: Chinese sets them at the end of the line before.
NOT_FIRST = "，。！？、；：”’）》…"
MIN_LETTER = {"zh": 20, "en": 17}  # pixels; smaller ones cannot be read once a picture is scaled to a tower's input
_MARGIN = 10  # pixels between a plate and the edge of the picture


@dataclass(frozen=True, slots=True)
class Layout:
    """One way to show a text. `english` and `chinese` are captions with a place for it; `colours` are (ground, plate, ink)."""

    name: str
    english: str
    chinese: str
    fonts: list[Face]
    colours: list[list[list[int]]]
    vertical: bool = False
    left: bool = False

    def carries(self, text: str) -> bool:
        """From top to bottom go short Chinese texts without punctuation, which would have to be turned."""
        return not self.vertical or (len(text) <= 12 and not text.isascii() and not _PUNCTUATION.search(text))


@cache
def layouts() -> tuple[Layout, ...]:
    """Signs, notes, blackboards, pages and scrolls, as layouts.toml describes them; the vertical one comes last."""
    text = files("skymm.curation").joinpath("layouts.toml").read_text("utf-8")
    return tuple(Layout(**one) for one in tomllib.loads(text)["layouts"])


def draw_text(rng: random.Random, layout: Layout, text: str) -> Image.Image:
    """The text as an RGB picture, 288 to 448 pixels a side; the same random state gives the same pixels."""
    ground, plate, ink = (tuple(colour) for colour in rng.choice(layout.colours))
    face, shade = rng.choice(layout.fonts), rng.randint(-10, 10)
    if layout.vertical:
        width, height = rng.randint(288, 336), rng.randint(384, 448)
    else:
        width, height = rng.randint(384, 448), rng.randint(288, 336)
    image = Image.new("RGB", (width, height), tuple(min(255, max(0, channel + shade)) for channel in ground))
    canvas = ImageDraw.Draw(image)
    block = _fitted(text, face, (width, height), rng.uniform(0.55, 1.0), layout.vertical)
    size, advance, pad_x, pad_y = block.size, block.advance, *_padding(block.size)
    spare_x, spare_y = width - block.width - 2 * pad_x, height - block.height - 2 * pad_y
    left = round(spare_x / 2 + rng.uniform(-0.3, 0.3) * spare_x) + pad_x
    top = round(spare_y / 2 + rng.uniform(-0.3, 0.3) * spare_y) + pad_y
    box = (left - pad_x, top - pad_y, left + block.width + pad_x, top + block.height + pad_y)
    _plate(canvas, layout.name, box, plate, ink)
    letters = font(face, size)
    for index, line in enumerate(block.lines):
        if layout.vertical:
            x = left + block.width - (index + 1) * advance + (advance - size) // 2
            for row, character in enumerate(line):
                middle = (x + size / 2, top + row * round(size * 1.08) + size / 2)
                canvas.text(middle, character, ink, letters, anchor="mm")
        else:
            x = left if layout.left else left + (block.width - letters.getlength(line)) / 2
            canvas.text((x, top + index * advance + advance / 2), line, ink, letters, anchor="lm")
    return image


def _plate(canvas: ImageDraw.ImageDraw, name: str, box: tuple[int, int, int, int], plate: Colour, ink: Colour) -> None:
    x0, y0, x1, y1 = box
    if name == "page":
        canvas.rectangle((0, 0, *canvas.im.size), fill=plate)
        canvas.line((x0, y0 - 6, x1, y0 - 6), fill=tuple(round(0.7 * p + 0.3 * i) for p, i in zip(plate, ink)), width=1)
    elif name == "sign":
        canvas.rounded_rectangle(box, 14, fill=plate)
        canvas.rounded_rectangle((x0 + 5, y0 + 5, x1 - 5, y1 - 5), 10, outline=ink, width=3)
    elif name == "blackboard":
        canvas.rectangle((x0 - 8, y0 - 8, x1 + 8, y1 + 8), fill=(142, 115, 93))
        canvas.rectangle(box, fill=plate)
    else:
        canvas.rectangle((x0 + 5, y0 + 6, x1 + 5, y1 + 6), fill=(60, 50, 44))
        canvas.rectangle(box, fill=plate)


@dataclass(frozen=True, slots=True)
class _Block:
    """A text in lines, or in columns, of one letter size, all in pixels; `advance` leads from one line to the next."""

    lines: list[str]
    size: int
    width: int
    height: int
    advance: int


def _block(lines: list[str], face: Face, size: int, vertical: bool) -> _Block:
    advance = round(size * 1.4)
    if vertical:
        return _Block(lines, size, advance * len(lines), max(map(len, lines)) * round(size * 1.08), advance)
    width = round(max(font(face, size).getlength(line) for line in lines))
    return _Block(lines, size, width, advance * len(lines), advance)


def _padding(size: int) -> tuple[int, int]:
    return round(size * 0.5) + 14, round(size * 0.35) + 12


def _fitted(text: str, face: Face, area: tuple[int, int], share: float, vertical: bool) -> _Block:
    """`share` of the largest letter size at which the text has room, and never too small to be read."""
    smallest = MIN_LETTER["en" if text.isascii() else "zh"]
    size = 108
    while size > smallest and not _has_room(text, face, size, area, vertical):
        size -= 3
    size = max(smallest, round(size * share))
    lines = _lines(text, face, size, area, vertical)
    if not vertical and len(lines) > 1:
        # As narrow as that many lines can be, so that no last line holds a single letter. No line holds more than its fair
        # share at a narrower width, so narrower ones need not be tried.
        for narrow in range(int(font(face, size).getlength(text) / len(lines)), area[0], 4):
            if len(narrower := _broken(text, font(face, size), narrow)) == len(lines):
                lines = narrower
                break
    return _block(lines, face, size, vertical)


def _has_room(text: str, face: Face, size: int, area: tuple[int, int], vertical: bool) -> bool:
    block = _block(_lines(text, face, size, area, vertical), face, size, vertical)
    needed = zip((block.width, block.height), _padding(size), area)
    return all(length + 2 * pad <= room - 2 * _MARGIN for length, pad, room in needed)


def _lines(text: str, face: Face, size: int, area: tuple[int, int], vertical: bool) -> list[str]:
    """As few lines (or columns) as there is room for."""
    pad_x, pad_y = _padding(size)
    if vertical:
        per_column = max(1, (area[1] - 2 * pad_y - 2 * _MARGIN) // round(size * 1.08))
        per_column = -(-len(text) // -(-len(text) // per_column))
        return [text[start : start + per_column] for start in range(0, len(text), per_column)]
    return _broken(text, font(face, size), area[0] - 2 * pad_x - 2 * _MARGIN)


def _broken(text: str, letters: ImageFont.FreeTypeFont, room: float) -> list[str]:
    """Lines no wider than `room`; none is broken within an English word, and none begins with a mark that ends a clause."""
    lines = [""]
    for piece in re.findall(r"\S+\s*", text) if text.isascii() else text:
        if lines[-1] and letters.getlength((lines[-1] + piece).rstrip()) > room and piece not in NOT_FIRST:
            lines.append("")
        lines[-1] += piece
    return [line.rstrip() for line in lines]
