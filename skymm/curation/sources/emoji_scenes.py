"""Scenes of emoji as a source: pictures drawn on the spot, captions in both languages, and questions that cannot be wrong."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any

from skymm.conversation import LANGUAGES, Turn
from skymm.curation.emoji_scenes import instructions
from skymm.curation.emoji_scenes.instructions import PAIRS, Fact
from skymm.curation.emoji_scenes.kin import is_plain_thing, unlike
from skymm.curation.emoji_scenes.parts import pool
from skymm.curation.emoji_scenes.scene import Item, Scene, draw_scene, encode, render
from skymm.curation.record import Caption, Facts, Picture, Record, Rejected, Thing
from skymm.curation.sources import emoji
from skymm.recipe.sources import EmojiScenesSource

_KINDS = ("existence", "count", "position", "color")
_TRIES = 20  # for questions that were not asked yet, per pair


class Source:
    """A row is the number of a scene; what is held out for judging, things and art styles of things, is in none of them."""

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
        # The questions about a picture do not move its pixels: another random stream.
        where = f"{self.recipe.seed}/{row['index']}"
        rng = random.Random(f"emoji_scenes/{where}")
        style = rng.choice(list(self._pools))
        chars = self._pools[style]
        scene = draw_scene(rng, chars, style, max_items=min(self.recipe.max_items, len(chars)))
        said = zip(LANGUAGES, instructions.caption(scene).answer)
        yield Record(
            f"{row['index']:08d}",
            {"jpg": Picture(data=encode(render(scene)))},
            tuple(Caption(text, language) for language, text in said),
            questions(random.Random(f"emoji_scenes/{where}/questions"), scene, chars, self.recipe.pairs_per_image),
            facts_of(scene),
            {"scene": scene.facts()},
        )


def questions(rng: random.Random, scene: Scene, chars: list[str], num_pairs: int) -> tuple[Turn, ...]:
    """Pairs of a question with answer yes and its twin with answer no, languages in turn, no question twice, in any order."""
    # A thing that is asked for in vain must be unlike all that is there.
    chars = [*scene.chars, *unlike(chars, scene.chars)]
    pairs: list[tuple[Fact, Fact]] = []
    asked: set[str] = set()
    for attempt in range(num_pairs * _TRIES):
        pair = PAIRS[_KINDS[attempt % len(_KINDS)]](rng, scene, chars)
        if len(pairs) == num_pairs:
            break
        if pair and not asked & {fact.question[0] for fact in pair}:
            asked |= {fact.question[0] for fact in pair}
            pairs.append(pair)
    first = rng.randrange(2)
    facts = [(fact, LANGUAGES[(first + index) % 2]) for index, pair in enumerate(pairs) for fact in pair]
    rng.shuffle(facts)
    turns: list[Turn] = []
    for fact, language in facts:
        turns += fact.turns(language, images=() if turns else ("jpg",))
    return tuple(turns)


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
