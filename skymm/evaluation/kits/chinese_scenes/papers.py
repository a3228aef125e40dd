"""Pictures of what is printed or brushed on paper and cloth: menus, couplets, banners, cards, tickets, notices.

Each function gets what is written and a random stream for colours, and gives a picture of SIZE x SIZE pixels.
"""

from __future__ import annotations

import random
from collections.abc import Sequence

from PIL import Image

from skymm.curation.sources import emoji
from skymm.evaluation.kits.chinese_scenes.canvas import (
    CREAM,
    DEEP_RED,
    GOLD,
    INK,
    RED,
    SHEET,
    WHITE,
    Colour,
    Sheet,
    brick_wall,
)

_TABLES: tuple[Colour, ...] = ((150, 106, 72), (92, 70, 56), (110, 128, 120), (176, 140, 104))


def menu(heading: str, dishes: Sequence[tuple[str, str]], rng: random.Random) -> Image.Image:
    """A menu on a table: a heading, and up to five dishes with their prices."""
    sheet = Sheet(rng.choice(_TABLES))
    colour = rng.choice((DEEP_RED, (30, 84, 62), (40, 58, 96)))
    sheet.board((48, 36, 848, 860), CREAM, edge=colour, inset=18)
    sheet.text(heading, (SHEET / 2, 126), 110, colour, face="serif", bold=2)
    sheet.draw.line((110, 204, 786, 204), fill=colour, width=5)
    for row, (dish, price) in enumerate(dishes):
        y = 274 + row * 124
        sheet.text(dish, (104, y), 92, INK, anchor="lm", width=480, bold=1)
        sheet.text(price, (792, y), 88, colour, anchor="rm", width=220, bold=2)
        sheet.draw.line((104, y + 60, 792, y + 60), fill=(224, 210, 184), width=3)
    return sheet.finished()


def couplet(first: str, second: str, over: str, rng: random.Random) -> Image.Image:
    """A door with spring couplets: the first line on the right, the second on the left, four characters above."""
    sheet = Sheet(WHITE)
    brick_wall(sheet, (0, 0, SHEET, SHEET), rng.choice(((176, 172, 166), (206, 190, 170), (158, 150, 146))), rng)
    door = rng.choice(((120, 30, 28), (92, 56, 36), (46, 60, 66)))
    sheet.draw.rectangle((246, 196, 650, SHEET), fill=tuple(round(channel * 0.7) for channel in door))
    for left in (258, 451):
        sheet.draw.rectangle((left, 208, left + 187, SHEET), fill=door)
        for row in range(4):
            for column in range(3):
                x, y = left + 36 + column * 58, 560 + row * 90
                sheet.draw.ellipse((x - 12, y - 12, x + 12, y + 12), fill=GOLD)
    for x in (420, 476):
        sheet.draw.ellipse((x - 20, 460, x + 20, 500), outline=GOLD, width=8)
    ink = rng.choice((GOLD, (24, 18, 16)))
    sheet.board((150, 24, 746, 170), RED, radius=6)
    sheet.text(over, (SHEET / 2, 96), 128, ink, face="serif", bold=4, width=560)
    for text, left in ((second, 44), (first, 692)):
        sheet.board((left, 188, left + 160, 880), RED, radius=6)
        pitch = 676 // len(text)
        sheet.column(text, (left + 80, 192 + pitch // 2), min(112, pitch - 6), pitch, ink, bold=2)
    return sheet.finished()


def banner(text: str, rng: random.Random) -> Image.Image:
    """A red cloth across a street, a lantern on either side."""
    sheet = Sheet(WHITE)
    sheet.shade((0, 0, SHEET, SHEET), *rng.choice((((30, 40, 92), (120, 84, 130)), ((120, 184, 236), (236, 238, 232)))))
    for left, height, shade in ((0, 250, 90), (170, 330, 70), (430, 210, 96), (610, 300, 78)):
        sheet.draw.rectangle((left, SHEET - height, left + 280, SHEET), fill=(shade, shade - 14, shade - 6))
        for x in range(left + 30, left + 250, 70):
            for y in range(SHEET - height + 36, SHEET, 80):
                sheet.draw.rectangle((x, y, x + 32, y + 40), fill=(250, 222, 130))
    sheet.draw.line((0, 100, SHEET, 100), fill=INK, width=8)
    lantern = emoji.picture("🏮", emoji.STYLES[0], 190)
    for x in (40, 666):
        sheet.paste(lantern, (x, 92))
    sheet.board((70, 300, 826, 600), RED, radius=10, edge=GOLD)
    sheet.text(text, (SHEET / 2, 446), 220, GOLD, width=670, face="serif", bold=5)
    return sheet.finished()


def card(text: str, rng: random.Random) -> Image.Image:
    """A card with a wish, its four characters in two rows."""
    sheet = Sheet(rng.choice(((236, 224, 206), (214, 222, 228), (226, 212, 222))))
    paper, ink = rng.choice(((RED, GOLD), (CREAM, DEEP_RED), ((250, 226, 226), (150, 24, 60))))
    sheet.board((128, 88, 768, 808), paper, radius=30, edge=ink, inset=26)
    for index, character in enumerate(text):
        at = (SHEET / 2 + (index % 2 * 2 - 1) * 125, 326 + index // 2 * 250)
        sheet.text(character, at, 220, ink, face="serif", bold=5)
    return sheet.finished()


def ticket(heading: str, origin: str, goal: str, lines: Sequence[tuple[str, str]], rng: random.Random) -> Image.Image:
    """A train ticket: from where to where, and two lines, each a label with its value."""
    sheet = Sheet(rng.choice(_TABLES))
    paper, colour = rng.choice(
        (((206, 228, 244), (20, 74, 130)), ((248, 222, 220), (140, 34, 44)), (WHITE, (40, 70, 60)))
    )
    sheet.board((36, 96, 860, 800), paper, radius=30)
    sheet.draw.rectangle((36, 150, 860, 262), fill=colour)
    sheet.text(heading, (SHEET / 2, 204), 92, WHITE, bold=2)
    sheet.text(origin, (226, 372), 136, INK, width=330, bold=3)
    sheet.text(goal, (670, 372), 136, INK, width=330, bold=3)
    sheet.draw.line((384, 376, 470, 376), fill=colour, width=14)
    sheet.draw.polygon([(464, 340), (508, 376), (464, 412)], fill=colour)
    for row, (label, value) in enumerate(lines):
        y = 536 + row * 150
        sheet.text(label, (100, y), 108, colour, anchor="lm")
        sheet.text(value, (796, y), 112, INK, anchor="rm", bold=2)
    return sheet.finished()


def notice(heading: str, lines: Sequence[str], rng: random.Random) -> Image.Image:
    """A paper pinned to a board: a heading, and up to three centred lines."""
    sheet = Sheet(rng.choice(((196, 158, 112), (120, 144, 128), (130, 138, 160))))
    sheet.board((78, 68, 818, 828), rng.choice((CREAM, WHITE)), radius=8)
    sheet.draw.ellipse((SHEET / 2 - 24, 82, SHEET / 2 + 24, 130), fill=RED)
    sheet.text(heading, (SHEET / 2, 236), 136, DEEP_RED, width=640, bold=3)
    sheet.draw.line((150, 330, 746, 330), fill=DEEP_RED, width=6)
    for row, line in enumerate(lines):
        sheet.text(line, (SHEET / 2, 426 + row * 150), 108, INK, width=680, bold=1)
    return sheet.finished()
