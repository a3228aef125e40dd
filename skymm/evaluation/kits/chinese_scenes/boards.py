"""Pictures of what hangs in streets and buildings: signs, signboards over shops, direction signs, doorplates.

Each function gets what is written and a random stream for colours and small differences, and gives a picture of
SIZE x SIZE pixels.
"""

from __future__ import annotations

import random
from collections.abc import Sequence

from PIL import Image

from skymm.evaluation.kits.chinese_scenes.canvas import (
    BLACK,
    BLUE,
    CREAM,
    DEEP_RED,
    GOLD,
    GREEN,
    INK,
    RED,
    SHEET,
    WHITE,
    YELLOW,
    Colour,
    Sheet,
    brick_wall,
)

_WALLS: tuple[tuple[Colour, Colour], ...] = (
    ((226, 230, 234), (196, 202, 208)),
    ((238, 230, 214), (212, 200, 178)),
    ((214, 228, 222), (182, 202, 194)),
    ((228, 220, 232), (200, 190, 208)),
)
_SKIES: tuple[tuple[Colour, Colour], ...] = (
    ((120, 184, 236), (214, 234, 248)),
    ((150, 200, 230), (244, 232, 210)),
    ((176, 196, 214), (230, 236, 240)),
)
LEFT, AHEAD, RIGHT = "left", "ahead", "right"


def sign(board: str, text: str, rng: random.Random) -> Image.Image:
    """A sign on a wall. `board` is a group of SIGNS: it decides shape, colour and emblem, but not a word of the text."""
    sheet = Sheet(WHITE)
    sheet.shade((0, 0, SHEET, SHEET), *rng.choice(_WALLS))
    middle = SHEET / 2
    if board == "warning":
        sheet.board((88, 108, 808, 788), YELLOW, edge=BLACK)
        sheet.draw.polygon([(middle, 170), (middle + 190, 490), (middle - 190, 490)], fill=BLACK)
        sheet.draw.polygon([(middle, 226), (middle + 140, 462), (middle - 140, 462)], fill=YELLOW)
        sheet.draw.polygon([(middle - 20, 282), (middle + 20, 282), (middle + 10, 390), (middle - 10, 390)], fill=BLACK)
        sheet.draw.ellipse((middle - 17, 408, middle + 17, 442), fill=BLACK)
        sheet.text(text, (middle, 640), 160, BLACK, width=640, bold=3)
    elif board == "prohibition":
        sheet.board((88, 108, 808, 788), WHITE, edge=RED)
        sheet.draw.ellipse((middle - 165, 160, middle + 165, 490), outline=RED, width=40)
        sheet.draw.line((middle - 104, 221, middle + 104, 429), fill=RED, width=38)
        sheet.text(text, (middle, 640), 160, RED, width=640, bold=3)
    elif board == "request":
        colour = rng.choice((BLUE, (30, 118, 128), (88, 70, 130)))
        sheet.board((68, 258, 828, 638), colour, edge=WHITE)
        sheet.text(text, (middle, 444), 168, WHITE, width=680, bold=2)
    elif board == "way":
        colour = rng.choice((GREEN, BLUE, (52, 58, 66)))
        for x in (250, 646):
            sheet.draw.line((x, 0, x, 300), fill=(110, 114, 118), width=14)
        sheet.board((78, 280, 818, 616), colour, edge=WHITE)
        sheet.text(text, (middle, 444), 210, WHITE, width=640, bold=2)
    else:
        colour, ink = rng.choice(((RED, WHITE), (GREEN, WHITE), (YELLOW, BLACK), (WHITE, INK)))
        sheet.board((198, 198, 698, 698), colour, radius=60, edge=ink)
        sheet.text(text, (middle, 440), 350, ink, width=440, bold=3)
    return sheet.finished()


