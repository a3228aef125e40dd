"""Descriptions of one's own pictures: what is known of them decides what is made up, in both languages."""

from __future__ import annotations

import pytest

from skymm.conversation import Conversation, Turn
from skymm.data.shard_writing import write_shard
from skymm.evaluation.benchmark import Answer
from skymm.evaluation.benchmarks.held_out_captions import BENCHMARK
from skymm.recipe import EvalRecipe

FACTS = {"things": [{"name": "dog"}, {"name": "car"}], "absent": ["cat", "person"]}


@pytest.fixture
def asked(tmp_path):
    turns = (Turn("user", "Is there a dog?", ("jpg",)), Turn("assistant", "Yes.", (), "positive", "existence", "en"))
    known = Conversation("a", turns, {"facts": FACTS})
    two = Conversation("b", (Turn("user", "?", ("0.jpg", "1.jpg")), turns[1]), {"facts": FACTS})
    nothing = Conversation("c", turns)
    pictures = {"0.jpg": b"x", "1.jpg": b"y"}
    write_shard(tmp_path / "s.tar", [(known, {"jpg": b"x"}), (two, pictures), (nothing, {"jpg": b"x"})])
    return lambda **options: BENCHMARK.load(
        EvalRecipe(benchmark="held_out_captions", root=str(tmp_path / "s.tar"), **options)
    )


def test_pictures_of_which_something_is_known_are_asked_about_in_both_languages(asked):
    questions = asked()
    assert [(one.id, one.images, one.cluster) for one in questions] == [
        ("a/en", (b"x",), "a"),
        ("a/zh", (b"x",), "a"),
    ]
    assert questions[0].fields == {"language": "en", "there": ["dog", "car"], "absent": ["cat", "person"]}
    assert [one.id for one in asked(split="zh")] == ["a/zh"]
    with pytest.raises(ValueError, match=r"found split 'fr', expected one of"):
        asked(split="fr")


def test_what_is_counted(asked):
    """A man is a person, a puppy a dog; a tree, of which nothing is known, and what is denied count for neither side."""
    english, chinese = asked()
    answers = [
        Answer(english, "A puppy and a man under a tree. There is no cat."),
        Answer(chinese, "一辆车旁边有一只猫，猫是白色的。"),
        Answer(english, "一张照片。"),
    ]
    scores = BENCHMARK.score(answers, {})
    assert (scores["chair_i"], scores["mentions"], scores["captions"]) == (2 / 4, 4, 3)
    assert (scores["chair_s"], scores["silent"], scores["in_language"]) == (2 / 3, 1 / 3, 2 / 3)
    assert scores["recall"] == 2 / 6
    assert scores["languages"]["zh"]["chair_i"] == 1 / 2
    assert BENCHMARK.score(answers[2:], {})["chair_i"] is None
