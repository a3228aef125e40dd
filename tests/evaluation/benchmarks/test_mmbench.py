"""MMBench, MMBench-CN, CCBench: rotations, references between images, both languages, the hidden test split."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from benchmark_tables import doubled, encoded, picture, write_tsv, write_xlsx

from skymm.evaluation.benchmark import Answer, Question, covered_scores
from skymm.evaluation.benchmarks.mmbench import BENCHMARK, INSTRUCTIONS, ROTATION, load, official, read, score
from skymm.recipe import EvalRecipe

OPTIONS = ("cat", "dog", "red car")


def recipe(root: Path, **options: str) -> EvalRecipe:
    return EvalRecipe(benchmark="mmbench", root=str(root), **options)


def row(index: int, rotation: int = 0, **changes: str) -> dict:
    """A question whose right answer is "dog", its options shifted `rotation` times; only the first holds the picture."""
    options = dict(zip("ABC", [OPTIONS[(place - rotation) % 3] for place in range(3)]))
    gold = next(letter for letter, text in options.items() if text == "dog")
    image = str(index) if rotation else encoded(index)
    known = {"category": "object", "l2-category": "perception", "split": "dev", "image": image}
    question = {"index": index + rotation * ROTATION, "question": "What is it?", "hint": "nan"}
    return {**question, **options, "D": "", "answer": gold, **known, **changes}


def test_rotations_stand_together_and_share_their_picture(tmp_path):
    write_tsv(tmp_path / "MMBench_DEV_EN.tsv", [row(1), row(2), row(1, 1), row(2, 1), row(1, 2)])
    questions = load(recipe(tmp_path))
    assert [question.id for question in questions] == ["1", "1000001", "2000001", "2", "1000002"]
    assert [question.cluster for question in questions] == ["1", "1", "1", "2", "2"]
    assert [question.gold for question in questions] == ["B", "C", "A", "B", "C"]
    assert questions[0].text == f"What is it?\nA. cat\nB. dog\nC. red car\n{INSTRUCTIONS['en']}"
    assert questions[0].images[0] is questions[2].images[0] and questions[0].images == (picture(1),)
    assert questions[0].choices == ("A", "B", "C")  # the empty column is no option
    assert questions[1].fields["index"] == 1000001 and questions[1].fields["category"] == "object"


def test_hints_stand_before_the_question_and_chinese_is_asked_in_chinese(tmp_path):
    chinese = {"question": "图中是什么？", "hint": "看看耳朵。", "A": "猫", "B": "狗", "C": "红色的车"}
    write_tsv(tmp_path / "cn.tsv", [row(1, **chinese), row(2, **chinese), row(3)])
    first, _, english = load(recipe(tmp_path))
    assert first.text == "看看耳朵。\n图中是什么？\nA. 猫\nB. 狗\nC. 红色的车\n请直接回答选项字母。"
    assert english.text.endswith("请直接回答选项字母。")  # one table, one instruction, which the recipe can replace


def test_the_split_is_a_column(tmp_path):
    write_tsv(tmp_path / "m.tsv", [row(1), row(2, split="test", answer="")])
    assert [question.id for question in load(recipe(tmp_path, split="dev"))] == ["1"]
    assert [question.gold for question in load(recipe(tmp_path))] == ["B", ""]
    with pytest.raises(ValueError, match="found no questions of split 'train'"):
        load(recipe(tmp_path, split="train"))


def test_bad_tables_are_named(tmp_path):
    for rows, words in (
        ([row(1, A="", B="")], r"row 1: found options \{'C': 'red car'\}, expected columns A, B"),
        ([row(1, A="nan", B="None")], "expected columns A, B"),  # officially no options either
        ([row(1, image="77")], "index 1: the image is '77'"),
        ([{**row(1), "index": "one"}], "the index is 'one'"),
        ([{"index": 1, "question": "q"}], "expected index, question, image"),
    ):
        write_tsv(tmp_path / "m.tsv", rows)
        with pytest.raises(ValueError, match=words):
            load(recipe(tmp_path))


def answers(*responses: tuple[int, int, str], category: str = "object") -> list[Answer]:
    """(index, rotation, response)"""
    found = []
    for index, rotation, response in responses:
        one = row(index, rotation)
        options = {letter: one[letter] for letter in "ABC"}
        fields = {"index": one["index"], "options": options, "category": category, "l2_category": "", "split": ""}
        question = Question(str(one["index"]), "", one["answer"], str(index), (), tuple(options), fields)
        found.append(Answer(question, response))
    return found


def test_circular_wants_every_rotation_right():
    given = answers(
        (1, 0, "B"), (1, 1, "C"), (1, 2, "A"), (2, 0, "B"), (2, 1, "B"), (2, 2, "A"), (3, 0, "dog"), (4, 0, "A")
    )
    scores = score(given, {})
    expected = {"circular": 1 / 2, "vanilla": 3 / 4, "groups": 4, "complete": 2}  # two were asked in one rotation
    assert {name: scores[name] for name in expected} == expected and scores["categories"] == {"object": expected}
    assert scores["abilities"] == {}
    assert json.loads(json.dumps(scores)) == scores


def test_ccbench_has_no_rotations_and_one_of_mmbench_is_no_circle():
    said = [(1, 0, "B"), (2, 0, "A"), (3, 0, "(B)")]
    scores = score(answers(*said, category="food_clothes"), {})
    assert scores["circular"] == scores["vanilla"] == 2 / 3
    scores = score(answers(*said), {})
    assert (scores["circular"], scores["complete"], scores["vanilla"]) == (None, 0, 2 / 3)


def test_the_strict_reading_stands_beside():
    given = answers((1, 0, "选B"), (1, 1, "答案：C。"), (2, 0, "不知道"), (3, 0, "A dog"))
    scores = score(given, {})
    assert scores["vanilla"] == 0 and scores["strict"]["vanilla"] == 2 / 3 and scores["strict"]["unknown"] == 1 / 4
    assert official(given[0]) == "Z" and official(given[3]) == "A"  # officially the article is a letter
    assert [BENCHMARK.right(one) for one in given] == [False] * 4
    assert [BENCHMARK.strict(one) for one in given] == ["B", "C", "unknown", "B"]


def test_resampled_groups_stay_apart():
    given = answers((1, 0, "B"), (1, 1, "C"), (1, 2, "A"), (2, 0, "A"), (2, 1, "A"), (2, 2, "A"))
    assert score(doubled(given), {})["groups"] == 4 and score(doubled(given), {})["circular"] == 1 / 2
    # nothing, and a rotation alone, as where a run was cut off
    assert score([], {})["circular"] is None
    assert score(answers((1, 1, "C")), {})["circular"] is score(answers((1, 1, "C")), {})["vanilla"] is None


def test_result_tables(tmp_path):
    rows = [row(1, turn, prediction=said) for turn, said in enumerate(("B", "C", "A"))]
    rows = [{**one, "image": ""} for one in [*rows, row(2, prediction="The answer is b")]]
    for path in (write_tsv(tmp_path / "p.tsv", rows), write_xlsx(tmp_path / "p.xlsx", rows)):
        scores = covered_scores(BENCHMARK, read([path], {}), {})
        assert scores["circular"] == 1 and list(scores["abilities"]) == ["perception"]
        assert (scores["complete"], scores["groups"], scores["answered"], scores["expected"]) == (1, 2, 4, 6)


def test_the_test_split_needs_labels(tmp_path):
    questions = write_tsv(tmp_path / "MMBench_DEV_EN.tsv", [row(1), row(2)])
    said = [{"index": index, "A": "cat", "B": "dog", "prediction": letter} for index, letter in ((1, "B"), (2, "A"))]
    submitted = write_xlsx(tmp_path / "upload.xlsx", said)
    with pytest.raises(ValueError, match=r"2 questions \(1 first\) have no right answer .* --labels"):
        score(read([submitted], {}), {})
    assert BENCHMARK.right(read([submitted], {})[0]) is None
    assert score(read([submitted], {"labels": questions}), {})["vanilla"] == 1 / 2
