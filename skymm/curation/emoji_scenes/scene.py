"""Scenes: one to four emoji on a coloured ground, and sometimes a written word, with every fact about them known.

What is there, where, how many and *what is not there* is exact, so questions about it have answers that cannot be wrong.
"""

from __future__ import annotations

import io
import random
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from PIL import Image, ImageDraw

from skymm.curation import emoji
from skymm.curation.drawing import fitting_font, font

SIZE = 320
# name -> (Chinese name, RGB). Soft enough for pictures to stand out, far enough apart to be told by eye.
COLOURS = {
    "red": ("红色", (236, 98, 92)),
    "orange": ("橙色", (248, 168, 74)),
    "yellow": ("黄色", (250, 226, 96)),
    "green": ("绿色", (120, 200, 112)),
    "blue": ("蓝色", (104, 160, 240)),
    "purple": ("紫色", (176, 124, 222)),
    "pink": ("粉色", (252, 184, 208)),
    "gray": ("灰色", (168, 168, 168)),
    "white": ("白色", (252, 252, 252)),
    "black": ("黑色", (38, 38, 42)),
}
GROUNDS = ("plain", "gradient", "stripes", "dots")
# Cells of a 2 x 2 layout: (column, row)
CELLS = ((0, 0), (1, 0), (0, 1), (1, 1))


@dataclass(frozen=True, slots=True)
class Item:
    """One picture in a scene: `cell` is (column, row) of the 2 x 2 layout, `box` is x, y, side in pixels."""

    char: str
    cell: tuple[int, int]
    box: tuple[int, int, int]

    @property
    def concept(self) -> emoji.Concept:
        return emoji.find(self.char)


@dataclass(frozen=True, slots=True)
class Scene:
    """Everything that is in one image. `writing` is a word or a sum drawn on a plate, in the middle of the image."""

    colour: str
    ground: str
    style: str
    items: tuple[Item, ...] = ()
    writing: str = ""
    ground_seed: int = 0

    @property
    def chars(self) -> tuple[str, ...]:
        """The different concepts in it, in reading order."""
        return tuple(dict.fromkeys(item.char for item in self.items))

    def count(self, char: str) -> int:
        return sum(item.char == char for item in self.items)

    def facts(self) -> dict[str, Any]:
        """JSON-able; `Scene.from_facts` reads it back."""
        return asdict(self)

    @classmethod
    def from_facts(cls, facts: dict[str, Any]) -> Scene:
        items = tuple(Item(item["char"], tuple(item["cell"]), tuple(item["box"])) for item in facts["items"])
        return cls(**{**facts, "items": items})


def draw_scene(
    rng: random.Random, chars: Sequence[str], style: str, *, max_items: int = 4, repeat_share: float = 0.3
) -> Scene:
    """A random scene of 1 to `max_items` of the given concepts; in `repeat_share` of them one concept stands 2-4 times.

    Items are in reading order: row by row, left to right.
    """
    num_items = rng.randint(1, max_items)
    if num_items > 1 and rng.random() < repeat_share:
        copies = rng.randint(2, num_items)
        chosen = rng.sample(list(chars), num_items - copies + 1)
        chosen = [chosen[0]] * copies + chosen[1:]
        rng.shuffle(chosen)
    else:
        chosen = rng.sample(list(chars), num_items)
    return _placed(rng, chosen, style)


def numbered(
    index: int,
    seed: str,
    pools: Mapping[str, Sequence[str]],
    max_items: int,
    shares: tuple[float, float] | None = None,
) -> Scene:
    """Scene number `index` of an endless row of them.

    Every third is the one before it, rearranged, so that there is another answer to the same question of place or number.

    Args:
        pools: the concepts by art style.
        shares: of scenes that show a written word, and a written sum.
    """
    rng = random.Random(f"{seed}/{index}")
    if index % 3 == 2 and (before := numbered(index - 1, seed, pools, max_items, shares)).items:
        return _rearranged(rng, before, max_items)
    style = rng.choice(list(pools))
    chars = pools[style]
    if shares is not None:
        chance = rng.random()
        if chance < shares[0]:
            concept = emoji.find(rng.choice(chars))
            return draw_writing(rng, rng.choice((concept.en, concept.zh)))
        if chance < sum(shares):
            return draw_sum(rng)
    return draw_scene(rng, chars, style, max_items=min(max_items, len(chars)))


