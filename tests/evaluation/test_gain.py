"""MG and ML: the published arithmetic, and three passes of one model."""

import csv

import pytest
from official import oracle
from parrot import Parrot

from skymm.evaluation.gain import PASSES, gain, gain_of_runs, points
from skymm.evaluation.run import questions_of, run
from skymm.recipe import EvalRecipe


@pytest.mark.parametrize(
    ("scores", "mg", "ml"),
    [((53.6, 45.1, 41.2), 8.5, 3.9), ((34.4, 29.9, 29.9), 4.5, 0.0), ((60.0, 20.0, 30.0), 40.0, 0.0)],
)
def test_gain_is_what_images_are_worth_and_leakage_is_never_negative(scores, mg, ml):
    assert gain(*scores) == {"mg": mg, "ml": ml, "sv": scores[0], "swv": scores[1], "st": scores[2]}


def test_published_tables_agree():
    """Scores of one table of the paper, gains of the other; both are rounded to one decimal."""
    scores: dict[str, dict[str, dict[str, float]]] = {}
    with oracle("mmstar/published_table2_scores.csv").open() as file:
        for row in csv.DictReader(file):
            numbers = {name: float(value) for name, value in row.items() if name not in ("model", "strategy")}
            scores.setdefault(row["model"], {})[row["strategy"]] = numbers
    compared = 0
    with oracle("mmstar/published_table4_mg_ml.csv").open() as file:
        for row in csv.DictReader(file):
            of_model = scores.get(row["model"])
            if of_model is None:
                continue
            for name, benchmark in [
                ("MMMU", "MMMU"),
                ("MMB", "MMB"),
                ("ScienceQA", "ScienceQA"),
                ("AI2D", "AI2D"),
                ("SEED", "SEED"),
                ("MathVista", "MathVista"),
            ]:
                found = gain(*(of_model[strategy][benchmark] for strategy in ("LVLM", "LVLM-text", "LLM")))
                assert found["mg"] == pytest.approx(float(row[f"{name}_MG"]), abs=0.11), (row["model"], name)
                assert found["ml"] == pytest.approx(float(row[f"{name}_ML"]), abs=0.11), (row["model"], name)
                compared += 1
    assert compared >= 12


@pytest.fixture
def recipe(tiny_data):
    return EvalRecipe(benchmark="mme", root=str(tiny_data / "bench" / "en"))


def three_passes(recipe, directory, knows=lambda question: question.gold):
    """Who sees knows everything, who does not says yes, and the base LLM says nothing."""
    truth = {(question.text, question.images[0].read_bytes()): knows(question) for question in questions_of(recipe)}
    rules = [lambda ask: truth[ask.prompt, ask.images[0]], lambda ask: "Yes", lambda ask: ""]
    for name, rule, images in zip(PASSES, rules, (True, False, False)):
        run(recipe, Parrot(rule), directory / name, images=images)


def test_three_passes_of_one_run(recipe, tmp_path):
    three_passes(recipe, tmp_path)
    assert gain_of_runs(tmp_path) == {"mg": 750.0, "ml": 250.0, "sv": 1000.0, "swv": 250.0, "st": 0.0}
    assert points(str(tmp_path / "without_images")) == 250.0 and points("4.25") == 4.25


def test_passes_over_other_questions_are_not_compared(recipe, tmp_path):
    three_passes(recipe, tmp_path)
    path = tmp_path / "base_llm" / "predictions.jsonl"
    path.write_text("".join(path.read_text("utf-8").splitlines(keepends=True)[2:]), "utf-8")
    with pytest.raises(ValueError, match=r"base_llm .* or others"):
        gain_of_runs(tmp_path)


def test_what_is_neither_number_nor_run(tmp_path):
    with pytest.raises(ValueError, match="no predictions at"):
        points(str(tmp_path / "nowhere"))
