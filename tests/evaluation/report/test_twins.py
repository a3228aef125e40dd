"""Chinese against English on twin questions, in one run and between two."""

from __future__ import annotations

import pytest
from made_up import ask, benchmark, run

from skymm.evaluation.benchmark import Answer
from skymm.evaluation.report.twins import language_gaps


def twins(language, says, cluster="{}"):
    """An answer to each of len(says) questions where yes is right."""
    return [
        Answer(ask(f"{language}/{index}", cluster=cluster.format(index), twin=str(index), language=language), one)
        for index, one in enumerate(says)
    ]


CHINESE, ENGLISH = ["是", "不是", "是", "没有"], ["Yes", "Yes", "Yes", "No"]


def test_a_gap_in_one_run():
    (found,) = language_gaps([run(twins("zh", CHINESE) + twins("en", ENGLISH))], ["model"])
    assert (found.label, found.count) == ("model", 4)
    assert (found.zh.value, found.en.value, found.gap.value) == (0.5, 0.75, -0.25)
    assert found.alike == 0.75
    assert (found.test.only_a, found.test.only_b, found.test.p) == (0, 1, 1.0)
    assert found.gap.low < -0.25 < found.gap.high <= 0


def test_a_gap_between_two_runs_of_one_model():
    zh, en = run(twins("zh", CHINESE), name="zh"), run(twins("en", ENGLISH), name="en")
    for order in ([zh, en], [en, zh]):
        (found,) = language_gaps(order, [one.name for one in order])
        assert found.label == "zh + en" and found.gap.value == -0.25
    other = run(twins("en", ENGLISH), name="en", model="another")
    assert language_gaps([zh, other], ["zh", "en"]) == []


def test_twins_are_drawn_together():
    """Where both languages are always right or wrong together, the gap is 0 in every resample."""
    says = ["是", "不是"] * 10
    english = ["Yes" if one == "是" else "No" for one in says]
    apart = twins("zh", says, "zh{}") + twins("en", english, "en{}")
    (found,) = language_gaps([run(apart)], ["model"])
    assert (found.gap.low, found.gap.high) == (0, 0)
    assert found.zh.low < 0.5 < found.zh.high


@pytest.mark.parametrize(
    "answers",
    [
        twins("zh", CHINESE),
        [Answer(ask("1", language="zh"), "是"), Answer(ask("2", language="en"), "Yes")],
        [Answer(ask("1", twin="", language="zh"), "是"), Answer(ask("2", twin="", language="en"), "Yes")],
        twins("zh", ["是"]) + [Answer(ask(str(n), twin="0", language="en"), "Yes") for n in range(2)],
    ],
    ids=["one language", "no twin", "empty twin", "two English ones"],
)
def test_what_is_no_twin_makes_no_gap(answers):
    assert language_gaps([run(answers)], ["model"]) == []


def test_unjudged_answers_make_no_gap():
    of = benchmark(right=lambda answer: None, strict=lambda answer: None)
    assert language_gaps([run(twins("zh", CHINESE) + twins("en", ENGLISH), of)], ["model"]) == []
