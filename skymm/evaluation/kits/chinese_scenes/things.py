"""Emoji scenes with questions about Chinese life: what is there, what it is called, what it is for."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from functools import lru_cache, partial

from skymm.curation import emoji
from skymm.curation.emoji_scenes.instructions import CELL_NAMES
from skymm.curation.emoji_scenes.scene import CELLS, COLOURS, Item, Scene, render
from skymm.evaluation.kits.chinese_scenes.questions import Picture, Twin, choice, pair, short
from skymm.evaluation.kits.chinese_scenes.words import Text, Thing, sentence, words

_PLURAL = ("noodles", "chopsticks", "fireworks")
_OUTLINED = ("openmoji",)  # black lines around everything: seen on any ground
_FAR = 120  # sum of the differences of red, green and blue that makes a colour another one
_SEEN = 0.75  # share of a thing that has to differ so from the ground behind it


def things(seed: int) -> Iterator[Picture]:
    """A scene for each thing that something is known about, each animal of the zodiac and each saying."""
    topics = {"lore": [char for group in words().lore for char in group], "zodiac": words().zodiac}
    topics |= {"saying": list(words().sayings)}
    plans = [_Plan(seed, index, topic, char) for topic, chars in topics.items() for index, char in enumerate(chars)]
    for plan, missing in zip(plans, _absent(plans, random.Random(f"{seed}/things/absent"))):
        twins = (*pair("presence", (_is_there(thing) for thing in (plan.asked, missing))), *_culture(plan))
        yield Picture("things", f"{plan.topic}/{plan.target.char}", "", partial(render, plan.scene), twins)


class _Plan:
    """What stands in a scene: the target, an animal outside the zodiac beside one of the zodiac, and one or two others."""

    def __init__(self, seed: int, index: int, topic: str, char: str):
        name = f"{seed}/things/{topic}/{char}"
        self.rng = rng = random.Random(name)
        self.topic, self.target = topic, words().things[char]
        self.chosen = [self.target]
        if topic == "zodiac":
            self._add(words().no_zodiac, 1)
        self._add(list(words().things), 3 - len(self.chosen) + rng.randrange(2))
        style = emoji.STYLES[index % len(emoji.STYLES)]
        if any(thing.char in words().unclear.get(style, "") for thing in self.chosen):
            style = emoji.STYLES[0]
        self.cells = dict(zip((thing.char for thing in self.chosen), rng.sample(CELLS, len(self.chosen))))
        items = []
        for one, cell in sorted(self.cells.items(), key=lambda placed: placed[1][::-1]):
            side = rng.randint(116, 146)
            x, y = (place * 160 + rng.randint(5, 155 - side) for place in cell)
            items.append(Item(one, cell, (x, y, side)))
        # A stream of its own: how a version of resvg draws may move the colour, never the questions.
        ground = _ground(list(self.cells), style, random.Random(f"{name}/ground"))
        self.scene = Scene(ground, "plain", style, tuple(items), "", rng.randrange(2**31))
        self.asked = rng.choice(self.chosen)

    def _add(self, chars: Sequence[str], number: int) -> None:
        kins = {thing.kin for thing in self.chosen}
        for thing in (words().things[char] for char in self.rng.sample(chars, len(chars))):
            if number and thing.kin not in kins:
                self.chosen.append(thing)
                kins.add(thing.kin)
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
            other = rng.choice(
                [
                    other
                    for other in range(len(plans))
                    if asked[other].kin not in kins[index] and asked[index].kin not in kins[other]
                ]
            )
            asked[index], asked[other] = asked[other], asked[index]
    return asked


def _is_there(thing: Thing) -> Text:
    return sentence("things.there_plural" if thing.text[1] in _PLURAL else "things.there", thing=thing)


def _culture(plan: _Plan) -> Iterator[Twin]:
    target, where, zodiac = plan.target, plan.where(plan.target), words().zodiac
    question = sentence(f"things.{'following' if plan.topic == 'zodiac' else plan.topic}", where=where)
    if plan.topic == "zodiac":
        following = zodiac[(zodiac.index(target.char) + 1) % len(zodiac)]
        others = plan.rng.sample([char for char in zodiac if char not in (target.char, following)], 3)
        yield choice("culture", question, (words().things[char] for char in (following, *others)))
        claims = (sentence("things.zodiac", where=plan.where(thing)) for thing in plan.chosen[:2])
        yield from pair("culture", claims)
        return
    texts = words().sayings
    if plan.topic == "lore":
        texts = next(group for group in words().lore if target.char in group)
    others = plan.rng.sample([char for char in texts if char != target.char], 3)
    yield choice("culture", question, (texts[char] for char in (target.char, *others)))
    yield short("naming", sentence("things.name", where=where), target.names)
