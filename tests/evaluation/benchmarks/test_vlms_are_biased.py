"""VLMs are Biased: rows as published, the rule of lmms-eval with its quirk, and the bilingual reading."""

from __future__ import annotations

import pytest
from benchmark_tables import picture, write_lines, write_parquet

from skymm.evaluation.benchmark import Answer
from skymm.evaluation.benchmarks.vlms_are_biased import BENCHMARK, official, strict
from skymm.recipe import EvalRecipe

LEGS = "How many legs does this animal have? Answer with a number in curly brackets, e.g., {9}."
LINES = "Are the two lines equal in length? Answer in curly brackets, e.g., {Yes} or {No}."
BRAND = "Which brand is it? Answer in curly brackets, e.g., {Puma}."


def row(name, file, prompt, gold, bias, topic="Animals"):
    where = {"ID": name, "image_path": f"images/{file}.png", "topic": topic, "sub_topic": "", "prompt": prompt}
    return {**where, "ground_truth": gold, "expected_bias": bias, "with_title": False}


ROWS = [
    row("lynx_Q1_px384", "lynx_notitle_px384", LEGS, "5", "4"),
    row("Ponzo_001_Q1_px384", "Ponzo_001_notitle_px384", LINES, "Yes", "No", "Optical Illusion"),
    row("lynx_Q1_px768", "lynx_notitle_px768", LEGS, "5", "4"),
    row("nike_768", "nike-1_768", BRAND, "Adidas", "Nike", "Logos"),
]


def load(root, rows=ROWS, split="main", **more):
    cells = [one | {"image": {"bytes": picture(number), "path": "x.png"}} for number, one in enumerate(rows)]
    write_parquet(root / f"data/{split}-00000-of-00001.parquet", cells)
    return BENCHMARK.load(EvalRecipe(**{"benchmark": "vlms_are_biased", "root": str(root), "split": split} | more))


def test_one_picture_at_all_sizes_is_one_cluster(tmp_path):
    legs, larger, lines, brand = load(tmp_path)
    assert legs.cluster == larger.cluster == "lynx_notitle" and brand.cluster == "nike-1"
    assert legs.text == LEGS and legs.images == (picture(0),) and larger.images == (picture(2),)
    assert (legs.gold, legs.fields["bias"], legs.choices) == ("5", "4", ()) and lines.choices == ("yes", "no")
    for split in ("withtitle", None, "mian"):
        with pytest.raises(ValueError, match=r"found no files of split .*expected one of main, identification"):
            BENCHMARK.load(EvalRecipe(benchmark="vlms_are_biased", root=str(tmp_path), split=split))


READ = {  # official, strict
    LEGS: {
        "{5}": ("5", "5"),
        "{4}": ("4", "4"),
        "It has 5 legs.": ("5", "5"),
        "5 of 6": ("other", "unknown"),
        "Not 4 as usual: {5}": ("other", "5"),  # digits run together: 45
        "{4}, no: {05}": ("other", "5"),
        "five": ("other", "5"),
        "有五条腿": ("other", "5"),
        "{6}": ("other", "6"),
        "I cannot tell": ("other", "unknown"),
    },
    LINES: {
        "{YES}": ("yes", "yes"),
        "{No}": ("no", "no"),
        "Yes.": ("other", "yes"),
        "不是": ("other", "no"),
        "": ("other", "unknown"),
    },
    BRAND: {
        "adidas": ("adidas", "adidas"),
        "这是 Nike": ("other", "nike"),
        "Puma": ("other", "other"),
        "": ("other", "unknown"),
    },
}


def test_what_answers_say(tmp_path):
    by_text = {question.text: question for question in load(tmp_path)}
    for text, said in READ.items():
        answers = {one: Answer(by_text[text], one) for one in said}
        assert {one: (official(answer), strict(answer)) for one, answer in answers.items()} == said


def test_scores_by_hand(tmp_path):
    questions = load(tmp_path)
    answers = [Answer(one, text) for one, text in zip(questions, ("{5}", "{4}", "Yes.", "{Nike}"))]
    scores = BENCHMARK.score(answers, {})
    assert (scores["correct"], scores["total"], scores["bias_ratio"]) == (1, 4, 0.5)
    assert scores["topics"]["Animals"] == {"correct": 1, "total": 2, "accuracy": 0.5, "bias_ratio": 0.5}
    assert list(scores["topics"]) == ["Animals", "Logos", "Optical Illusion"]
    assert (scores["strict"]["correct"], scores["strict"]["bias_ratio"], scores["strict"]["unknown"]) == (2, 0.5, 0)
    assert BENCHMARK.score([Answer(questions[0], "5", failed=True)], {})["correct"] == 0
    original = load(tmp_path / "original", [row("a", "a_384", LEGS, "4", None)], split="original")
    assert BENCHMARK.score([Answer(original[0], "")], {})["bias_ratio"] is None
    samples = [{"doc": one, "filtered_resps": ["{4}"], "target": one["ground_truth"]} for one in ROWS]
    found = BENCHMARK.score(BENCHMARK.read([write_lines(tmp_path / "samples.jsonl", samples)], {}), {})
    assert (found["total"], found["bias_ratio"], found["topics"]["Animals"]["bias_ratio"]) == (4, 0.5, 1)
