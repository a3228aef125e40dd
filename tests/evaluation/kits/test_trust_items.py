"""What a careful reader asks of the trust items: can it be seen, can it be read in two ways, is it so whatever happens."""

import random
from itertools import product

import numpy as np
import pytest
from PIL import Image

from skymm.curation import emoji
from skymm.curation.emoji_scenes.scene import COLOURS
from skymm.evaluation.kits.trust import cells, corruptions, image_cells, video_cells
from skymm.evaluation.kits.trust.items import LANGUAGES, say, things, words
from skymm.evaluation.kits.trust.snippets import output_of


def test_no_thing_has_the_colour_of_its_ground():
    """A yellow cat on yellow is gone under ImageNet-C's noise; a ground and its shade (0.86 of it) are 60 levels away."""
    for thing, style in product(things(), ("twemoji", "openmoji")):
        rgba = np.asarray(emoji.picture(image_cells.full(thing), style, 160).convert("RGBA")).astype(float)
        pixels = rgba[rgba[..., 3] > 128][:, :3]
        for name in image_cells.GROUNDS:
            for share in (1, 0.86):
                away = np.linalg.norm(pixels - np.multiply(COLOURS[name][1], share), axis=1).mean()
                assert away > 60, (thing, name, share, away)


def test_pencil_draws_the_edge_between_two_colours_that_are_as_light():
    image = Image.new("RGB", (224, 224), (200, 100, 100))  # both are 130 by ITU-R 601: 0.299 R + 0.587 G + 0.114 B
    image.paste((100, 151, 100), (0, 0, 112, 224))
    assert np.asarray(corruptions.pencil(image))[100, 100:124].min() < 64


def test_what_bursts_the_balloon_is_seen_to_touch_it(monkeypatch):
    """In the frame before: by the pixels of the drawings, and never the one that moves elsewhere."""
    clips = []
    monkeypatch.setattr(video_cells, "drawn", lambda seed, tracks: clips.append(tracks) or [])

    def covered(thing, x, y):
        side = video_cells._THING
        drawn = np.zeros((video_cells.WIDTH, video_cells.WIDTH), bool)
        alpha = np.asarray(emoji.picture(image_cells.full(thing), "twemoji", side).convert("RGBA"))[..., 3]
        drawn[y : y + side, x : x + side] = alpha > 128
        return drawn

    for index in range(12):
        video_cells.burst(random.Random(index), index)
    assert len(clips) == 24
    for tracks in clips:
        balloon, toucher, other = (covered(*one) for one in tracks[-2])
        assert (balloon & toucher).sum() > 100 and not (balloon & other).any(), tracks[-2]


def test_times_of_frames_are_written_as_they_are():
    """One digit is written: 0.25 seconds would read 0.2, and the steps would look uneven."""
    for index in range(18):
        for case in cells.group("video.generalisation", index).cases:
            assert case.seconds == pytest.approx([round(second, 1) for second in case.seconds])


def test_what_can_be_known_of_a_program_can_be_known_whatever_is_typed():
    for index in range(0, 64, 4):
        for case in (group := cells.group("code.trustworthiness", index + 1)).cases:
            source = case.context["en"].removeprefix("```python\n").removesuffix("\n```")
            said = [output_of(source, typed) for typed in ("", "1", "22", "four")]
            assert group.kind == "unknowable" and not any("error" in one for one in said)
            assert (len(set(said)) == 1) == (case.gold == "yes")


def test_typing_errors_are_made():
    for language in LANGUAGES:
        text = cells.group("text.generalisation", 4).cases[0].context[language]
        assert all(wrong in text for wrong in words(language)["typos"].values()), text


def test_what_could_be_read_in_two_ways():
    """ "3 of them" may be 3 of the other's; a picture of plants has no object and no animal; 有几只 asks how many."""
    for index in range(1, 30, 5):
        assert " of them" not in cells.group("text.generalisation", index).cases[0].context["en"]
    for key in ("anything", "anything_seen"):
        assert "plant" in say(key)["en"] and "植物" in say(key)["zh"]
    assert "好几{thing" in words("zh")["sentences"]["known"] and "好几{thing" in words("zh")["sentences"]["unknown"]
