"""What the pictures look like: signs, shop fronts, road signs and doors; menus, couplets, banners, cards, tickets, notices.

Each function gets what is written and a random stream for colours and small differences, and gives a picture of
SIZE x SIZE pixels.
"""

from __future__ import annotations

import random
from collections.abc import Sequence

from PIL import Image

from skymm.curation import emoji
from skymm.curation.drawing import SHEET, Colour, Sheet, scaled

WHITE, BLACK, INK = (255, 255, 255), (22, 22, 24), (44, 40, 36)
RED, DEEP_RED, GOLD, CREAM = (206, 38, 38), (150, 22, 26), (255, 214, 110), (253, 246, 228)
GREEN, BLUE, YELLOW = (20, 122, 76), (24, 88, 168), (250, 208, 38)
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
_TABLES: tuple[Colour, ...] = ((150, 106, 72), (92, 70, 56), (110, 128, 120), (176, 140, 104))


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
    sheet.bricks((0, 110, SHEET, 800), rng.choice(((214, 176, 148), (196, 190, 182), (190, 150, 132))), rng)
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
    along = {"right": (1, 0), "left": (-1, 0), "ahead": (0, -1)}[way]
    points = [(at[0] + a * along[0] - b * along[1], at[1] + a * along[1] + b * along[0]) for a, b in outline]
    sheet.draw.polygon(points, fill=WHITE)


def room(number: str, text: str, rng: random.Random) -> Image.Image:
    """A door with the plate of a room: its number, and what it is."""
    sheet = Sheet((232, 228, 220))
    wood = rng.choice(((158, 112, 70), (120, 82, 54), (186, 150, 104), (96, 120, 128)))
    dark = scaled(wood, 0.82)
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
    sheet.bricks((0, 0, SHEET, SHEET), rng.choice(((202, 146, 120), (206, 200, 190), (172, 160, 150))), rng)
    sheet.board((98, 218, 798, 678), rng.choice((BLUE, (18, 104, 120), DEEP_RED)), radius=36, edge=WHITE)
    sheet.text(street, (SHEET / 2, 350), 165, WHITE, width=600, bold=2)
    sheet.text(number, (SHEET / 2, 548), 165, WHITE, width=600, bold=3)
    return sheet.finished()


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
    sheet.bricks((0, 0, SHEET, SHEET), rng.choice(((176, 172, 166), (206, 190, 170), (158, 150, 146))), rng)
    door = rng.choice(((120, 30, 28), (92, 56, 36), (46, 60, 66)))
    sheet.draw.rectangle((246, 196, 650, SHEET), fill=scaled(door, 0.7))
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
        sheet.image.paste(lantern, (x, 92), lantern)
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
