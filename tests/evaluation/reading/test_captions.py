"""Captions of COCO images: what is in an image by table or by COCO's annotations, questions, and every published form."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest
from benchmark_tables import write_json, write_lines

from skymm.evaluation.benchmark import Answer, Question, benchmark
from skymm.evaluation.benchmarks.chair import PROMPT, count, image_number, objects_of, vocabulary_of
from skymm.recipe import EvalRecipe

SYNONYMS = "person, man, woman, people\ndog, puppy\nbus, minibus\ncar, taxi\nhot dog\nbed\n"
OBJECTS = {"42": ["dog", "person"], "7": ["bus"], "9": []}
PICTURES = ("000000000007.jpg", "COCO_train2014_000000000009.jpg", "COCO_val2014_000000000042.jpg")


@pytest.fixture
def files(tmp_path: Path) -> dict[str, Path]:
    (tmp_path / "synonyms.txt").write_text(SYNONYMS, "utf-8")
    return {"vocab": tmp_path / "synonyms.txt", "objects": write_json(tmp_path / "objects.json", OBJECTS)}


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    (tmp_path / "val2014").mkdir()
    for name in PICTURES:
        (tmp_path / "val2014" / name).write_text("pixels")
    return tmp_path / "val2014"


def load(root: Path, files: dict[str, Path], **given) -> list[Question]:
    named = {name: str(path) for name, path in files.items()}
    return benchmark("object_hal").load(EvalRecipe(benchmark="chair", root=str(root), files=named, **given))


def test_numbers_of_images():
    names = (42, "42", "000000000042.jpg", "COCO_val2014_000000000042.jpg", "val/0042.png")
    assert {image_number(name, "here") for name in names} == {42}
    with pytest.raises(ValueError, match=r"here: 'cat\.jpg' has no number of a COCO image in it"):
        image_number("cat.jpg", "here")


def test_one_question_for_each_image_of_the_table(files, pictures, capsys):
    questions = load(pictures, files)
    assert [(one.id, one.cluster, one.fields["objects"]) for one in questions] == [
        ("7", "7", ["bus"]),
        ("9", "9", []),
        ("42", "42", ["dog", "person"]),
    ]
    assert [one.images[0].name for one in questions] == list(PICTURES)
    assert (questions[0].text, questions[0].gold, questions[0].choices) == (PROMPT, "", ())
    # The table itself as root, and the pictures beside it or where the recipe says.
    assert load(files["objects"], {"vocab": files["vocab"]}, images=str(pictures)) == questions
    (pictures / PICTURES[0]).unlink()
    assert load(pictures, files) == questions[1:] and "2 of the 3 annotated images" in capsys.readouterr().err


def test_questions_of_a_list(tmp_path, files, pictures):
    rows = [{"image_id": 42, "question": "What do you see?"}, {"image_id": "000000000007.jpg"}, {"image_id": 42}]
    questions = load(write_lines(tmp_path / "list.jsonl", rows), files, images=str(pictures))
    assert [(one.id, one.cluster, one.text) for one in questions] == [
        ("7", "7", PROMPT),
        ("42", "42", "What do you see?"),
        ("42/2", "42", PROMPT),
    ]
    travels = {"image_id": 42, "question": "?", "image": base64.b64encode(bytes(range(256))).decode()}
    (question,) = load(write_lines(tmp_path / "list.jsonl", [travels]), files)
    assert question.images == (bytes(range(256)),)


def test_what_is_missing_or_wrong_is_named(tmp_path, files):
    for row, message in (
        ({"image_id": 42}, "no picture of image 42 in .*expected COCO_val2014_000000000042.jpg"),
        ({"image_id": 43}, r"image 43 is not in the table of objects \(3 images\)"),
        ({"image_id": "cat"}, "'cat' has no number"),
        ({"image_id": 42, "image": "?" * 300}, "image 42: the image is not base64"),
    ):
        with pytest.raises(ValueError, match=message):
            load(write_lines(tmp_path / "list.jsonl", [row]), files, images=str(tmp_path))
    with pytest.raises(ValueError, match="found split 'val', expected none"):
        load(tmp_path, files, split="val")
    with pytest.raises(ValueError, match="give --objects a JSON table"):
        objects_of({"vocab": files["vocab"]})
    with pytest.raises(ValueError, match=r"give --vocab synonyms\.txt"):
        vocabulary_of({})
    for table in ({"42": "dog"}, [], [["dog"]], {}):
        with pytest.raises(ValueError, match="expected"):
            objects_of({**files, "objects": write_json(tmp_path / "wrong.json", table)})


def test_objects_come_from_segments_and_captions(tmp_path, files):
    """COCO's own annotations, of three images: what is segmented, and what five people said (here one)."""
    directory = tmp_path / "annotations"
    instances = {
        "images": [{"id": number} for number in (7, 9, 42)],
        "categories": [{"id": 6, "name": "bus"}, {"id": 58, "name": "hot dog"}],
        "annotations": [{"image_id": 7, "category_id": 6}] * 2 + [{"image_id": 42, "category_id": 58}],
    }
    said = [{"image_id": 42, "caption": "Two men eat."}, {"image_id": 7, "caption": "Taxis."}]
    write_json(directory / "instances_val2014.json", instances)
    captions = write_json(directory / "captions_val2014.json", {"annotations": said})
    files["objects"] = directory
    assert objects_of(files) == {7: ("bus", "car"), 9: (), 42: ("hot dog", "person")}
    instances["categories"][1]["name"] = "unicorn"
    write_json(directory / "instances_val2014.json", instances)
    with pytest.raises(ValueError, match="the class 'unicorn' is not among the synonyms"):
        objects_of(files)
    captions.unlink()
    with pytest.raises(ValueError, match=r"found no captions_\*.json"):
        objects_of(files)


