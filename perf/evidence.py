"""Does the evidence map point at what was asked for? The pointing game on drawn scenes, whose boxes are known.

    python perf/evidence.py --model runs/quickstart/stage2

Scenes are new, of the concepts of a data recipe; each is asked for one thing that stands in it once, in Chinese and English in
turn. Counted are the maps of the answers "yes". Beside the hits stand those of a random cell; how many of the peaks that lie in
a thing at all lie in the right one; and how often random cells pass the test that maps have to pass.
"""

from __future__ import annotations

import argparse
import random
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

from skymm.answering.protocol import Ask
from skymm.answering.skymm_model import SkyMMAnswerer
from skymm.curation import emoji
from skymm.curation.emoji_scenes.instructions import fact
from skymm.curation.emoji_scenes.scene import SIZE, Item, draw_scene, encode, render
from skymm.evaluation.statistics import Interval, share
from skymm.quickstart import bundled_recipe
from skymm.recipe import EmojiScenesRecipe, load
from skymm.serve.evidence import Box, EvidenceMap, Occlusion, evidence_map, passes


@dataclass(frozen=True, slots=True)
class Pointing:
    """The pointing game: how often the peak of a map lies in a box of what was asked for, and how often a random cell would."""

    num_maps: int
    hits: int
    share: Interval
    chance: float


def pointing(maps: Sequence[EvidenceMap], boxes: Sequence[Sequence[Box]]) -> Pointing:
    """The game over maps of different pictures and the boxes of what was asked for in each. Raises ValueError without maps."""
    hits, chances = 0, []
    for one, found in zip(maps, boxes, strict=True):
        hits += _inside(one.peak, found)
        middles = product([(index + 0.5) / one.side for index in range(one.side)], repeat=2)
        chances.append(sum(_inside(middle, found) for middle in middles) / one.side**2)
    rate = share(hits, len(maps))
    return Pointing(len(maps), hits, rate, sum(chances) / len(chances))


def _inside(point: tuple[float, float], boxes: Sequence[Box]) -> bool:
    x, y = point
    return any(left <= x <= right and top <= y <= bottom for left, top, right, bottom in boxes)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", required=True)
    parser.add_argument("--recipe", default=bundled_recipe("data_recipes", "quickstart"))
    parser.add_argument("--scenes", type=int, default=100)
    arguments = parser.parse_args()
    recipe, answerer = load(arguments.recipe, EmojiScenesRecipe), SkyMMAnswerer.from_directory(arguments.model)
    found: list[tuple[EvidenceMap, list[Box], list[Box]]] = []
    denied = lucky = 0
    for index in range(arguments.scenes):
        rng = random.Random(f"pointing/{index}")
        style = rng.choice(recipe.styles)
        scene = draw_scene(rng, emoji.pool(recipe.concepts, style), style, max_items=3, repeat_share=0)
        asked = rng.choice(scene.items)
        question = fact("existence", (asked.char,), "positive").question[index % 2]
        ask = Ask(question, (encode(render(scene)),), ("yes", "no"), id=f"scene {index}")
        picture = Occlusion(answerer, ask)
        if picture.answer == "no":
            denied += 1
            continue
        made = evidence_map(picture)
        found.append((made, [box_of(asked)], [box_of(item) for item in scene.items]))
        cells = frozenset(rng.sample(range(made.side**2), len(made.marked)))
        lucky += passes(*picture.test(cells))
    print(f"{arguments.model}: {arguments.scenes} scenes, yes to {len(found)}, no to {denied} (nothing to point at)")
    for name, some in (
        ("all maps", found),
        ("passed", [one for one in found if one[0].passed]),
        ("failed", [one for one in found if not one[0].passed]),
    ):
        if not some:
            continue
        right = pointing([made for made, _, _ in some], [box for _, box, _ in some])
        any_thing = pointing([made for made, _, _ in some], [boxes for _, _, boxes in some])
        rate = right.share
        print(
            f"{name}: {right.hits} of {right.num_maps} point at it ({rate.value:.2f}, 95% {rate.low:.2f} to {rate.high:.2f}; "
            f"a random cell {right.chance:.2f}); {any_thing.hits} at some thing"
        )
    print(f"random cells pass the test for {lucky} of {len(found)} answers")


def box_of(item: Item) -> Box:
    x, y, side = item.box
    return x / SIZE, y / SIZE, (x + side) / SIZE, (y + side) / SIZE


if __name__ == "__main__":
    main()
