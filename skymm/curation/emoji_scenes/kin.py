"""Which emoji are plain things, and which of them are too much alike for one to be asked for in vain beside the other."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache

from skymm.curation.sources import emoji

_PLAIN = re.compile("[a-z]+( [a-z]+)?")
# Names of whole kinds and of signs: "Is there a bird?" beside a penguin has no right answer, nor has a heart's meaning.
_GENERAL = (
    "person people man woman men women boy girl child baby adult family face faces flower blossom bird fish bug animal hand "
    "hands heart hearts button symbol sign arrow mark square circle zone prohibited"
)
_IRREGULAR = (
    " goose mouse ox tooth foot wolf knife leaf elf tomato potato deer moose bison squid shrimp salmon"
    " bread rice fire ice fog wood yarn salt garlic butter dna water broccoli soap"
)
# Things that are each other, part of each other, or not to be told apart in a drawing.
_ALIKE = (
    "dog poodle",
    "monkey gorilla orangutan",
    "whale orca dolphin shark",
    "train locomotive metro tram railway rail monorail tramway cableway station",
    "bus minibus trolleybus",
    "automobile taxi car truck lorry rickshaw",
    "ship ferry boat speedboat sailboat canoe",
    "chicken rooster chick poultry turkey",
    "mouse rat hamster chipmunk",
    "house houses hut building hotel castle",
    "bread baguette croissant bagel flatbread sandwich hamburger",
    "book books notebook ledger notepad bookmark",
    "sun sunrise sunset sunflower",
    "telephone phone",
    "shoe shoes boot sandal",
    "hat cap helmet",
    "mountain volcano fuji",
    "cow ox buffalo bison",
    "goat ewe ram",
    "pig boar",
    "worm snake",
    "ant beetle honeybee cricket cockroach fly mosquito",
    "goose duck swan",
    "rose tulip hibiscus lotus hyacinth bouquet rosette",
    "tree decoration wood",
    "star sparkle sparkles",
    "snowman snowflake ice",
    "glass beverage drink sake mate tea teapot",
    "seat chair bed",
    "letter envelope mail",
    "memo pencil pen nib crayon paintbrush",
    "detective judge pilot farmer cook student singer artist teacher worker technologist mechanic scientist astronaut "
    "firefighter officer guard ninja superhero supervillain prince princess mage fairy vampire elf genie zombie dancer",
    "mermaid merman merperson",
    "eye eyes",
    "money coin banknote dollar yen euro pound",
    "rain umbrella droplet droplets",
    "skier skis snowboarder",
    "fire firecracker fireworks sparkler flame",
)


def is_plain_thing(concept: emoji.Concept) -> bool:
    """Whether its English name is one or two plain words for one thing that can be counted by adding an s.

    No flags, feelings, signs, people as such; no pairs and heaps (glasses, droplets), no geese and no deer.
    """
    words = concept.en.split()
    plural = words[-1].endswith("s") and not words[-1].endswith(("ss", "us", "is"))
    return bool(_PLAIN.fullmatch(concept.en)) and not plural and not set(words) & set((_GENERAL + _IRREGULAR).split())


def unlike(chars: Sequence[str], shown: Sequence[str]) -> list[str]:
    """Those of `chars` that may be said to be absent where `shown` are in the picture, in their order.

    They share no word and no list above with anything shown, and neither Chinese name is in the other.
    """
    there = [emoji.find(char) for char in shown]
    return [char for char in chars if not any(_alike(emoji.find(char), other) for other in there)]


def _alike(one: emoji.Concept, other: emoji.Concept) -> bool:
    mine, others = _kin(one.en), _kin(other.en)
    return bool(mine & others) or one.zh in other.zh or other.zh in one.zh


@lru_cache(maxsize=4096)
def _kin(name: str) -> frozenset[str]:
    words = set(re.findall("[a-z]+", name.lower()))
    return frozenset(words | {group for group in _ALIKE if words & set(group.split())})