ROWS = [{"image_id": 42, "caption": "A dog."}, {"image_id": 7, "caption": "A taxi."}]


def test_every_published_form_is_read(tmp_path, files):
    lines = [{"question_id": 0, "image_id": row["image_id"], "prompt": "Say.", "text": row["caption"]} for row in ROWS]
    names = [{"image": f"COCO_val2014_{row['image_id']:012d}.jpg", "answer": row["caption"]} for row in ROWS]
    by_image = {str(row["image_id"]): row for row in ROWS}
    for values in (lines, [ROWS], [{"overall": {}, "sentences": ROWS}], [{"imgToEval": by_image}], names):
        answers = benchmark("chair").read([write_lines(tmp_path / "captions.json", values)], files)
        assert [(one.question.id, one.response, one.question.fields["objects"]) for one in answers] == [
            ("42", "A dog.", ["dog", "person"]),
            ("7", "A taxi.", ["bus"]),
        ]


def test_answers_that_name_no_image_follow_their_questions(tmp_path, files):
    path = write_lines(tmp_path / "c.jsonl", [{"prompt": "Say.", "text": text} for text in ("A bus.", None, "A man.")])
    labels = write_lines(tmp_path / "list.jsonl", [{"image_id": name} for name in (7, 42, 42)])
    with pytest.raises(ValueError, match="expected image_id"):
        benchmark("object_hal").read([path], files)
    answers = benchmark("object_hal").read([path], {**files, "labels": labels})
    assert [(one.question.id, one.response) for one in answers] == [("7", "A bus."), ("42", ""), ("42/2", "A man.")]
    with pytest.raises(ValueError, match="found 3 captions, expected 1 as in"):
        short = write_lines(tmp_path / "list.jsonl", [{"image_id": 7}])
        benchmark("object_hal").read([path], {**files, "labels": short})


def test_captions_that_do_not_fit_are_refused(tmp_path, files):
    for rows, message in (
        ([ROWS[0]] * 2, "question 42 is answered twice"),
        ([{"image_id": 43, "caption": ""}], "image 43 is not in the table"),
        ([{"image_id": 42}], "none that is known to be the model's words"),
    ):
        with pytest.raises(ValueError, match=message):
            benchmark("chair").read([write_lines(tmp_path / "captions.json", rows)], files)
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match=r"expected a file that ends with \.json or \.jsonl"):
        benchmark("chair").read([tmp_path / "empty"], files)


def test_counts_by_hand(files):
    vocabulary = vocabulary_of(files)

    def counted(rule: str, *said: tuple[str, list[str]]) -> dict:
        named = [(Question(text, "", "", text, fields={"objects": objects}), text) for text, objects in said]
        return count([Answer(*one) for one in named], vocabulary, rule)

    said = [("A dog, a dog and  a bus", ["dog", "person"]), ("People on a bed", ["person"]), ("Nothing", ["dog"])]
    assert counted("2018", *said) == {
        **{"mentions": 4, "hallucinated_mentions": 1},  # "bus" is not found officially
        **{"captions": 3, "hallucinated_captions": 1, "captions_with_objects": 2, "recall": 2 / 4},
        "len": (8 + 4 + 1) / 3,  # two spaces have an empty word between them
    }
    strict = counted("strict", *said)
    assert (strict["mentions"], strict["hallucinated_mentions"], strict["hallucinated_captions"]) == (5, 2, 2)
    assert strict["len"] == (7 + 4 + 1) / 3 and counted("strict")["len"] == 0
    # A wide name is made up only where none of its classes is there.
    skis = [counted("strict", ("他穿着滑雪板", [name])) for name in ("skis", "snowboard", "surfboard")]
    assert [one["hallucinated_mentions"] for one in skis] == [0, 0, 1]
