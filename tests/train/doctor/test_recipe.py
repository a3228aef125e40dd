"""What will stop, slow or endanger a stage is told before it runs, and only where it is so."""

from dataclasses import replace

import pytest
from made_up_runs import stage

from skymm.train.doctor import recipe
from skymm.train.doctor.machine import Machine
from skymm.train.doctor.plan import Plan

CPU = Machine(device="AMD EPYC 9B14, 2 threads")
GPU = Machine(device="NVIDIA H100", cuda=True)


def plan(facts=None, machine=CPU, **changes):
    sound = Plan(stage(**changes), machine, samples=12_000, checkpoint_gib=0.1)
    return replace(sound, **(facts or {}))


def model(**fields):
    return {"model": fields}


FOUR = replace(CPU, processes=4)
THERE = [
    (recipe.start, plan({"refusal": "no shards found"}), "no shards found"),
    (recipe.micro_batch, plan(batch_size=4, micro_batch_size=8), "micro_batch_size = 8"),
    (recipe.micro_batch, plan(machine=FOUR, batch_size=16, micro_batch_size=8), "a process has 4"),
    (recipe.precision, plan(**model(dtype="float32")), "AMD EPYC"),
    (recipe.learning_rate, plan(learning_rate=0.1), "learning_rate = 0.1"),
    (recipe.learning_rate, plan(learning_rate=1e-8), "LoRA's is 1e-08"),
    (recipe.learning_rate, plan(learning_rate=1e-3, lora_learning_rate=1e-2), "LoRA's is 0.01"),
    (recipe.warmup, plan(steps=10, warmup_steps=10), "10 of 10"),
    (recipe.epochs, plan({"samples": 100}), "128 times"),
    (recipe.epochs, plan({"samples": 10_000_000}), "0.13 % of the data"),
    (recipe.disk, plan({"free_gib": 0.3}), "0.30 GiB are free"),
    (recipe.disk, plan({"free_gib": 1.0, "checkpoint_gib": None}), "for want of a better number"),
]
NOT_THERE = [
    (recipe.start, plan()),
    (recipe.micro_batch, plan(batch_size=4, micro_batch_size=4)),
    (recipe.micro_batch, plan()),
    (recipe.precision, plan(**model(dtype="bfloat16"))),
    (recipe.precision, plan(machine=replace(CPU, bfloat16=False), **model(dtype="float32"))),
    (recipe.learning_rate, plan(learning_rate=1e-3)),
    (recipe.learning_rate, plan(learning_rate=0.1, lora_learning_rate=1e-4, trains=["lora"])),
    (recipe.warmup, plan(steps=100, warmup_steps=10)),
    (recipe.epochs, plan()),
    (recipe.epochs, plan({"samples": None})),
    (recipe.disk, plan({"free_gib": 0.5})),
]


@pytest.mark.parametrize(("check", "planned", "seen"), THERE)
def test_it_is_told_where_it_is_there(check, planned, seen):
    finding = check(planned)
    assert seen in finding.seen and 0 < finding.cost <= 1 and finding.why and finding.do


@pytest.mark.parametrize(("check", "planned"), NOT_THERE)
def test_it_is_not_told_where_it_is_not(check, planned):
    assert check(planned) is None


def test_every_check_has_both():
    assert {check for check, _, _ in THERE} == {check for check, _ in NOT_THERE} == set(recipe.CHECKS)
