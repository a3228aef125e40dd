"""Pictures of streets and buildings with their questions: signs, shops, direction signs, doors."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from functools import partial

from skymm.evaluation.kits.chinese_scenes import boards
from skymm.evaluation.kits.chinese_scenes.answers import DIRECTIONS, number_forms
from skymm.evaluation.kits.chinese_scenes.culture import Text
from skymm.evaluation.kits.chinese_scenes.life import PLACES, ROOMS, SHOPS, SIGNS, STREETS, Word
from skymm.evaluation.kits.chinese_scenes.questions import (
    SCRIPTS,
    Picture,
    Twin,
    choice,
    copied,
    pair,
    reading,
    rival_of,
    scripts_of,
    short,
    translated,
    written_facts,
)

NUM_DIRECTIONS = 6
SIGN: Text = ("牌子上", "the sign")
BOARD: Text = ("招牌上", "the signboard")
PLATE: Text = ("门牌上", "the plate")
_WAYS: dict[str, Text] = {
    boards.LEFT: ("往左", "to the left"),
    boards.RIGHT: ("往右", "to the right"),
    boards.AHEAD: ("直行", "straight ahead"),
}


def signs(seed: int) -> Iterator[Picture]:
    for name, group in SIGNS.items():
        for word in group:
            for script in scripts_of(word):
                rng = random.Random(f"{seed}/signs/{word.simplified}/{script}")
                twins = written_facts(word, group, script, SIGN, rng)
                text = word.written(script)
                draw = partial(_drawn, boards.sign, rng.random(), name, text)
                yield Picture("signs", word.simplified, script, draw, tuple(twins), (text,))


def shops(seed: int) -> Iterator[Picture]:
    for group in SHOPS.values():
        for word in group:
            for script in scripts_of(word):
                rng = random.Random(f"{seed}/shops/{word.simplified}/{script}")
                twins = written_facts(word, group, script, BOARD, rng)
                text = word.written(script)
                draw = partial(_drawn, boards.shop, rng.random(), text)
                yield Picture("shops", word.simplified, script, draw, tuple(twins), (text,))


def directions(seed: int) -> Iterator[Picture]:
    """Three places each; every place on the sign is asked about."""
    for index in range(NUM_DIRECTIONS):
        rng = random.Random(f"{seed}/directions/{index}")
        first, second, third, absent = rng.sample(PLACES, 4)
        ways = rng.sample(list(_WAYS), 3)
        placed = list(zip((first, second, third), ways))
        for script in SCRIPTS:
            shown = [(place.written(script), way) for place, way in placed]
            draw = partial(_drawn, boards.directions, rng.random(), shown)
            twins = _direction_twins(placed, absent)
            yield Picture("directions", str(index), script, draw, twins, tuple(place for place, _ in shown))
            placed = [*placed[1:], placed[0]]  # the same places, asked about and drawn in another order


def _direction_twins(placed: Sequence[tuple[Word, str]], absent: Word) -> tuple[Twin, ...]:
    (first, way), (second, second_way), (third, third_way) = placed
    where = (
        f"按照路牌，去{first.simplified}应该往左、往右，还是直行？",
        f"According to the sign, which way is the {first.english}: left, right, or straight ahead?",
    )
    zh, en = _WAYS[second_way]
    what = (f"按照路牌，{zh}是去哪里的？", f"According to the sign, which place is {en}?")
    claims = (
        (
            f"按照路牌，{_WAYS[one][0]}是去{third.simplified}的吗？",
            f"According to the sign, is the {third.english} {_WAYS[one][1]}?",
        )
        for one in (third_way, way)
    )
    options = [(place.simplified, place.english) for place in (second, first, third, absent)]
    return (
        short("lookup", where, DIRECTIONS[way]),
        choice("lookup", what, options),
        *pair("lookup", *claims),
    )


def doors(seed: int) -> Iterator[Picture]:
    """Rooms with their numbers, then houses with theirs."""
    for word in ROOMS:
        for script in scripts_of(word):
            rng = random.Random(f"{seed}/rooms/{word.simplified}/{script}")
            number = str(rng.randint(1, 9)) + "".join(map(str, rng.sample(range(10), 2)))
            text = word.written(script)
            asked = ("这是几号房间？", "What is the number of this room?")
            twins = (
                *reading(word, rival_of(word, ROOMS, script), script, PLATE),
                short("lookup", asked, number_forms(number, "室", "号", "號", "房", "房间", "号房间")),
                translated(word, rng.sample([other for other in ROOMS if other != word], 3), PLATE),
            )
            draw = partial(_drawn, boards.room, rng.random(), number, text)
            yield Picture("doors", word.simplified, script, draw, twins, (number, text))
    for index, street in enumerate(STREETS):
        rng = random.Random(f"{seed}/streets/{street.simplified}")
        script = SCRIPTS[index % 2]
        number = "".join(map(str, rng.sample(range(1, 10), 2)))
        shown = number + {"simplified": "号", "traditional": "號"}[script]
        claims = ((f"门牌号是{one}号吗？", f"Is the number of the house {one}?") for one in (number, number[::-1]))
        others = rng.sample([other for other in STREETS if other != street], 3)
        which = ("这座房子在哪条路上？", "Which street is the house in?")
        twins = (
            *pair("lookup", *claims),
            choice("reading", which, [(one.written(script), one.english) for one in (street, *others)]),
            copied(street, ("门牌第一行", "the first line of the plate")),
        )
        text = street.written(script)
        draw = partial(_drawn, boards.house_number, rng.random(), text, shown)
        yield Picture("doors", street.simplified, script, draw, twins, (text, shown))


def _drawn(draw, look, *written):
    """`look` decides colours and small differences: drawing again gives the same picture."""
    return draw(*written, random.Random(look))
