"""Scenes of emoji as a source: pictures drawn on the spot, captions in both languages, and questions that cannot be wrong."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any

from skymm.conversation import LANGUAGES, Turn
from skymm.curation.emoji_scenes import instructions
from skymm.curation.emoji_scenes.instructions import KINDS
from skymm.curation.emoji_scenes.kin import is_plain_thing
from skymm.curation.emoji_scenes.parts import pool
from skymm.curation.emoji_scenes.scene import Item, Scene, draw_scene, encode, rearranged, render
from skymm.curation.negatives.balance import Askable, Asked, Rules
from skymm.curation.record import Caption, Facts, Picture, Record, Rejected, Thing
from skymm.curation.sources import emoji
from skymm.recipe.sources import EmojiScenesSource


class Source:
    """A row is the number of a scene; what is held out for judging, things and art styles of things, is in none of them.

    Its task "turns" asks about scenes, of every thing as often with answer yes as with no (building/asking.py).
    """

    rows_per_part = 50

    def __init__(self, recipe: EmojiScenesSource) -> None:
        self.recipe = recipe
        self.licence = recipe.licence or "; ".join(emoji.LICENCES.values())
        concepts = recipe.concepts or [concept.char for concept in emoji.concepts() if is_plain_thing(concept)]
        held_out = [char for char in recipe.concepts if emoji.find(char).held_out]
        if held_out:
            raise ValueError(f"concepts {' '.join(held_out)} are held out for judging; take them out of the recipe")
        wanted = {emoji.find(char).char for char in concepts}
        pools = {style: [char for char in pool(recipe, style) if char in wanted] for style in recipe.styles}
        self._pools = {style: chars for style, chars in pools.items() if chars}
        if not self._pools:
            raise ValueError(
                f"all of {' '.join(recipe.concepts)} are held out for judging in the styles {recipe.styles}"
            )

    def rows(self) -> Iterator[dict[str, Any]]:
        for index in range(self.recipe.num_images):
            yield {"index": index}

    def records(self, row: dict[str, Any]) -> Iterator[Record | Rejected]:
        scene = self._scene(row["index"])
        said = zip(LANGUAGES, instructions.caption(scene).answer)
        yield Record(
            f"{row['index']:08d}",
            {"jpg": Picture(data=encode(render(scene)))},
            tuple(Caption(text, language) for language, text in said),
            facts=facts_of(scene),
            extra={"scene": scene.facts()},
        )

    def _scene(self, index: int) -> Scene:
        """Every third is the one before it, rearranged: another answer to the same question of place or number."""
        rng = random.Random(f"emoji_scenes/{self.recipe.seed}/{index}")
        if index % 3 == 2:
            return rearranged(rng, self._scene(index - 1), self.recipe.max_items)
        style = rng.choice(list(self._pools))
        chars = self._pools[style]
        return draw_scene(rng, chars, style, max_items=min(self.recipe.max_items, len(chars)))

    @property
    def most(self) -> int:
        return 2 * self.recipe.pairs_per_image

    def rules(self) -> Rules:
        return Rules(dict.fromkeys(KINDS, 4), instructions.topics, closes=instructions.closes)

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
    single = [item for item in scene.items if scene.count(item.char) == 1]
    relations = tuple(
        (one.concept.en, relation, other.concept.en)
        for one in single
        for other in single
        for relation in _relations(one, other)
    )
    return Facts((*things, background), relations)


def _relations(one: Item, other: Item) -> Iterator[str]:
    if one.cell[0] != other.cell[0]:
        yield "left of" if one.cell[0] < other.cell[0] else "right of"
    if one.cell[1] != other.cell[1]:
        yield "above" if one.cell[1] < other.cell[1] else "below"
