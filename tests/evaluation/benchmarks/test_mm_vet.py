"""MM-Vet: means of a judge's grades, capabilities and their sets, official grade files, messages to the judge."""

from __future__ import annotations

import json
import statistics
from pathlib import Path

import pytest
from benchmark_tables import doubled, write_json

from skymm.evaluation.benchmark import Answer, Question
from skymm.evaluation.benchmarks.mm_vet import BENCHMARK, judge, load, read, read_grade, score
from skymm.evaluation.judge import grade
from skymm.recipe import EvalRecipe

ENTRIES = {
    "v1_0": {"imagename": "v1_0.png", "question": "What is x?", "answer": "-1<AND>-5", "capability": ["ocr", "math"]},
    "v1_1": {"imagename": "v1_1.png", "question": "Which?", "answer": "left<OR>west", "capability": ["spat"]},
    "v1_2": {"imagename": "v1_0.png", "question": "And y?", "answer": "2", "capability": ["math", "ocr", "math"]},
}


def release(root: Path) -> Path:
    write_json(root / "mm-vet.json", ENTRIES)
    (root / "images").mkdir()
    for name in ("v1_0", "v1_1"):
        (root / f"images/{name}.png").write_bytes(b"pixels")
    return root


def recipe(root: Path, **options: str) -> EvalRecipe:
    return EvalRecipe(benchmark="mm_vet", root=str(root), **options)


def test_the_release_loads_image_by_image(tmp_path):
    questions = load(recipe(release(tmp_path)))
    assert [(one.id, one.cluster) for one in questions] == [
        ("v1_0", "v1_0.png"),
        ("v1_2", "v1_0.png"),
        ("v1_1", "v1_1.png"),
    ]
    assert questions[0].gold == "-1<AND>-5" and questions[0].fields == {"capability": ["math", "ocr"]}
    assert questions[1].fields == questions[0].fields  # a set: named twice is named once
    assert load(recipe(tmp_path / "mm-vet.json")) == questions
    (tmp_path / "images/v1_1.png").unlink()
    with pytest.raises(ValueError, match=r"MM-Vet: no image 'v1_1\.png'"):
        load(recipe(tmp_path))
    write_json(tmp_path / "mm-vet.json", [1])
    with pytest.raises(ValueError, match="expected one object with an entry under every id"):
        load(recipe(tmp_path))


def test_the_message_shows_what_belongs_together():
    question = Question("v1_0", "What is x?", "-1<AND>-5", "", fields={"capability": []})
    message = judge({}).message(Answer(question, "x = {reference}"))
    places = [message.index(part) for part in ("What is x?", "-1 <AND> -5", "x = {reference}")]
    assert places == sorted(places)


def test_the_official_prompt_has_the_row_below_it(tmp_path):
    path = tmp_path / "prompt.txt"
    path.write_text("Question | Truth | Prediction | Grade\n--- | --- | --- | ---")
    question = Question("v1_1", "Which?", "left<OR>west", "")
    assert judge({"judge_prompt": path}).message(Answer(question, "To the left.")) == (
        "Question | Truth | Prediction | Grade\n--- | --- | --- | ---\nWhich? | left <OR> west | To the left. | "
    )
    path.write_text("{question}/{reference}/{answer}")
    assert judge({"judge_prompt": path}).message(Answer(question, "Left.")) == "Which?/left <OR> west/Left."


GRADES = {
    **{
        "0.8": 0.8,
        "1": 1.0,
        "1.0": 1.0,
        "0": 0.0,
        ".5": 0.5,
        "0.75": 0.75,
        " 0.8 because half is there": 0.8,
        "0.8.": 0.8,
    },
    **{"**0.3**": 0.3, "Correctness: 0.4": 0.4, "| 0.4 |": 0.4},
    **dict.fromkeys(("1.5", "8", "10", "1/10", "0.5/1.0", "50%", "1. The answer is right", "-1", "good", "")),
}


