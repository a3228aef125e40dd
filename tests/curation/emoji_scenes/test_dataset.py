"""Shards and benchmarks out of scenes: balanced, reproducible, and kept apart."""

import random
from collections import Counter
from pathlib import Path

import pytest
from built import conversations, digests

from skymm.curation import emoji
from skymm.curation.building.workers import Local
from skymm.curation.emoji import PARTS, pool
from skymm.curation.emoji_scenes.dataset import build
from skymm.curation.emoji_scenes.instructions import pair
from skymm.curation.emoji_scenes.scene import Scene, draw_scene
from skymm.data.shards import expand, read_shard
from skymm.evaluation.benchmarks import mme
from skymm.recipe import EmojiScenesRecipe, EvalRecipe


@pytest.fixture(scope="module")
def several(tmp_path_factory) -> Path:
    recipe = EmojiScenesRecipe(source="emoji_scenes", concepts=list("🐼🐈🐕🦋🐧🍌"), num_images=150, bench_images=1)
    return build(recipe, tmp_path_factory.mktemp("several"))


def test_the_same_recipe_gives_the_same_bytes_and_stages_show_the_same_pictures(tiny_data, tiny_data_recipe, tmp_path):
    assert digests(build(tiny_data_recipe, tmp_path, Local(2))) == digests(tiny_data)
    one, two = (
        {sample.key: sample.members["jpg"] for shard in expand(tiny_data / stage) for sample in read_shard(shard)}
        for stage in ("stage1", "stage2")
    )
    assert one == two


def test_a_second_build_keeps_what_is_there_and_another_recipe_is_refused(tiny_data, tiny_data_recipe):
    before = {path: path.stat().st_mtime_ns for path in tiny_data.rglob("*")}
    build(tiny_data_recipe, tiny_data)
    assert {path: path.stat().st_mtime_ns for path in tiny_data.rglob("*")} == before
    with pytest.raises(ValueError, match="built from another recipe"):
        build(tiny_data_recipe.model_copy(update={"seed": 1}), tiny_data)


def test_stage2_is_balanced_and_bilingual(several):
    answers = [turn for one in conversations(several / "stage2") for turn in one.targets]
    languages = Counter(turn.language for turn in answers)
    assert abs(languages["en"] - languages["zh"]) <= 0.05 * len(answers)
    assert {turn.kind for turn in answers} >= {"existence", "count", "position", "color", "OCR", "name"}
    assert all(turn.polarity in ("positive", "negative") for turn in answers)


def test_every_question_has_both_answers_equally_often_and_open_ones_come_last(several):
    told: Counter = Counter()
    for one in conversations(several / "stage2"):
        kinds = [turn.kind for turn in one.targets]
        assert kinds[-1] in ("name", "caption") and not {"name", "caption"} & set(kinds[:-1])
        shown = Scene.from_facts(one.extra["scene"]).chars
        for question, answer in zip(one.turns[::2], one.turns[1::2]):
            told[question.text, answer.polarity] += answer.kind not in ("name", "caption")
            if answer.kind == "existence" and answer.polarity == "negative":
                assert not any(
                    emoji.find(char).zh in question.text or question.text[1:-2] in emoji.find(char).zh for char in shown
                )
    assert told.total() > 400 and all(told[text, "positive"] == told[text, "negative"] for text, _ in list(told))


def test_a_kind_may_be_asked_at_a_part_of_the_pictures(tmp_path):
    kinds = {"existence": 5, "color": 0.3, "name": 0.2}
    few = {"num_images": 150, "bench_images": 1, "word_share": 0, "sum_share": 0}
    recipe = EmojiScenesRecipe(
        source="emoji_scenes", concepts=list("🐼🐈🐕🐟🦋🐧🐙🍌🍉🍓🍕🍄🌹🌵🚲🚗"), kinds=kinds, **few
    )
    asked: Counter = Counter()
    for one in conversations(build(recipe, tmp_path) / "stage2"):
        asked.update({turn.kind for turn in one.targets})
    assert set(asked) == set(kinds)
    assert asked["existence"] > 130 and 25 <= asked["color"] <= 60 and 15 <= asked["name"] <= 45, asked


@pytest.mark.parametrize("kinds", [{"color": 1.5}, {"color": -1}, {"color": float("nan")}, {"exitence": 1}])
def test_numbers_and_kinds_that_mean_nothing_are_refused(kinds):
    with pytest.raises(ValueError, match="kinds"):
        EmojiScenesRecipe(source="emoji_scenes", kinds=kinds)


def test_held_out_things_are_never_trained_on(tmp_path):
    recipe = EmojiScenesRecipe(
        source="emoji_scenes", concepts=[], num_images=60, bench_images=3, word_share=0, sum_share=0
    )
    build(recipe, tmp_path)
    for conversation in conversations(tmp_path / "stage1") + conversations(tmp_path / "stage2"):
        scene = Scene.from_facts(conversation.extra["scene"])
        for char in scene.chars:
            assert char in pool([], scene.style), "its concept and its style are trained on"


def test_parts_cut_the_concepts_without_rest():
    for style in emoji.STYLES:
        parts = [set(pool([], style, part)) for part in PARTS]
        assert sum(map(len, parts)) == len(set.union(*parts)) == len(emoji.concepts())
    in_both = set(pool([], "twemoji", "new_style")) & set(pool([], "openmoji", "new_style"))
    assert not in_both, "what is withheld in one style is trained on in the other"


def questions_in(root):
    return mme.load(EvalRecipe(benchmark="mme", root=str(root)))


def test_benchmarks_are_in_mmes_layout_with_a_chinese_twin(tiny_data):
    for name in PARTS.values():
        if not (tiny_data / name / "en").exists():
            continue
        english, chinese = (questions_in(tiny_data / name / language) for language in ("en", "zh"))
        assert len(english) == len(chinese) > 0
        for one, other in zip(english, chinese):
            assert (one.id, one.gold) == (other.id, other.gold)
            assert one.images[0].read_bytes() == other.images[0].read_bytes()
            assert one.text.endswith("Please answer yes or no.") and other.text.endswith("请回答是或否。")
        assert [question.gold for question in english] == ["yes", "no"] * (len(english) // 2)
    assert {question.fields["subtask"] for question in questions_in(tiny_data / "bench" / "en")} == {
        *("existence", "count", "position", "color", "OCR", "text_translation", "numerical_calculation")
    }


def test_held_out_scenes_are_not_training_scenes(tiny_data):
    trained = {sample.members["jpg"] for shard in expand(tiny_data / "stage1") for sample in read_shard(shard)}
    assert not trained & {path.read_bytes() for path in tiny_data.glob("bench*/en/*/*.jpg")}


def test_a_number_does_not_tell_whether_it_is_the_right_one():
    """A model that never looks must not learn that "one" is right and "three" is wrong."""
    chars = list("🐼🐈🐕🐧🍌🚗🏠🔑")
    verdicts: dict[str, Counter[str]] = {"one": Counter(), "two": Counter()}
    for seed in range(1500):
        rng = random.Random(seed)
        for fact in pair(rng, "count", draw_scene(rng, chars, "twemoji", max_items=3), chars) or ():
            for word in verdicts.keys() & fact.question[0].split():
                verdicts[word][fact.polarity] += 1
    for word, told in verdicts.items():
        assert told.total() > 300 and 0.4 < told["positive"] / told.total() < 0.6, (word, told)
