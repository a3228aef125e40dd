"""MME: official digits, both layouts, and every file that is not as it should be."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from official import oracle

from skymm.evaluation.benchmark import Answer, Question
from skymm.evaluation.benchmarks import mme
from skymm.evaluation.benchmarks.mme import COGNITION, PERCEPTION, SUBTASKS, parse_official, write_results
from skymm.recipe import EvalRecipe


def load(root: Path) -> list[Question]:
    return mme.load(EvalRecipe(benchmark="mme", root=str(root)))


def read(*paths: Path) -> list[Answer]:
    return mme.read(paths, {})


def score(answers: list[Answer]) -> dict:
    return mme.BENCHMARK.score(answers, {})


LAYOUTS = {"nested": ("images", "questions_answers_YN"), "flat": ("", ""), "repacked": ("pictures", "")}


def release(
    directory: Path, layout: str = "flat", subtask: str = "color", language: str = "en", count: int = 2
) -> None:
    """A small release."""
    lines = ["Is it red?\tYes", "Is it blue?\tNo"] if language == "en" else ["是红色吗？\tYes", "是蓝色吗？\tNo"]
    for index in range(count):
        for name, suffix, content in zip(LAYOUTS[layout], ("jpg", "txt"), ("pixels", "\n".join(lines))):
            folder = directory / subtask / name
            folder.mkdir(parents=True, exist_ok=True)
            (folder / f"{index:04d}.{suffix}").write_text(content, encoding="utf-8")


def rows(subtask: str, *answered: tuple[str, str]) -> list[Answer]:
    """Two answers for each image in turn."""
    fields = {"subtask": subtask, "image": "0.jpg"}
    return [
        Answer(Question(f"{subtask}/{n}", "q", gold, f"{subtask}/{n // 2}", (), ("yes", "no"), fields), response)
        for n, (gold, response) in enumerate(answered)
    ]


# --- releases -----------------------------------------------------------------------------------------------------------


def test_layouts_load_alike(tmp_path):
    for layout in LAYOUTS:
        for root in (tmp_path / layout, tmp_path / f"{layout}_wrapped"):
            release(root / "MME_Benchmark_release_version" if "wrapped" in root.name else root, layout)
            questions = load(root)
            assert [(q.id, q.cluster, q.text, q.gold) for q in questions] == [
                ("color/0000.jpg/1", "color/0000.jpg", "Is it red?", "yes"),
                ("color/0000.jpg/2", "color/0000.jpg", "Is it blue?", "no"),
                ("color/0001.jpg/1", "color/0001.jpg", "Is it red?", "yes"),
                ("color/0001.jpg/2", "color/0001.jpg", "Is it blue?", "no"),
            ]
            assert all(q.images[0].read_text() == "pixels" and q.choices == ("yes", "no") for q in questions)


def test_subtasks_come_in_the_official_order(tmp_path):
    for subtask in reversed(SUBTASKS):
        release(tmp_path, subtask=subtask, count=1)
    assert tuple(dict.fromkeys(q.fields["subtask"] for q in load(tmp_path))) == SUBTASKS == PERCEPTION + COGNITION


def test_chinese_twins_hidden_files_and_images_without_questions(tmp_path):
    for language in ("en", "zh"):
        release(tmp_path / language, language=language)
    (tmp_path / "zh/color/0001.txt").write_text("是红色吗？\t是\r\n是蓝色吗？\t否\r\n\r\n", encoding="utf-8-sig")
    (tmp_path / "zh/color/._0000.txt").write_bytes(b"\0\xff")
    (tmp_path / "zh/color/extra.png").write_bytes(b"")
    english, chinese = load(tmp_path / "en"), load(tmp_path / "zh")
    assert [q.gold for q in chinese] == [q.gold for q in english] == ["yes", "no"] * 2
    assert chinese[2].text == "是红色吗？"
    with pytest.raises(ValueError, match="color more than once"):
        load(tmp_path)


def test_bad_releases_are_named(tmp_path):
    for n, (name, content, words) in enumerate(
        (
            ("0000.txt", b"Is it?\tYes\n", r"0000\.txt: found 1 lines, expected 2"),
            ("0000.txt", b"Is it?\tYes\n" * 3, "found 3 lines, expected 2"),
            ("0000.txt", b"Is it?\tYes\nIs it?\tMaybe", r"line 2: found 'Is it\?\\tMaybe', expected 'question TAB"),
            ("0000.txt", b"Is it? Yes\nIs it?\tNo", r"line 1: found 'Is it\? Yes'"),
            ("0000.txt", b"\xff\xfe", "0000.txt: not UTF-8"),
            ("0009.txt", b"Is it?\tYes\nIs it?\tNo", r"0009\.txt: no image of this name"),
            ("0000.png", b"pixels", "0000.* expected one image of a name"),
        )
    ):
        release(tmp_path / str(n))
        (tmp_path / str(n) / "color" / name).write_bytes(content)
        with pytest.raises(ValueError, match=words):
            load(tmp_path / str(n))
    for root, words in (("empty", "expected folders named as MME's subtasks: existence, count"), ("no", "no such dir")):
        (tmp_path / "empty").mkdir(exist_ok=True)
        with pytest.raises(ValueError, match=words):
            load(tmp_path / root)
    (tmp_path / "empty" / "color").mkdir()
    with pytest.raises(ValueError, match="found no questions"):
        load(tmp_path / "empty")


# --- scores -------------------------------------------------------------------------------------------------------------


def test_scores_by_hand():
    # both right; one right; none right, once by saying neither
    said = [("yes", "yes"), ("no", "No."), ("yes", "yes"), ("no", "yes"), ("yes", "no"), ("no", "blue")]
    scores = score(rows("code_reasoning", ("yes", "Yes"), ("no", "No")) + rows("color", *said))
    color = scores["subtasks"]["color"]
    assert color["acc"] == 3 / 6 and color["acc_plus"] == 1 / 3
    assert color["score"] == scores["perception"] == pytest.approx(50 + 100 / 3)
    assert (color["other"], color["num_questions"], color["num_images"]) == (1, 6, 3)
    assert color["precision"] == 2 / 3 and color["recall"] == 2 / 3
    assert color["num_yes"] == 3 and color["yes_ratio"] == 0.5
    assert scores["cognition"] == 200 and scores["yes_ratio"] == 4 / 8
    assert list(scores["subtasks"]) == ["color", "code_reasoning"], "the official order"
    assert scores["missing"] == [name for name in SUBTASKS if name not in scores["subtasks"]]
    assert json.loads(json.dumps(scores)) == scores


def test_the_strict_reading_stands_beside():
    scores = score(rows("color", ("yes", "是的"), ("no", "没有"), ("yes", "**Yes**"), ("no", "not sure")))
    assert scores["perception"] == 25 and scores["subtasks"]["color"]["other"] == 3  # "not sure" is an official no
    strict = scores["strict"]
    assert strict["perception"] == 75 + 50 and strict["unknown"] == 0.25 and strict["yes_ratio"] == 0.5
    assert strict["subtasks"]["color"]["unknown"] == 0.25
    both = rows("color", ("no", "not sure"), ("no", "没有"))
    assert [(mme.BENCHMARK.right(one), mme.BENCHMARK.strict(one)) for one in both] == [(True, "unknown"), (False, "no")]


def test_any_part_has_scores():
    wrong = score(rows("OCR", ("yes", "no"), ("no", "yes")))
    assert wrong["perception"] == 0 and wrong["cognition"] is None and score([])["perception"] is None
    color = score(rows("color", ("yes", "other"), ("no", "other")))["subtasks"]["color"]
    assert (color["precision"], color["recall"], color["yes_ratio"], color["other"]) == (0, 0, 0, 2)
    # An image with one answer is left out and counted; one with three is a mistake.
    whole = rows("color", ("yes", "yes"), ("no", "no"))
    assert (
        score(rows("color", ("yes", "yes"), ("no", "no"), ("yes", "no"))).items()
        >= {"incomplete": 1, "perception": 200}.items()
    )
    with pytest.raises(ValueError, match="found 3 answers, expected 2; is a question asked twice"):
        score(whole + whole[:1])


QUIRKS = {
    **{"Yes": "yes", "no\n": "no", "not sure": "no", "know": "no", "Norway": "no", "eyes": "yes", "noyes": "no"},
    **{"yesno": "yes", "  yes": "other", "Answer: yes": "other", "**Yes**": "other", "cannot": "other"},
    **{"是": "other", "": "other"},
}


def test_official_parsing_with_its_quirks():
    assert {response: parse_official(response) for response in QUIRKS} == QUIRKS
    cases = json.loads(oracle("parsers/mme_parse_pred_ans.json").read_text())["rows"]
    assert len(cases) > 50
    for case in cases:
        assert parse_official(case["response"]) == case["parsed_without_newline"], case
        assert parse_official(case["response"] + "\n") == case["parsed_with_trailing_newline"], case


def test_published_model_scores_to_the_last_digit():
    scores = score(read(oracle("mme/lavin")))
    assert (scores["perception"], scores["cognition"]) == (963.6114445778312, 249.64285714285714)
    assert scores["missing"] == []
    expected = json.loads(oracle("mme/expected_lavin.json").read_text())["per_task"]
    assert set(expected) == set(scores["subtasks"])
    same = dict.fromkeys(("score", "acc", "acc_plus", "precision", "recall"))
    names = {
        **{name: name for name in same},
        "other": "other_num",
        "num_questions": "questions",
        "num_images": "images",
    }
    for subtask, want in expected.items():
        got = scores["subtasks"][subtask]
        assert {mine: got[mine] for mine in names} == {mine: want[name] for mine, name in names.items()}, subtask
        assert got["num_yes"] == want["TP"] + want["FP"]


# --- result files -------------------------------------------------------------------------------------------------------


def test_bad_result_files_are_named_by_line(tmp_path):
    good = "0.jpg\tq\tYes\tyes\n0.jpg\tq\tNo\tno\n"
    for content, words in (
        ("0.jpg\tq\tYes\tyes\n0.jpg\tq\tNo\n", r"color\.txt, line 2: found 3 tab-separated fields, expected 4"),
        ("0.jpg\tq\tYes\tyes\tit is\n0.jpg\tq\tNo\tno\n", r"line 1: found 5 tab-separated fields"),
        ("0.jpg\tq\tYes\tyes\nit is\n", r"line 2: found 1 tab-separated fields"),
        ("0.jpg\tq\tYes\tyes\n", r"color\.txt: found 1 lines"),
        ("0.jpg\tq\tYes\tyes\n0.jpg\tq\tno way\tno\n", r"color\.txt, line 2: the answer is 'no way'"),
        ("", r"color\.txt: found 0 lines"),
    ):
        (tmp_path / "color.txt").write_text(content)
        with pytest.raises(ValueError, match=words):
            read(tmp_path)
    (tmp_path / "color.txt").write_text(good)
    with pytest.raises(ValueError, match="color is given twice"):
        read(tmp_path / "color.txt", tmp_path)
    other = (tmp_path / "color.txt").rename(tmp_path / "colour.txt")
    with pytest.raises(ValueError, match="'colour' is no subtask of MME, expected one of existence"):
        read(other)
    with pytest.raises(ValueError, match=r"found \['colour\.txt'\], expected result files such as existence\.txt"):
        read(tmp_path)
    with pytest.raises(ValueError, match="no such directory"):
        read(tmp_path / "nowhere")


RESPONSES = st.one_of(
    st.text(st.characters(codec="utf-8"), max_size=20),
    st.text(st.sampled_from("yesno YN\t\r\n\x0b\x85\u2028是没有"), max_size=8),
)


@settings(max_examples=50)
@example([("\t\tyes", "\nno")])
@given(st.lists(st.tuples(RESPONSES, RESPONSES), min_size=1, max_size=6))
def test_written_results_keep_their_lines_and_their_official_score(tmp_path_factory, responses):
    directory = tmp_path_factory.mktemp("results")
    answered = [answer for first, second in responses for answer in (("yes", first), ("no", second))]
    answers = rows("color", *answered)
    write_results(answers, directory)
    again = read(directory)
    assert len(again) == len(answered)
    mine, theirs = score(answers), score(again)
    assert mine["subtasks"] == theirs["subtasks"] and mine["perception"] == theirs["perception"]


def test_written_files_are_the_official_ones(tmp_path):
    release(tmp_path / "release", language="zh", count=1)
    answers = [Answer(question, said) for question, said in zip(load(tmp_path / "release"), ["是的", "不\t是\n"])]
    assert write_results(answers, tmp_path / "out") == [tmp_path / "out" / "color.txt"]
    written = (tmp_path / "out" / "color.txt").read_bytes().decode()
    assert written == "0000.jpg\t是红色吗？\tYes\t是的\n0000.jpg\t是蓝色吗？\tNo\t不 是 \n"
    again = read(tmp_path / "out" / "color.txt")
    assert [(one.question.text, one.question.gold, one.response) for one in again] == [
        ("是红色吗？", "yes", "是的"),
        ("是蓝色吗？", "no", "不 是 "),
    ]
