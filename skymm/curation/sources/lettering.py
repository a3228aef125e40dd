"""Text drawn as people write it: on signs, notes, blackboards, pages and scrolls, in two fonts that have both languages."""

from __future__ import annotations

import random
import re
from dataclasses import dataclass
from functools import lru_cache

from PIL import Image, ImageDraw, ImageFont

_PUNCTUATION = re.compile(r"[^\w]")
# No line begins with these: Chinese sets them at the end of the line before.
_NOT_FIRST = "，。！？、；：”’）》…"
_MARGIN = 10  # pixels between a plate and the edge of the picture
_MIN_LETTER = {"zh": 20, "en": 17}  # pixels; smaller ones cannot be read once a picture is scaled to a tower's input


@dataclass(frozen=True, slots=True)
class Layout:
    """One way to show a text. `english` and `chinese` are captions with a place for it; `colours` are (ground, plate, ink)."""

    name: str
    english: str
    chinese: str
    fonts: tuple[str, ...]
    colours: tuple[tuple[tuple[int, int, int], tuple[int, int, int], tuple[int, int, int]], ...]
    vertical: bool = False
    left: bool = False

    def carries(self, text: str) -> bool:
        """From top to bottom go short Chinese texts without punctuation, which would have to be turned."""
        if not self.vertical:
            return True
        return len(text) <= 12 and not text.isascii() and not _PUNCTUATION.search(text)


LAYOUTS = (
    Layout(
        "sign",
        "A sign that says “{}”.",
        "牌子上写着“{}”。",
        ("sans",),
        (
            ((206, 220, 230), (24, 96, 160), (255, 255, 255)),
            ((214, 224, 206), (20, 110, 70), (255, 255, 255)),
            ((226, 222, 216), (250, 204, 40), (30, 30, 30)),
            ((220, 220, 226), (178, 34, 40), (255, 255, 255)),
            ((188, 200, 206), (252, 252, 252), (30, 30, 30)),
        ),
    ),
    Layout(
        "note",
        "A note on which “{}” is written.",
        "便条上写着“{}”。",
        ("sans", "serif"),
        (
            ((150, 120, 92), (255, 244, 168), (50, 44, 30)),
            ((96, 110, 120), (255, 214, 224), (70, 30, 44)),
            ((196, 170, 132), (220, 238, 250), (20, 40, 80)),
        ),
    ),
    Layout(
        "blackboard",
        "A blackboard with the words “{}”.",
        "黑板上写着“{}”。",
        ("sans", "serif"),
        (
            ((124, 88, 56), (36, 60, 50), (238, 240, 232)),
            ((140, 100, 64), (40, 42, 46), (250, 232, 150)),
        ),
    ),
    Layout(
        "page",
        "A page on which “{}” is printed.",
        "书页上印着“{}”。",
        ("serif",),
        (
            ((232, 226, 214), (252, 249, 240), (30, 28, 26)),
            ((210, 206, 200), (247, 241, 225), (54, 44, 36)),
        ),
        left=True,
    ),
    Layout(
        "scroll",
        "Chinese written from top to bottom: “{}”.",
        "竖着写的字：“{}”。",
        ("serif",),
        (
            ((150, 38, 34), (250, 238, 214), (24, 20, 18)),
            ((60, 52, 46), (244, 232, 206), (24, 20, 18)),
            ((236, 226, 206), (196, 30, 34), (252, 214, 90)),
        ),
        vertical=True,
    ),
)


def draw(rng: random.Random, layout: Layout, text: str) -> Image.Image:
    """The text as an RGB picture, 288 to 448 pixels a side; the same random state gives the same pixels."""
    ground, plate, ink = rng.choice(layout.colours)
    face, shade = rng.choice(layout.fonts), rng.randint(-10, 10)
    if layout.vertical:
        width, height = rng.randint(288, 336), rng.randint(384, 448)
    else:
        width, height = rng.randint(384, 448), rng.randint(288, 336)
    image = Image.new("RGB", (width, height), tuple(min(255, max(0, channel + shade)) for channel in ground))
    canvas = ImageDraw.Draw(image)
    size, lines = _fitted(text, face, (width, height), rng.uniform(0.55, 1.0), layout.vertical)
    block_width, block_height, advance = _block(lines, face, size, layout.vertical)
    pad_x, pad_y = _padding(size)
    spare_x, spare_y = width - block_width - 2 * pad_x, height - block_height - 2 * pad_y
    left = round(spare_x / 2 + rng.uniform(-0.3, 0.3) * spare_x) + pad_x
    top = round(spare_y / 2 + rng.uniform(-0.3, 0.3) * spare_y) + pad_y
    _plate(
        canvas,
        layout.name,
        (left - pad_x, top - pad_y, left + block_width + pad_x, top + block_height + pad_y),
        plate,
        ink,
    )
    font = _font(face, size)
    for index, line in enumerate(lines):
        if layout.vertical:
            x = left + block_width - (index + 1) * advance + (advance - size) // 2
            for row, character in enumerate(line):
                canvas.text(
                    (x + size / 2, top + row * round(size * 1.08) + size / 2), character, ink, font, anchor="mm"
                )
        else:
            x = left if layout.left else left + (block_width - font.getlength(line)) / 2
            canvas.text((x, top + index * advance + advance / 2), line, ink, font, anchor="lm")
    return image


