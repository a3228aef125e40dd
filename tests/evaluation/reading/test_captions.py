"""Captions of COCO images: what is in an image by table or by COCO's annotations, questions, and every published form."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import pytest

from skymm.evaluation.benchmark import Answer, Question
from skymm.evaluation.reading.captions import (
    count,
    image_number,
    load_questions,
    objects_of,
    read_captions,
    vocabulary_of,
)
from skymm.recipe import EvalRecipe

SYNONYMS = "person, man, woman, people\ndog, puppy\nbus, minibus\ncar, taxi\nhot dog\nbed\n"
OBJECTS = {"42": ["dog", "person"], "7": ["bus"], "9": []}


@pytest.fixture
def files(tmp_path: Path) -> dict[str, Path]:
    (tmp_path / "synonyms.txt").write_text(SYNONYMS, "utf-8")
    return {"vocab": tmp_path / "synonyms.txt", "objects": write(tmp_path / "objects.json", OBJECTS)}


def write(path: Path, *values: object) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(map(json.dumps, values)), "utf-8")
    return path


def load(root: Path, files: dict[str, Path], **given) -> list[Question]:
    named = {name: str(path) for name, path in files.items()}
    return load_questions(EvalRecipe(benchmark="chair", root=str(root), files=named, **given), "chair")


def pictures(directory: Path) -> Path:
    directory.mkdir()
    for name in ("COCO_val2014_000000000042.jpg", "000000000007.jpg", "COCO_train2014_000000000009.jpg"):
        (directory / name).write_text("pixels")
    return directory


@pytest.mark.parametrize(
    ("name", "number"),
    [(42, 42), ("42", 42), ("000000000042.jpg", 42), ("COCO_val2014_000000000042.jpg", 42), ("val/0042.png", 42)],
)
def test_numbers_of_images(name, number):
    assert image_number(name, "here") == number


def test_a_name_without_a_number():
    with pytest.raises(ValueError, match=r"here: 'cat\.jpg' has no number of a COCO image in it"):
        image_number("cat.jpg", "here")


def test_one_question_for_each_image_of_the_table(tmp_path, files):
    root = pictures(tmp_path / "val2014")
    questions = load(root, files)
    assert [(one.id, one.cluster, one.fields["objects"]) for one in questions] == [
        ("7", "7", ["bus"]),
        ("9", "9", []),
        ("42", "42", ["dog", "person"]),
    ]
    first = questions[0]
    assert first.text == "Please describe this image in detail." and first.gold == "" and first.choices == ()
    assert [one.images[0].name for one in questions] == [
        "000000000007.jpg",
        "COCO_train2014_000000000009.jpg",
        "COCO_val2014_000000000042.jpg",
    ]
    # The table itself as root, and the pictures beside it or where the recipe says.
    assert load(files["objects"], {"vocab": files["vocab"]}, images=str(root)) == questions


def test_questions_of_a_list(tmp_path, files):
    root = pictures(tmp_path / "val2014")
    rows = [{"image_id": 42, "question": "What do you see?"}, {"image_id": "000000000007.jpg"}, {"image_id": 42}]
    questions = load(write(tmp_path / "list.jsonl", *rows), files, images=str(root))
    assert [(one.id, one.cluster, one.text) for one in questions] == [
        ("7", "7", "Please describe this image in detail."),
        ("42", "42", "What do you see?"),
        ("42/2", "42", "Please describe this image in detail."),
    ]


def test_a_picture_may_travel_in_its_row(tmp_path, files):
    picture = bytes(range(256))
    row = {"image_id": 42, "question": "?", "image": base64.b64encode(picture).decode()}
    (question,) = load(write(tmp_path / "list.jsonl", row), files)
    assert question.images == (picture,)
    with pytest.raises(ValueError, match="image 42: its picture is not base64"):
        load(write(tmp_path / "list.jsonl", {**row, "image": "?" * 300}), files)


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"image_id": 42}, "chair: no picture of image 42 in .*expected COCO_val2014_000000000042.jpg"),
        ({"image_id": 43}, r"image 43 is not in the table of objects \(3 images\)"),
        ({"image_id": "cat"}, "'cat' has no number"),
    ],
)
def test_what_is_missing_is_named(tmp_path, files, row, message):
    with pytest.raises(ValueError, match=message):
        load(write(tmp_path / "list.jsonl", row), files, images=str(tmp_path))


def test_there_is_no_split(tmp_path, files):
    with pytest.raises(ValueError, match="found split 'val', expected none"):
        load(tmp_path, files, split="val")


@pytest.mark.parametrize(
    ("missing", "message"), [("objects", "give --objects a JSON table"), ("vocab", "give --vocab synonyms.txt")]
)
def test_tables_that_are_needed(files, missing, message):
    del files[missing]
    with pytest.raises(ValueError, match=message):
        objects_of(files, "chair")
        vocabulary_of(files, "chair")


@pytest.mark.parametrize("table", [{"42": "dog"}, [], [["dog"]], {}])
def test_wrong_tables_are_refused(tmp_path, files, table):
    with pytest.raises(ValueError, match="expected"):
        objects_of({**files, "objects": write(tmp_path / "wrong.json", table)}, "chair")


def annotations(directory: Path, name: str = "hot dog") -> Path:
    """COCO's own, of three images: what is segmented, and what five people said (here one)."""
    instances = {
        "images": [{"id": number} for number in (7, 9, 42)],
        "categories": [{"id": 6, "name": "bus"}, {"id": 58, "name": name}],
        "annotations": [{"image_id": 7, "category_id": 6}] * 2 + [{"image_id": 42, "category_id": 58}],
    }
    captions = {"annotations": [{"image_id": 42, "caption": "Two men eat."}, {"image_id": 7, "caption": "Taxis."}]}
    write(directory / "instances_val2014.json", instances)
    write(directory / "captions_val2014.json", captions)
    return directory


