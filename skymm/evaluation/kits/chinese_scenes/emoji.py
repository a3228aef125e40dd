"""Emoji scenes with questions about Chinese life: what is there, what it is called, what it is for."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from functools import lru_cache, partial

from skymm.curation.emoji_scenes.instructions import CELL_NAMES
from skymm.curation.emoji_scenes.scene import CELLS, COLOURS, Item, Scene, render
from skymm.curation.sources import emoji
from skymm.evaluation.kits.chinese_scenes.culture import Text
from skymm.evaluation.kits.chinese_scenes.questions import Picture, Twin, choice, pair, short
from skymm.evaluation.kits.chinese_scenes.things import LORE, NO_ZODIAC, SAYINGS, THINGS, UNCLEAR, ZODIAC, Thing

_PLURAL = ("noodles", "chopsticks", "fireworks")
_OUTLINED = ("openmoji",)  # black lines around everything: seen on any ground
_FAR = 120  # sum of the differences of red, green and blue that makes a colour another one
_SEEN = 0.75  # share of a thing that has to differ so from the ground behind it


def things(seed: int) -> Iterator[Picture]:
    """A scene for each thing that something is known about, each animal of the zodiac and each saying."""
    known = [char for group in LORE for char in group]
    scenes = [_Plan(seed, index, "lore", char) for index, char in enumerate(known)]
    scenes += [_Plan(seed, index, "zodiac", char) for index, char in enumerate(ZODIAC)]
    scenes += [_Plan(seed, index, "saying", char) for index, char in enumerate(SAYINGS)]
    absent = _absent(scenes, random.Random(f"{seed}/things/absent"))
    for plan, missing in zip(scenes, absent):
        twins = (*_presence(plan.asked, missing), *_culture(plan))
        yield Picture("things", f"{plan.topic}/{plan.target.char}", "", partial(render, plan.scene), twins)


class _Plan:
    """What stands in a scene: the target, an animal outside the zodiac beside one of the zodiac, and one or two others."""

    def __init__(self, seed: int, index: int, topic: str, char: str):
        self.rng = rng = random.Random(f"{seed}/things/{topic}/{char}")
        self.topic, self.target = topic, THINGS[char]
        self.chosen = [self.target]
        if topic == "zodiac":
            self._add(NO_ZODIAC, 1)
        self._add(list(THINGS), 3 - len(self.chosen) + rng.randrange(2))
        style = emoji.STYLES[index % len(emoji.STYLES)]
        if any(thing.char in UNCLEAR.get(style, "") for thing in self.chosen):
            style = emoji.STYLES[0]
        cells = dict(zip((thing.char for thing in self.chosen), rng.sample(CELLS, len(self.chosen))))
        self.cells = cells
        items = []
        for char, (column, row) in sorted(cells.items(), key=lambda one: one[1][::-1]):
            side = rng.randint(116, 146)
            x, y = (cell * 160 + rng.randint(5, 155 - side) for cell in (column, row))
            items.append(Item(char, (column, row), (x, y, side)))
        # A stream of its own: how a version of resvg draws may move the colour, never the questions.
        ground = _ground(list(cells), style, random.Random(f"{seed}/things/{topic}/{self.target.char}/ground"))
        self.scene = Scene(ground, "plain", style, tuple(items), "", rng.randrange(2**31))
        self.asked = rng.choice(self.chosen)

    def _add(self, chars: Sequence[str], number: int) -> None:
        kins = {thing.kin for thing in self.chosen}
        for char in self.rng.sample(chars, len(chars)):
            if number and THINGS[char].kin not in kins:
                self.chosen.append(THINGS[char])
                kins.add(THINGS[char].kin)
                number -= 1

    def where(self, thing: Thing) -> Text:
        english, chinese = CELL_NAMES[self.cells[thing.char]]
        return f"{chinese}方", english


def _ground(chars: Sequence[str], style: str, rng: random.Random) -> str:
    """A colour that most of everything stands out from; the best there is where none is far enough from all."""
    if style in _OUTLINED:
        return rng.choice([colour for colour in COLOURS if colour != "black"])
    seen = {colour: min(_share_seen(char, style, colour) for char in chars) for colour in COLOURS}
    good = [colour for colour, share in seen.items() if share >= _SEEN]
    return rng.choice(good) if good else max(seen, key=lambda colour: seen[colour])


@lru_cache(maxsize=1024)
def _share_seen(char: str, style: str, colour: str) -> float:
    """How much of a picture differs clearly from a ground."""
    small = emoji.picture(char, style, 160).resize((12, 12))
    pixels = [
        pixel[:3] for row in range(12) for column in range(12) if (pixel := small.getpixel((column, row)))[3] > 200
    ]
    ground = COLOURS[colour][1]
    far = [sum(abs(one - other) for one, other in zip(pixel, ground)) >= _FAR for pixel in pixels]
    return sum(far) / max(1, len(far))


def _absent(plans: Sequence[_Plan], rng: random.Random) -> list[Thing]:
    """For each scene a thing that is not there, nor anything like it: what is asked for with yes elsewhere, in another
    order, so that every thing is asked for with yes as often as with no.
    """
    asked = [plan.asked for plan in plans]
    kins = [{thing.kin for thing in plan.chosen} for plan in plans]
    rng.shuffle(asked)
    for index in range(len(plans)):
        if asked[index].kin in kins[index]:
            places = [
                other
                for other in range(len(plans))
                if asked[other].kin not in kins[index] and asked[index].kin not in kins[other]
            ]
            other = rng.choice(places)
            asked[index], asked[other] = asked[other], asked[index]
    return asked


def _presence(present: Thing, missing: Thing) -> tuple[Twin, Twin]:
    return pair("presence", *(_is_there(thing) for thing in (present, missing)))


def _is_there(thing: Thing) -> Text:
    verb = "Are" if thing.english in _PLURAL else "Is"
    return f"图中有{thing.chinese}吗？", f"{verb} there {thing.english} in the picture?"


def _culture(plan: _Plan) -> tuple[Twin, ...]:
    target, where = plan.target, plan.where(plan.target)
    named = short("naming", (f"{where[0]}是什么？", f"What is at the {where[1]}?"), target.names)
    if plan.topic == "lore":
        group = next(group for group in LORE if target.char in group)
        others = plan.rng.sample([char for char in group if char != target.char], 3)
        question = (
            f"下面哪一句话符合{where[0]}的图案？",
            f"Which of these is true of what is at the {where[1]}?",
        )
        return choice("culture", question, [group[char] for char in (target.char, *others)]), named
    if plan.topic == "saying":
        others = plan.rng.sample([char for char in SAYINGS if char != target.char], 3)
        question = (
            f"{where[0]}的动物填在哪个词语的空格里？",
            f"The animal at the {where[1]} fills the gap of which Chinese saying?",
        )
        return choice("culture", question, [SAYINGS[char] for char in (target.char, *others)]), named
    place = ZODIAC.index(target.char)
    following = ZODIAC[(place + 1) % len(ZODIAC)]
    others = plan.rng.sample([char for char in ZODIAC if char not in (target.char, following)], 3)
    question = (
        f"十二生肖中，紧接在{where[0]}的动物后面的是什么？",
        f"Which animal comes right after the one at the {where[1]} in the Chinese zodiac?",
    )
    claims = (
        (
            f"{plan.where(thing)[0]}的动物是十二生肖之一吗？",
            f"Is the animal at the {plan.where(thing)[1]} one of the twelve of the Chinese zodiac?",
        )
        for thing in plan.chosen[:2]
    )
    options = [(THINGS[char].chinese, THINGS[char].english) for char in (following, *others)]
    return choice("culture", question, options), *pair("culture", *claims)
