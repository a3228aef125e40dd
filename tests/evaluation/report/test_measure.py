"""A run in numbers: whether it looks (by hand, from counts that add up), its scores and tables, and twins in two languages."""

from __future__ import annotations

import math

import pytest
from made_up import ask, benchmark, pairs, reply, run

from skymm.evaluation.benchmark import Answer
from skymm.evaluation.report.measure import (
    confidences,
    is_right,
    language_gap,
    measure,
    probabilities,
    said,
    seeing_counts,
    seeing_rates,
)

LETTERS = ("A", "B", "C", "D")


def lettered(**changes):
    given = {
        "strict": lambda answer: answer.response if answer.response in LETTERS else "unknown",
        "right": lambda answer: answer.response == answer.question.gold,
    }
    return benchmark("letters", **given | changes)


def rates(answers, of=None):
    of = of or benchmark()
    clusters = {}
    for answer in answers:
        clusters.setdefault(answer.question.cluster, []).append(answer)
    return seeing_rates(sum(seeing_counts(members, of) for members in clusters.values()))


def test_rates_by_hand():
    # yes is right: yes yes no ?; no is right: yes no no no. Pictures 0 and 2 have the same answer to both.
    says = {"0/1": "Yes", "1/1": "Yes", "2/1": "No", "3/1": "Hm", "0/2": "Yes", "1/2": "No", "2/2": "No", "3/2": "No"}
    answers = pairs(4, lambda question: says[question.id.removeprefix("existence/")])
    assert rates(answers) == {
        "unknown": 1 / 8,
        "yes": 3 / 8,
        "no": 4 / 8,
        "gold_yes": 0.5,
        "yes_where_yes": 0.5,
        "yes_where_no": 0.25,
        "looks": 0.25,
        "same_answer": 0.5,
        "right": None,
        "chance": None,
    }


def test_leaning_is_not_looking():
    other = {"yes": "no", "no": "yes"}
    for says, looks in (("Yes", 0), ("No", 0), ("Hm", 0), ("gold", 1), ("other", -1)):
        answers = pairs(10, lambda one, says=says: {"gold": one.gold, "other": other[one.gold]}.get(says, says))
        assert rates(answers)["looks"] == looks, says


def test_two_unreadable_answers_are_not_the_same_answer():
    assert rates(pairs(3, lambda question: "Hm"))["same_answer"] == 0


def test_only_pictures_with_one_question_of_each_kind_are_pairs():
    lone = [reply(ask("1", "yes"), "yes"), reply(ask("2", "no"), "yes")]
    assert rates(lone)["same_answer"] is None
    both_yes = [reply(ask("1", "yes", "c"), "yes"), reply(ask("2", "yes", "c"), "yes")]
    assert rates(both_yes)["same_answer"] is None
    assert rates(both_yes)["looks"] is None, "without a question where no is right nothing can be told"


def test_options_are_measured_against_guessing():
    answers = [Answer(ask(str(index), "A", choices=LETTERS), "ABCD"[index % 4]) for index in range(8)]
    found = rates(answers, lettered())
    assert (found["right"], found["chance"], found["looks"]) == (0.25, 0.25, 0.0)
    assert found["yes"] is None and found["gold_yes"] is None
    all_right = [Answer(ask(str(index), "A", choices=LETTERS), "A") for index in range(8)]
    assert rates(all_right, lettered())["looks"] == 1.0
    two = [Answer(ask("1", "A", choices=("A", "B")), "A"), Answer(ask("2", "A", choices=LETTERS), "?")]
    found = rates(two, lettered())
    assert found["chance"] == pytest.approx(0.375) and found["unknown"] == 0.5
    sides = [Answer(ask(str(index), "left", choices=("left", "right")), "right") for index in range(4)]
    assert rates(sides, lettered(strict=lambda answer: answer.response))["right"] == 0.0, (
        "an option may be called right"
    )


def test_captions_have_no_rates():
    assert set(rates([Answer(ask("1", "", choices=()), "A dog.")]).values()) == {None}


def test_right_is_bilingual_where_something_is_chosen_and_official_elsewhere():
    of = benchmark()
    assert is_right(reply(ask("1"), "是的。"), of) is True  # the official rule knows no Chinese
    assert is_right(reply(ask("1"), "不是。"), of) is False
    assert said(reply(ask("1"), "Hm"), of) == "unknown" and is_right(reply(ask("1"), "Hm"), of) is False
    free = benchmark(right=lambda answer: None)
    assert is_right(Answer(ask("1", "x", choices=()), "x"), free) is None
    in_brackets = lettered(right=lambda answer: answer.question.gold == f"({answer.response.lower()})")
    assert is_right(Answer(ask("1", "(a)", choices=LETTERS), "A"), in_brackets) is True