def shop(text: str, rng: random.Random) -> Image.Image:
    """A house front with a signboard; nothing in the windows says what is sold."""
    sheet = Sheet(WHITE)
    sheet.shade((0, 0, SHEET, 200), *rng.choice(_SKIES))
    brick_wall(sheet, (0, 110, SHEET, 800), rng.choice(((214, 176, 148), (196, 190, 182), (190, 150, 132))), rng)
    sheet.draw.rectangle((0, 800, SHEET, SHEET), fill=(150, 150, 152))
    fill, ink = rng.choice(((DEEP_RED, GOLD), ((70, 44, 30), GOLD), (GREEN, WHITE), (BLUE, WHITE), (CREAM, DEEP_RED)))
    awning = rng.choice((RED, GREEN, BLUE, (226, 128, 40)))
    for index in range(8):
        x = 48 + index * 100
        sheet.draw.rectangle((x, 430, x + 100, 500), fill=awning if index % 2 else WHITE)
        sheet.draw.pieslice((x, 460, x + 100, 540), 0, 180, fill=awning if index % 2 else WHITE)
    for left, right in ((70, 350), (546, 826)):
        sheet.draw.rectangle((left, 550, right, 770), fill=(92, 66, 48))
        sheet.shade((left + 14, 564, right - 14, 756), (196, 224, 238), (242, 232, 196))
        sheet.draw.line(((left + right) / 2, 564, (left + right) / 2, 756), fill=(92, 66, 48), width=10)
    sheet.draw.rectangle((372, 540, 524, 800), fill=(92, 66, 48))
    sheet.shade((388, 556, 508, 800), (176, 206, 220), (214, 214, 196))
    sheet.draw.ellipse((484, 664, 500, 680), fill=GOLD)
    sheet.board((58, 150, 838, 420), fill, edge=ink)
    sheet.text(text, (SHEET / 2, 282), 215, ink, width=690, bold=3, face=rng.choice(("sans", "serif")))
    return sheet.finished()


def directions(ways: Sequence[tuple[str, str]], rng: random.Random) -> Image.Image:
    """A road sign: three places, each with an arrow to the left, to the right, or straight ahead."""
    sheet = Sheet(WHITE)
    sheet.shade((0, 0, SHEET, 700), *rng.choice(_SKIES))
    sheet.draw.rectangle((0, 700, SHEET, SHEET), fill=(120, 168, 92))
    sheet.draw.polygon([(360, 700), (536, 700), (820, SHEET), (76, SHEET)], fill=(92, 94, 98))
    for top, bottom, half in ((730, 770, 5), (800, 870, 9)):
        sheet.draw.rectangle((448 - half, top, 448 + half, bottom), fill=WHITE)
    for x in (170, 706):
        sheet.draw.rectangle((x, 600, x + 22, 850), fill=(130, 134, 138))
    sheet.board((48, 60, 848, 680), rng.choice((BLUE, GREEN)), edge=WHITE)
    for row, (place, way) in enumerate(ways):
        y = 180 + row * 190
        _arrow(sheet, (180, y), way)
        sheet.text(place, (300, y), 150, WHITE, anchor="lm", width=500, bold=2)
        if row:
            sheet.draw.line((90, y - 95, 806, y - 95), fill=WHITE, width=4)
    return sheet.finished()


def _arrow(sheet: Sheet, at: tuple[int, int], way: str) -> None:
    # Along the way and across it, from the tip to the tail and back.
    outline = ((66, 0), (6, 60), (6, 22), (-66, 22), (-66, -22), (6, -22), (6, -60))
    along = {RIGHT: (1, 0), LEFT: (-1, 0), AHEAD: (0, -1)}[way]
    points = [(at[0] + a * along[0] - b * along[1], at[1] + a * along[1] + b * along[0]) for a, b in outline]
    sheet.draw.polygon(points, fill=WHITE)


def room(number: str, text: str, rng: random.Random) -> Image.Image:
    """A door with the plate of a room: its number, and what it is."""
    sheet = Sheet((232, 228, 220))
    wood = rng.choice(((158, 112, 70), (120, 82, 54), (186, 150, 104), (96, 120, 128)))
    dark = tuple(round(channel * 0.82) for channel in wood)
    sheet.draw.rectangle((60, 0, 836, SHEET), fill=dark)
    sheet.draw.rectangle((90, 30, 806, SHEET), fill=wood)
    sheet.draw.rounded_rectangle((150, 660, 746, SHEET + 40), 20, outline=dark, width=14)
    sheet.draw.ellipse((712, 574, 772, 634), fill=(214, 196, 140))
    sheet.board((128, 110, 768, 530), rng.choice(((34, 60, 108), (60, 60, 64), (120, 26, 30))), edge=(226, 226, 222))
    sheet.text(number, (SHEET / 2, 226), 150, WHITE, bold=3)
    sheet.text(text, (SHEET / 2, 400), 160, WHITE, width=560, bold=2)
    return sheet.finished()


def house_number(street: str, number: str, rng: random.Random) -> Image.Image:
    """A house wall with its plate: the street, and the number with its 号."""
    sheet = Sheet(WHITE)
    brick_wall(sheet, (0, 0, SHEET, SHEET), rng.choice(((202, 146, 120), (206, 200, 190), (172, 160, 150))), rng)
    sheet.board((98, 218, 798, 678), rng.choice((BLUE, (18, 104, 120), DEEP_RED)), radius=36, edge=WHITE)
    sheet.text(street, (SHEET / 2, 350), 165, WHITE, width=600, bold=2)
    sheet.text(number, (SHEET / 2, 548), 165, WHITE, width=600, bold=3)
    return sheet.finished()
