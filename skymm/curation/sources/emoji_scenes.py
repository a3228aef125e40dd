"""Scenes of emoji as a source: pictures drawn on the spot, captions in both languages, and questions that cannot be wrong."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any

from skymm.conversation import LANGUAGES, Turn
from skymm.curation import emoji
from skymm.curation.emoji_scenes import instructions
from skymm.curation.emoji_scenes.scene import Scene, encode, numbered, render
from skymm.curation.negatives.balance import Askable, Asked, Rules
from skymm.curation.record import Caption, Facts, Picture, Record, Rejected, Thing
from skymm.recipe.sources import EmojiScenesSource


class Source:
    """A row is the number of a scene; what is held out for judging, things and art styles of things, is in none of them.

    Its task "turns" asks about scenes, of every thing as often with answer yes as with no (building/asking.py).
    """

    rows_per_part = 50

    def __init__(self, recipe: EmojiScenesSource) -> None:
        self.recipe = recipe
        self.licence = recipe.licence or "; ".join(emoji.LICENCES.values())
        held_out = [char for char in recipe.concepts if emoji.find(char).held_out]
        if held_out:
            raise ValueError(f"concepts {' '.join(held_out)} are held out for judging; take them out of the recipe")
        plain = [concept.char for concept in emoji.concepts() if emoji.is_plain_thing(concept)]
        self._pools = emoji.pools(recipe.concepts or plain, recipe.styles)

    def rows(self) -> Iterator[dict[str, Any]]:
        for index in range(self.recipe.num_images):
            yield {"index": index}

    def records(self, row: dict[str, Any]) -> Iterator[Record | Rejected]:
        seed = f"emoji_scenes/{self.recipe.seed}"
        scene = numbered(row["index"], seed, self._pools, self.recipe.max_items)
        said = zip(LANGUAGES, instructions.caption(scene).answer)
        yield Record(
            f"{row['index']:08d}",
            {"jpg": Picture(data=encode(render(scene)))},
            tuple(Caption(text, language) for language, text in said),
            facts=facts_of(scene),
            extra={"scene": scene.facts()},
        )

    @property
    def most(self) -> int:
        return 2 * self.recipe.pairs_per_image

    def rules(self) -> Rules:
        return instructions.rules(dict.fromkeys(instructions.KINDS, 4))

    def askable(self, record: Record) -> Askable:
        scene = Scene.from_facts(record.extra["scene"])
        return instructions.askable(random.Random(record.key), scene, self._pools[scene.style])

    def exchange(self, record: Record, asked: Asked) -> tuple[Turn, Turn]:
        return instructions.fact(asked.label, asked.key, asked.polarity).turns(asked.language)


def facts_of(scene: Scene) -> Facts:
    """What is there, how often, on which side of what, and on which ground.

    None of it where a name is not one plain word: "dog face" and "guide dog" would make a question about a dog a wrong one.
    """
    named = {char: emoji.find(char).en for char in scene.chars}
    if not all(name.isascii() and name.isalpha() and name.islower() for name in named.values()):
        return Facts()
    things = [Thing(name, scene.count(char)) for char, name in named.items()]
    background = Thing("background", attributes=(scene.colour,))
    relations = ((named[one], relation, named[other]) for one, relation, other in instructions.relations(scene))
    return Facts((*things, background), tuple(relations))
