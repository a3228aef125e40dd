"""MMVP: pairs, the letter rule that stands in for GPT-4, and published numbers that its pairs can give."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest
from benchmark_tables import doubled, write_lines, write_tsv
from official import oracle

from skymm.evaluation.benchmark import Answer, Question
from skymm.evaluation.benchmarks.mmvp import BENCHMARK, load, official_letter, read
from skymm.recipe import EvalRecipe

score = BENCHMARK.score


def recipe(root: Path, **options: str) -> EvalRecipe:
    return EvalRecipe(benchmark="mmvp", root=str(root), **options)


def release(root: Path, golds: str = "abba", index: str = "Index", folder: str = "MMVP Images") -> Path:
    asked, options = "Is the door open?", "(a) Open (b) Closed"
    rows = [
        {index: number, "Question": asked, "Options": options, "Correct Answer": f"({gold})"}
        for number, gold in enumerate(golds, 1)
    ]
    (root / folder).mkdir(parents=True)
    for row in rows:
        (root / folder / f"{row[index]}.jpg").write_bytes(b"pixels")
    return write_tsv(root / "Questions.csv", rows, ",")


def test_the_release_loads_in_pairs(tmp_path):
    for number, (index, folder) in enumerate(
        (("Index", "MMVP Images"), ("lndex", "MMVP Imgaes"))
    ):  # the release has an l
        release(tmp_path / str(number), index=index, folder=folder)
        questions = load(recipe(tmp_path / str(number)))
        assert [(one.id, one.cluster, one.gold, one.images[0].name) for one in questions] == [
            ("1", "1", "a", "1.jpg"),
            ("2", "1", "b", "2.jpg"),
            ("3", "2", "b", "3.jpg"),
            ("4", "2", "a", "4.jpg"),
        ]
    assert questions[0].text == "Is the door open? (a) Open (b) Closed" and questions[0].choices == ("a", "b")
    assert questions[0].fields["options"] == {"a": "Open", "b": "Closed"}


def test_pairs_may_be_left_out(tmp_path):
    table = release(tmp_path, "abba")
    header, *rows = table.read_text().splitlines()
    table.write_text("\n".join([header, *rows[2:]]))
    assert [(one.id, one.cluster, one.images[0].name) for one in load(recipe(tmp_path))] == [
        ("3", "2", "3.jpg"),
        ("4", "2", "4.jpg"),
    ]
    for kept in (rows[1:3], [rows[0], rows[3]]):
        table.write_text("\n".join([header, *kept]))
        with pytest.raises(ValueError, match=r"row [12] is about picture [24]; two and two rows are a pair"):
            load(recipe(tmp_path))


def test_images_may_lie_elsewhere(tmp_path):
    release(tmp_path / "a", folder="pictures")
    assert len(load(recipe(tmp_path / "a", images=str(tmp_path / "a/pictures")))) == 4
    with pytest.raises(ValueError, match=r"MMVP: no image '1\.jpg': .*MMVP Images is no directory"):
        load(recipe(tmp_path / "a"))


def test_bad_releases_are_named(tmp_path):
    for golds, words in (("aba", "found 3 rows, expected two for each pair"), ("ac", "row 2: the answer is '")):
        release(tmp_path / golds, golds)
        with pytest.raises(ValueError, match=words):
            load(recipe(tmp_path / golds))


LETTERS = {
    **{"(a)": "a", "(A)": "a", "( b )": "b", "A": "a", "b.": "b", "B) Closed": "b", "b, since it is shut": "b"},
    **{"(b) Closed": "b", "The answer is (b).": "b", "(a) Open. I repeat, (a).": "a", "(a) Open (b) Closed": None},
    **dict.fromkeys(("The answer is b", "A door", "a door that is open", "Open", "选（b）", "")),
}


def test_the_letter_rule():
    assert {response: official_letter(response) for response in LETTERS} == LETTERS


def answer(number: int, gold: str, response: str) -> Answer:
    fields = {"options": {"a": "Open", "b": "Closed"}}
    return Answer(Question(str(number), "", gold, str((number + 1) // 2), (), ("a", "b"), fields), response)


def test_a_pair_wants_both_right():
    answers = [answer(1, "a", "(a)"), answer(2, "b", "(b)"), answer(3, "b", "B"), answer(4, "a", "(b)")]
    answers += [
        answer(5, "a", "选a"),
        answer(6, "b", "The door is closed."),
        answer(7, "a", "(a)"),
        answer(8, "b", "?"),
    ]
    scores = score(answers, {})
    assert (scores["pair_acc"], scores["acc"], scores["num_pairs"]) == (1 / 4, 4 / 8, 4)
    strict = scores["strict"]
    assert (strict["pair_acc"], strict["acc"], strict["unknown"]) == (2 / 4, 6 / 8, 1 / 8)
    assert json.loads(json.dumps(scores)) == scores
    assert score(doubled(answers), {})["num_pairs"] == 8 and score(doubled(answers), {})["pair_acc"] == 1 / 4
    assert score(answers[:3], {})["pair_acc"] == 1 and score([], {})["pair_acc"] == 0  # half a pair is none
    assert [BENCHMARK.strict(one) for one in answers[4:]] == ["a", "b", "a", "unknown"]
    assert [BENCHMARK.right(one) for one in answers] == [True, True, True, False, False, False, True, False]


def test_the_official_answer_file(tmp_path):
    rows = [
        {"question_id": number, "prompt": "Open? (a) Open (b) Closed", "answer": f"({gold})", "response": said}
        for number, gold, said in ((3, "a", "A"), (4, "b", "A"), (2, "b", "(b)"), (1, "a", "(a) Open"))
    ]
    answers = read([write_lines(tmp_path / "answer.jsonl", rows)], {})
    assert [one.question.id for one in answers] == ["1", "2", "3", "4"]
    assert score(answers, {})["pair_acc"] == 1 / 2
    with pytest.raises(ValueError, match=r"entry 1: question_id is 'x'"):
        read([write_lines(tmp_path / "a.jsonl", [{**rows[0], "question_id": "x"}])], {})
    with pytest.raises(ValueError, match=r"entry 1: the answer is '\(c\)'"):
        read([write_lines(tmp_path / "b.jsonl", [{**rows[0], "answer": "(c)"}])], {})
    with pytest.raises(ValueError, match="question 3 is answered twice"):
        read([write_lines(tmp_path / "c.jsonl", [rows[0]] * 2)], {})


def test_published_numbers_are_what_150_pairs_can_give():
    with oracle("mmvp/published_mmvp.csv").open(encoding="utf-8") as file:
        published = {row["model"]: float(row["pair_accuracy_percent"]) for row in csv.DictReader(file)}
    # Several people's mean, guessing on paper, and Bard, which refused some questions, are no counts of 150 pairs.
    models = {name: value for name, value in published.items() if name not in ("Human", "Random guess", "Bard")}
    assert len(models) == 7
    pairs = [answer(number, "a", "(a)") for number in range(1, 301)]
    for value in models.values():
        right = round(value * 150 / 100)
        wrong = [answer(number, "b", "(a)") for number in range(2 * right + 1, 301)]
        assert round(score(pairs[: 2 * right] + wrong, {})["pair_acc"] * 100, 1) == value
