"""GQA: exact words, the balanced questions, both answer formats, yes and no in two languages."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from benchmark_tables import doubled, write_json, write_lines

from skymm.evaluation.benchmark import YES_NO, Answer, Question, covered_scores
from skymm.evaluation.benchmarks.gqa import BENCHMARK, load, read
from skymm.recipe import EvalRecipe

score = BENCHMARK.score


def entry(answer: str, image: str = "n1", structural: str = "query", **changes: object) -> dict:
    types = {"structural": structural, "semantic": "attr", "detailed": "color"}
    known = {"question": "What color is it?", "imageId": image, "answer": answer, "types": types}
    return {**known, "isBalanced": True, **changes}


QUESTIONS = {
    "201": entry("red"),
    "202": entry("yes", "n2", "verify"),
    "203": entry("table", "n1", isBalanced=False),
    "204": entry("no", "n1", "logical"),
}


def recipe(root: Path, **options: str) -> EvalRecipe:
    return EvalRecipe(benchmark="gqa", root=str(root), **options)


def release(root: Path, questions: dict = QUESTIONS) -> Path:
    (root / "images").mkdir(parents=True, exist_ok=True)
    for one in questions.values():
        (root / "images" / f"{one['imageId']}.jpg").write_bytes(b"pixels")
    return write_json(root / "testdev_balanced_questions.json", questions)


def test_the_balanced_questions_load_image_by_image(tmp_path):
    path = release(tmp_path)
    write_json(tmp_path / "val_balanced_questions.json", {"1": entry("red")})
    questions = load(recipe(tmp_path))
    assert [(one.id, one.gold, one.cluster) for one in questions] == [
        ("201", "red", "n1.jpg"),
        ("204", "no", "n1.jpg"),
        ("202", "yes", "n2.jpg"),
    ]
    assert questions[0].choices == () and questions[1].choices == YES_NO
    assert questions[0].images[0].read_bytes() == b"pixels" and questions[0].text == "What color is it?"
    assert questions[1].fields == {"structural": "logical", "semantic": "attr"}
    assert load(recipe(path, images=str(tmp_path / "images"))) == questions
    assert [one.id for one in load(recipe(tmp_path, split="val"))] == ["1"]


def test_bad_releases_are_named(tmp_path):
    release(tmp_path, {"1": entry("red")})
    (tmp_path / "images/n1.jpg").unlink()
    with pytest.raises(ValueError, match=r"GQA: no image 'n1\.jpg'"):
        load(recipe(tmp_path))
    write_json(tmp_path / "testdev_balanced_questions.json", [entry("red")])
    with pytest.raises(ValueError, match="expected one object with a question under every id"):
        load(recipe(tmp_path))
    write_json(tmp_path / "testdev_balanced_questions.json", {"1": {"imageId": "n1", "question": "q"}})
    (tmp_path / "images/n1.jpg").touch()
    with pytest.raises(ValueError, match=r"questions\.json, 1: found fields .* expected answer"):
        load(recipe(tmp_path))


def answer(name: str, gold: str, response: str, structural: str = "query", cluster: str = "n1") -> Answer:
    fields = {"structural": structural, "semantic": "attr" if structural else ""}
    return Answer(Question(name, "", gold, cluster, (), YES_NO if gold in YES_NO else (), fields), response)


def test_the_official_match():
    for gold, response, right in (
        *(("red", "red", True), ("red", " Red. \n", True), ("red", "red car", False), ("red", "Red .", False)),
        *(("yes", "Yes.", True), ("yes", "Yes, it is.", False), ("yes", "是", False), ("red", "", False)),
    ):
        assert BENCHMARK.right(answer("1", gold, response)) is right, response


def test_scores_by_hand():
    answers = [
        answer("1", "red", "Red."),
        answer("2", "red", "“red”"),
        answer("3", "yes", "是的。", "verify"),
        answer("4", "no", "Not sure", "logical"),
        answer("5", "no", "no", "logical"),
        answer("6", "red", "", cluster="n2"),
        answer("7", "red", "unknown", ""),  # a word as any other
    ]
    scores = score(answers[:6], {})
    assert (scores["correct"], scores["total"], scores["accuracy"]) == (2, 6, 2 / 6)
    assert scores["binary"] == 1 / 3 and scores["open"] == 1 / 3
    assert scores["structural"]["logical"] == {"correct": 1, "total": 2, "accuracy": 0.5}
    assert scores["semantic"] == {"attr": {"correct": 2, "total": 6, "accuracy": 2 / 6}}
    strict = scores["strict"]
    assert (strict["correct"], strict["unknown"]) == (4, 2 / 6)  # "Not sure" and nothing at all
    assert score(answers, {})["strict"]["unknown"] == 2 / 7
    assert json.loads(json.dumps(scores)) == scores
    assert score(doubled(answers), {})["total"] == 14 and score([], {})["accuracy"] == 0
    assert [BENCHMARK.strict(one) for one in answers] == [None, None, "yes", "unknown", "no", None, None]
    assert [BENCHMARK.right(one) for one in answers] == [True, False, False, False, True, False, False]


def test_without_official_fields_there_are_no_types():
    scores = score([answer("1", "red", "red", "")], {})
    assert scores["accuracy"] == 1 and scores["structural"] == {} and "open" not in scores and "binary" not in scores


def test_answer_files_of_both_kinds(tmp_path):
    said = {"204": "no", "201": "red", "202": "no"}
    labels = {"labels": write_json(tmp_path / "testdev_balanced_questions.json", QUESTIONS)}
    official = [{"questionId": name, "prediction": text} for name, text in said.items()]
    llava = [{"question_id": name, "text": f"{text.capitalize()}."} for name, text in said.items()]
    for path in (write_json(tmp_path / "predictions.json", official), write_lines(tmp_path / "merge.jsonl", llava)):
        answers = read([path], labels)
        assert [one.question.id for one in answers] == ["201", "202", "204"]
        assert score(answers, {})["correct"] == 2 and answers[0].question.cluster == "n1.jpg"


def test_lmms_eval_has_the_right_answers_beside_its_own(tmp_path):
    doc = {"imageId": "n1", "question": "Is it red?", "fullAnswer": "Yes, it is."}
    lines = [
        {"doc_id": place, "doc": {**doc, "id": name, "answer": gold}, "target": gold, "filtered_resps": ["Yes"]}
        for place, (name, gold) in enumerate({"201": "yes", "202": "no"}.items())
    ]
    answers = read([write_lines(tmp_path / "samples_gqa.jsonl", lines)], {})
    assert [(one.question.id, one.question.gold, one.question.cluster) for one in answers] == [
        ("201", "yes", "n1.jpg"),
        ("202", "no", "n1.jpg"),
    ]
    assert score(answers, {})["correct"] == 1


def test_bad_answer_files_are_named(tmp_path):
    labels = {"labels": write_json(tmp_path / "q/testdev_balanced_questions.json", QUESTIONS)}
    path = write_json(tmp_path / "p.json", [{"questionId": "201", "prediction": "red"}])
    assert covered_scores(BENCHMARK, read([path], labels), {})["expected"] == 3
    with pytest.raises(ValueError, match=r"give testdev_balanced_questions\.json with --labels"):
        read([path], {})
    with pytest.raises(ValueError, match=r"question_id 9 is none of the 3 questions of "):
        read([write_json(tmp_path / "x.json", [{"questionId": "9", "prediction": "red"}])], labels)
    with pytest.raises(ValueError, match="question 201 is answered twice"):
        read([path, path], labels)
