"""LLaVA-Bench: the official formula, official review files, messages to the judge and grades from it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from benchmark_tables import doubled, write_json, write_lines

from skymm.evaluation.benchmark import Answer, Question
from skymm.evaluation.benchmarks.llava_bench import BENCHMARK, judge, load, read, read_grade, score
from skymm.evaluation.judge import grade
from skymm.recipe import EvalRecipe


def release(root: Path, num_questions: int = 3) -> Path:
    rows = [
        {"question_id": number, "image": f"00{number % 2}.jpg", "text": f"What is {number}?", "category": "conv"}
        for number in range(num_questions)
    ]
    write_lines(root / "questions.jsonl", rows)
    write_lines(root / "answers_gpt4.jsonl", [{"question_id": row["question_id"], "text": "It is."} for row in rows])
    contexts = [{"id": "000", "image": "000.jpg", "caption": "A {answer} on a mat."}]
    contexts += [{"id": "001", "image": "001.jpg", "caption": ["Two dogs.", "A ball."]}]
    write_lines(root / "context.jsonl", contexts)
    (root / "images").mkdir()
    for number in (0, 1):
        (root / f"images/00{number}.jpg").write_bytes(b"pixels")
    return root


def recipe(root: Path, **options: object) -> EvalRecipe:
    return EvalRecipe(benchmark="llava_bench", root=str(root), **options)


def test_questions_come_with_reference_and_description(tmp_path):
    questions = load(recipe(release(tmp_path)))
    assert [(one.id, one.cluster) for one in questions] == [("0", "000.jpg"), ("2", "000.jpg"), ("1", "001.jpg")]
    assert questions[0].text == "What is 0?" and questions[0].gold == "It is." and questions[0].choices == ()
    assert questions[0].fields == {"category": "conv", "context": "A {answer} on a mat."}
    assert questions[2].fields["context"] == "Two dogs.\nA ball."


def test_incomplete_releases_are_named(tmp_path):
    root = release(tmp_path)
    write_lines(root / "other.jsonl", [{"question_id": 0, "text": "x"}])
    with pytest.raises(ValueError, match="line 2: question 1 has no reference answer"):
        load(recipe(root, files={"reference": str(root / "other.jsonl")}))
    write_lines(root / "other.jsonl", [{"image": "001.jpg", "caption": "x"}])
    with pytest.raises(ValueError, match="line 1: question 0 has no description of its picture"):
        load(recipe(root, files={"context": str(root / "other.jsonl")}))
    (root / "images/001.jpg").unlink()
    with pytest.raises(ValueError, match=r"no image '001\.jpg'"):
        load(recipe(root))


def answer(name: str = "0", response: str = "A cat.", category: str = "conv", **fields: object) -> Answer:
    known = {"category": category, "context": "A {answer} on a mat.", **fields}
    return Answer(Question(name, "What is it?", "It is a cat.", name, (), (), known), response)


def test_the_message_has_all_that_the_judge_needs():
    message = judge({}).message(answer(response="A {question}."))
    order = ["A {answer} on a mat.", "What is it?", "It is a cat.", "A {question}."]
    places = [message.index(part) for part in order]
    assert places == sorted(places) and "first line" in message


def test_the_official_rule_file_is_laid_out_officially(tmp_path):
    rules = write_json(tmp_path / "rule.json", {"llava_bench_conv": {"role": "Assistant", "prompt": "Rate them."}})
    asked = judge({"judge_prompt": rules})
    assert asked.message(answer()) == (
        "[Context]\nA {answer} on a mat.\n\n[Question]\nWhat is it?\n\n"
        "[Assistant 1]\nIt is a cat.\n\n[End of Assistant 1]\n\n[Assistant 2]\nA cat.\n\n[End of Assistant 2]\n\n"
        "[System]\nRate them.\n\n"
    )
    with pytest.raises(ValueError, match="expected llava_bench_detail"):
        asked.message(answer(category="detail"))


def test_a_text_of_one_s_own(tmp_path):
    path = tmp_path / "prompt.txt"
    path.write_text("{question}|{reference}|{answer}")
    assert judge({"judge_prompt": path}).message(answer()) == "What is it?|It is a cat.|A cat."
    path.write_text("{question}|{reference}")
    with pytest.raises(ValueError, match=r"found no \{answer\}"):
        judge({"judge_prompt": path})


GRADES = {
    **{"8 9": (8, 9), "8 9\nBoth are good.": (8, 9), "8, 9": (8, 9), "8.5 10\n": (8.5, 10), "\n 7 3": (7, 3)},
    **{"8/10 9/10": (8, 9), "**8 9**": (8, 9)},
    **dict.fromkeys(("8", "8 9 10", "0 5", "8 11", "Assistant 1: 8, Assistant 2: 9", "Both are good.\n8 9", "")),
}


def test_grades_are_two_numbers_on_the_first_line():
    assert {text: read_grade(text) for text in GRADES} == GRADES


def review(name: int, pair: list[float], category: str = "llava_bench_conv") -> dict:
    return {"id": name, "question_id": name, "category": category, "content": "...", "tuple": pair}


def test_official_reviews_by_hand(tmp_path):
    rows = [review(1, [8, 7]), review(2, [9, 8]), review(3, [9, 6.5], "llava_bench_detail")]
    scores = score(read([write_lines(tmp_path / "review_x.jsonl", rows)], {}), {})
    # 21.5 / 3 = 7.1666.. and 26 / 3 = 8.6666.., rounded before they are divided
    assert (scores["reference"], scores["model"]) == (8.667, 7.167)
    assert scores["score"] == round(7.167 / 8.667 * 100, 1) == 82.7
    assert scores["categories"] == {
        "conv": {"score": 88.2, "reference": 8.5, "model": 7.5, "graded": 2},
        "detail": {"score": 72.2, "reference": 9.0, "model": 6.5, "graded": 1},
    }
    assert scores["strict"]["unknown"] == 0 and "note" not in scores
    assert json.loads(json.dumps(scores)) == scores


def test_rounding_comes_before_dividing(tmp_path):
    rows = [review(number, [9, 1]) for number in range(5)] + [review(9, [9, 2])]
    scores = score(read([write_lines(tmp_path / "r.jsonl", rows)], {}), {})
    assert scores["score"] == round(1.167 / 9 * 100, 1) == 13.0
    rows = [review(number, [3, 1]) for number in range(3000)] + [review(3000, [3, 2])]
    assert score(read([write_lines(tmp_path / "s.jsonl", rows)], {}), {})["model"] == 1.0


def test_official_grades_that_were_not_read_count_as_officially_and_are_told_apart(tmp_path):
    rows = [review(1, [8, 8]), review(2, [-1, -1])]
    scores = score(read([write_lines(tmp_path / "r.jsonl", rows)], {}), {})
    assert (scores["reference"], scores["model"], scores["score"]) == (3.5, 3.5, 100.0)
    assert scores["strict"] | {"categories": 0} == {
        **{"score": 100.0, "reference": 8.0, "model": 8.0, "graded": 1, "categories": 0},
        "unknown": 0.5,
    }


def test_review_files_know_their_pictures_from_the_questions(tmp_path):
    path = write_lines(tmp_path / "r.jsonl", [review(0, [8, 8]), review(2, [8, 6])])
    labels = {"labels": release(tmp_path / "bench") / "questions.jsonl"}
    assert [one.question.cluster for one in read([path], labels)] == ["000.jpg", "000.jpg"]
    assert [one.question.cluster for one in read([path], {})] == ["0", "2"]
    with pytest.raises(ValueError, match="line 1: tuple is 8, expected two grades"):
        read([write_lines(tmp_path / "bad.jsonl", [{**review(0, []), "tuple": 8}])], {})
    with pytest.raises(ValueError, match="question 0 is answered twice"):
        read([path, path], {})


def test_our_own_grades(tmp_path):
    given = [answer("0"), answer("1", "A dog."), answer("2", "A bird.", "detail")]
    said = {"A cat.": "8 8\nGood.", "A dog.": "9 7", "A bird.": "I cannot grade this."}

    def ask(messages):
        return enumerate(next(text for key, text in said.items() if f"2:\n{key}" in one) for one in messages)

    done = grade(tmp_path, ask, given, judge({}), name="j")
    scores = score(given, {"grades": done.path})
    assert done.num_bad == 1 and scores["score"] == round(7.5 / 8.5 * 100, 1) and scores["graded"] == 2
    assert list(scores["categories"]) == ["conv"]
    assert scores["strict"]["unknown"] == 1 / 3 and scores["note"].startswith("1 of 3 answers")
    assert score(doubled(given), {"grades": done.path})["graded"] == 4
    assert score([], {})["score"] is None and score(given[2:], {"grades": done.path})["score"] is None
    with pytest.raises(ValueError, match="LLaVA-Bench: answers are graded by a judge"):
        score(given, {})
    assert BENCHMARK.right(given[0]) is None and BENCHMARK.strict(given[0]) is None
