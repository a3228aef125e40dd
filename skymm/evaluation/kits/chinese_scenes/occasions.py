"""Pictures of meals, festivals and journeys with their questions: menus, couplets, banners, cards, tickets, notices."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from functools import partial

from skymm.evaluation.kits.chinese_scenes import papers
from skymm.evaluation.kits.chinese_scenes.answers import price_forms, time_forms
from skymm.evaluation.kits.chinese_scenes.culture import COUPLETS, FESTIVALS, WISHES, Text
from skymm.evaluation.kits.chinese_scenes.life import CITIES, MENUS, SHOPS, WEEKDAYS, Group, Word
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
)

NUM_DISHES = 5
NUM_TICKETS = NUM_NOTICES = 3  # in each script
BANNER: Text = ("横幅上", "the banner")
CARD: Text = ("贺卡上", "the card")
OVER: Text = ("门上方的横批", "the scroll above the door")


def _drawn(draw, look, *written):
    """`look` decides colours and small differences: drawing again gives the same picture."""
    return draw(*written, random.Random(look))


# --- menus -------------------------------------------------------------------------------------------------------------


def menus(seed: int) -> Iterator[Picture]:
    """Two menus of each kind, in both scripts. A dish that is asked for with yes on one is asked for with no on the other."""
    for heading, dishes in MENUS.items():
        rng = random.Random(f"{seed}/menus/{heading.simplified}")
        only_first, only_second, *common = rng.sample(dishes, NUM_DISHES + 1)
        for number, (own, other) in enumerate(((only_first, only_second), (only_second, only_first))):
            served = rng.sample([own, *common], NUM_DISHES)
            absent = [dish for dish in dishes if dish not in served]
            absent = [other, *(dish for dish in absent if dish != other)]
            prices = rng.sample(range(6, 59), NUM_DISHES)
            for script in SCRIPTS:
                listed = [(dish.written(script), f"{price}元") for dish, price in zip(served, prices)]
                twins = _menu_twins(dict(zip(served, prices)), own, absent, dishes, script, rng)
                draw = partial(_drawn, papers.menu, rng.random(), heading.written(script), listed)
                shown = (heading.written(script), *(text for line in listed for text in line))
                yield Picture("menus", f"{heading.simplified}/{number}", script, draw, twins, shown)


def _menu_twins(
    prices: dict[Word, int], own: Word, absent: Sequence[Word], dishes: Group, script: str, rng: random.Random
) -> tuple[Twin, ...]:
    dish, second = rng.sample(list(prices), 2)
    how_much = (f"菜单上的{dish.simplified}多少钱？", f"What does the menu charge for {dish.english}?")
    compared = rng.sample(list(prices), 4)
    dearest = rng.random() < 0.5
    best = (max if dearest else min)(compared, key=lambda one: prices[one])
    which = (
        f"下面四样中，菜单上哪一样最{'贵' if dearest else '便宜'}？",
        f"Which of these four is the {'dearest' if dearest else 'cheapest'} on the menu?",
    )
    twins = [
        short("price", how_much, price_forms(prices[dish])),
        choice("price", which, [(one.simplified, one.english) for one in (best, *(x for x in compared if x != best))]),
    ]
    # Three that are not on the menu may be more than its kind has: other menus help out.
    strangers = [one for group in MENUS.values() for one in group if one not in dishes]
    missing = [*absent, *rng.sample(strangers, 3)][:3]
    if script == "simplified":
        listed = ("下面哪一样在菜单上有？", "Which of these is on the menu?")
        claims = (
            (f"菜单上有“{one.simplified}”吗？", f'Is "{one.simplified}" on the menu?') for one in (own, absent[0])
        )
        twins.append(choice("translation", listed, [(one.english, one.english) for one in (own, *missing)]))
        return (*twins, *pair("reading", *claims))
    listed = (
        "菜单是用繁体字写的。下面用简体字写的菜名，哪一个在菜单上有？",
        "The menu is in traditional characters. Which of these names, in simplified characters, is on the menu?",
    )
    twins.append(choice("script", listed, [(one.simplified, one.simplified) for one in (own, *missing)]))
    claims = (
        (f"菜单上的{second.simplified}是{price}元吗？", f"Does the menu charge {price} yuan for {second.english}?")
        for price in (prices[second], prices[dish])
    )
    return (*twins, *pair("price", *claims))


# --- festivals ------------------------------------------------------------------------------------------------------------


def couplets(seed: int) -> Iterator[Picture]:
    overs = tuple(over for *_, over in COUPLETS)
    for first, second, over in COUPLETS:
        others = [line for couplet in COUPLETS for line in couplet[:2] if line not in (first, second)]
        for script in SCRIPTS:
            rng = random.Random(f"{seed}/couplets/{over.simplified}/{script}")
            lines = [line.written(script) for line in (first, second, *rng.sample(others, 2))]
            sides = [("右边", "right"), ("左边", "left")]
            if rng.random() < 0.5:
                sides.reverse()
                lines[:2] = lines[1::-1]
            asked = (f"门{sides[0][0]}的对联写的是哪一句？", f"Which line hangs on the {sides[0][1]} of the door?")
            twins = (
                *reading(over, overs[(overs.index(over) + 1) % len(overs)], script, OVER),
                choice("reading", asked, [(line, line) for line in lines]),
                translated(over, rng.sample([other for other in overs if other != over], 3), OVER),
                copied(over, OVER),
            )
            written = tuple(line.written(script) for line in (first, second, over))
            draw = partial(_drawn, papers.couplet, rng.random(), *written)
            yield Picture("couplets", over.simplified, script, draw, twins, written)


def banners(seed: int) -> Iterator[Picture]:
    words = tuple(festival.word for festival in FESTIVALS)
    for festival in FESTIVALS:
        for script in SCRIPTS:
            rng = random.Random(f"{seed}/banners/{festival.word.simplified}/{script}")
            others = [other for other in FESTIVALS if other != festival]
            day = ("横幅上的节日在哪一天？", "When is the festival on the banner?")
            custom = ("横幅上的节日有什么习俗？", "What do people do at the festival on the banner?")
            twins = (
                *reading(festival.word, rival_of(festival.word, words, script), script, BANNER),
                choice("culture", day, [one.date for one in (festival, *rng.sample(others, 3))]),
                choice("culture", custom, [one.custom for one in (festival, *rng.sample(others, 3))]),
                copied(festival.word, BANNER),
            )
            text = festival.word.written(script)
            draw = partial(_drawn, papers.banner, rng.random(), text)
            yield Picture("banners", festival.word.simplified, script, draw, twins, (text,))


def cards(seed: int) -> Iterator[Picture]:
    words = tuple(word for word, _ in WISHES)
    for word, occasion in WISHES:
        for script in scripts_of(word):
            rng = random.Random(f"{seed}/cards/{word.simplified}/{script}")
            wrong = rng.sample([other for _, other in WISHES if other != occasion], 3)
            asked = ("这张贺卡适合什么场合？", "Which occasion is this card for?")
            twins = (
                *reading(word, rival_of(word, words, script), script, CARD),
                choice("culture", asked, [occasion, *wrong]),
                translated(word, rng.sample([other for other in words if other != word], 3), CARD),
            )
            draw = partial(_drawn, papers.card, rng.random(), word.written(script))
            yield Picture("cards", word.simplified, script, draw, twins, (word.written(script),))


# --- journeys -------------------------------------------------------------------------------------------------------------


def tickets(seed: int) -> Iterator[Picture]:
    for index in range(NUM_TICKETS * len(SCRIPTS)):
        script = SCRIPTS[index % 2]
        rng = random.Random(f"{seed}/tickets/{index}")
        origin, goal, *others = rng.sample(CITIES, 4)
        hour, minute, price = rng.randint(6, 21), rng.choice((10, 20, 30, 40, 50)), rng.randint(60, 600)
        words = ("火车票", "开车", "票价") if script == "simplified" else ("火車票", "開車", "票價")
        lines = ((words[1], f"{hour:02}:{minute:02}"), (words[2], f"{price}元"))
        claims = (
            (f"这趟车是去{city.simplified}的吗？", f"Does this train go to {city.english}?") for city in (goal, origin)
        )
        twins = (
            *pair("lookup", *claims),
            choice(
                "lookup",
                ("这趟车从哪里出发？", "Where does this train leave from?"),
                [(city.simplified, city.english) for city in (origin, goal, *others)],
            ),
            short("lookup", ("几点开车？", "At what time does the train leave?"), time_forms(hour, minute)),
            short("price", ("车票多少钱？", "How much is the ticket?"), price_forms(price)),
        )
        cities = (origin.written(script), goal.written(script))
        draw = partial(_drawn, papers.ticket, rng.random(), words[0], *cities, lines)
        shown = (words[0], *cities, *(text for line in lines for text in line))
        yield Picture("tickets", str(index), script, draw, twins, shown)


def notices(seed: int) -> Iterator[Picture]:
    """A day that one place is closed on is a day that the next one is open on."""
    rng = random.Random(f"{seed}/notices")
    places = rng.sample(SHOPS["hall"], NUM_NOTICES)
    days = rng.sample(WEEKDAYS, NUM_NOTICES)
    for index, (place, closed) in enumerate(zip(places, days)):
        opened = days[(index + 1) % len(days)]
        for script in SCRIPTS:
            first, last = rng.randint(7, 10), rng.randint(16, 21)
            hours = "开放时间" if script == "simplified" else "開放時間"
            lines = (hours, f"{first}:00–{last}:00", f"{closed.simplified}休息")
            others = rng.sample([day for day in WEEKDAYS if day != closed], 3)
            claims = ((f"{day.simplified}开放吗？", f"Is it open on {day.english}?") for day in (opened, closed))
            twins = (
                *pair("lookup", *claims),
                choice(
                    "lookup",
                    ("哪一天不开放？", "On which day is it closed?"),
                    [(day.simplified, day.english) for day in (closed, *others)],
                ),
                short("lookup", ("几点关门？", "At what time does it close?"), time_forms(last, 0)),
                copied(place, ("通知的标题", "the first line of the notice")),
            )
            draw = partial(_drawn, papers.notice, rng.random(), place.written(script), lines)
            yield Picture("notices", place.simplified, script, draw, twins, (place.written(script), *lines))