def test_objects_come_from_segments_and_captions(tmp_path, files):
    table = objects_of({**files, "objects": annotations(tmp_path / "annotations")}, "chair")
    assert table == {7: ("bus", "car"), 9: (), 42: ("hot dog", "person")}


def test_annotations_that_do_not_fit(tmp_path, files):
    directory = annotations(tmp_path / "annotations", name="unicorn")
    with pytest.raises(ValueError, match="the class 'unicorn' is not among the synonyms"):
        objects_of({**files, "objects": directory}, "chair")
    (directory / "captions_val2014.json").unlink()
    with pytest.raises(ValueError, match=r"found no captions_\*.json"):
        objects_of({**files, "objects": directory}, "chair")


ROWS = [{"image_id": 42, "caption": "A dog."}, {"image_id": 7, "caption": "A taxi."}]


@pytest.mark.parametrize(
    "values",
    [
        [{"question_id": 0, "image_id": row["image_id"], "prompt": "Say.", "text": row["caption"]} for row in ROWS],
        [ROWS],
        [{"overall": {}, "sentences": ROWS}],
        [{"overall": {}, "imgToEval": {str(row["image_id"]): row for row in ROWS}}],
        [{"image": "COCO_val2014_000000000042.jpg", "answer": "A dog."}, {"image": "7.jpg", "answer": "A taxi."}],
    ],
    ids=["JSON lines", "an array", "sentences", "imgToEval", "names of files"],
)
def test_every_published_form_is_read(tmp_path, files, values):
    answers = read_captions([write(tmp_path / "captions.json", *values)], files, "chair")
    assert [(one.question.id, one.response, one.question.fields["objects"]) for one in answers] == [
        ("42", "A dog.", ["dog", "person"]),
        ("7", "A taxi.", ["bus"]),
    ]


def test_answers_that_name_no_image_follow_their_questions(tmp_path, files):
    rows = [{"prompt": "Say.", "text": text} for text in ("A bus.", None, "A man.")]
    labels = write(tmp_path / "list.jsonl", {"image_id": 7}, {"image_id": 42}, {"image_id": 42})
    path = write(tmp_path / "captions.jsonl", *rows)
    with pytest.raises(ValueError, match="expected image_id"):
        read_captions([path], files, "object_hal")
    answers = read_captions([path], {**files, "labels": labels}, "object_hal", repeats=True)
    assert [(one.question.id, one.response) for one in answers] == [("7", "A bus."), ("42", ""), ("42/2", "A man.")]
    with pytest.raises(ValueError, match="found 3 captions, expected 1 as in"):
        read_captions([path], {**files, "labels": write(tmp_path / "list.jsonl", {"image_id": 7})}, "object_hal")


def test_captions_that_do_not_fit_are_refused(tmp_path, files):
    with pytest.raises(ValueError, match="question 42 is answered twice"):
        read_captions([write(tmp_path / "captions.json", ROWS[0], ROWS[0])], files, "chair")
    with pytest.raises(ValueError, match="image 43 is not in the table"):
        read_captions([write(tmp_path / "captions.json", {"image_id": 43, "caption": ""})], files, "chair")
    with pytest.raises(ValueError, match="none that is known to be the model's words"):
        read_captions([write(tmp_path / "captions.json", {"image_id": 42})], files, "chair")
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match=r"found no \.json or \.jsonl file"):
        read_captions([tmp_path / "empty"], files, "chair")


def test_counts_by_hand(files):
    vocabulary = vocabulary_of(files, "chair")
    said = [("A dog, a dog and  a bus", ["dog", "person"]), ("People on a bed", ["person"]), ("Nothing", ["dog"])]
    answers = [
        Answer(Question(str(n), "", "", str(n), fields={"objects": o}), text) for n, (text, o) in enumerate(said)
    ]
    counts = count(answers, vocabulary, "2018")
    assert (counts.mentions, counts.hallucinated_mentions) == (4, 1)  # "bus" is not found officially
    assert (counts.captions, counts.hallucinated_captions, counts.captions_with_objects) == (3, 1, 2)
    assert (counts.recalled, counts.present) == (2, 4)
    assert counts.length == (8 + 4 + 1) / 3  # two spaces have an empty word between them
    strict = count(answers, vocabulary, "strict")
    assert (strict.mentions, strict.hallucinated_mentions, strict.hallucinated_captions) == (5, 2, 2)
    assert strict.length == (7 + 4 + 1) / 3
    assert count([], vocabulary, "strict").length == 0


def test_a_wide_name_is_made_up_only_where_none_of_its_classes_is(files):
    vocabulary = vocabulary_of(files, "chair")

    def made_up(objects: list[str]) -> int:
        question = Question("1", "", "", "1", fields={"objects": objects})
        return count([Answer(question, "他穿着滑雪板")], vocabulary, "strict").hallucinated_mentions

    assert [made_up(["skis"]), made_up(["snowboard"]), made_up(["surfboard"])] == [0, 0, 1]