def _plate(canvas: ImageDraw.ImageDraw, name: str, box: tuple[int, int, int, int], plate: tuple, ink: tuple) -> None:
    x0, y0, x1, y1 = box
    if name == "page":
        canvas.rectangle((0, 0, *canvas.im.size), fill=plate)
        canvas.line((x0, y0 - 6, x1, y0 - 6), fill=tuple(round(0.7 * p + 0.3 * i) for p, i in zip(plate, ink)), width=1)
    elif name == "sign":
        canvas.rounded_rectangle(box, 14, fill=plate)
        canvas.rounded_rectangle((x0 + 5, y0 + 5, x1 - 5, y1 - 5), 10, outline=ink, width=3)
    elif name == "blackboard":
        canvas.rectangle(
            (x0 - 8, y0 - 8, x1 + 8, y1 + 8), fill=tuple(round(0.55 * channel) + 60 for channel in (150, 100, 60))
        )
        canvas.rectangle(box, fill=plate)
    else:
        canvas.rectangle((x0 + 5, y0 + 6, x1 + 5, y1 + 6), fill=(60, 50, 44))
        canvas.rectangle(box, fill=plate)


def _padding(size: int) -> tuple[int, int]:
    return round(size * 0.5) + 14, round(size * 0.35) + 12


def _fitted(text: str, face: str, area: tuple[int, int], share: float, vertical: bool) -> tuple[int, list[str]]:
    """Letter size and lines: `share` of the largest size at which the text has room, and never too small to be read."""
    smallest = _MIN_LETTER["en" if text.isascii() else "zh"]
    size = 108
    while size > smallest and not _has_room(text, face, size, area, vertical):
        size -= 3
    size = max(smallest, round(size * share))
    return size, _lines(text, face, size, area, vertical)


def _has_room(text: str, face: str, size: int, area: tuple[int, int], vertical: bool) -> bool:
    width, height, _ = _block(_first_lines(text, face, size, area, vertical), face, size, vertical)
    pad_x, pad_y = _padding(size)
    return width + 2 * pad_x <= area[0] - 2 * _MARGIN and height + 2 * pad_y <= area[1] - 2 * _MARGIN


def _first_lines(text: str, face: str, size: int, area: tuple[int, int], vertical: bool) -> list[str]:
    """As few lines (or columns) as there is room for."""
    pad_x, pad_y = _padding(size)
    if vertical:
        per_column = max(1, (area[1] - 2 * pad_y - 2 * _MARGIN) // round(size * 1.08))
        per_column = -(-len(text) // -(-len(text) // per_column))
        return [text[start : start + per_column] for start in range(0, len(text), per_column)]
    return _broken(_pieces(text), _font(face, size), area[0] - 2 * pad_x - 2 * _MARGIN)


def _lines(text: str, face: str, size: int, area: tuple[int, int], vertical: bool) -> list[str]:
    """As few as there is room for, and as narrow as that many can be, so that no last line holds a single letter."""
    lines = _first_lines(text, face, size, area, vertical)
    if vertical or len(lines) == 1:
        return lines
    font, pieces = _font(face, size), _pieces(text)
    # No line holds more than its fair share at a narrower width, so narrower ones need not be tried.
    for narrow in range(int(font.getlength(text) / len(lines)), area[0], 4):
        if len(narrower := _broken(pieces, font, narrow)) == len(lines):
            return narrower
    return lines


def _pieces(text: str) -> list[str]:
    """What a line may not be broken within: English words with the space behind them, single Chinese characters."""
    return re.findall(r"\S+\s*", text) if text.isascii() else list(text)


def _broken(pieces: list[str], font: ImageFont.FreeTypeFont, room: float) -> list[str]:
    lines = [""]
    for piece in pieces:
        if lines[-1] and font.getlength((lines[-1] + piece).rstrip()) > room and piece not in _NOT_FIRST:
            lines.append("")
        lines[-1] += piece
    return [line.rstrip() for line in lines]


def _block(lines: list[str], face: str, size: int, vertical: bool) -> tuple[int, int, int]:
    """Width and height of all lines, and from one line (or column) to the next, in pixels."""
    advance = round(size * 1.4)
    if vertical:
        return advance * len(lines), max(map(len, lines)) * round(size * 1.08), advance
    return round(max(_font(face, size).getlength(line) for line in lines)), advance * len(lines), advance


@lru_cache(maxsize=256)
def _font(face: str, size: int) -> ImageFont.FreeTypeFont:
    """With the basic layout engine: the other one is not in every build of Pillow, and sets letters elsewhere."""
    from pylopdf_fonts_zh_cn import sans_path, serif_path

    path = sans_path() if face == "sans" else serif_path()
    return ImageFont.truetype(str(path), size, layout_engine=ImageFont.Layout.BASIC)
