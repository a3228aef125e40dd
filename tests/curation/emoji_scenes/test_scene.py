"""Scenes are what their facts say, and the same on every machine."""

import random

import numpy as np
import pytest
from PIL import Image

from skymm.curation import emoji
from skymm.curation.emoji_scenes import scene as scenes
from skymm.curation.emoji_scenes.scene import COLOURS, SIZE, Scene, draw_scene, draw_writing, render

POOL = list("🐼🐈🐕🦋🐧🍌")


@pytest.mark.parametrize("seed", range(20))
def test_items_stand_where_the_facts_say(seed):
    scene = draw_scene(random.Random(seed), POOL, "twemoji")
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
    import json

    scene = draw_scene(random.Random(3), POOL, "openmoji")
    again = Scene.from_facts(json.loads(json.dumps(scene.facts())))
    assert again == scene and render(again).tobytes() == render(scene).tobytes()


@pytest.mark.parametrize("colour", COLOURS)
@pytest.mark.parametrize("ground", scenes.GROUNDS)
def test_the_ground_is_nearest_to_its_own_colour(colour, ground):
    mean = np.asarray(render(Scene(colour, ground, "twemoji", (), "", 5)), float).mean((0, 1))
    assert min(COLOURS, key=lambda name: np.abs(mean - COLOURS[name][1]).sum()) == colour


def test_writing_is_drawn_in_both_scripts():
    for text in ("熊猫", "panda", "12 + 7 ="):
        scene = draw_writing(random.Random(0), text)
        empty = Scene(scene.colour, scene.ground, scene.style, (), "", scene.ground_seed)
        difference = np.abs(np.asarray(render(scene), int) - np.asarray(render(empty), int)).sum(-1)
        assert (difference > 0).mean() > 0.03
    one, two = (render(Scene("white", "plain", "twemoji", (), text, 1)).tobytes() for text in ("猫", "狗"))
    assert one != two, "different characters, not two empty boxes"


def test_repeats_happen_and_can_be_switched_off():
    some = [draw_scene(random.Random(seed), POOL, "twemoji") for seed in range(60)]
    none = [draw_scene(random.Random(seed), POOL, "twemoji", repeat_share=0) for seed in range(60)]
    assert any(max(map(scene.count, scene.chars)) > 1 for scene in some)
    assert all(max(map(scene.count, scene.chars)) == 1 for scene in none)


def test_concepts_have_names_and_two_different_pictures():
    concepts = emoji.concepts()
    assert len(concepts) > 1900
    assert len({concept.en for concept in concepts}) == len({concept.zh for concept in concepts}) == len(concepts)
    assert emoji.find("🐼") == emoji.Concept("🐼", "panda", "熊猫")
    for char in POOL:
        one, two = (emoji.picture(char, style, 64) for style in emoji.STYLES)
        assert one.mode == "RGBA" and one.size == (64, 64) and one.tobytes() != two.tobytes()
        assert 0.05 < (np.asarray(one)[..., 3] > 0).mean() < 1


def test_held_out_concepts_are_a_tenth_and_always_the_same():
    held_out = [concept.char for concept in emoji.concepts() if concept.held_out]
    assert 0.07 < len(held_out) / len(emoji.concepts()) < 0.13
    assert emoji.Concept("🐼", "", "").held_out == emoji.find("🐼").held_out


def test_what_is_no_emoji_is_refused():
    with pytest.raises(ValueError, match="'x' is not an emoji"):
        emoji.find("x")
    with pytest.raises(ValueError, match="unknown art style 'oil'"):
        emoji.picture("🐼", "oil", 32)


def test_jpeg_bytes_are_readable():
    import io

    image = Image.open(io.BytesIO(scenes.encode(render(draw_scene(random.Random(0), POOL, "twemoji")))))
    assert image.size == (SIZE, SIZE) and image.format == "JPEG"
