"""Pictures: corrupted and in another style; nothing, noise, none of the options and misleading words; one thing taken away."""

from __future__ import annotations

import random
from collections.abc import Sequence
from itertools import product

from PIL import Image

from skymm.curation import emoji
from skymm.curation.emoji_scenes.scene import CELLS, Item, Scene, draw_writing, render
from skymm.curation.emoji_scenes.scene import SIZE as WIDTH
from skymm.evaluation.kits.trust.corruptions import CONSTANTS, SEVERITIES, SIDE, corrupted, noise, pencil
from skymm.evaluation.kits.trust.items import Case, Family, Group, joined, named, say, things

GROUNDS = ("purple", "pink", "white")  # none of the things is of such a colour: a yellow cat on yellow cannot be seen
NUMBERS = {"zh": ["零", "一", "两", "三", "四"], "en": ["no", "one", "two", "three", "four"]}


def show(rng: random.Random, placed: Sequence[str | None], style: str = "twemoji", colour: str = "") -> Image.Image:
    """Things in the four cells of a picture, in reading order; None leaves a cell empty."""
    items = []
    for thing, (column, row) in zip(placed, CELLS, strict=True):
        side = rng.randint(104, 140)  # drawn for empty cells too, so that twins are alike in all the others
        x, y = (place * WIDTH // 2 + rng.randint(4, WIDTH // 2 - side - 4) for place in (column, row))
        if thing:
            items.append(Item(full(thing), (column, row), (x, y, side)))
    ground = rng.choice(("plain", "gradient", "dots"))
    scene = Scene(colour or rng.choice(GROUNDS), ground, style, tuple(items), "", rng.randrange(2**31))
    return render(scene).resize((SIDE, SIDE), Image.Resampling.BICUBIC)


def full(thing: str) -> str:
    return thing if thing in emoji.by_char() else f"{thing}\ufe0f"


def scattered(rng: random.Random, chosen: Sequence[str]) -> list[str | None]:
    """Things in cells by chance."""
    placed: list[str | None] = [*chosen, *[None] * (4 - len(chosen))]
    rng.shuffle(placed)
    return placed


def number(n: int) -> dict[str, str]:
    return {language: names[n] for language, names in NUMBERS.items()}


def _asked(rng: random.Random, index: int) -> tuple[dict, list[str | None], list[str | None]]:
    """(a question, what a picture shows for which yes is right, and one for which no is right)."""
    one, other, third = rng.sample(things(), 3)
    if index % 3 == 0:
        return say("exists", thing=named(one)), scattered(rng, [one, third]), scattered(rng, [other, third])
    if index % 3 == 1:
        count = rng.randint(2, 3)
        wrong = rng.choice([n for n in (2, 3, 4) if n != count])
        question = say("exactly", number=number(count), thing=named(one))
        return question, scattered(rng, [one] * count), scattered(rng, [one] * wrong)
    left, right = [one, other, None, None], [other, one, None, None]
    if rng.random() < 0.5:
        left, right = left[2:] + left[:2], right[2:] + right[:2]
    return say("left_of", one=named(one), other=named(other)), left, right


def _two(question: dict, yes: Image.Image, no: Image.Image, kind: str) -> Group:
    return Group(kind, question, [Case("yes", pictures=(yes,)), Case("no", pictures=(no,))])


# --- generalisation --------------------------------------------------------------------------------------------------------


def damaged(rng: random.Random, index: int) -> Group:
    name, severity = list(product(CONSTANTS, SEVERITIES))[index % 24]
    question, yes, no = _asked(rng, index // 24 + index // 3 + index)
    yes, no = (corrupted(show(rng, placed), name, severity, rng.randrange(2**31)) for placed in (yes, no))
    return _two(question, yes, no, f"{name} {severity}")


def restyled(rng: random.Random, index: int) -> Group:
    """Other artists' drawings, the same as pencil lines, and writing."""
    way = ("openmoji", "pencil", "writing")[index % 3]
    if way == "writing":
        language = ("zh", "en")[index // 3 % 2]
        one, other = (named(thing)[language].name for thing in rng.sample(things(), 2))
        yes, no = (render(draw_writing(rng, text)).resize((SIDE, SIDE)) for text in (one, other))
        return _two(say("reads", value=one), yes, no, "writing")
    question, yes, no = _asked(rng, index // 3)
    yes, no = (show(rng, placed, "openmoji" if way == "openmoji" else "twemoji") for placed in (yes, no))
    if way == "pencil":
        yes, no = pencil(yes), pencil(no)
    return _two(question, yes, no, way)


# --- trustworthiness -------------------------------------------------------------------------------------------------------


def nothing(rng: random.Random, index: int) -> Group:
    """A blank picture, or noise, beside one that shows something."""
    one, other = rng.sample(things(), 2)
    shown = show(rng, scattered(rng, [one, other]))
    blank = Image.new("RGB", (SIDE, SIDE), tuple(rng.choice(range(40, 250)) for _ in range(3)))
    empty = blank if index % 2 else noise(rng.randrange(2**31))
    question = say("anything") if index // 2 % 2 else say("exists", thing=named(one))
    return _two(question, shown, empty, "blank" if index % 2 else "noise")


def none_of_these(rng: random.Random, index: int) -> Group:
    """Two options and "none of these", over a picture of each kind."""
    one, other, third = rng.sample(things(), 3)
    answers = [{language: named(thing)[language].name for language in ("zh", "en")} for thing in (one, other)]
    answers.append(say("none"))
    options = {language: dict(zip("ABC", (answer[language] for answer in answers))) for language in ("zh", "en")}
    cases = [
        Case(letter, pictures=(show(rng, scattered(rng, [thing])),))
        for letter, thing in zip("ABC", (one, other, third))
    ]
    return Group("none of these", say("which"), cases, "choice", options)


def misled(rng: random.Random, index: int) -> Group:
    """Words beside the picture, or somebody who insists: wrong over one picture, right over the other."""
    one, other, third = rng.sample(things(), 3)
    key = ("caption_says", "caption_denies", "insists_yes", "insists_no")[index % 4]
    asked = say("exists", thing=named(one))
    words = [say(key, thing=named(one)), asked] if index % 4 < 2 else [asked, say(key)]
    yes, no = show(rng, scattered(rng, [one, third])), show(rng, scattered(rng, [other, third]))
    return _two(joined(*words), yes, no, key.replace("_", " "))


# --- causality -------------------------------------------------------------------------------------------------------------


def taken_away(rng: random.Random, index: int) -> Group:
    one, other, third = rng.sample(things(), 3)
    if index % 2:
        count = rng.randint(3, 4)
        wrong = rng.choice([n for n in (2, 3, 4) if n != count])
        question = say("exactly_left", number=number(count - 1), thing=named(one))
        yes, no = scattered(rng, [one] * count), scattered(rng, [one] * wrong)
        return _two(question, show(rng, yes), show(rng, no), "one less")
    places = [one, *rng.sample([third, None], 2)]
    rng.shuffle(places)
    alone = [third if thing == one else thing for thing in places]
    yes, no = show(rng, [rng.choice((one, other)), *places]), show(rng, [one, *alone])
    return _two(say("still", thing=named(one)), yes, no, "top left taken away")


def put_back(rng: random.Random, index: int) -> Group:
    """Twin scenes: the second picture lacks one thing of the first, this or another."""
    one, other = rng.sample(things(), 2)
    placed, colour = scattered(rng, [one, other]), rng.choice(GROUNDS)
    cases = []
    for gold, gone in (("yes", one), ("no", other)):
        seed = rng.random()
        whole, less = (
            show(random.Random(seed), [None if thing == left_out else thing for thing in placed], colour=colour)
            for left_out in ("", gone)
        )
        cases.append(Case(gold, pictures=(whole, less)))
    return Group("twin scenes", say("taken", thing=named(one)), cases)


def otherwise(rng: random.Random, index: int) -> Group:
    """What if two things changed places, or one more came."""
    one, other = rng.sample(things(), 2)
    if index % 2:
        yes, no = [other, one, None, None], [one, other, None, None]
        question = say("swapped", one=named(one), other=named(other))
        return _two(question, show(rng, yes), show(rng, no), "changed places")
    yes, no = scattered(rng, [one, one, other, other]), scattered(rng, [one, other, other])
    question = say("one_more", one=named(one), other=named(other))
    return _two(question, show(rng, yes), show(rng, no), "one more")


GENERALISATION: tuple[Family, ...] = (damaged, damaged, damaged, restyled)
TRUSTWORTHINESS: tuple[Family, ...] = (nothing, none_of_these, misled)
CAUSALITY: tuple[Family, ...] = (taken_away, put_back, otherwise)
