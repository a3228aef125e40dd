"""HallusionBench: the official digits, pairs and figures, verdicts of a judge and without one."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from pathlib import Path

import pytest
from official import oracle

from skymm.evaluation.benchmark import Answer, Question
from skymm.evaluation.benchmarks import hallusionbench
from skymm.recipe import EvalRecipe


def row(category: str, figure: int, question: int, gold: int, visual: int | None = None, **more) -> dict:
    """A row as the official table has it: figure 0 of VS is no figure, 1 is the original, 2 is edited."""
    visual = visual if visual is not None else figure if category == "VS" else figure + 1
    none = category == "VS" and figure == 0
    return {
        "category": category,
        "subcategory": "chart",
        "visual_input": str(visual),
        "set_id": "0",
        "figure_id": str(figure),
        "sample_note": "made up",
        "question_id": str(question),
        "question": f"Is bar {question} the longest?",
        "gt_answer_details": "...",
        "gt_answer": str(gold),
        "filename": None if none else f"./{category}/chart/0_{figure}.png",
        **more,
    }


ROWS = [row("VS", figure, question, (figure + question) % 2) for figure in (0, 1, 2) for question in (0, 1)]
ROWS += [row("VD", figure, question, question) for figure in (0, 1) for question in (0, 1)]


def write(path: Path, rows: list[dict]) -> Path:
    path.write_text(json.dumps(rows), "utf-8")
    return path


def answered(path: Path, *said: object, **more) -> list[Answer]:
    rows = [{**one, "model_prediction": word, **more} for one, word in zip(ROWS, said, strict=True)]
    return hallusionbench.read([write(path / "result.json", rows)], {})


def load(root: Path, **given) -> list[Question]:
    return hallusionbench.load(EvalRecipe(benchmark="hallusionbench", root=str(root), **given))


def pictures(directory: Path) -> Path:
    for one in ROWS:
        if one["filename"]:
            path = directory / one["filename"]
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text("pixels")
    return directory


def test_questions_with_and_without_figure_load(tmp_path):
    for folder in ("", "hallusion_bench", "elsewhere"):
        root = tmp_path / f"root_{folder}"
        root.mkdir()
        write(root / "HallusionBench.json", ROWS)
        pictures(root / folder)
        questions = load(root, images=str(root / folder) if folder == "elsewhere" else None)
        assert [one.id for one in questions[:3]] == ["VS_chart_0_0_0", "VS_chart_0_0_1", "VS_chart_0_1_0"]
        assert [len(one.images) for one in questions] == [0, 0] + [1] * 8
        assert questions[2].images[0].read_text() == "pixels"
    assert [one.gold for one in questions] == ["no", "yes", "yes", "no", "no", "yes", "no", "yes", "no", "yes"]
    assert {one.cluster for one in questions} == {"VS/chart/0", "VD/chart/0"}  # twin figures are resampled together
    part = load(root / "HallusionBench.json", split="VD", images=str(root / folder))
    assert [one.id for one in part] == [f"VD_chart_0_{figure}_{number}" for figure in (0, 1) for number in (0, 1)]


def test_older_file_names_start_with_the_folder(tmp_path):
    write(tmp_path / "HallusionBench.json", [row("VD", 0, 0, 1, filename="./hallusion_bench/VD/chart/0_0.png")])
    pictures(tmp_path / "hallusion_bench")
    assert load(tmp_path)[0].images[0].read_text() == "pixels"


def test_what_is_missing_is_named(tmp_path):
    for rows, given, message in (
        (ROWS, {}, "no image 'VS/chart/0_1.png'"),
        ([row("VD", 0, 0, 2)], {}, "VD_chart_0_0_0 has gt_answer '2', expected 0 or 1"),
        ([{"category": "VD", "gt_answer": "1"}], {}, "expected subcategory"),
        (ROWS[:2], {"split": "VX"}, "found no questions of split 'VX', expected one of VS"),
    ):
        write(tmp_path / "HallusionBench.json", rows)
        with pytest.raises(ValueError, match=message):
            load(tmp_path, **given)


READINGS = {  # by rule, strictly
    **{"Yes.": ("yes", "yes"), " No, both are the same.": ("no", "no"), "**No**": ("no", "no"), "1": ("yes", "yes")},
    **{"0": ("no", "no"), "2": ("unknown", "unknown"), "Not sure": ("unknown", "unknown"), "": ("unknown", "unknown")},
    **{"Norway": ("unknown", "unknown"), "The answer is yes.": ("unknown", "yes"), "是的": ("unknown", "yes")},
    **{"不是": ("unknown", "no")},
}


def test_the_two_readings():
    asked = Question("1", "?", "yes", "c")
    found = {said: (hallusionbench.parse(said), hallusionbench.strict(Answer(asked, said))) for said in READINGS}
    assert found == READINGS


def test_pairs_and_figures_by_hand(tmp_path):
    """VS: one question of two wrong about the edited figure. VD: all wrong about the original, all right about the other."""
    said = "0110001001"
    scores = hallusionbench.score(answered(tmp_path, *said), {})
    assert scores["a_acc"] == 7 / 10 and scores["num_questions"] == 10
    assert (scores["q_acc"], scores["num_pairs"]) == (1 / 4, 4)
    assert (scores["f_acc"], scores["num_figures"]) == (2 / 4, 4)
    assert (scores["figures_wrong"], scores["figures_inconsistent"]) == (1, 1)
    assert scores["figure_score"] == (1 + 0.5 + 0 + 1) / 4
    assert (scores["easy"], scores["hard"]) == (2 / 4, 3 / 4)
    assert scores["yes_fp"] == 1 / 3 and scores["yes_diff"] == pytest.approx(4 / 10 - 5 / 10)
    assert scores["categories"]["VS"]["q_acc"] == 1 / 2 and scores["categories"]["VD"]["f_acc"] == 1 / 2


def test_unclear_is_right_without_its_figure_only(tmp_path):
    answers = answered(tmp_path, *["I cannot tell"] * 10)
    assert [hallusionbench.BENCHMARK.right(one) for one in answers] == [True, True] + [False] * 8
    scores = hallusionbench.score(answers, {})
    assert scores["a_acc"] == 0.2 and scores["unclear"] == 1 and scores["strict"]["unknown"] == 1
    assert scores["categories"]["VD"]["a_acc"] == 0


def test_the_verdict_of_a_judge_goes_before_the_rule(tmp_path):
    """Officially GPT compares a free answer with the truth: 1 correct, 0 incorrect, 2 unclear."""
    truth = ["yes" if one["gt_answer"] == "1" else "no" for one in ROWS]
    scores = hallusionbench.score(answered(tmp_path, *truth, gpt4v_output_gpt_check="0"), {})
    assert scores["a_acc"] == 0 and scores["judged"] == 10 and scores["note"] == "verdicts of a judge"
    assert scores["strict"]["a_acc"] == 1  # the answers themselves
    assert scores["yes_diff"] == 0  # five yes of ten were true, and every answer is the opposite
    scores = hallusionbench.score(answered(tmp_path, *["?"] * 10, gpt4v_output_gpt_check=1), {})
    assert scores["a_acc"] == scores["q_acc"] == scores["f_acc"] == 1 and scores["yes_fp"] is None


def test_wrong_answer_files_are_refused(tmp_path):
    for more, message in (
        ({"model_prediction": "yes", "gpt4v_output_gpt_check": "correct"}, "the verdict is 'correct', expected 0"),
        ({"gpt4v_output": "yes", "llava_output": "no"}, "each of which may be the model's words"),
        ({}, "none that is known to be the model's words"),
    ):
        with pytest.raises(ValueError, match=message):
            hallusionbench.read([write(tmp_path / "result.json", [{**ROWS[0], **more}])], {})


def test_answers_without_truth_take_it_from_the_labels(tmp_path):
    bare = [{name: value for name, value in one.items() if name != "gt_answer"} for one in ROWS]
    path = write(tmp_path / "result.json", [{**one, "model_prediction": "Yes"} for one in bare])
    with pytest.raises(ValueError, match=r"gt_answer '', expected 0 or 1; give --labels HallusionBench\.json"):
        hallusionbench.read([path], {})
    answers = hallusionbench.read([path], {"labels": write(tmp_path / "HallusionBench.json", ROWS)})
    assert [one.question.gold for one in answers] == ["yes" if one["gt_answer"] == "1" else "no" for one in ROWS]
    with pytest.raises(ValueError, match="question VS_chart_0_0_0 is answered twice"):
        hallusionbench.read([path, path], {"labels": tmp_path / "HallusionBench.json"})


def test_a_set_drawn_twice_counts_twice(tmp_path):
    answers = answered(tmp_path, *"0110001001")
    again = [replace(one, question=replace(one.question, cluster=one.question.cluster + "#2")) for one in answers]
    once, twice = hallusionbench.score(answers, {}), hallusionbench.score(answers + again, {})
    assert twice["num_pairs"] == 2 * once["num_pairs"] and twice["num_figures"] == 2 * once["num_figures"]
    assert twice["q_acc"] == once["q_acc"] and twice["f_acc"] == once["f_acc"] and twice["hard"] == once["hard"]
    assert hallusionbench.score(answers[:1], {})["hard"] == 0


def test_the_official_scorer_gives_the_same_digits(tmp_path):
    """Its own run on four ways of answering all questions; the last says yes where the SHA-1 of the name is odd."""
    rows = json.loads(oracle("hallusionbench/HallusionBench.json").read_text("utf-8"))
    expected = json.loads(oracle("hallusionbench/expected_synthetic_official_scorer.json").read_text())

    def parity(one: dict) -> str:
        name = "_".join(one[key] for key in ("category", "subcategory", "set_id", "figure_id", "question_id"))
        return str(int(hashlib.sha1(name.encode()).hexdigest(), 16) % 2)

    ways = {
        "all_yes": lambda one: "Yes",
        "all_no": lambda one: "No.",
        "gt": lambda one: one["gt_answer"],
        "sha1_parity": parity,
    }
    assert ways.keys() == expected.keys()
    for name, way in ways.items():
        path = write(tmp_path / "result.json", [{**one, "model_prediction": way(one)} for one in rows])
        scores, official = hallusionbench.score(hallusionbench.read([path], {}), {}), expected[name]
        for key, mine in (("aAcc", "a_acc"), ("qAcc", "q_acc"), ("fAcc", "f_acc"), ("easy", "easy"), ("hard", "hard")):
            correct, total, percent = official[key]
            assert scores[mine] == correct / total and round(100 * scores[mine], 4) == percent, (name, key)
        assert [scores["num_questions"], scores["num_pairs"], scores["num_figures"]] == [1129, 455, 346]
        assert scores["figures_inconsistent"] == official["fig_inconsistent"]
        assert scores["figures_wrong"] == official["fig_wrong"]
        assert scores["figure_score"] == pytest.approx(official["fig_score"], abs=1e-15)
        if official["yes_no"] is None:  # the official scorer divides by the number of wrong answers
            assert scores["yes_fp"] is None and scores["yes_diff"] == 0
        else:
            assert scores["yes_diff"] == official["yes_no"]["diff"] and scores["yes_fp"] == official["yes_no"]["fp"]
