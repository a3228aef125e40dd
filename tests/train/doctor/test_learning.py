"""What endangers learning is told where it is there, and is not told where it is not."""

import math

import pytest
from made_up_runs import history, line, lines

from skymm.train.doctor import learning
from skymm.train.runlog import History


def turning(step):
    """A held-out loss at every fortieth step, lowest at step 200."""
    return 1.0 + abs(step - 200) / 400 if step % 40 == 0 else None


THERE = [
    (learning.not_finite, {"loss": lambda step: math.nan if step == 33 else 1.0}, "loss is nan at step 33"),
    (learning.not_finite, {"grad_norm": lambda step: math.inf if step > 300 else 1.0}, "grad_norm is inf at step 301"),
    (learning.not_falling, {"loss": 2.0}, "2.000 over the last quarter"),
    (learning.not_falling, {"loss": lambda step: 1 + step / 400}, "was 1.1"),
    (learning.overfitting, {"held_out_loss": turning}, "1.000 at step 200 and is 1.500 now"),
    (learning.clipped, {"grad_norm": lambda step: 0.5 if step % 20 == 0 else 3.0}, "95 %"),
    (learning.spikes, {"grad_norm": lambda step: 20.0 if step in (50, 300) else 0.9}, "2 steps, first at 50, 300"),
    (learning.skipped, {"skipped": {"too long": 50, "unreadable image": 2}}, "50 of 52 because of: too long"),
    (learning.negative_share, {"negative_share": 0.2}, "20 % of the answers are negative, the recipe wants 50 %"),
    (learning.negative_share, {"negative_share": 0.8}, "80 %"),
]
NOT_THERE = [
    (learning.not_finite, {}),
    (learning.not_finite, {"mfu": None, "held_out_loss": None}),
    (learning.not_falling, {}),
    (learning.not_falling, {"loss": lambda step: 2 - step / 4000}),
    (learning.not_falling, {"loss": 2.0, "steps": 30}),  # too short to tell
    (learning.overfitting, {}),
    (learning.overfitting, {"held_out_loss": None}),
    # A single validation above the lowest, and a training loss that rises as well.
    (learning.overfitting, {"held_out_loss": lambda step: {100: 2.0, 200: 1.5, 300: 1.0, 400: 1.3}.get(step)}),
    (learning.overfitting, {"held_out_loss": turning, "loss": turning}),
    (learning.overfitting, {"held_out_loss": lambda step: {100: 2.0, 200: 1.0, 300: 1.01, 400: 1.005}.get(step)}),
    (learning.overfitting, {"held_out_loss": lambda step: {100: 2.0, 200: 1.0, 300: 1.01, 400: 1.3}.get(step)}),
    (learning.clipped, {}),
    (learning.clipped, {"grad_norm": lambda step: 0.5 if step % 5 == 0 else 3.0}),
    (learning.clipped, {"grad_norm": 3.0, "recipe": {"clip": 5.0}}),
    (learning.spikes, {}),
    (learning.spikes, {"grad_norm": lambda step: 20.0 if step < 5 else 0.9}),  # every run begins so
    (learning.skipped, {}),
    (learning.skipped, {"skipped": {"too long": 20, "no turns wanted": 5000}}),
    (learning.skipped, {"skipped": {"too long": 50}, "recipe": {"max_skip_ratio": 0.1}}),
    (learning.negative_share, {"negative_share": 0.45}),
    (learning.negative_share, {"negative_share": 0.1, "recipe": {"negative_share": None}}),
    (learning.negative_share, {"negative_share": None}),
]


@pytest.mark.parametrize(("check", "changes", "seen"), THERE)
def test_it_is_told_where_it_is_there(check, changes, seen):
    finding = check(history(**changes))
    assert seen in finding.seen and 0 < finding.cost <= 1 and finding.why and finding.do


@pytest.mark.parametrize(("check", "changes"), NOT_THERE)
def test_it_is_not_told_where_it_is_not(check, changes):
    assert check(history(**changes)) is None


def test_every_check_has_both():
    assert {check for check, _, _ in THERE} == {check for check, _ in NOT_THERE} == set(learning.CHECKS)


def test_the_harm_of_a_wrong_share_is_named_by_its_side():
    assert "yes to everything" in learning.negative_share(history(negative_share=0.1)).why
    assert "no to everything" in learning.negative_share(history(negative_share=0.9)).why


def test_old_logs_do_not_fail():
    old = [{name: one[name] for name in ("step", "loss", "tokens", "seconds")} for one in lines()]
    assert [check(History(old)) for check in learning.CHECKS] == [None] * len(learning.CHECKS)
    assert [check(History([line(1)])) for check in learning.CHECKS] == [None] * len(learning.CHECKS)
