"""Facts about scenes are true, negatives most of all."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skymm.curation.emoji_scenes import instructions
from skymm.curation.emoji_scenes.instructions import KINDS, pair
from skymm.curation.emoji_scenes.scene import COLOURS, Scene, draw_scene, draw_writing
from skymm.text import language_of
from skymm.verdict import yes_no

POOL = list("🐼🐈🐕🦋🐧🍌🚲🚗")
seeds = st.integers(0, 10**6)


def scene_of(seed: int) -> tuple[random.Random, Scene]:
    rng = random.Random(seed)
    return rng, draw_scene(rng, POOL, "twemoji")


@settings(max_examples=200, deadline=None)
@given(seeds)
def test_positions_are_those_of_the_boxes(seed):
    rng, scene = scene_of(seed)
    found = pair(rng, "position", scene, POOL)
    if found is None:
        return
    by_name = {item.concept.en: item.box for item in scene.items}
    for fact in found:
        text = fact.question[0].removeprefix("Is the ").removesuffix("?")
        for words, axis, sign in (
            (" left of the ", 0, 1),
            (" right of the ", 0, -1),
            (" above the ", 1, 1),
            (" below the ", 1, -1),
        ):
            if words in text:
                first, second = text.split(words)
                centre = [box[axis] + box[2] / 2 for box in (by_name[first], by_name[second])]
                assert (sign * (centre[1] - centre[0]) > 0) == (fact.polarity == "positive")
        zh = {"left": "左边", "right": "右边", "above": "上面", "below": "下面"}
        assert zh[next(word for word in zh if word in text)] in fact.question[1]


@settings(max_examples=50, deadline=None)
@given(seeds)
def test_colour_names_and_false_premises(seed):
    rng, scene = scene_of(seed)
    positive, negative = pair(rng, "color", scene, POOL)
    assert scene.colour in positive.question[0] and COLOURS[scene.colour][0] in positive.question[1]
    assert (
        f" {scene.colour}?" not in negative.question[0]
        and f"是{COLOURS[scene.colour][0]}吗" not in negative.question[1]
    )
    nothing = instructions.empty_cell(rng, scene)
    assert (nothing is None) == (len(scene.items) == 4)
    if nothing:
        taken = {instructions.CELL_NAMES[item.cell][0] for item in scene.items}
        assert nothing.polarity == "negative" and not any(f"at the {cell}?" in nothing.question[0] for cell in taken)


@settings(max_examples=50, deadline=None)
@given(seeds)
def test_captions_name_everything_in_both_languages(seed):
    _, scene = scene_of(seed)
    for fact in (instructions.caption(scene), instructions.layout(scene)):
        for item in scene.items:
            assert item.concept.en in fact.answer[0].lower() and item.concept.zh in fact.answer[1]


@pytest.mark.parametrize("writing", ["panda", "熊猫", "3 + 4 ="])
def test_writing(writing):
    scene = draw_writing(random.Random(0), writing)
    expected = {"panda": {"OCR"}, "熊猫": {"OCR", "text_translation"}, "3 + 4 =": {"numerical_calculation"}}[writing]
    possible = {kind for kind in KINDS if pair(random.Random(0), kind, scene, POOL)}
    assert possible == expected | {"color"}
    for kind in expected:
        positive, negative = pair(random.Random(0), kind, scene, POOL)
        truth = "7" if "+" in writing else "panda" if kind == "text_translation" else writing
        assert truth in positive.question[0] and truth not in negative.question[0]


@settings(max_examples=100, deadline=None)
@given(seeds, st.sampled_from(KINDS))
def test_answers_are_read_as_what_they_mean_in_both_languages(seed, kind):
    rng, scene = scene_of(seed)
    for fact in pair(rng, kind, scene, POOL) or ():
        for index, language in enumerate(("en", "zh")):
            assert yes_no(fact.answer[index]) == ("yes" if fact.polarity == "positive" else "no")
            assert language_of(fact.question[index]) == language
            question, answer = fact.turns(language, images=("jpg",))
            assert question.images == ("jpg",) and (answer.polarity, answer.kind, answer.language) == (
                fact.polarity,
                kind,
                language,
            )