def _rearranged(rng: random.Random, scene: Scene, max_items: int) -> Scene:
    """The same things in other places and numbers, on another ground: what a question about number or place has to look at."""
    chars = list(scene.chars)
    chosen = chars + rng.choices(chars, k=rng.randint(0, max(0, max_items - len(chars))))
    rng.shuffle(chosen)
    return _placed(rng, chosen, scene.style)


def _placed(rng: random.Random, chosen: Sequence[str], style: str) -> Scene:
    cells = sorted(rng.sample(CELLS, len(chosen)), key=lambda cell: (cell[1], cell[0]))
    items = []
    for char, (column, row) in zip(chosen, cells, strict=True):
        side = rng.randint(96, 148)
        x, y = (
            column * SIZE // 2 + rng.randint(4, SIZE // 2 - side - 4),
            row * SIZE // 2 + rng.randint(4, SIZE // 2 - side - 4),
        )
        items.append(Item(char, (column, row), (x, y, side)))
    return Scene(rng.choice(list(COLOURS)), rng.choice(GROUNDS), style, tuple(items), "", rng.randrange(2**31))


def draw_writing(rng: random.Random, writing: str) -> Scene:
    """A scene that shows one written word or sum and nothing else."""
    return Scene(rng.choice(list(COLOURS)), rng.choice(GROUNDS), emoji.STYLES[0], (), writing, rng.randrange(2**31))


def draw_sum(rng: random.Random) -> Scene:
    return draw_writing(rng, f"{rng.randint(1, 9)} + {rng.randint(1, 9)} =")


def render(scene: Scene) -> Image.Image:
    """The scene as an RGB image of SIZE x SIZE pixels; the same scene always gives the same pixels."""
    image = _ground(scene)
    for item in scene.items:
        x, y, side = item.box
        # Drawn once at a fixed size and scaled: drawing the SVG anew for every side would be the slowest step.
        sprite = emoji.picture(item.char, scene.style, 160).resize((side, side), Image.Resampling.BILINEAR)
        image.paste(sprite, (x, y), sprite)
    if scene.writing:
        _write(image, scene.writing, random.Random(scene.ground_seed))
    return image


def encode(image: Image.Image) -> bytes:
    """JPEG bytes, as stored in a shard under the member name `jpg`."""
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=90)
    return buffer.getvalue()


def _ground(scene: Scene) -> Image.Image:
    rng = random.Random(scene.ground_seed)
    base = COLOURS[scene.colour][1]
    # A lighter or darker shade of the same colour, never another colour.
    shade = tuple(max(0, min(255, round(channel * 0.86 if sum(base) > 200 else channel + 24))) for channel in base)
    image = Image.new("RGB", (SIZE, SIZE), base)
    draw = ImageDraw.Draw(image)
    if scene.ground == "gradient":
        mask = Image.linear_gradient("L").resize((SIZE, SIZE))
        image = Image.composite(
            Image.new("RGB", (SIZE, SIZE), shade), image, mask.rotate(rng.choice((0, 90, 180, 270)))
        )
    elif scene.ground == "stripes":
        step, slant = rng.randint(24, 48), rng.choice((-SIZE, 0, SIZE))
        for x in range(-SIZE, 2 * SIZE, step * 2):
            draw.line((x, 0, x + slant, SIZE), fill=shade, width=step // 2)
    elif scene.ground == "dots":
        step = rng.randint(24, 48)
        for x in range(0, SIZE + step, step):
            for y in range(0, SIZE + step, step):
                draw.ellipse((x - 5, y - 5, x + 5, y + 5), fill=shade)
    return image


def _write(image: Image.Image, text: str, rng: random.Random) -> None:
    # Shaped, unlike all other text that is drawn here: pictures of this sort were made before the others.
    largest = fitting_font(text, "sans", 120, 24, SIZE - 48, 4, shaped=True).size
    letters = font("sans", max(24, largest - rng.randint(0, 12)), shaped=True)
    left, top, right, bottom = letters.getbbox(text)
    x = (SIZE - (right - left)) // 2 + rng.randint(-8, 8)
    y = (SIZE - (bottom - top)) // 2 + rng.randint(-40, 40)
    draw = ImageDraw.Draw(image)
    draw.rounded_rectangle((x - 14, y - 14, x + right - left + 14, y + bottom - top + 14), 12, fill=(255, 255, 255))
    draw.text((x - left, y - top), text, font=letters, fill=(20, 20, 20))
