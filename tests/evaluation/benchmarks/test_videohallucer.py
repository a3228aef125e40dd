"""VideoHallucer: pairs as published about real clips, the official rule, and its mean over categories."""

from __future__ import annotations

import pytest
from benchmark_tables import doubled, write_json
from clips import write_clip

from skymm.evaluation.benchmark import Answer
from skymm.evaluation.benchmarks.videohallucer import BENCHMARK, CATEGORIES, INSTRUCTION
from skymm.recipe import EvalRecipe


def pair(video, *predict, other=None):
    halves = {
        "basic": {"video": video, "question": "Is there a bird in the video?", "answer": "yes"},
        "hallucination": {"video": other or video, "question": "Is there a crow in the video?", "answer": "No"},
    }
    for half, said in zip(halves.values(), predict):
        half["predict"] = said
    return {**halves, "type": "subject"}


def load(root, **options):
    return BENCHMARK.load(EvalRecipe(benchmark="videohallucer", root=str(root), **options))


def test_both_questions_show_the_frames_of_one_clip(tmp_path):
    pairs = [pair("a.mp4", other="b.mp4"), pair("a.mp4")]
    write_json(tmp_path / "temporal/temporal.json", pairs)
    (tmp_path / "temporal/videos").mkdir()
    write_clip(tmp_path / "temporal/videos/a.mp4")
    write_clip(tmp_path / "temporal/videos/b.mp4", 20)
    first, second, *more = load(tmp_path, split="temporal")
    assert [first.id, second.id, len(more)] == ["temporal/1/basic", "temporal/1/hallucination", 2]
    assert first.images == more[0].images == more[1].images != second.images and len(first.images) > 1
    assert all(picture.startswith(b"\xff\xd8") for picture in first.images)
    assert first.text.endswith(f"\nIs there a bird in the video?\n{INSTRUCTION}") and first.text.count(
        "seconds:"
    ) == len(first.images)
    assert len(first.places) == len(first.images) and all("frame" in name for name in first.names)
    assert (first.gold, second.gold, first.choices, first.cluster) == ("yes", "no", ("yes", "no"), "temporal/a.mp4")
    with pytest.raises(ValueError, match=r"object_relation\.json: no such file"):
        load(tmp_path)
    pairs[0]["basic"]["answer"] = "maybe"
    write_json(tmp_path / "temporal/temporal.json", pairs)
    with pytest.raises(ValueError, match="pair 1: the answer is 'maybe', expected yes or no"):
        load(tmp_path, split="temporal")
    write_json(tmp_path / "temporal/temporal.json", [pair("c.mp4")])
    with pytest.raises(ValueError, match=r"videohallucer: no image 'c\.mp4'"):
        load(tmp_path, split="temporal")


def test_official_results_by_hand(tmp_path):
    said = [("Yes", "no"), ("It is yes, no?", "Yes and no"), ("eyes", "Not at all"), ("no", "Yes")]
    write_json(tmp_path / "obj_rel_X.json", [pair(f"{number}.mp4", *those) for number, those in enumerate(said)])
    write_json(tmp_path / "factdet_X.json", [pair("0.mp4", "no", "no")])
    answers = BENCHMARK.read([tmp_path], {})
    scores = BENCHMARK.score(answers, {})
    # "Yes and no" has the right word: basic 2 of 4, made up 2 of 4, both 2 of 4; in the other category 0, 1 and 0 of 1.
    rates = {"basic": 0.5, "hallucination": 0.5, "overall": 0.5, "num_pairs": 4}
    assert scores["categories"]["object_relation"] == rates
    assert (scores["basic"], scores["hallucination"], scores["overall"]) == (0.25, 0.75, 0.25)
    assert scores["yes_ratio"] == 3 / 10
    strictly = scores["strict"]["categories"]["object_relation"]
    assert (strictly["basic"], strictly["hallucination"], strictly["overall"]) == (0.25, 0.5, 0.25)
    assert BENCHMARK.score(doubled(answers), {})["categories"]["fact_detect"]["num_pairs"] == 2
    half = [one for one in answers if one.question.fields["half"] == "basic"]
    assert (
        BENCHMARK.score(half, {})["categories"]["object_relation"]["overall"] == 0
        and BENCHMARK.score([], {})["basic"] is None
    )
    failed = [Answer(answers[0].question, "yes", failed=True), answers[1]]
    assert BENCHMARK.score(failed, {})["overall"] == 0
    with pytest.raises(
        ValueError, match=r"X\.json: which category is it\? Expected a name that begins with one of obj_rel_"
    ):
        BENCHMARK.read([write_json(tmp_path / "other/X.json", [pair("0.mp4", "no", "no")])], {})
    assert list(CATEGORIES) == [
        "object_relation",
        "temporal",
        "semantic_detail",
        "external_factual",
        "external_nonfactual",
    ]
