"""MME: official digits, both layouts, and every file that is not as it should be."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from skymm.evaluation.benchmarks.mme import (
    COGNITION,
    PERCEPTION,
    SUBTASKS,
    Question,
    Row,
    load,
    pair,
    parse_official,
    read_results,
    score,
    write_results,
)


def oracle(name: str) -> Path:
    """Official material, which may not be redistributed and lies beside the repository, if at all."""
    path = Path(__file__).parents[4] / "shared" / "oracles" / name
    if not path.exists():
        pytest.skip(f"the official files are not here: {path}")
    return path


def release(directory: Path, layout: str, subtask: str = "color", language: str = "en", count: int = 2) -> None:
    """A small release; layout "nested", "flat" or "repacked"."""
    folders = {"nested": ("images", "questions_answers_YN"), "flat": ("", ""), "repacked": ("pictures", "")}
    images, texts = folders[layout]
    folder = directory / subtask
    for index in range(count):
        lines = ["Is it red?\tYes", "Is it blue?\tNo"] if language == "en" else ["是红色吗？\tYes", "是蓝色吗？\tNo"]
        for name, suffix, content in ((images, "jpg", "pixels"), (texts, "txt", "\n".join(lines))):
            (folder / name).mkdir(parents=True, exist_ok=True)
            (folder / name / f"{index:04d}.{suffix}").write_text(content, encoding="utf-8")


@pytest.mark.parametrize("layout", ["nested", "flat", "repacked"])
@pytest.mark.parametrize("wrapped", [False, True])
def test_layouts_load_alike(tmp_path, layout, wrapped):
    root = tmp_path / "MME_Benchmark_release_version" if wrapped else tmp_path
    release(root, layout)
    questions = load(tmp_path)
    assert [(q.subtask, q.image.name, q.question, q.answer) for q in questions] == [
        ("color", "0000.jpg", "Is it red?", "Yes"),
        ("color", "0000.jpg", "Is it blue?", "No"),
        ("color", "0001.jpg", "Is it red?", "Yes"),
        ("color", "0001.jpg", "Is it blue?", "No"),
    ]
    assert all(q.image.read_text() == "pixels" for q in questions)


def test_subtasks_come_in_the_official_order(tmp_path):
    for subtask in reversed(SUBTASKS):
        release(tmp_path, "flat", subtask, count=1)
    assert tuple(dict.fromkeys(q.subtask for q in load(tmp_path))) == SUBTASKS == PERCEPTION + COGNITION


def test_chinese_twins(tmp_path):
    release(tmp_path / "en", "flat")
    release(tmp_path / "zh", "flat", language="zh")
    (tmp_path / "zh/color/0001.txt").write_text("是红色吗？\t是\r\n是蓝色吗？\t否\r\n\r\n", encoding="utf-8-sig")
    english, chinese = load(tmp_path / "en"), load(tmp_path / "zh")
    assert [q.answer for q in chinese] == [q.answer for q in english] == ["Yes", "No"] * 2
    assert chinese[2].question == "是红色吗？"
    with pytest.raises(ValueError, match="color more than once"):
        load(tmp_path)


def test_hidden_files_and_images_without_questions_do_no_harm(tmp_path):
    release(tmp_path, "flat")
    (tmp_path / "color/._0000.txt").write_bytes(b"\0\xff")
    (tmp_path / "color/extra.png").write_bytes(b"")
    assert len(load(tmp_path)) == 4


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("0000.txt", "Is it?\tYes\n", "found 1 lines, expected 2"),
        ("0000.txt", "Is it?\tYes\n" * 3, "found 3 lines, expected 2"),
        (
            "0000.txt",
            "Is it?\tYes\nIs it?\tMaybe",
            r"0000\.txt, line 2: found 'Is it\?\\tMaybe', expected 'question TAB",
        ),
        ("0000.txt", "Is it? Yes\nIs it?\tNo", r"line 1: found 'Is it\? Yes'"),
        ("0000.txt", b"\xff\xfe", "not UTF-8"),
        ("0009.txt", "Is it?\tYes\nIs it?\tNo", r"0009\.txt: no image of this name"),
        ("0000.png", "pixels", "expected one image of a name"),
    ],
)
def test_bad_releases_are_named(tmp_path, name, content, words):
    release(tmp_path, "flat")
    path = tmp_path / "color" / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(ValueError, match=words) as caught:
        load(tmp_path)
    assert "0000" in str(caught.value) or "0009" in str(caught.value)


def test_a_directory_without_subtasks_is_named(tmp_path):
    with pytest.raises(ValueError, match=r"expected folders named as MME's subtasks: existence, count"):
        load(tmp_path)
    with pytest.raises(ValueError, match="no such directory"):
        load(tmp_path / "nowhere")
    (tmp_path / "color").mkdir()
    with pytest.raises(ValueError, match="found no questions"):
        load(tmp_path)


def rows(*answered: tuple[str, str]) -> list[Row]:
    return [Row("0.jpg", "q", answer, response) for answer, response in answered]


def test_scores_by_hand():
    results = {
        # both right; one right; none right, once by saying neither
        "color": rows(("Yes", "yes"), ("No", "No."), ("Yes", "yes"), ("No", "yes"), ("Yes", "no"), ("No", "blue")),
        "code_reasoning": rows(("Yes", "Yes"), ("No", "No")),
    }
    scores = score(results)
    color = scores["subtasks"]["color"]
    assert color["acc"] == 3 / 6 and color["acc_plus"] == 1 / 3
    assert color["score"] == scores["perception"] == pytest.approx(50 + 100 / 3)
    assert (color["other"], color["num_questions"], color["num_images"]) == (1, 6, 3)
    assert color["precision"] == 2 / 3 and color["recall"] == 2 / 3
    assert color["num_yes"] == 3 and color["yes_ratio"] == 0.5
    assert scores["cognition"] == 200 and scores["yes_ratio"] == 4 / 8
    assert scores["missing"] == [name for name in SUBTASKS if name not in results]
    assert json.loads(json.dumps(scores)) == scores


def test_absent_groups_are_none_not_zero():
    scores = score({"OCR": rows(("Yes", "no"), ("No", "yes"))})
    assert scores["perception"] == 0 and scores["cognition"] is None
    assert "existence" in scores["missing"] and "OCR" not in scores["missing"]


def test_the_strict_reading_stands_beside():
    results = {"color": rows(("Yes", "是的"), ("No", "没有"), ("Yes", "**Yes**"), ("No", "not sure"))}
    scores = score(results)
    assert scores["perception"] == 25 and scores["subtasks"]["color"]["other"] == 3  # "not sure" is an official no
    strict = scores["strict"]
    assert strict["perception"] == 75 + 50 and strict["unknown"] == 0.25 and strict["yes_ratio"] == 0.5
    assert strict["subtasks"]["color"]["unknown"] == 0.25


def test_no_yes_at_all_is_no_division_by_zero():
    color = score({"color": rows(("Yes", "other"), ("No", "other"))})["subtasks"]["color"]
    assert (color["precision"], color["recall"], color["yes_ratio"], color["other"]) == (0, 0, 0, 2)


@pytest.mark.parametrize(
    ("results", "words"),
    [
        ({"colour": rows(("Yes", "yes"), ("No", "no"))}, "'colour' is no subtask of MME"),
        ({"color": rows(("Yes", "yes"))}, "color: found 1 lines, expected two for each image"),
        ({"color": []}, "found 0 lines"),
        ({"color": rows(("Yes", "yes"), ("Perhaps", "no"))}, "color, line 2: the answer is 'Perhaps'"),
    ],
)
def test_bad_results_are_refused(results, words):
    with pytest.raises(ValueError, match=words):
        score(results)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("0.jpg\tq\tYes\tyes\n0.jpg\tq\tNo\n", r"color\.txt, line 2: found 3 tab-separated fields, expected 4"),
        ("0.jpg\tq\tYes\tyes\tit is\n0.jpg\tq\tNo\tno\n", r"line 1: found 5 tab-separated fields"),
        ("0.jpg\tq\tYes\tyes\nit is\n", r"line 2: found 1 tab-separated fields"),
        ("0.jpg\tq\tYes\tyes\n", r"color\.txt: found 1 lines"),
        ("0.jpg\tq\tYes\tyes\n0.jpg\tq\tno way\tno\n", r"color\.txt, line 2: the answer is 'no way'"),
        ("", r"color\.txt: found 0 lines"),
    ],
)
def test_bad_result_files_are_named_by_line(tmp_path, content, words):
    (tmp_path / "color.txt").write_text(content)
    with pytest.raises(ValueError, match=words):
        read_results(tmp_path)


def test_a_directory_without_results_is_named(tmp_path):
    (tmp_path / "results.json").write_text("")
    with pytest.raises(ValueError, match=r"found \['results\.json'\], expected result files such as existence\.txt"):
        read_results(tmp_path)
    with pytest.raises(ValueError, match="no such directory"):
        read_results(tmp_path / "nowhere")


RESPONSES = st.one_of(
    st.text(st.characters(codec="utf-8"), max_size=20),
    st.text(st.sampled_from("yesno YN\t\r\n\x0b\x85\u2028是没有"), max_size=8),
)


@example([("\t\tyes", "\nno")])
@given(st.lists(st.tuples(RESPONSES, RESPONSES), min_size=1, max_size=6))
def test_written_results_keep_their_lines_and_their_official_score(tmp_path_factory, responses):
    directory = tmp_path_factory.mktemp("results")
    answered = [answer for first, second in responses for answer in (("Yes", first), ("No", second))]
    results = {"color": rows(*answered)}
    write_results(results, directory)
    again = read_results(directory)
    assert len(again["color"]) == len(answered)
    mine, theirs = score(results), score(again)
    assert mine["subtasks"] == theirs["subtasks"] and mine["perception"] == theirs["perception"]


def test_round_trip_from_questions(tmp_path):
    questions = [Question("color", Path("x/0.jpg"), "红？", "Yes"), Question("color", Path("x/0.jpg"), "蓝？", "No")]
    results = pair(questions, ["是的", "否"])
    assert write_results(results, tmp_path) == [tmp_path / "color.txt"]
    assert (tmp_path / "color.txt").read_bytes().decode() == "0.jpg\t红？\tYes\t是的\n0.jpg\t蓝？\tNo\t否\n"
    assert read_results(tmp_path) == results
    with pytest.raises(ValueError, match="1 responses to 2 questions"):
        pair(questions, ["Yes"])
    with pytest.raises(ValueError, match="no subtask of MME"):
        write_results({"../color": results["color"]}, tmp_path)


@pytest.mark.parametrize(
    ("response", "parsed"),
    [
        ("Yes", "yes"),
        ("no\n", "no"),
        ("not sure", "no"),
        ("know", "no"),
        ("Norway", "no"),
        ("eyes", "yes"),
        ("noyes", "no"),
        ("yesno", "yes"),
        ("  yes", "other"),
        ("Answer: yes", "other"),
        ("**Yes**", "other"),
        ("cannot", "other"),
        ("是", "other"),
        ("", "other"),
    ],
)
def test_official_parsing_with_its_quirks(response, parsed):
    assert parse_official(response) == parsed


def test_official_parser_agrees_on_awkward_answers():
    cases = json.loads(oracle("parsers/mme_parse_pred_ans.json").read_text())["rows"]
    assert len(cases) > 50
    for case in cases:
        assert parse_official(case["response"]) == case["parsed_without_newline"], case
        assert parse_official(case["response"] + "\n") == case["parsed_with_trailing_newline"], case


def test_published_model_scores_to_the_last_digit():
    scores = score(read_results(oracle("mme/lavin")))
    assert scores["perception"] == 963.6114445778312
    assert scores["cognition"] == 249.64285714285714
    assert scores["missing"] == []
    expected = json.loads(oracle("mme/expected_lavin.json").read_text())["per_task"]
    assert set(expected) == set(scores["subtasks"])
    for name, want in expected.items():
        got = scores["subtasks"][name]
        for field in ("score", "acc", "acc_plus", "precision", "recall"):
            assert got[field] == want[field], (name, field)
        assert (got["other"], got["num_questions"], got["num_images"]) == (
            want["other_num"],
            want["questions"],
            want["images"],
        )
        assert got["num_yes"] == want["TP"] + want["FP"]


def test_official_questions_have_the_published_sizes(tmp_path):
    """The official template, rewritten as a release, loads as 1187 images with a Yes and a No each."""
    for path in sorted(oracle("mme/questions").glob("*.txt")):
        folder = tmp_path / path.stem
        folder.mkdir()
        for line in path.read_text(encoding="utf-8").splitlines():
            image, question, answer = line.split("\t")
            (folder / image).touch()
            with (folder / image).with_suffix(".txt").open("a", encoding="utf-8") as file:
                file.write(f"{question}\t{answer}\n")
    questions = load(tmp_path)
    assert len(questions) == 2374 and len({q.image for q in questions}) == 1187
    assert [q.answer for q in questions].count("Yes") == 1187
    perfect = score(pair(questions, [q.answer for q in questions]))
    assert perfect["perception"] == 2000 and perfect["cognition"] == 800
