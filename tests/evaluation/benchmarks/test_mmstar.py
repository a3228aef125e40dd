"""MMStar: the official one-character rule, both releases, and result tables of every kind."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from benchmark_tables import doubled, encoded, picture, write_lines, write_parquet, write_tsv, write_xlsx
from official import oracle

from skymm.evaluation.benchmark import Answer, Question
from skymm.evaluation.benchmarks.mmstar import BENCHMARK, INSTRUCTION, load, matches
from skymm.recipe import EvalRecipe

read, score = BENCHMARK.read, BENCHMARK.score


def recipe(root: Path, **options: str) -> EvalRecipe:
    return EvalRecipe(benchmark="mmstar", root=str(root), **options)


def row(index: int, answer: str = "A", category: str = "math", axis: str = "geometry", image: int = 1) -> dict:
    options = {"A": "one", "B": "two", "C": "three", "D": "four"}
    known = {"answer": answer, "category": category, "l2_category": axis, "bench": "MMBench"}
    return {"index": index, "question": "How many?", **options, **known, "image": encoded(image)}


def test_the_tsv_loads_with_options_as_lines(tmp_path):
    path = write_tsv(tmp_path / "MMStar.tsv", [row(0), row(1, "B", image=2), row(2, "D")])
    first, third, second = load(recipe(tmp_path))
    assert (first.id, third.id, second.id) == ("0", "2", "1")  # questions about one picture stand together
    assert first.text == f"How many?\nA. one\nB. two\nC. three\nD. four\n{INSTRUCTION}"
    assert first.gold == "A" and first.choices == ("A", "B", "C", "D") and first.images == (picture(1),)
    assert first.cluster == third.cluster != second.cluster
    assert first.fields["options"] == {"A": "one", "B": "two", "C": "three", "D": "four"}
    assert first.fields["category"] == "math" and first.fields["l2_category"] == "geometry"
    assert load(recipe(path)) == [first, third, second]


def test_the_parquet_release_has_its_options_in_the_question(tmp_path):
    asked = "Which one is it?\nOptions: A: The cat, on a mat., B: The dog: big., C: 3, D: (A) and (B)"
    known = {"answer": "B", "category": "math", "l2_category": "geometry", "meta_info": {"source": "SEEDBench"}}
    image = {"bytes": picture(3), "path": None}
    write_parquet(tmp_path / "mmstar.parquet", [{"index": 7, "question": asked, "image": image, **known}])
    (question,) = load(recipe(tmp_path))
    assert question.text == f"{asked}\n{INSTRUCTION}" and question.id == "7" and question.images == (picture(3),)
    assert question.fields["options"] == {"A": "The cat, on a mat.", "B": "The dog: big.", "C": "3", "D": "(A) and (B)"}
    assert question.fields["bench"] == "SEEDBench"


def test_questions_whose_options_are_not_written_as_usual_have_letters_alone(tmp_path):
    write_tsv(tmp_path / "m.tsv", [{"index": 0, "question": "Pick one.", "answer": "c", "image": encoded(1)}])
    (question,) = load(recipe(tmp_path))
    assert question.choices == ("A", "B", "C", "D") and question.fields["options"] == {} and question.gold == "C"
    assert BENCHMARK.strict(Answer(question, "选C")) == "C"


def test_a_split_is_a_capability(tmp_path):
    write_tsv(tmp_path / "m.tsv", [row(0), row(1, category="coarse perception", axis="image emotion")])
    assert [question.id for question in load(recipe(tmp_path, split="coarse perception"))] == ["1"]
    with pytest.raises(ValueError, match="found no questions of split 'maths'"):
        load(recipe(tmp_path, split="maths"))


def test_bad_tables_are_named(tmp_path):
    (tmp_path / "readme.md").write_text("")
    with pytest.raises(ValueError, match=r"found \['readme\.md'\], expected a file that ends with \.tsv or \.parquet"):
        load(recipe(tmp_path))
    for change, words in (
        ({"answer": "E"}, r"m\.tsv, row 1: the answer is 'E', expected one of A, B, C, D"),
        ({"image": "short"}, "the image is 'short', expected an encoded picture"),
        ({"image": "*" * 100}, "the image is not base64"),
    ):
        write_tsv(tmp_path / "m.tsv", [{**row(0), **change}])
        with pytest.raises(ValueError, match=words):
            load(recipe(tmp_path))


def answer(gold: str, response: str, cluster: str = "0", category: str = "math", axis: str = "geometry") -> Answer:
    fields = {"category": category, "l2_category": axis, "bench": "", "options": {"A": "cat", "B": "dog"}}
    return Answer(Question(cluster, "", gold, cluster, (), ("A", "B"), fields), response)


def test_scores_by_hand():
    answers = [
        answer("A", "A", "1"),
        answer("B", "答案：B。", "2"),
        answer("B", "I cannot tell.", "3", "coarse perception", "image emotion"),
        answer("A", "apple", "4", "coarse perception", "image emotion"),
    ]
    axes = score([*answers, answer("A", "A", "5", "math", "numeric")], {})["axes"]
    assert {name: one["correct"] for name, one in axes.items()} == {
        "math(geometry)": 1,
        "coarse perception(image emotion)": 1,
        "math(numeric)": 1,
    }
    scores = score(answers, {})
    assert (scores["correct"], scores["total"], scores["accuracy"]) == (2, 4, 0.5)
    assert scores["capabilities"]["math"] == {"correct": 1, "total": 2, "accuracy": 0.5}
    assert scores["axes"]["coarse perception(image emotion)"] == {"correct": 1, "total": 2, "accuracy": 0.5}
    strict = scores["strict"]
    assert (strict["correct"], strict["unknown"]) == (2, 0.5) and strict["capabilities"]["math"]["correct"] == 2
    assert json.loads(json.dumps(scores)) == scores
    assert score(doubled(answers), {})["total"] == 8 and score([], {})["accuracy"] == 0
    assert [BENCHMARK.right(one) for one in answers] == [True, False, False, True]


RESULTS = [
    {"index": 3, "question": "q", "A": "x", "B": "y", "answer": "B", "prediction": "B", "category": "math"},
    {"index": 4, "question": "q", "A": "x", "B": "y", "answer": "A", "prediction": "", "category": "math"},
]


def test_result_tables_of_every_kind(tmp_path):
    for number, (write, name) in enumerate(((write_tsv, "r.tsv"), (write_xlsx, "r.xlsx"), (write_lines, "r.jsonl"))):
        (tmp_path / str(number)).mkdir()
        path = write(tmp_path / str(number) / name, [{**row, "l2_category": "geometry"} for row in RESULTS])
        for place in (path, path.parent):
            answers = read([place], {})
            said = [(one.question.id, one.question.gold, one.response) for one in answers]
            assert said == [("3", "B", "B"), ("4", "A", "")]
            assert score(answers, {})["axes"] == {"math(geometry)": {"correct": 1, "total": 2, "accuracy": 0.5}}


def test_right_answers_may_come_from_the_questions(tmp_path):
    labels = write_tsv(tmp_path / "MMStar.tsv", [row(3, "B"), row(4, "A")])
    results = write_xlsx(tmp_path / "r.xlsx", [{"index": 4, "prediction": "A"}, {"index": 3, "prediction": "two"}])
    answers = read([results], {"labels": labels})
    assert [(one.question.id, one.question.gold) for one in answers] == [("3", "B"), ("4", "A")]
    assert score(answers, {})["strict"]["correct"] == 2
    lost = write_xlsx(tmp_path / "lost.xlsx", [{"index": 9, "prediction": "A"}])
    with pytest.raises(ValueError, match=r"lost\.xlsx: question_id 9 is none of the 2 questions of .*MMStar\.tsv"):
        read([lost], {"labels": labels})


def test_bad_result_tables_are_named(tmp_path):
    with pytest.raises(ValueError, match="entry 1: the answer is '', expected one of A, B, C, D"):
        read([write_tsv(tmp_path / "a.tsv", [{"index": 1, "answer": "A"}])], {})
    with pytest.raises(ValueError, match="question 3 is answered twice"):
        read([write_tsv(tmp_path / "b.tsv", [RESULTS[0]] * 2)], {})
    with pytest.raises(ValueError, match="the index is 'x', expected a whole number"):
        read([write_tsv(tmp_path / "c.tsv", [{"index": "x", "answer": "A", "prediction": "A"}])], {})


def test_the_official_rule_with_its_quirks():
    right = ("a", " \nA", "an apple", "(A) cat", "Option A", "the answer is a.")
    wrong = ("( A)", "Optional", "options a", "optional a", "optionsa", "The answer is (A)", "答案是A")
    assert all(matches("A", said) for said in right) and not any(matches("A", said) for said in wrong)
    assert not any(matches(gold, said) for gold, said in (("B", "("), ("B", ""), ("", "")))
    rows = json.loads(oracle("parsers/mmstar_match.json").read_text("utf-8"))["rows"]
    assert len(rows) == 36
    for one in rows:
        assert matches(one["answer"], one["prediction"]) == bool(one["correct"]), one
