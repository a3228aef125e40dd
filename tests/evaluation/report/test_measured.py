"""A run in numbers: the benchmark's own scores, its tables, and what its scorer refuses."""

from __future__ import annotations

import pytest
from made_up import ask, benchmark, pairs, reply, run

from skymm.evaluation.benchmark import Metric
from skymm.evaluation.report.measured import measure

BOTH = pairs(8, lambda question: "Yes" if question.id.startswith("count") else question.gold, ("count", "scene"))


def test_scores_tables_and_rates_have_intervals():
    found = measure(run(BOTH, benchmark("mme")), "a", n=100)
    count, scene = (found.interval(f"table.subtasks.{name}") for name in ("count", "scene"))
    assert (count.value, count.low, count.high) == (50, 50, 50) and scene.value == 200
    assert found.interval("official.perception").value == 250
    assert found.interval("strict.perception").value == 250
    assert found.value("seeing.yes_where_no") == 0.5
    assert found.entries("subtasks") == ["count", "scene"] and found.units == {"subtasks": "points"}


def test_the_strict_reading_has_numbers_of_its_own():
    chinese = [reply(answer.question, "是" if answer.question.gold == "yes" else "没有") for answer in BOTH]
    found = measure(run(chinese), "a", n=20)
    assert found.value("official.acc") == 0 and found.value("strict.acc") == 1


def test_a_scorer_that_refuses_leaves_the_rest():
    def refuses(answers, files):
        raise ValueError("expected two answers")

    found = measure(run(BOTH, benchmark(score=refuses)), "a", n=20)
    assert found.error == "expected two answers"
    assert found.interval("official.acc") is None and found.value("seeing.yes") == 0.75
    nothing = measure(run([]), "a")
    assert nothing.bootstrap is None and nothing.interval("official.acc") is None and nothing.entries("subtasks") == []


def test_the_scorer_gets_the_tables_that_the_recipe_names():
    seen = []
    of = benchmark(score=lambda answers, files: seen.append(dict(files)) or {"acc": 1.0})
    one = run(BOTH, of)
    one = run(BOTH, of, recipe=one.recipe.model_copy(update={"files": {"objects": "objects.json"}}))
    measure(one, "a", n=2)
    assert [{name: str(path) for name, path in files.items()} for files in seen] == [{"objects": "objects.json"}] * 4


@pytest.mark.parametrize(
    ("table", "values", "unit"),
    [
        ({"a": 0.5, "b": 0.25}, {"a": 0.5, "b": 0.25}, "rate"),
        ({"a": 12.5}, {"a": 12.5}, "points"),
        ({"a": {"n": 3, "acc": 0.5, "extra": 0.1}}, {"a": 0.5}, "rate"),
        ({"a": {"total": 9, "circular": 0.5, "acc": 0.1}}, {"a": 0.5}, "rate"),
        ({"a": {"score": 0.5, "acc": 0.1}}, {"a": 0.5}, "rate"),
        ({"a": {"length": 0.5}}, {"a": 0.5}, "points"),
        ({"a": {"chair_i": 0.5}}, {"a": 0.5}, "rate"),
        ({"a": {"acc": None}, "b": {"acc": 0.5}}, {"a": None, "b": 0.5}, "rate"),
        ({"a": {"acc": None}, "b": {"acc": True}}, {}, None),
    ],
)
def test_tables_of_every_shape(table, values, unit):
    of = benchmark(
        score=lambda answers, files: {"circular": 1.0, "things": table},
        tables=("things", "absent"),
        metrics=(Metric("circular", "circular"), Metric("length", "length", "points")),
    )
    found = measure(run(BOTH, of), "a", n=3)
    assert {name: found.value(f"table.things.{name}") for name in found.entries("things")} == values
    assert found.units.get("things") == unit


def test_confidence_is_measured_where_it_was_recorded():
    answers = [reply(ask(str(index), "yes"), "Yes", 0.8) for index in range(10)]
    assert measure(run(answers), "a", n=2).calibration.ece == pytest.approx(0.2)
    assert measure(run(BOTH), "a", n=2).calibration is None
