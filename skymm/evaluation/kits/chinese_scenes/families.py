"""Pictures with their questions by family: signs, shops, directions, doors, menus, couplets, banners, cards, tickets, notices,
and emoji scenes of things.

Each function gets a seed and gives pictures that are not drawn yet. What is asked is computed from what is drawn.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import lru_cache, partial
from typing import Any

from skymm.curation import emoji
from skymm.curation.emoji_scenes.instructions import CELL_NAMES
from skymm.curation.emoji_scenes.scene import CELLS, COLOURS, Item, Scene, render
from skymm.evaluation.kits.chinese_scenes import scene_drawing
from skymm.evaluation.kits.chinese_scenes.questions import (
    Picture,
    Twin,
    choice,
    copied,
    number_forms,
    pair,
    price_forms,
    reading,
    rival_of,
    short,
    time_forms,
    translated,
    written_facts,
)
from skymm.evaluation.kits.chinese_scenes.words import SCRIPTS, Group, Text, Thing, Word, sentence, words

NUM_DIRECTIONS = 6
NUM_DISHES = 5
NUM_TICKETS = NUM_NOTICES = 3  # in each script


def _picture(
    family: str,
    subject: str,
    script: str,
    twins: Iterable[Twin],
    rng: random.Random,
    draw: Callable,
    *written: Any,
    shown: Sequence[str] | None = None,
) -> Picture:
    """`written` is what `draw` gets, and all that is shown unless `shown` says otherwise."""
    twins = tuple(twins)  # before the next random number
    drawn = partial(_drawn, draw, rng.random(), *written)
    return Picture(family, subject, script, drawn, twins, tuple(_texts(written) if shown is None else shown))


def _drawn(draw: Callable, look: float, *written: Any):
    """`look` decides colours and small differences: drawing again gives the same picture."""
    return draw(*written, random.Random(look))


def _texts(written: Iterable) -> Iterator[str]:
    for one in written:
        yield from [one] if isinstance(one, str) else _texts(one)


# --- streets and buildings ------------------------------------------------------------------------------------------------


def signs(seed: int) -> Iterator[Picture]:
    """Every word of every board, in each script."""
    for board, group in words()["signs"].items():
        yield from _one_word(seed, "signs", group, "sign", partial(scene_drawing.sign, board))


def shops(seed: int) -> Iterator[Picture]:
    for group in words()["shops"].values():
        yield from _one_word(seed, "shops", group, "board", scene_drawing.shop)


def _one_word(seed: int, family: str, group: Group, where: str, draw: Callable) -> Iterator[Picture]:
    for word in group:
        for script, rng in _scripts(seed, family, word, word.scripts):
            twins = written_facts(word, group, script, where, rng)
            yield _picture(family, word.simplified, script, twins, rng, draw, word.written(script))


def _scripts(seed: int, family: str, word: Word, scripts: Sequence[str]) -> Iterator[tuple[str, random.Random]]:
    """Each script with a random stream of its own, whatever else is drawn."""
    for script in scripts:
        yield script, random.Random(f"{seed}/{family}/{word.simplified}/{script}")


def directions(seed: int) -> Iterator[Picture]:
    """Three places each; every place on the sign is asked about."""
    for index in range(NUM_DIRECTIONS):
        rng = random.Random(f"{seed}/directions/{index}")
        *places, absent = rng.sample(words()["places"]["places"], 4)
        placed = list(zip(places, rng.sample(("left", "right", "ahead"), 3)))
        for script in SCRIPTS:
            drawn = [(place.written(script), way) for place, way in placed]
            twins, shown = _direction_twins(placed, absent), [place for place, _ in drawn]
            yield _picture("directions", str(index), script, twins, rng, scene_drawing.directions, drawn, shown=shown)
            placed = [*placed[1:], placed[0]]  # the same places, asked about and drawn in another order


def _direction_twins(placed: Sequence[tuple[Word, str]], absent: Word) -> Iterator[Twin]:
    (first, way), (second, second_way), (third, third_way) = placed
    yield short("lookup", sentence("directions.where", place=first), words()["directions"][way])
    what = sentence("directions.what", way=sentence(f"directions.{second_way}"))
    yield choice("lookup", what, (second, first, third, absent))
    ways = (sentence(f"directions.{one}") for one in (third_way, way))
    yield from pair("lookup", (sentence("directions.claim", way=one, place=third) for one in ways))


def doors(seed: int) -> Iterator[Picture]:
    """Rooms with their numbers, then houses with theirs."""
    rooms, streets = words()["places"]["rooms"], words()["places"]["streets"]
    for word in rooms:
        for script, rng in _scripts(seed, "rooms", word, word.scripts):
            number = str(rng.randint(1, 9)) + "".join(map(str, rng.sample(range(10), 2)))
            accepted = number_forms(number, "室", "号", "號", "房", "房间", "号房间")
            twins = (
                *reading(word, rival_of(word, rooms, script), script, "plate"),
                short("lookup", sentence("doors.room"), accepted),
                translated(word, rooms, "plate", rng),
            )
            text = word.written(script)
            yield _picture("doors", word.simplified, script, twins, rng, scene_drawing.room, number, text)
    for index, street in enumerate(streets):
        rng = random.Random(f"{seed}/streets/{street.simplified}")
        script = SCRIPTS[index % 2]
        number = "".join(map(str, rng.sample(range(1, 10), 2)))
        plate = number + {"simplified": "号", "traditional": "號"}[script]
        others = rng.sample([other for other in streets if other != street], 3)
        options = ((one.written(script), one.english) for one in (street, *others))
        twins = (
            *pair("lookup", (sentence("doors.house", number=one) for one in (number, number[::-1]))),
            choice("reading", sentence("doors.street"), options),
            copied(street, "plate_street"),
        )
        text = street.written(script)
        yield _picture("doors", street.simplified, script, twins, rng, scene_drawing.house_number, text, plate)


# --- menus -------------------------------------------------------------------------------------------------------------


def menus(seed: int) -> Iterator[Picture]:
    """Two menus of each kind, in both scripts. A dish that is asked for with yes on one is asked for with no on the other."""
    for heading, dishes in ((menu["heading"], menu["dishes"]) for menu in words()["menus"]):
        rng = random.Random(f"{seed}/menus/{heading.simplified}")
        only_first, only_second, *common = rng.sample(dishes, NUM_DISHES + 1)
        for number, (own, other) in enumerate(((only_first, only_second), (only_second, only_first))):
            served = rng.sample([own, *common], NUM_DISHES)
            absent = [other, *(dish for dish in dishes if dish not in (*served, other))]
            prices = dict(zip(served, rng.sample(range(6, 59), NUM_DISHES)))
            for script in SCRIPTS:
                twins = _menu_twins(prices, own, absent, dishes, script, rng)
                listed = [(dish.written(script), f"{price}元") for dish, price in prices.items()]
                subject = f"{heading.simplified}/{number}"
                yield _picture(
                    "menus", subject, script, twins, rng, scene_drawing.menu, heading.written(script), listed
                )


def _menu_twins(
    prices: Mapping[Word, int], own: Word, absent: Sequence[Word], dishes: Group, script: str, rng: random.Random
) -> Iterator[Twin]:
    dish, second = rng.sample(list(prices), 2)
    compared = rng.sample(list(prices), 4)
    end, asked = (max, "menus.dearest") if rng.random() < 0.5 else (min, "menus.cheapest")
    best = end(compared, key=lambda one: prices[one])
    yield short("price", sentence("menus.price", dish=dish), price_forms(prices[dish]))
    yield choice("price", sentence(asked), (best, *(one for one in compared if one != best)))
    # Three that are not on the menu may be more than its kind has: other menus help out.
    strangers = [one for menu in words()["menus"] for one in menu["dishes"] if one not in dishes]
    missing = [*absent, *rng.sample(strangers, 3)][:3]
    if script == "simplified":
        yield choice("translation", sentence("menus.listed"), (one.english for one in (own, *missing)))
        yield from pair("reading", (sentence("menus.claim", dish=one.simplified) for one in (own, absent[0])))
    else:
        yield choice("script", sentence("menus.rewritten"), (one.simplified for one in (own, *missing)))
        amounts = (prices[second], prices[dish])
        yield from pair("price", (sentence("menus.costs", dish=second, price=price) for price in amounts))


# --- festivals ------------------------------------------------------------------------------------------------------------


def couplets(seed: int) -> Iterator[Picture]:
    """A door with two lines, and four characters over it."""
    pairs = words()["couplets"]
    overs = tuple(one["over"] for one in pairs)
    for index, one in enumerate(pairs):
        first, second, over = one["first"], one["second"], one["over"]
        others = [other[name] for other in pairs if other != one for name in ("first", "second")]
        for script, rng in _scripts(seed, "couplets", over, SCRIPTS):
            lines = [line.written(script) for line in (first, second, *rng.sample(others, 2))]
            side = "right"
            if rng.random() < 0.5:
                side = "left"
                lines[:2] = lines[1::-1]
            asked = sentence("couplets.line", side=sentence(f"couplets.{side}"))
            twins = (
                *reading(over, overs[(index + 1) % len(overs)], script, "over"),
                choice("reading", asked, lines),
                translated(over, overs, "over", rng),
                copied(over, "over"),
            )
            written = (line.written(script) for line in (first, second, over))
            yield _picture("couplets", over.simplified, script, twins, rng, scene_drawing.couplet, *written)


def banners(seed: int) -> Iterator[Picture]:
    festivals = words()["festivals"]
    group = tuple(festival["word"] for festival in festivals)
    for festival in festivals:
        word = festival["word"]
        others = [other for other in festivals if other != festival]
        for script, rng in _scripts(seed, "banners", word, SCRIPTS):
            dates, customs = ([festival, *rng.sample(others, 3)] for _ in range(2))
            twins = (
                *reading(word, rival_of(word, group, script), script, "banner"),
                choice("culture", sentence("banners.date"), (one["date"] for one in dates)),
                choice("culture", sentence("banners.custom"), (one["custom"] for one in customs)),
                copied(word, "banner"),
            )
            yield _picture("banners", word.simplified, script, twins, rng, scene_drawing.banner, word.written(script))


def cards(seed: int) -> Iterator[Picture]:
    wishes = {one["word"]: one["occasion"] for one in words()["wishes"]}
    for word, occasion in wishes.items():
        for script, rng in _scripts(seed, "cards", word, word.scripts):
            wrong = rng.sample([other for other in wishes.values() if other != occasion], 3)
            twins = (
                *reading(word, rival_of(word, list(wishes), script), script, "card"),
                choice("culture", sentence("cards.occasion"), [occasion, *wrong]),
                translated(word, list(wishes), "card", rng),
            )
            yield _picture("cards", word.simplified, script, twins, rng, scene_drawing.card, word.written(script))


# --- journeys -------------------------------------------------------------------------------------------------------------


def tickets(seed: int) -> Iterator[Picture]:
    labels = {"simplified": ("火车票", "开车", "票价"), "traditional": ("火車票", "開車", "票價")}
    for index in range(NUM_TICKETS * len(SCRIPTS)):
        script = SCRIPTS[index % 2]
        rng = random.Random(f"{seed}/tickets/{index}")
        origin, goal, *others = rng.sample(words()["places"]["cities"], 4)
        hour, minute, price = rng.randint(6, 21), rng.choice((10, 20, 30, 40, 50)), rng.randint(60, 600)
        title, leaves, costs = labels[script]
        lines = ((leaves, f"{hour:02}:{minute:02}"), (costs, f"{price}元"))
        twins = (
            *pair("lookup", (sentence("tickets.goal", city=city) for city in (goal, origin))),
            choice("lookup", sentence("tickets.origin"), (origin, goal, *others)),
            short("lookup", sentence("tickets.time"), time_forms(hour, minute)),
            short("price", sentence("tickets.price"), price_forms(price)),
        )
        cities = (city.written(script) for city in (origin, goal))
        yield _picture("tickets", str(index), script, twins, rng, scene_drawing.ticket, title, *cities, lines)


def notices(seed: int) -> Iterator[Picture]:
    """A day that one place is closed on is a day that the next one is open on."""
    rng = random.Random(f"{seed}/notices")
    weekdays = words()["places"]["weekdays"]
    places = rng.sample(words()["shops"]["hall"], NUM_NOTICES)
    days = rng.sample(weekdays, NUM_NOTICES)
    for index, (place, closed) in enumerate(zip(places, days)):
        opened = days[(index + 1) % len(days)]
        for script in SCRIPTS:
            first, last = rng.randint(7, 10), rng.randint(16, 21)
            hours = "开放时间" if script == "simplified" else "開放時間"
            lines = (hours, f"{first}:00–{last}:00", f"{closed.simplified}休息")
            others = rng.sample([day for day in weekdays if day != closed], 3)
            twins = (
                *pair("lookup", (sentence("notices.open", day=day) for day in (opened, closed))),
                choice("lookup", sentence("notices.closed"), (closed, *others)),
                short("lookup", sentence("notices.closes"), time_forms(last, 0)),
                copied(place, "notice"),
            )
            title = place.written(script)
            yield _picture("notices", place.simplified, script, twins, rng, scene_drawing.notice, title, lines)


# --- things of Chinese life, as emoji --------------------------------------------------------------------------------------

_PLURAL = ("noodles", "chopsticks", "fireworks")
_OUTLINED = ("openmoji",)  # black lines around everything: seen on any ground
_FAR = 120  # sum of the differences of red, green and blue that makes a colour another one
_SEEN = 0.75  # share of a thing that has to differ so from the ground behind it


def things(seed: int) -> Iterator[Picture]:
    """A scene for each thing that something is known about, each animal of the zodiac and each saying."""
    topics = {"lore": [char for group in words()["lore"] for char in group], "zodiac": words()["animals"]["zodiac"]}
    topics |= {"saying": list(words()["sayings"])}
    plans = [_Plan(seed, index, topic, char) for topic, chars in topics.items() for index, char in enumerate(chars)]
    for plan, missing in zip(plans, _absent(plans, random.Random(f"{seed}/things/absent"))):
        twins = (*pair("presence", (is_there(thing) for thing in (plan.asked, missing))), *_culture(plan))
        yield Picture(
            "things",
            f"{plan.topic}/{plan.target.char}",
            "",
            partial(render, plan.scene),
            twins,
            things=tuple(plan.chosen),
        )


class _Plan:
    """What stands in a scene: the target, an animal outside the zodiac beside one of the zodiac, and one or two others."""

    def __init__(self, seed: int, index: int, topic: str, char: str):
        name = f"{seed}/things/{topic}/{char}"
        self.rng = rng = random.Random(name)
        self.topic, self.target = topic, words()["things"][char]
        self.chosen = [self.target]
        if topic == "zodiac":
            self._add(words()["animals"]["others"], 1)
        self._add(list(words()["things"]), 3 - len(self.chosen) + rng.randrange(2))
        style = emoji.STYLES[index % len(emoji.STYLES)]
        if any(thing.char in words()["unclear"].get(style, "") for thing in self.chosen):
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
        for thing in (words()["things"][char] for char in self.rng.sample(chars, len(chars))):
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


def is_there(thing: Thing) -> Text:
    return sentence("things.there_plural" if thing.text[1] in _PLURAL else "things.there", thing=thing)


def _culture(plan: _Plan) -> Iterator[Twin]:
    target, where, zodiac = plan.target, plan.where(plan.target), words()["animals"]["zodiac"]
    question = sentence(f"things.{'following' if plan.topic == 'zodiac' else plan.topic}", where=where)
    if plan.topic == "zodiac":
        following = zodiac[(zodiac.index(target.char) + 1) % len(zodiac)]
        others = plan.rng.sample([char for char in zodiac if char not in (target.char, following)], 3)
        yield choice("culture", question, (words()["things"][char] for char in (following, *others)))
        claims = (sentence("things.zodiac", where=plan.where(thing)) for thing in plan.chosen[:2])
        yield from pair("culture", claims)
        return
    texts = words()["sayings"]
    if plan.topic == "lore":
        texts = next(group for group in words()["lore"] if target.char in group)
    others = plan.rng.sample([char for char in texts if char != target.char], 3)
    yield choice("culture", question, (texts[char] for char in (target.char, *others)))
    yield short("naming", sentence("things.name", where=where), target.names)
