"""MathVista: problems as published, the official forms of an answer, and official result files as GPT-4 read them."""

from __future__ import annotations

import pytest
from benchmark_tables import picture, write_json, write_parquet

from skymm.evaluation.benchmark import Answer
from skymm.evaluation.benchmarks.mathvista import BENCHMARK, official, strict
from skymm.recipe import EvalRecipe

ANGLES = ["135°", "140°", "145°", "150°"]


def problem(pid, kind, answer, choices=None, precision=None, unit=None, skills=("arithmetic reasoning",)):
    about = {"language": "english", "task": "geometry problem solving", "context": "chart", "skills": list(skills)}
    asked = {"question": f"How much {pid}?", "image": f"images/{pid}.jpg", "choices": choices, "unit": unit}
    of = {"answer_type": kind, "question_type": "multi_choice" if choices else "free_form", "precision": precision}
    return {"pid": pid, **asked, **of, "answer": answer, "metadata": about}


PROBLEMS = [
    problem("1", "float", "1.2", precision=1),
    problem("2", "integer", "1000", unit="g", skills=("numeric commonsense", "arithmetic reasoning")),
    problem("3", "text", "145°", ANGLES),
    problem("4", "list", "[1, 2.5]"),
]


def load(root):
    write_json(root / "testmini.json", {one["pid"]: one for one in PROBLEMS})
    (root / "images").mkdir(exist_ok=True)
    for one in PROBLEMS:
        (root / one["image"]).write_bytes(b"pixels")
    return BENCHMARK.load(EvalRecipe(benchmark="mathvista", root=str(root)))


def test_both_releases(tmp_path):
    of_float, grams, angle, _ = load(tmp_path)
    assert of_float.text.startswith("Hint: ") and "with one decimal place" in of_float.text
    assert grams.text.endswith("1, 2, 3, at the end.\nQuestion: How much 2? (Unit: g)") and grams.choices == ()
    assert angle.text.endswith("\nQuestion: How much 3?\nChoices:\n(A) 135°\n(B) 140°\n(C) 145°\n(D) 150°")
    assert (angle.gold, angle.choices, angle.images) == ("C", ("A", "B", "C", "D"), (tmp_path / "images/3.jpg",))
    row = PROBLEMS[2] | {"decoded_image": {"bytes": picture(1), "path": ""}, "query": "Hint: ..."}
    write_parquet(tmp_path / "hub/testmini-00000-of-00001.parquet", [row])
    (inside,) = BENCHMARK.load(EvalRecipe(benchmark="mathvista", root=str(tmp_path / "hub")))
    assert (
        inside.images == (picture(1),)
        and inside.text == "Hint: ..."
        and inside.fields["skills"] == ["arithmetic reasoning"]
    )
    write_json(tmp_path / "testmini.json", {"3": problem("3", "text", "90°", ANGLES)})
    with pytest.raises(ValueError, match=r"testmini\.json, 3: found answer '90°'"):
        BENCHMARK.load(EvalRecipe(benchmark="mathvista", root=str(tmp_path / "testmini.json"), images=str(tmp_path)))


READ = {  # what is said: as official, strict
    "1": {
        "1.25": ("1.2", "1.2"),
        "Therefore the spring gives by d = 0.5 meters.": ("0.5", "0.5"),
        "From 3 and 4: the answer is 1.2 m.": ("1.2", "1.2"),
        "From 3 and 4 it follows.": ("unknown", "unknown"),
    },
    "2": {
        "1000": ("1000", "1000"),
        " 1000 ": ("1000", "1000"),
        'The answer is "1000.9".': ("1000", "1000.9"),
        "答案是1,000克": ("1000", "1000"),
        "Of 4 cups each has 9. It is 250 grams.": ("250", "250.0"),
        "I do not know": ("unknown", "unknown"),
    },
    "3": {
        "145°": ("C", "C"),
        "The correct answer is (C) 145°.": ("C", "C"),
        'The answer is "14°".': ("B", "unknown"),  # the nearest option; the first of equals
        "选C": ("C", "C"),
        "": ("A", "unknown"),  # nothing is as near to each of them
    },
    "4": {
        "[1, 2.5]": ("[1, 2.5]", "[1, 2.5]"),
        "so [1,2.50]": ("[1, 2.5]", "[1, 2.5]"),
        "[3]": ("[3]", "[3]"),
        "?": ("", "unknown"),
    },
}


def test_what_answers_say(tmp_path):
    of = {question.id: question for question in load(tmp_path)}
    for name, said in READ.items():
        answers = {one: Answer(of[name], one) for one in said}
        assert {one: (official(answer), strict(answer)) for one, answer in answers.items()} == said

    write_parquet(tmp_path / "t.parquet", [problem("5", "text", "6", ["x", "6", "6"]) | {"decoded_image": picture(1)}])
    (twice,) = BENCHMARK.load(EvalRecipe(benchmark="mathvista", root=str(tmp_path / "t.parquet")))
    assert (official(Answer(twice, "6")), strict(Answer(twice, "6"))) == ("B", "unknown")


def test_official_results_by_hand(tmp_path):
    # Problems 1 and 2 as the published output_llava_llama_2_13b.json has them, with its verdicts (both wrong); 3 and 4 made up.
    given = [
        ("... = 0.5 meters.", "0.5"),
        ("It is 250 grams.", "250"),
        ("(C) 145°.", "(c) 135°"),
        ("1 and 2.5", "[1, 2.5]"),
    ]
    rows = {one["pid"]: one | {"response": said, "extraction": read} for one, (said, read) in zip(PROBLEMS, given)}
    scores = BENCHMARK.score(BENCHMARK.read([write_json(tmp_path / "output.json", rows)], {}), {})
    assert (scores["correct"], scores["total"]) == (2, 4) and scores["types"]["text"]["accuracy"] == 1
    assert scores["skills"]["numeric commonsense"] == {"correct": 0, "total": 1, "accuracy": 0}
    assert scores["skills"]["arithmetic reasoning"]["total"] == 4 and scores["languages"]["english"]["correct"] == 2
    assert scores["strict"]["correct"] == 1 and scores["strict"]["unknown"] == 1 / 4
    failed = [Answer(load(tmp_path)[2], "C", failed=True)]
    assert BENCHMARK.score(failed, {})["correct"] == 0
