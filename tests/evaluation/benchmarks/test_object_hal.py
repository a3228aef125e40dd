"""Object HalBench: rates of responses and objects, and answers with and without their image."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from official import oracle

from skymm.evaluation.benchmark import Answer, Question
from skymm.evaluation.benchmarks import chair, object_hal
from skymm.recipe import EvalRecipe

SYNONYMS = "person, man, people\ndog, puppy\nbus, minibus\ncat\n"


@pytest.fixture
def files(tmp_path: Path) -> dict[str, Path]:
    (tmp_path / "synonyms.txt").write_text(SYNONYMS, "utf-8")
    (tmp_path / "objects.json").write_text(json.dumps({"1": ["dog"], "2": ["bus"]}), "utf-8")
    return {"vocab": tmp_path / "synonyms.txt", "objects": tmp_path / "objects.json"}


def answer(objects: list[str], text: str) -> Answer:
    return Answer(Question(text, "", "", "1", fields={"objects": objects}), text)


def test_an_image_may_be_asked_about_more_than_once(tmp_path, files):
    (tmp_path / "000000000001.jpg").write_text("pixels")
    rows = [{"image_id": 1, "question": text} for text in ("What is there?", "Describe it.")]
    (tmp_path / "list.jsonl").write_text("\n".join(map(json.dumps, rows)))
    named = {name: str(path) for name, path in files.items()}
    questions = object_hal.load(EvalRecipe(benchmark="object_hal", root=str(tmp_path / "list.jsonl"), files=named))
    assert [(one.id, one.cluster, one.text) for one in questions] == [
        ("1", "1", "What is there?"),
        ("1/2", "1", "Describe it."),
    ]
    answers = tmp_path / "answers.jsonl"
    answers.write_text("\n".join(json.dumps({**row, "answer": "A cat."}) for row in rows))
    assert [one.question.id for one in object_hal.read([answers], files)] == ["1", "1/2"]


def test_rates_by_hand(files):
    """Of four, one names no object and is left out; one of the others makes a cat up."""
    answers = [
        answer(["dog"], "A dog and a cat. The dog runs."),
        answer(["dog"], "A puppy."),
        answer(["bus"], "A bus."),
        answer(["dog"], "一只狗和两个人"),
    ]
    scores = object_hal.score(answers, files)
    assert (scores["response_rate"], scores["object_rate"]) == (1 / 2, 1 / 4)
    assert (scores["captions"], scores["captions_with_objects"], scores["hallucinated_captions"]) == (4, 2, 1)
    assert "by a language model" in scores["note"]
    strict = scores["strict"]
    assert (strict["response_rate"], strict["object_rate"], strict["unknown"]) == (2 / 4, 2 / 7, 0)
    assert object_hal.score(answers[2:3], files)["response_rate"] == 0  # officially nothing is found in it
    assert object_hal.score([], files)["object_rate"] == 0


def test_rates_of_official_captions_are_those_of_chair_over_captions_with_objects():
    files = {
        "objects": oracle("chair/coco_objects_for_these_images.json"),
        "vocab": oracle("chair/chair_vocab.json"),
        "singular": oracle("chair/singularize_table.json"),
    }
    answers = object_hal.read([oracle("chair/captions/Instruction2_llava.json")], files)
    scores, same = object_hal.score(answers, files), chair.score(answers, files)
    assert scores["object_rate"] == same["chair_i"] == 1050 / 9955
    assert scores["captions_with_objects"] < scores["captions"] == 2000
    assert scores["response_rate"] == 654 / scores["captions_with_objects"] > same["chair_s"]
