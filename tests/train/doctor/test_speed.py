"""What slows a run is told where it is there, and is not told where it is not."""

import pytest
from made_up_runs import history, lines

from skymm.train.doctor import speed
from skymm.train.doctor.machine import Machine
from skymm.train.runlog import History

CPU = Machine(device="AMD EPYC 9B14, 2 threads", bfloat16=True)
GPU = "NVIDIA H100"

THERE = [
    (speed.waiting, {"data_seconds": 0.3}, "15 %"),
    (speed.waiting, {"data_seconds": 0.3, "card": {"workers": 4}}, "4 workers"),
    (speed.padding, {"positions": 2000}, "30 %"),
    (speed.attention, {"card": {"device": GPU, "attention": "eager", "packed": False}}, "eager on NVIDIA H100"),
    (speed.attention, {"card": {"device": GPU, "attention": "sdpa", "packed": False}}, "sdpa on NVIDIA H100"),
    (speed.attention, {"card": {"attention": "sdpa"}}, "sdpa on AMD EPYC"),
    (speed.precision, {"card": {"dtype": "float32"}}, "float32 on AMD EPYC"),
    (speed.vision, {"vision_seconds": 0.8}, "40 %"),
    (speed.slower, {"tokens_per_second": lambda step: 700.0 if step < 300 else 350.0}, "350 tokens per second"),
    (speed.low_mfu, {"mfu": 0.1}, "10 %"),
    (speed.low_mfu, {"mfu": None, "card": {"throughput": {"mfu": 0.1}}}, "10 %"),
    (speed.seldom_saved, {"seconds": 30.0}, "50 minutes"),
    (speed.seldom_saved, {"seconds": 30.0, "recipe": {"save_every": 1000}}, "200 minutes"),
]
NOT_THERE = [
    (speed.waiting, {"data_seconds": 0.18}),
    (speed.waiting, {"data_seconds": lambda step: 300.0 if step == 1 else 0.01}),  # the first step loads
    (speed.waiting, {"data_seconds": None}),
    (speed.padding, {"positions": 1640}),
    (speed.padding, {"positions": None}),
    (speed.attention, {"card": {"device": GPU, "attention": "sdpa", "packed": True}}),
    (speed.attention, {"card": {"device": GPU, "attention": "varlen", "packed": True}}),
    (speed.attention, {"card": {"device": GPU, "attention": "flash_attention_2", "packed": False}}),
    (speed.attention, {"card": {"attention": "eager"}}),
    (speed.precision, {}),
    (
        speed.precision,
        {"card": {"dtype": "float32", "device": "Tesla P100"}},
    ),  # run elsewhere, of which nothing is known
    (speed.vision, {"vision_seconds": 0.4}),
    (speed.vision, {"vision_seconds": 0.8, "recipe": {"features": "runs/features"}}),
    (speed.slower, {"tokens_per_second": lambda step: 700.0 if step < 300 else 600.0}),
    (speed.slower, {"tokens_per_second": lambda step: 1400.0 if step < 50 else 700.0}),
    (speed.low_mfu, {"mfu": 0.3}),
    (speed.low_mfu, {"mfu": None, "card": {"throughput": {"mfu": None}}}),
    (speed.seldom_saved, {"seconds": 17.0}),
    (speed.seldom_saved, {"seconds": 30.0, "recipe": {"save_every": 50}}),
]


@pytest.mark.parametrize(("check", "changes", "seen"), THERE)
def test_it_is_told_where_it_is_there(check, changes, seen):
    finding = check(history(**changes), CPU)
    assert seen in finding.seen and 0 < finding.cost <= 1 and finding.why and finding.do


@pytest.mark.parametrize(("check", "changes"), NOT_THERE)
def test_it_is_not_told_where_it_is_not(check, changes):
    assert check(history(**changes), CPU) is None


def test_every_check_has_both():
    assert {check for check, _, _ in THERE} == {check for check, _ in NOT_THERE} == set(speed.CHECKS)


def test_advice_is_about_the_run_at_hand():
    assert "`skymm data features`" in speed.waiting(history(data_seconds=0.5), CPU).do
    assert "features" not in speed.waiting(history(data_seconds=0.5, recipe={"features": "f"}), CPU).do
    assert (
        "leave `packing` and `attention` out" in speed.padding(history(positions=3000, card={"packed": False}), CPU).do
    )
    assert "set `packed`" not in speed.padding(history(positions=3000), CPU).do
    assert "60 or less" in speed.seldom_saved(history(seconds=30.0), CPU).do


def test_full_precision_is_fine_where_nothing_else_is_fast():
    slow = Machine(device="AMD EPYC 9B14, 2 threads", bfloat16=False)
    assert speed.precision(history(card={"dtype": "float32"}), slow) is None


def test_logs_of_old_runs_have_nothing_to_find_and_nothing_to_fail_on():
    old = [
        {
            name: one[name]
            for name in ("step", "loss", "grad_norm", "labels", "tokens", "seconds", "data_seconds", "skipped")
        }
        for one in lines()
    ]
    assert [check(History(old), Machine()) for check in speed.CHECKS] == [None] * len(speed.CHECKS)
    falling = [{**one, "seconds": 1.0 if one["step"] < 300 else 4.0} for one in old]
    assert "4.0 times as long" in speed.slower(History(falling), Machine()).why