def test_grades_are_numbers_from_0_to_1():
    assert {text: read_grade(text) for text in GRADES} == {
        text: None if grade is None else (grade,) for text, grade in GRADES.items()
    }


def graded(**runs: list[float]) -> dict:
    return {name: {"model": ["j"], "content": [""], "score": scores} for name, scores in runs.items()}


def test_official_grades_by_hand(tmp_path):
    labels = {"labels": release(tmp_path / "bench") / "mm-vet.json"}
    path = write_json(tmp_path / "x-grade-1runs.json", graded(v1_0=[0.5], v1_1=[1.0], v1_2=[0.0]))
    scores = score(read([path], labels), {})
    assert scores["score"] == 1.5 / 3 * 100 and scores["graded"] == 3 and "std" not in scores
    assert scores["capabilities"] == {
        "math": {"score": 25.0, "total": 2},
        "ocr": {"score": 25.0, "total": 2},
        "spat": {"score": 100.0, "total": 1},
    }
    assert scores["integrations"] == {"math+ocr": {"score": 25.0, "total": 2}, "spat": {"score": 100.0, "total": 1}}
    assert scores["strict"]["unknown"] == 0 and json.loads(json.dumps(scores)) == scores
    known = {**ENTRIES, "v1_2": {**ENTRIES["v1_2"], "capability": ["spat"]}}
    other = {"labels": write_json(tmp_path / "other.json", known)}
    assert list(score(read([path], other), {})["integrations"]) == ["spat", "math+ocr"]  # the largest first
    assert [one.question.cluster for one in read([path], labels)] == ["v1_0.png", "v1_1.png", "v1_0.png"]


def test_several_runs_are_averaged(tmp_path):
    path = write_json(tmp_path / "g.json", graded(v1_0=[0.5, 0.7], v1_1=[1.0, 1.0]))
    scores = score(read([path], {}), {})
    assert scores["runs"] == pytest.approx([75, 85]) and scores["score"] == pytest.approx(80)
    assert scores["std"] == pytest.approx(statistics.pstdev([75, 85])) and scores["capabilities"] == {}


def test_bad_grade_files_are_named(tmp_path):
    labels = {"labels": release(tmp_path / "bench") / "mm-vet.json"}
    for value, words in (
        (graded(v1_0=[0.5], v1_1=[0.5, 0.6]), "found between 1 and 2 runs, expected as many for each"),
        (graded(v1_0=[]), r"g\.json, v1_0: score is \[\], expected a list of grades"),
        ({"v1_0": {"model": []}}, r"v1_0: found fields \['model'\], expected score"),
        (graded(v9_9=[0.5]), r"g\.json, v9_9 is not in .*mm-vet\.json"),
        (["v1_0"], "expected one object with an entry under every id"),
    ):
        with pytest.raises(ValueError, match=words):
            read([write_json(tmp_path / "g.json", value)], labels)


def test_our_own_grades(tmp_path):
    given = [Answer(question, "x = -1") for question in load(recipe(release(tmp_path / "bench")))]
    said = iter(["0.5", "perhaps", "1"])
    done = grade(
        tmp_path, lambda messages: [(index, next(said)) for index in range(len(messages))], given, judge({}), name="j"
    )
    scores = score(given, {"grades": done.path})
    assert done.num_bad == 1 and scores["score"] == 75 and scores["graded"] == 2
    assert scores["capabilities"]["ocr"] == {"score": 50.0, "total": 1}
    assert scores["strict"]["score"] == 75 and scores["strict"]["unknown"] == 1 / 3
    assert scores["note"].startswith("1 of 3 answers have no readable grade")
    assert score(doubled(given), {"grades": done.path})["graded"] == 4
    assert score([], {})["score"] is None and score(given[1:2], {"grades": done.path})["score"] is None
    with pytest.raises(ValueError, match="MM-Vet: answers are graded by a judge"):
        score(given, {})
    assert BENCHMARK.right(given[0]) is None
