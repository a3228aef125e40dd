"""Questions with short answers, in the forms in which they are published."""

from __future__ import annotations

import json

import pytest
from curation.sources.gathered import gather
from curation.sources.miniatures import picture

ASKED = [
    {"image_id": 9, "question": "What is it?", "question_id": 90},
    {"image_id": 25, "question": "Is it red?", "question_id": 250},
    {"image_id": 9, "question": "是什么颜色？", "question_id": 91},
    {"image_id": 9, "question": "Nobody answered?", "question_id": 92},
]
PEOPLE = ["cat", "dog", "dog", "cat", "bird"]
ANSWERED = [
    {"question_id": 90, "answers": [{"answer": one, "answer_confidence": "yes"} for one in PEOPLE]},
    {"question_id": 250, "multiple_choice_answer": "no", "answers": [{"answer": "yes"}]},
    {"question_id": 91, "answer": "红色"},
    {"question_id": 93},
]
SAID = {9: [("What is it?", "cat"), ("是什么颜色？", "红色")], 25: [("Is it red?", "no")]}


def written(tmp_path, pictures: dict[str, int], **files) -> dict:
    (tmp_path / "images").mkdir()
    for name, number in pictures.items():
        (tmp_path / "images" / name).write_bytes(picture(number))
    for name, content in files.items():
        (tmp_path / f"{name}.json").write_text(json.dumps(content), "utf-8")
    paths = {name: [str(tmp_path / f"{name}.json")] for name in ("questions", "annotations") if name in files}
    return {"format": "vqa", "images": str(tmp_path / "images"), "tasks": ["turns"], **paths}


def said(found) -> dict:
    pairs = {}
    for record in found.records:
        texts = [turn.text for turn in record.turns]
        pairs[record.key] = list(zip(texts[::2], texts[1::2]))
        assert [len(turn.images) for turn in record.turns] == [1, *[0] * (len(texts) - 1)]
    return pairs


def test_vqa_v2_in_two_files_and_in_one(tmp_path):
    coco = {"COCO_train2014_000000000009.jpg": 0, "000000000025.jpg": 1}
    files = {"questions": {"info": {}, "questions": ASKED}, "annotations": {"annotations": ANSWERED}}
    found = gather(written(tmp_path, coco, **files))
    assert said(found) == {str(key): value for key, value in SAID.items()}
    assert found.reasons() == ["answer is missing", "row is broken"]
    assert [turn.language for turn in found.by_key()["9"].turns] == [None, "en", None, "zh"]
    one = {"images": [{"id": 9, "file_name": "a.jpg"}, {"id": 25, "file_name": "b.jpg"}], "questions": ASKED}
    (tmp_path / "one").mkdir()
    fields = written(tmp_path / "one", {"a.jpg": 0, "b.jpg": 1}, questions={**one, "annotations": ANSWERED})
    found = gather({**fields, "annotations": fields["questions"]})
    assert said(found) == {str(key): value for key, value in SAID.items()}


@pytest.mark.parametrize(
    ("entries", "expected"),
    [
        ([{"image": "a.jpg", "question": "What?", "answers": [{"answer": "unanswerable"}]}], "unanswerable"),  # VizWiz
        ([{"image_id": "a", "question": "What?", "choices": ["x", "y"], "correct_choice_idx": 1}], "y"),  # A-OKVQA
        ({"dataset": "textvqa", "data": [{"image_id": "a", "question": "What?", "answers": ["p", "q", "q"]}]}, "q"),
        ({"0123": {"imageId": "a", "question": "What?", "answer": "yes", "fullAnswer": "Yes, it is."}}, "yes"),  # GQA
    ],
)
def test_forms_that_have_both_in_one_entry(tmp_path, entries, expected):
    found = gather(written(tmp_path, {"a.jpg": 0}, questions=entries))
    assert list(said(found).values()) == [[("What?", expected)]] and not found.rejected


def test_what_is_no_such_file_is_told(tmp_path):
    with pytest.raises(ValueError, match=r"questions.json: found no questions, expected a list of them"):
        gather(written(tmp_path, {}, questions={"annotations": ANSWERED}))
