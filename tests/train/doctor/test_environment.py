"""What is wrong with an environment is told from versions alone, without importing what is broken."""

from dataclasses import replace

import pytest

from skymm.train.doctor import environment
from skymm.train.doctor.machine import PACKAGES, Machine, this_machine

SOUND = Machine(
    versions={"torch": "2.13.0+cpu", "transformers": "5.23.0", "peft": "0.21.2", "accelerate": "1.15.0"},
    requirements=["torch>=2.11", "transformers>=5.17,<6", "peft>=0.20", "accelerate>=1.12", "rich>=13"],
    device="AMD EPYC 9B14, 2 threads",
    threads="2",
    shared_memory_gib=24.0,
)


def with_versions(**versions):
    return {"versions": {name: one for name, one in {**SOUND.versions, **versions}.items() if one}}


NEEDS = ["torch (==2.13.0)"]
THERE = [
    (environment.torchvision, {**with_versions(torchvision="0.28.0"), "vision_needs": NEEDS}, "torch 2.13.0+cpu"),
    (
        environment.torchvision,
        {**with_versions(torch="2.13.0", torchvision="0.27.0"), "vision_needs": ["torch (==2.12.0)"]},
        "torchvision 0.27.0 beside torch 2.13.0",
    ),
    (environment.versions, with_versions(transformers="6.0.0"), "found transformers 6.0.0, expected <6,>=5.17"),
    (environment.versions, with_versions(torch="2.9.1+cu126"), "found torch 2.9.1+cu126"),
    (environment.versions, with_versions(peft=None), "found peft nowhere"),
    (environment.unused_card, {"driver": True}, "torch 2.13.0+cpu is built for CPUs"),
    (environment.unused_card, {"driver": True, **with_versions(torch="2.13.0")}, "does not see it"),
    (environment.no_bfloat16, {"bfloat16": False}, "AMD EPYC"),
    (environment.threads, {"processes": 4, "threads": None}, "4 processes"),
    (environment.shared_memory, {"shared_memory_gib": 0.0625}, "64 MiB"),
]
NOT_THERE = [
    (environment.torchvision, {}),
    (environment.torchvision, {**with_versions(torchvision="0.28.0+cpu"), "vision_needs": NEEDS}),
    (environment.torchvision, {**with_versions(torch="2.13.0", torchvision="0.28.0"), "vision_needs": NEEDS}),
    (environment.versions, {}),
    (environment.versions, with_versions(torch="2.14.0.dev1")),
    (environment.unused_card, {}),
    (environment.unused_card, {"driver": True, "cuda": True}),
    (environment.no_bfloat16, {}),
    (environment.threads, {"processes": 4, "threads": "2"}),
    (environment.threads, {"processes": 1, "threads": None}),
    (environment.threads, {"processes": 8, "threads": None, "cuda": True}),
    (environment.shared_memory, {}),
    (environment.shared_memory, {"shared_memory_gib": None}),
]


@pytest.mark.parametrize(("check", "changes", "seen"), THERE)
def test_it_is_told_where_it_is_there(check, changes, seen):
    finding = check(replace(SOUND, **changes))
    assert seen in finding.seen and 0 < finding.cost <= 1 and finding.why and finding.do


@pytest.mark.parametrize(("check", "changes"), NOT_THERE)
def test_it_is_not_told_where_it_is_not(check, changes):
    assert check(replace(SOUND, **changes)) is None


def test_every_check_has_both():
    assert {check for check, _, _ in THERE} == {check for check, _ in NOT_THERE} == set(environment.CHECKS)


def test_what_to_install_is_a_command():
    assert environment.versions(replace(SOUND, **with_versions(transformers="5.2"))).do == (
        'pip install "transformers<6,>=5.17"'
    )


def test_this_machine_is_one_that_the_tests_run_on():
    machine = this_machine()
    assert set(PACKAGES) - set(machine.versions) <= {"torchvision"}
    assert {"torch", "transformers", "peft", "accelerate"} <= {one.split(">")[0] for one in machine.requirements}
    assert environment.versions(machine) is None, "the environment of the tests is a supported one"
    assert machine.device and (machine.cuda or machine.device.endswith(("thread", "threads")))
