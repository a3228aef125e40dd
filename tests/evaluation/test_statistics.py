"""Intervals, paired comparisons and calibration against closed forms and numbers worked out by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
from made_up import ask, pairs, reply

from skymm.evaluation.benchmark import Answer
from skymm.evaluation.statistics import (
    Interval,
    Rates,
    calibrating_temperature,
    calibration,
    cluster_bootstrap,
    mcnemar,
    paired_difference,
)


def share(answers):
    return {"right": sum(one.response == one.question.gold for one in answers) / len(answers)}


RIGHT = Rates(
    lambda answers: np.array([sum(one.response == one.question.gold for one in answers), len(answers)]),
    lambda counts: {"right": float(counts[0] / counts[1])},
)


def answered(rights, copies=1, apart=False):
    """An answer for each outcome, `copies` times: in the same cluster, or each in one of its own."""
    return [
        reply(ask(f"{index}/{copy}", cluster=f"{index}/{copy}" if apart else str(index)), "yes" if right else "no")
        for index, right in enumerate(rights)
        for copy in range(copies)
    ]


def width(answers, n=500, **options):
    interval = cluster_bootstrap(answers, share, n=n, **options).interval("right")
    return interval.high - interval.low


def test_the_interval_of_a_share_is_the_binomial_one():
    rights = [True] * 120 + [False] * 80
    interval = cluster_bootstrap(answered(rights), share, n=4000).interval("right")
    half = 1.96 * math.sqrt(0.6 * 0.4 / 200)
    assert interval.value == 0.6
    assert interval.low == pytest.approx(0.6 - half, abs=0.12 * half)
    assert interval.high == pytest.approx(0.6 + half, abs=0.12 * half)


def test_more_questions_about_the_same_pictures_make_nothing_surer():
    rights = [True, False, True] * 20
    once = width(answered(rights))
    assert width(answered(rights, copies=9)) == pytest.approx(once)
    assert width(answered(rights, copies=9, apart=True)) == pytest.approx(once / 3, rel=0.25)


def test_intervals_cover_the_truth_about_as_often_as_they_say():
    generator, covered = np.random.default_rng(1), 0
    for _ in range(300):
        # Two questions about each of 60 pictures: right together in most, so that they are worth less than 120.
        base = generator.random(60) < 0.6
        other = np.where(generator.random(60) < 0.8, base, generator.random(60) < 0.6)
        answers = [
            reply(ask(f"{index}/{number}", cluster=str(index)), "yes" if right else "no")
            for index, both in enumerate(zip(base, other))
            for number, right in enumerate(both)
        ]
        interval = cluster_bootstrap(answers, n=200, rates=RIGHT).interval("right")
        covered += interval.low <= 0.6 <= interval.high
    assert 0.9 <= covered / 300 <= 0.98


def test_strata_keep_their_sizes_and_clusters_stay_whole():
    answers = pairs(15, lambda question: "yes", ("count", "color", "scene"))

    def look(resample):
        clusters = {}
        for answer in resample:
            clusters.setdefault(answer.question.cluster, []).append(answer)
        sizes = dict.fromkeys(("count", "color", "scene"), 0)
        for members in clusters.values():
            assert [member.question.gold for member in members] == ["yes", "no"], "half a cluster, or two in one"
            sizes[members[0].question.fields["subtask"]] += 1
        return {"clusters": len(clusters), **sizes}

    kept = cluster_bootstrap(answers, look, "subtask", n=40)
    assert set(kept.drawn["clusters"]) == {15.0}, "a cluster drawn twice must count twice"
    assert all(set(kept.drawn[name]) == {5.0} for name in ("count", "color", "scene"))
    free = cluster_bootstrap(answers, look, None, n=40)
    assert len(set(free.drawn["count"])) > 1


def test_a_cluster_that_is_named_like_a_copy_stays_apart():
    answers = [reply(ask(name, cluster=name), "yes") for name in ("a", "a#2", "a##2")]
    found = cluster_bootstrap(answers, lambda some: {"n": len({one.question.cluster for one in some})}, n=60)
    assert set(found.drawn["n"]) == {3.0}


def test_a_cluster_in_two_strata_is_of_its_own_kind():
    answers = [
        reply(ask("a1", cluster="a", kind="x"), "yes"),
        reply(ask("a2", cluster="a", kind="y"), "yes"),
        reply(ask("b1", cluster="b", kind="x"), "yes"),
    ]
    found = cluster_bootstrap(answers, lambda some: {"n": len(some)}, "kind", n=30)
    assert set(found.drawn["n"]) == {3.0}


def test_counts_and_whole_scores_are_drawn_alike():
    answers = answered([True, True, False, True, False, True, True] * 3, copies=2)
    slow = cluster_bootstrap(answers, share, n=50, seed=3)
    fast = cluster_bootstrap(answers, n=50, seed=3, rates=RIGHT)
    np.testing.assert_allclose(slow.drawn["right"], fast.drawn["right"])
    assert slow.values["right"] == fast.values["right"]


def test_draws_depend_on_questions_and_seed_only():
    answers = answered([True, False] * 10)
    drawn = cluster_bootstrap(answers, share, n=20).drawn["right"]
    np.testing.assert_array_equal(cluster_bootstrap(answers[::-1], share, n=20).drawn["right"], drawn)
    assert not np.array_equal(cluster_bootstrap(answers, share, n=20, seed=1).drawn["right"], drawn)


def test_a_paired_difference_is_surer_than_two_intervals():
    generator = np.random.default_rng(0)
    rights = list(generator.random(200) < 0.6)
    better = [right or index % 20 == 0 for index, right in enumerate(rights)]
    a, b = (cluster_bootstrap(answered(some), share) for some in (better, rights))
    found = paired_difference(a, b, "right")
    assert found.value == pytest.approx(sum(better) / 200 - sum(rights) / 200)
    # Where one gains on k of n questions and loses nowhere: the difference is a share k / n.
    share_won = found.value
    assert found.high - found.low == pytest.approx(2 * 1.96 * math.sqrt(share_won * (1 - share_won) / 200), rel=0.25)
    assert found.high - found.low < 0.5 * width(answered(better))
    assert paired_difference(a, a, "right") == Interval(0.0, 0.0, 0.0)
    assert paired_difference(b, a, "right").high == pytest.approx(-found.low)


def test_other_questions_are_not_paired():
    a, b = answered([True] * 5), answered([True] * 8)
    first, second = cluster_bootstrap(a, share, n=5), cluster_bootstrap(b, share, n=5)
    with pytest.raises(ValueError, match="5 and 8 questions of which 5 are the same"):
        paired_difference(first, second, "right")
    reworded = [Answer(ask(one.question.id, cluster=one.question.cluster, text="有吗？"), one.response) for one in a]
    with pytest.raises(ValueError, match="of which 0 are the same"):
        paired_difference(first, cluster_bootstrap(reworded, share, n=5), "right")
    with pytest.raises(ValueError, match="resamples of seed 0 and 5 of seed 1"):
        paired_difference(first, cluster_bootstrap(a, share, n=5, seed=1), "right")


def test_where_resampling_can_say_nothing_there_are_no_bounds():
    one = cluster_bootstrap(answered([True]), share, n=20).interval("right")
    assert one == Interval(1.0, None, None) and not one.excludes(0.0)
    rare = cluster_bootstrap(
        answered([True] + [False] * 30),
        lambda some: {"rare": 1.0 if sum(answer.question.id == "0/0" for answer in some) == 1 else None},
        n=100,
    )
    assert rare.interval("rare") == Interval(1.0), "most resamples have no such number"
    assert cluster_bootstrap(answered([True, False]), lambda some: {"none": None}, n=5).interval("none") is None
    with pytest.raises(ValueError, match="no answers"):
        cluster_bootstrap([], share)


def test_excludes():
    assert Interval(0.6, 0.5, 0.7).excludes(0.49) and Interval(0.6, 0.5, 0.7).excludes(0.71)
    assert not Interval(0.6, 0.5, 0.7).excludes(0.5) and not Interval(0.6).excludes(0.0)


@pytest.mark.parametrize(
    ("only_a", "only_b", "p"),
    [
        (0, 0, 1.0),
        (0, 5, 2 / 32),
        (5, 0, 2 / 32),
        (1, 9, 2 * (1 + 10) / 1024),
        (4, 8, 2 * (1 + 12 + 66 + 220 + 495) / 4096),
        (5, 5, 1.0),
    ],
)
def test_mcnemar_is_the_exact_binomial_test_of_what_differs(only_a, only_b, p):
    right_a = [True] * only_a + [False] * only_b + [True, False] * 7
    right_b = [False] * only_a + [True] * only_b + [True, False] * 7
    found = mcnemar(right_a, right_b)
    assert (found.only_a, found.only_b) == (only_a, only_b)
    assert found.p == pytest.approx(p)


def test_mcnemar_needs_the_same_questions():
    with pytest.raises(ValueError, match="found 1 and 2 verdicts"):
        mcnemar([True], [True, False])


def test_calibration_by_hand():
    found = calibration([0.05, 0.1, 0.95, 0.85, 0.85], [False, True, True, True, False])
    assert [(one.count, one.confidence, one.correct) for one in found.bins] == [
        (2, pytest.approx(0.075), 0.5),  # 0.1 closes the first bin
        (2, pytest.approx(0.85), 0.5),
        (1, pytest.approx(0.95), 1.0),
    ]
    assert found.ece == pytest.approx((2 * 0.425 + 2 * 0.35 + 0.05) / 5)
    assert found.brier == pytest.approx((0.05**2 + 0.9**2 + 0.05**2 + 0.15**2 + 0.85**2) / 5)
    assert found.count == 5


def test_perfect_calibration_has_hardly_any_error_and_overconfidence_its_own():
    generator = np.random.default_rng(0)
    confidence = generator.random(40_000)
    perfect = calibration(confidence, generator.random(40_000) < confidence)
    assert perfect.ece < 0.01
    assert perfect.brier == pytest.approx(1 / 6, abs=0.01)  # the integral of p (1 - p)
    sure = calibration([1.0] * 100, [True] * 70 + [False] * 30)
    assert sure.ece == pytest.approx(0.3) and sure.brier == pytest.approx(0.3)


def test_calibration_of_nothing_and_of_nonsense():
    assert calibration([], []) is None
    with pytest.raises(ValueError, match=r"confidence of 1\.2"):
        calibration([0.5, 1.2], [True, True])
    with pytest.raises(ValueError, match="1 confidences and 2 outcomes"):
        calibration([0.5], [True, True])


def test_the_temperature_of_odds_that_are_too_sure_is_found_and_takes_their_error_away():
    generator = np.random.default_rng(0)
    odds = generator.normal(0, 2, 20_000)
    truth = generator.random(20_000) < 1 / (1 + np.exp(-odds))
    temperature = calibrating_temperature(3 * odds, truth)
    assert temperature == pytest.approx(3, rel=0.03) and calibrating_temperature(odds, truth) == pytest.approx(
        1, rel=0.03
    )

    def error(scale):
        return calibration(1 / (1 + np.exp(-3 * odds / scale)), truth).ece

    assert error(temperature) < 0.02 < 0.08 < error(1)
    with pytest.raises(ValueError, match="outcomes that are all alike"):
        calibrating_temperature([1.0, 2.0], [True, True])
