"""Chinese SimpleVQA: rows as published, official results, a judge's words, and what is computed from them."""

from __future__ import annotations

import pytest
from benchmark_tables import write_lines

from skymm.evaluation.benchmark import Answer
from skymm.evaluation.benchmarks.chinese_simplevqa import BENCHMARK, judge, read_grade
from skymm.evaluation.judge import grade
from skymm.recipe import EvalRecipe


def row(name, topic, **more):
    asked = {"recognition_question": "图片中的建筑是什么？", "recognition_answer": "南开大学主楼", "Topic": topic}
    known = {"final_question": "图片中的建筑是在什么年份开工兴建的？", "final_answer": "1959年"}
    return {
        "ID": name,
        "image_url": f"https://x.org/{name}.jpg",
        **asked,
        **known,
        "matched_image": f"{name}.jpg",
        **more,
    }


ROWS = [row("a", "现代建筑|公共文化建筑"), row("b", "现代建筑|其他"), row("c", "生物|鸟类")]


def asked(root):
    write_lines(root / "chinese_simplevqa.jsonl", ROWS)
    (root / "images").mkdir()
    for one in ROWS:
        (root / "images" / one["matched_image"]).write_bytes(b"pixels")
    return BENCHMARK.load(EvalRecipe(benchmark="chinese_simplevqa", root=str(root)))


def test_both_questions_and_what_the_judge_is_told(tmp_path):
    questions = asked(tmp_path)
    assert [one.id for one in questions[:3]] == ["a/recognition", "a/final", "b/recognition"]
    first, second = questions[:2]
    assert (first.text, first.gold, second.gold) == ("图片中的建筑是什么？", "南开大学主楼", "1959年")
    assert (
        first.cluster == second.cluster == "a"
        and first.images[0].name == "a.jpg"
        and first.fields["topic"] == "现代建筑"
    )
    message = judge({}).message(Answer(first, "是{target}"))
    places = [message.index(part) for part in (first.text, "南开大学主楼", "是{target}")]
    assert places == sorted(places)
    path = tmp_path / "prompt.txt"
    path.write_text("{url} {question} {target} {predicted_answer}", "utf-8")
    assert (
        judge({"judge_prompt": path}).message(Answer(second, "不知道"))
        == f"https://x.org/a.jpg {second.text} 1959年 不知道"
    )
    path.write_text("{question} {answer}", "utf-8")
    with pytest.raises(ValueError, match=r"found no \{target\}"):
        judge({"judge_prompt": path})
    (tmp_path / "images/b.jpg").unlink()
    with pytest.raises(ValueError, match=r"chinese_simplevqa: no image 'b\.jpg'"):
        BENCHMARK.load(EvalRecipe(benchmark="chinese_simplevqa", root=str(tmp_path)))


def test_a_grade_is_what_the_judge_begins_with():
    said = {"A": 1, "B。": 0, "C:【未尝试】": -1, "答案是：A": 1, "【错误】": 0, "未尝试": -1, "a": 1}
    assert {text: read_grade(text) for text in said} == {text: (worth,) for text, worth in said.items()}
    assert [read_grade(text) for text in ("", "Because A", "D", "不正确")] == [None] * 4


def test_official_results_by_hand(tmp_path):
    scores = [("A", "A"), ("A", "B"), ("C", "C")]
    rows = [
        row(one["ID"], one["Topic"], model_output1="x", score1=s, model_output2="y", score2=t)
        for one, (s, t) in zip(ROWS, scores)
    ]
    found = BENCHMARK.score(BENCHMARK.read([write_lines(tmp_path / "r.jsonl", rows)], {}), {})
    # What it is: 2 of 3 right, 2 of 2 attempted, f = 2 * 2/3 / (5/3). What is known: 1 of 3, 1 of 2, f = 2 * 1/6 / (5/6).
    assert found["recognition"]["f"] == pytest.approx(0.8) and found["recognition"]["given_attempted"] == 1
    final = found["final"]
    assert (final["correct"], final["wrong"], final["not_attempted"]) == (1 / 3, 1 / 3, 1 / 3)
    assert (final["given_attempted"], final["f"]) == (0.5, pytest.approx(0.4))
    assert list(found["topics"]) == ["现代建筑", "生物"] and found["topics"]["生物"]["f"] == 0
    assert found["recognition_topics"]["现代建筑"]["correct"] == 1 and found["topics"]["现代建筑"]["correct"] == 0.5
    with pytest.raises(ValueError, match="row 1: found score2 'D', expected A, B or C"):
        BENCHMARK.read([write_lines(tmp_path / "r.jsonl", [row("a", "x", score1="A", score2="D")])], {})


def test_our_own_grades(tmp_path):
    given = [Answer(question, "答") for question in asked(tmp_path)[:4]]
    said = iter(["A", "B", "也许", "A"])
    done = grade(tmp_path, lambda those: [(at, next(said)) for at in range(len(those))], given, judge({}), name="j")
    scores = BENCHMARK.score(given, {"grades": done.path})
    assert (scores["recognition"]["correct"], scores["recognition"]["graded"], scores["final"]["correct"]) == (
        1,
        1,
        0.5,
    )
    assert scores["strict"]["unknown"] == 1 / 4 and scores["note"].startswith("1 of 4 answers have no readable grade")
    assert BENCHMARK.score([], {})["final"]["f"] == 0 and BENCHMARK.right(given[0]) is None
