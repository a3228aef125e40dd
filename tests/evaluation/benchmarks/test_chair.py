"""CHAIR: the official numbers of 4000 captions, and the columns by hand."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from official import oracle

from skymm.evaluation.benchmark import Answer, Question
from skymm.evaluation.benchmarks import chair
from skymm.recipe import EvalRecipe

SYNONYMS = "person, man, people\ndog, puppy\nbus, minibus\ncar, taxi\ntennis racket, racket\n"


@pytest.fixture
def files(tmp_path: Path) -> dict[str, Path]:
    (tmp_path / "synonyms.txt").write_text(SYNONYMS, "utf-8")
    (tmp_path / "objects.json").write_text(json.dumps({"1": ["dog"], "2": ["bus", "person"]}), "utf-8")
    return {"vocab": tmp_path / "synonyms.txt", "objects": tmp_path / "objects.json"}


def answer(number: int, objects: list[str], text: str) -> Answer:
    return Answer(Question(str(number), "", "", str(number), fields={"objects": objects}), text)


def test_questions_load(tmp_path, files):
    for number in (1, 2):
        (tmp_path / f"COCO_val2014_{number:012d}.jpg").write_text("pixels")
    named = {name: str(path) for name, path in files.items()}
    recipe = EvalRecipe(benchmark="chair", root=str(tmp_path), files=named)
    assert [one.id for one in chair.load(recipe)] == ["1", "2"]
    listed = tmp_path / "list.jsonl"
    listed.write_text('{"image_id": 1}\n{"image_id": 1}')
    with pytest.raises(ValueError, match="image 1 is asked about twice, expected one caption each"):
        chair.load(recipe.model_copy(update={"root": str(listed)}))


def test_rates_by_hand(files):
    answers = [
        answer(1, ["dog"], "Two dogs and a man."),
        answer(2, ["bus", "person"], "People in a bus, and a taxi"),
        answer(3, ["dog"], "图片里有一只猫和一只狗。"),
        answer(4, ["dog"], "Nothing much."),
    ]
    scores = chair.score(answers, files)
    strict = scores.pop("strict")
    assert (scores["hallucinated_mentions"], scores["mentions"]) == (2, 4) and scores["chair_i"] == 0.5
    assert (scores["hallucinated_captions"], scores["captions"]) == (2, 4) and scores["chair_s"] == 0.5
    assert scores["recall"] == 2 / 5 and scores["len"] == (5 + 7 + 1 + 2) / 4
    # The bus is found, and the Chinese caption read: its cat is made up.
    assert (strict["hallucinated_mentions"], strict["mentions"], strict["hallucinated_captions"]) == (3, 7, 3)
    assert strict["chair_i"] == 3 / 7 and strict["recall"] == 4 / 5 and strict["unknown"] == 1 / 4
    assert "note" not in scores


def test_thoughts_are_no_part_of_a_caption(files):
    said = chair.score([answer(1, ["dog"], "A bus, a car? No.</think>A dog.")], files)
    plain = chair.score([answer(1, ["dog"], "A dog.")], files)
    assert said == plain and plain["chair_i"] == 0


def test_captions_without_objects(files):
    scores = chair.score([answer(1, ["dog"], "Nothing.")], files)
    assert scores["chair_i"] == scores["chair_s"] == 0 and "divides by zero" in scores["note"]
    assert scores["strict"]["unknown"] == 1
    assert chair.score([], files)["chair_s"] == 0


def test_scoring_needs_the_synonyms():
    with pytest.raises(ValueError, match=r"chair: needs the synonyms.*--vocab synonyms\.txt"):
        chair.score([], {})


def test_an_image_drawn_twice_counts_twice(files):
    answers = [answer(1, ["dog"], "A man."), answer(2, ["dog"], "A dog.")]
    again = replace(answers[0], question=replace(answers[0].question, cluster="1#2"))
    assert chair.score(answers, files)["chair_s"] == 1 / 2
    assert chair.score([*answers, again], files)["chair_s"] == 2 / 3


@pytest.mark.parametrize("model", ["Instruction2_instructblip.json", "Instruction2_llava.json"])
def test_the_official_numbers_come_out_to_the_digit(model):
    expected = json.loads(oracle("chair/expected.json").read_text())[model]
    files = {
        "objects": oracle("chair/coco_objects_for_these_images.json"),
        "vocab": oracle("chair/chair_vocab.json"),
        "singular": oracle("chair/singularize_table.json"),
    }
    scores = chair.score(chair.read([oracle(f"chair/captions/{model}")], files), files)
    assert 100 * scores["chair_s"] == pytest.approx(expected["CHAIRs"], abs=1e-12)
    assert 100 * scores["chair_i"] == pytest.approx(expected["CHAIRi"], abs=1e-12)
    assert 100 * scores["recall"] == pytest.approx(expected["Recall"], abs=1e-12)
    assert scores["hallucinated_mentions"] == expected["hall_words"] and scores["mentions"] == expected["coco_words"]
    assert scores["hallucinated_captions"] == expected["hall_caps"] and scores["captions"] == expected["n"]
    assert scores["len"] == expected["Len_split_space"]
    # What the official singulariser misses ("bus", "ties") is found in the strict column, of the same captions.
    assert scores["strict"]["mentions"] > scores["mentions"]
