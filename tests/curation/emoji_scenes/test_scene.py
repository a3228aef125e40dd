"""Scenes are what their facts say, and the same on every machine."""

import io
import json
import random
from itertools import product

import numpy as np
from PIL import Image

from skymm.curation.emoji_scenes import scene as scenes
from skymm.curation.emoji_scenes.scene import COLOURS, SIZE, Scene, draw_scene, draw_writing, render

POOL = list("🐼🐈🐕🦋🐧🍌")


def test_items_stand_where_the_facts_say():
    for seed in range(20):
        items_stand_where_the_facts_say(draw_scene(random.Random(seed), POOL, "twemoji"))


def items_stand_where_the_facts_say(scene: Scene) -> None:
    empty = Scene(scene.colour, scene.ground, scene.style, (), "", scene.ground_seed)
    difference = np.abs(np.asarray(render(scene), int) - np.asarray(render(empty), int)).sum(-1) > 0
    outside = difference.copy()
    for item in scene.items:
        x, y, side = item.box
        column, row = item.cell
        assert column * SIZE // 2 <= x and x + side <= (column + 1) * SIZE // 2 and row * SIZE // 2 <= y
        assert difference[y : y + side, x : x + side].mean() > 0.1, "something is drawn there"
        outside[y : y + side, x : x + side] = False
    assert not outside.any(), "and nowhere else"
    assert len({item.cell for item in scene.items}) == len(scene.items)


def test_the_same_scene_has_the_same_pixels_and_facts_go_through_json():
    scene = draw_scene(random.Random(3), POOL, "openmoji")
    again = Scene.from_facts(json.loads(json.dumps(scene.facts())))
    assert again == scene and render(again).tobytes() == render(scene).tobytes()


def test_the_ground_is_nearest_to_its_own_colour():
    for colour, ground in product(COLOURS, scenes.GROUNDS):
        mean = np.asarray(render(Scene(colour, ground, "twemoji", (), "", 5)), float).mean((0, 1))
        assert min(COLOURS, key=lambda name: np.abs(mean - COLOURS[name][1]).sum()) == colour, (colour, ground)


def test_writing_is_drawn_in_both_scripts():
    for text in ("熊猫", "panda", "12 + 7 ="):
        scene = draw_writing(random.Random(0), text)
        empty = Scene(scene.colour, scene.ground, scene.style, (), "", scene.ground_seed)
        difference = np.abs(np.asarray(render(scene), int) - np.asarray(render(empty), int)).sum(-1)
        assert (difference > 0).mean() > 0.03
    one, two = (render(Scene("white", "plain", "twemoji", (), text, 1)).tobytes() for text in ("猫", "狗"))
    assert one != two, "different characters, not two empty boxes"


def test_every_third_scene_has_the_things_of_the_one_before():
    row = [scenes.numbered(index, "seed", {"twemoji": POOL}, 3) for index in range(60)]
    for before, after in zip(row[1::3], row[2::3]):
        assert set(before.chars) == set(after.chars) and before.items != after.items
    assert sum(set(one.chars) == set(other.chars) for one, other in zip(row[::3], row[1::3])) < 10


def test_repeats_happen_and_can_be_switched_off():
    some = [draw_scene(random.Random(seed), POOL, "twemoji") for seed in range(60)]
    none = [draw_scene(random.Random(seed), POOL, "twemoji", repeat_share=0) for seed in range(60)]
    assert any(max(map(scene.count, scene.chars)) > 1 for scene in some)
    assert all(max(map(scene.count, scene.chars)) == 1 for scene in none)


def test_jpeg_bytes_are_readable():
    image = Image.open(io.BytesIO(scenes.encode(render(draw_scene(random.Random(0), POOL, "twemoji")))))
    assert image.size == (SIZE, SIZE) and image.format == "JPEG"