def test_probabilities_are_a_softmax_over_the_choices():
    found = probabilities(Answer(ask("1"), "", {"yes": math.log(0.3), "no": math.log(0.1), "maybe": 0.0}))
    assert found == pytest.approx({"yes": 0.75, "no": 0.25})
    assert probabilities(Answer(ask("1"), "", {"yes": -1000.0, "no": -1001.0}))["yes"] == pytest.approx(0.731, abs=1e-3)
    assert probabilities(Answer(ask("1"), "", {"yes": 0.0, "no": -math.inf})) == {"yes": 1.0, "no": 0.0}
    nothing = [None, {}, {"yes": 0.0}, {"yes": math.nan, "no": 0.0}, {"yes": -math.inf, "no": -math.inf}]
    assert all(probabilities(Answer(ask("1"), "", logits)) is None for logits in nothing)


def test_confidence_is_that_of_yes_or_of_the_choice():
    answers = [reply(ask("1", "yes"), "", 0.9), reply(ask("2", "no"), "", 0.2), reply(ask("3", "no"), "")]
    confidence, outcome, about_yes = confidences(answers)
    assert confidence == pytest.approx([0.9, 0.2]) and outcome == [True, False] and about_yes
    logits = dict(zip(LETTERS, map(math.log, (0.1, 0.6, 0.2, 0.1))))
    confidence, outcome, about_yes = confidences([Answer(ask("1", "B", choices=LETTERS), "", logits), *answers])
    assert confidence == pytest.approx([0.6, 0.9, 0.8]) and outcome == [True, True, True] and not about_yes


# Scores and tables

BOTH = pairs(8, lambda question: "Yes" if question.id.startswith("count") else question.gold, ("count", "scene"))


def test_scores_tables_and_rates_have_intervals():
    found = measure(run(BOTH, benchmark("mme")), "a", n=100)
    count, scene = (found.interval(f"table.subtasks.{name}") for name in ("count", "scene"))
    assert (count.value, count.low, count.high) == (50, 50, 50) and scene.value == 200
    assert found.interval("official.perception").value == 250
    assert found.interval("strict.perception").value == 250
    assert found.value("seeing.yes_where_no") == 0.5
    assert found.entries("subtasks") == ["count", "scene"]


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


def test_what_is_shown_of_a_table():
    table = {"a": {"n": 3, "acc": 0.5}, "b": {"acc": None}, "c": {"acc": True}}
    of = benchmark(
        score=lambda answers, files: {"acc": 1.0, "things": table, "plain": {"d": 0.25}},
        tables={"things": "acc", "plain": "", "absent": "acc"},
    )
    found = measure(run(BOTH, of), "a", n=3)
    shown = {table: [found.value(f"table.{table}.{name}") for name in found.entries(table)] for table in of.tables}
    assert shown == {"things": [0.5, None, None], "plain": [0.25], "absent": []}


def test_confidence_is_measured_where_it_was_recorded():
    answers = [reply(ask(str(index), "yes"), "Yes", 0.8) for index in range(10)]
    assert measure(run(answers), "a", n=2).calibration.ece == pytest.approx(0.2)
    assert measure(run(BOTH), "a", n=2).calibration is None


# Chinese against English


def twins(language, says):
    """An answer to each of len(says) questions where yes is right."""
    return [
        Answer(ask(f"{language}/{index}", cluster=str(index), twin=str(index), language=language), one)
        for index, one in enumerate(says)
    ]


CHINESE, ENGLISH = ["是", "不是", "是", "没有"], ["Yes", "Yes", "Yes", "No"]


def test_a_gap():
    found = language_gap(run(twins("zh", CHINESE) + twins("en", ENGLISH)), "model")
    assert (found.label, found.count) == ("model", 4)
    assert (found.zh.value, found.en.value, found.gap.value) == (0.5, 0.75, -0.25)
    assert found.alike == 0.75
    assert (found.test.only_a, found.test.only_b, found.test.p) == (0, 1, 1.0)
    assert found.gap.low < -0.25 < found.gap.high <= 0
    # Where both languages are always right or wrong together, the gap is 0 in every resample.
    found = language_gap(run(twins("zh", ["是", "不是"] * 10) + twins("en", ["Yes", "No"] * 10)), "model")
    assert (found.gap.low, found.gap.high) == (0, 0) and found.zh.low < 0.5 < found.zh.high


def test_what_is_no_twin_makes_no_gap():
    unjudged = benchmark(right=lambda answer: None, strict=lambda answer: None)
    two_english = [Answer(ask(str(n), twin="0", language="en"), "Yes") for n in range(2)]
    for told, answers, of in (
        ("one language", twins("zh", CHINESE), None),
        ("no twin", [Answer(ask("1", language="zh"), "是"), Answer(ask("2", language="en"), "Yes")], None),
        ("empty twin", [Answer(ask(n, twin="", language=n), one) for n, one in (("zh", "是"), ("en", "Yes"))], None),
        ("two English ones", twins("zh", ["是"]) + two_english, None),
        ("not judged", twins("zh", CHINESE) + twins("en", ENGLISH), unjudged),
    ):
        assert language_gap(run(answers, of), "model") is None, told
