"""Questions of one's own shards: which are asked, and what is counted."""

from __future__ import annotations

import pytest

from skymm.conversation import Conversation, Turn
from skymm.data.shard_writing import write_shard
from skymm.evaluation.benchmark import Answer
from skymm.evaluation.benchmarks.held_out import BENCHMARK
from skymm.evaluation.run import ask_of
from skymm.recipe import EvalRecipe


def pair(question: str, answer: str, polarity: str | None, language: str, kind: str | None, *images: str):
    return Turn("user", question, images), Turn("assistant", answer, (), polarity, kind, language)


SECONDS = {"0.frame.jpg": 0.5, "1.frame.jpg": 1.5}
TURNS = (
    *pair("Describe it.", "No dog is here.", "positive", "en", "caption", "jpg"),
    *pair("Is there a dog?", "No.", "negative", "en", "existence/popular"),
    *pair("有猫吗？", "有，在左边。", "positive", "zh", "existence/random"),
    *pair("Is there a cow?", "Yes", "negative", "en", "existence"),  # says what its polarity does not
    *pair("背景是红色吗？", "不是", "negative", "zh", "color"),
)


@pytest.fixture
def shards(tmp_path):
    samples = [(Conversation(key, TURNS), {"jpg": b"picture of " + key.encode()}) for key in ("a", "b")]
    text_only = Conversation("c", pair("Is ice cold?", "Yes", "positive", "en", "fact"))
    write_shard(tmp_path / "s.tar", [*samples, (text_only, {})])
    return tmp_path / "s.tar"


def load(root, **options):
    return BENCHMARK.load(EvalRecipe(benchmark="held_out", root=str(root), **options))


def test_what_is_asked(shards):
    asked = load(shards)
    assert [(one.id, one.text, one.gold) for one in asked[:3]] == [
        ("a/2", "Is there a dog?", "no"),
        ("a/4", "有猫吗？", "yes"),
        ("a/8", "背景是红色吗？", "no"),
    ]
    assert len(asked) == 6 and asked[3].images == (b"picture of b",) and asked[3].cluster == "b"
    assert [one.id for one in load(shards, split="zh")] == ["a/4", "a/8", "b/4", "b/8"]
    assert [one.id for one in load(shards, split="existence")] == ["a/2", "a/4", "b/2", "b/4"]
    with pytest.raises(ValueError, match=r"found no questions of 'count' that are answered with yes or no"):
        load(shards, split="count")


def test_pictures_and_frames_stand_where_they_were_taught(tmp_path):
    """Also those of an earlier question, which is not asked again."""
    clip = Turn("user", "What is it?", ("0.frame.jpg", "1.frame.jpg")).timed(SECONDS)
    turns = (clip, Turn("assistant", "A film."), *pair("Is it like ?", "No", "negative", "en", "x", "2.jpg"))
    turns = (*turns[:2], Turn("user", "Is it like ?", ("2.jpg",), places=(11,)), turns[3])
    images = dict.fromkeys(("0.frame.jpg", "1.frame.jpg", "2.jpg"), b"picture")
    write_shard(tmp_path / "s.tar", [(Conversation("a", turns, {"frame_seconds": SECONDS}), images)])
    (asked,) = load(tmp_path / "s.tar")
    assert asked.text == "0.5 seconds:\n1.5 seconds:\nIs it like ?" and asked.gold == "no"
    recipe = EvalRecipe(benchmark="held_out", root=".", suffix="Yes or no?")
    (turn,) = ask_of(asked, recipe).turns
    assert "".join(f"<{said}>" if kind == "image" else said for kind, said in turn.parts) == (
        "0.5 seconds:<0.frame.jpg>\n1.5 seconds:<1.frame.jpg>\nIs it like <2.jpg>? Yes or no?"
    )
    assert ask_of(asked, recipe, images=False).turns[0].images == ()


def test_what_is_counted(shards):
    said = ["Yes", "有", "没有", "no", "hm", "不是"]
    odds = [2.0, 1.0, -1.0, -2.0, 2.0, -3.0]
    answers = [Answer(one, text, {"yes": odd / 2, "no": -odd / 2}) for one, text, odd in zip(load(shards), said, odds)]
    scores = BENCHMARK.score(answers, {})
    assert (scores["correct"], scores["total"], scores["yes_ratio"], scores["unknown"]) == (4, 6, 0.4, 1 / 6)
    # Positives have odds of 1 and 2; of the 8 pairs with negatives (2, -1, -2, -3) one is lost and one is a tie.
    assert scores["auroc"] == 6.5 / 8 and scores["best_accuracy"] == 5 / 6
    # Two at 0.881, one of which is a yes; a yes at 0.731; a no at 0.269, 0.119 and 0.047 each, all in bins of their own.
    assert scores["ece"] == pytest.approx((2 * 0.3808 + 0.2689 + 0.2689 + 0.1192 + 0.0474) / 6, abs=1e-4)
    assert scores["kinds_by_language"]["existence zh"]["accuracy"] == 0.5
    english = scores["languages"]["en"]
    assert {name: english[name] for name in ("accuracy", "correct", "total", "yes_ratio", "unknown", "auroc")} == {
        "accuracy": 0.5, "correct": 1, "total": 2, "yes_ratio": 0.5, "unknown": 0.0, "auroc": None
    }  # fmt: skip
    without = [Answer(one.question, one.response) for one in answers]
    scores = BENCHMARK.score(without, {})
    assert scores["auroc"] is scores["ece"] is scores["best_accuracy"] is None
