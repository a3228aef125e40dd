"""Whether a model looks: rates by hand, from counts that add up."""

from __future__ import annotations

import math

import pytest
from made_up import ask, benchmark, pairs, reply

from skymm.evaluation.benchmark import Answer
from skymm.evaluation.report.seeing import confidences, is_right, probabilities, said, seeing_counts, seeing_rates

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


@pytest.mark.parametrize(("says", "looks"), [("Yes", 0), ("No", 0), ("Hm", 0), ("gold", 1), ("other", -1)])
def test_leaning_is_not_looking(says, looks):
    def response(question):
        other = {"yes": "no", "no": "yes"}[question.gold]
        return {"gold": question.gold, "other": other}.get(says, says)

    assert rates(pairs(10, response))["looks"] == looks


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
