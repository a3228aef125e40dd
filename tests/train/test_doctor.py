"""The doctor: every finding is told where it is there, and not where it is not; the costliest comes first."""

import json
import math
import shutil
from dataclasses import replace

import pytest
from made_up_runs import history, line, lines, stage, write_run
from typer.testing import CliRunner

from skymm.cli import app
from skymm.data.shards import expand, read_shard
from skymm.train import loop
from skymm.train.doctor import machine, recipe, runs
from skymm.train.doctor.examine import examine
from skymm.train.doctor.finding import finding, percent
from skymm.train.doctor.machine import PACKAGES, Machine, this_machine
from skymm.train.doctor.recipe import Plan, plan_of
from skymm.train.runlog import History

CPU = Machine(device="AMD EPYC 9B14, 2 threads", bfloat16=True)
GPU = "NVIDIA H100"


def told(there, not_there, checks, look):
    """Both tables hold for every check: (check, what it is given, what is seen) and (check, what it is given)."""
    for check, given, seen in there:
        found = look(check, given)
        assert found is not None, f"{check.__name__} misses {seen}"
        assert seen in found.seen and 0 < found.cost <= 1 and found.why and found.do, f"{check.__name__}: {found}"
    for check, given in not_there:
        assert look(check, given) is None, f"{check.__name__} is told of {given}"
    assert {check for check, _, _ in there} == {check for check, _ in not_there} == set(checks)


# --- an environment ---------------------------------------------------------------------------------------------------

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
SICK = [
    (machine.torchvision, {**with_versions(torchvision="0.28.0"), "vision_needs": NEEDS}, "torch 2.13.0+cpu"),
    (
        machine.torchvision,
        {**with_versions(torch="2.13.0", torchvision="0.27.0"), "vision_needs": ["torch (==2.12.0)"]},
        "torchvision 0.27.0 beside torch 2.13.0",
    ),
    (machine.versions, with_versions(transformers="6.0.0"), "found transformers 6.0.0, expected <6,>=5.17"),
    (machine.versions, with_versions(torch="2.9.1+cu126"), "found torch 2.9.1+cu126"),
    (machine.versions, with_versions(peft=None), "found peft nowhere"),
    (machine.unused_card, {"driver": True}, "torch 2.13.0+cpu is built for CPUs"),
    (machine.unused_card, {"driver": True, **with_versions(torch="2.13.0")}, "does not see it"),
    (machine.no_bfloat16, {"bfloat16": False}, "AMD EPYC"),
    (machine.threads, {"processes": 4, "threads": None}, "4 processes"),
    (machine.shared_memory, {"shared_memory_gib": 0.0625}, "64 MiB"),
]
HEALTHY = [
    (machine.torchvision, {}),
    (machine.torchvision, {**with_versions(torchvision="0.28.0+cpu"), "vision_needs": NEEDS}),
    (machine.torchvision, {**with_versions(torch="2.13.0", torchvision="0.28.0"), "vision_needs": NEEDS}),
    (machine.versions, {}),
    (machine.versions, with_versions(torch="2.14.0.dev1")),
    (machine.unused_card, {}),
    (machine.unused_card, {"driver": True, "cuda": True}),
    (machine.no_bfloat16, {}),
    (machine.threads, {"processes": 4, "threads": "2"}),
    (machine.threads, {"processes": 1, "threads": None}),
    (machine.threads, {"processes": 8, "threads": None, "cuda": True}),
    (machine.shared_memory, {}),
    (machine.shared_memory, {"shared_memory_gib": None}),
]


def test_what_is_wrong_with_an_environment():
    told(SICK, HEALTHY, machine.CHECKS, lambda check, changes: check(replace(SOUND, **changes)))


def test_what_to_install_is_a_command():
    assert machine.versions(replace(SOUND, **with_versions(transformers="5.2"))).do == (
        'pip install "transformers<6,>=5.17"'
    )


def test_this_machine_is_one_that_the_tests_run_on():
    found = this_machine()
    assert set(PACKAGES) - set(found.versions) <= {"torchvision"}
    assert {"torch", "transformers", "peft", "accelerate"} <= {one.split(">")[0] for one in found.requirements}
    assert machine.versions(found) is None, "the environment of the tests is a supported one"
    assert found.device and (found.cuda or found.device.endswith(("thread", "threads")))


# --- a run ------------------------------------------------------------------------------------------------------------


def turning(step):
    """A held-out loss at every fortieth step, lowest at step 200."""
    return 1.0 + abs(step - 200) / 400 if step % 40 == 0 else None


THERE = [
    (runs.waiting, {"data_seconds": 0.3}, "15 %"),
    (runs.waiting, {"data_seconds": 0.3, "recipe": {"workers": 4}}, "4 workers"),
    (runs.padding, {"positions": 2000}, "30 %"),
    (runs.attention, {"card": {"device": GPU, "attention": "eager", "packed": False}}, "eager on NVIDIA H100"),
    (runs.attention, {"card": {"device": GPU, "attention": "sdpa", "packed": False}}, "sdpa on NVIDIA H100"),
    (runs.attention, {"card": {"attention": "sdpa"}}, "sdpa on AMD EPYC"),
    (runs.precision, {"card": {"dtype": "float32"}}, "float32 on AMD EPYC"),
    (runs.vision, {"vision_seconds": 0.8}, "40 %"),
    (runs.slower, {"tokens_per_second": lambda step: 700.0 if step < 300 else 350.0}, "350 tokens per second"),
    (runs.low_mfu, {"mfu": 0.1}, "10 %"),
    (runs.low_mfu, {"mfu": None, "card": {"throughput": {"mfu": 0.1}}}, "10 %"),
    (runs.seldom_saved, {"seconds": 30.0}, "50 minutes"),
    (runs.seldom_saved, {"seconds": 30.0, "recipe": {"save_every": 1000}}, "200 minutes"),
    (runs.not_finite, {"loss": lambda step: math.nan if step == 33 else 1.0}, "loss is nan at step 33"),
    (runs.not_finite, {"grad_norm": lambda step: math.inf if step > 300 else 1.0}, "grad_norm is inf at step 301"),
    (runs.not_falling, {"loss": 2.0}, "2.000 over the last quarter"),
    (runs.not_falling, {"loss": lambda step: 1 + step / 400}, "was 1.1"),
    (runs.overfitting, {"held_out_loss": turning}, "1.000 at step 200 and is 1.500 now"),
    (runs.clipped, {"grad_norm": lambda step: 0.5 if step % 20 == 0 else 3.0}, "95 %"),
    (runs.spikes, {"grad_norm": lambda step: 20.0 if step in (50, 300) else 0.9}, "2 steps, first at 50, 300"),
    (runs.skipped, {"skipped": {"too long": 50, "unreadable image": 2}}, "50 of 52 because of: too long"),
    (runs.skipped, {"skipped": {"too long": 400 * 32}}, "50 % of the samples were skipped"),
    (runs.negative_share, {"negative_share": 0.2}, "20 % of the answers are negative, the recipe wants 50 %"),
    (runs.negative_share, {"negative_share": 0.8}, "80 %"),
]
NOT_THERE = [
    (runs.waiting, {"data_seconds": 0.18}),
    (runs.waiting, {"data_seconds": lambda step: 300.0 if step == 1 else 0.01}),  # the first step loads
    (runs.waiting, {"data_seconds": None}),
    (runs.padding, {"positions": 1640}),
    (runs.padding, {"positions": None}),
    (runs.attention, {"card": {"device": GPU, "attention": "sdpa", "packed": True}}),
    (runs.attention, {"card": {"device": GPU, "attention": "varlen", "packed": True}}),
    (runs.attention, {"card": {"device": GPU, "attention": "flash_attention_2", "packed": False}}),
    (runs.attention, {"card": {"attention": "eager"}}),
    (runs.precision, {}),
    (
        runs.precision,
        {"card": {"dtype": "float32", "device": "Tesla P100"}},
    ),  # run elsewhere, of which nothing is known
    (runs.vision, {"vision_seconds": 0.4}),
    (runs.vision, {"vision_seconds": 0.8, "recipe": {"features": "runs/features"}}),
    (runs.slower, {"tokens_per_second": lambda step: 700.0 if step < 300 else 600.0}),
    (runs.slower, {"tokens_per_second": lambda step: 1400.0 if step < 50 else 700.0}),
    (runs.low_mfu, {"mfu": 0.3}),
    (runs.low_mfu, {"mfu": None, "card": {"throughput": {"mfu": None}}}),
    (runs.seldom_saved, {"seconds": 17.0}),
    (runs.seldom_saved, {"seconds": 30.0, "recipe": {"save_every": 50}}),
    (runs.not_finite, {}),
    (runs.not_finite, {"mfu": None, "held_out_loss": None}),
    (runs.not_falling, {}),
    (runs.not_falling, {"loss": lambda step: 2 - step / 4000}),
    (runs.not_falling, {"loss": 2.0, "steps": 30}),  # too short to tell
    (runs.overfitting, {}),
    (runs.overfitting, {"held_out_loss": None}),
    # A single validation above the lowest, and a training loss that rises as well.
    (runs.overfitting, {"held_out_loss": lambda step: {100: 2.0, 200: 1.5, 300: 1.0, 400: 1.3}.get(step)}),
    (runs.overfitting, {"held_out_loss": turning, "loss": turning}),
    (runs.overfitting, {"held_out_loss": lambda step: {100: 2.0, 200: 1.0, 300: 1.01, 400: 1.005}.get(step)}),
    (runs.overfitting, {"held_out_loss": lambda step: {100: 2.0, 200: 1.0, 300: 1.01, 400: 1.3}.get(step)}),
    (runs.clipped, {}),
    (runs.clipped, {"grad_norm": lambda step: 0.5 if step % 5 == 0 else 3.0}),
    (runs.clipped, {"grad_norm": 3.0, "recipe": {"clip": 5.0}}),
    (runs.spikes, {}),
    (runs.spikes, {"grad_norm": lambda step: 20.0 if step < 5 else 0.9}),  # every run begins so
    (runs.skipped, {}),
    (runs.skipped, {"skipped": {"too long": 20, "no turns wanted": 5000}}),
    (runs.skipped, {"skipped": {"too long": 50}, "recipe": {"max_skip_ratio": 0.1}}),
    (runs.negative_share, {"negative_share": 0.45}),
    (runs.negative_share, {"negative_share": 0.1, "recipe": {"negative_share": None}}),
    (runs.negative_share, {"negative_share": None}),
]


def test_what_slows_a_run_or_endangers_what_it_learns():
    told(THERE, NOT_THERE, runs.CHECKS, lambda check, changes: check(history(**changes), CPU))


def test_advice_is_about_the_run_at_hand():
    assert "`skymm data features`" in runs.waiting(history(data_seconds=0.5), CPU).do
    assert "features" not in runs.waiting(history(data_seconds=0.5, recipe={"features": "f"}), CPU).do
    assert (
        "leave `packing` and `attention` out" in runs.padding(history(positions=3000, card={"packed": False}), CPU).do
    )
    assert "set `packed`" not in runs.padding(history(positions=3000), CPU).do
    assert "60 or less" in runs.seldom_saved(history(seconds=30.0), CPU).do


def test_full_precision_is_fine_where_nothing_else_is_fast():
    slow = Machine(device="AMD EPYC 9B14, 2 threads", bfloat16=False)
    assert runs.precision(history(card={"dtype": "float32"}), slow) is None
    assert "yes to everything" in runs.negative_share(history(negative_share=0.1), CPU).why
    assert "no to everything" in runs.negative_share(history(negative_share=0.9), CPU).why


def test_logs_of_old_runs_have_nothing_to_find_and_nothing_to_fail_on():
    names = ("step", "loss", "grad_norm", "labels", "tokens", "seconds", "data_seconds", "skipped")
    old = [{name: one[name] for name in names} for one in lines()]
    for log in (old, [{name: one[name] for name in ("step", "loss", "tokens", "seconds")} for one in old], [line(1)]):
        assert [check(History(log), Machine()) for check in runs.CHECKS] == [None] * len(runs.CHECKS)
    falling = [{**one, "seconds": 1.0 if one["step"] < 300 else 4.0} for one in old]
    assert "4.0 times as long" in runs.slower(History(falling), Machine()).why


# --- a recipe ---------------------------------------------------------------------------------------------------------


def plan(facts=None, machine=CPU, **changes):
    sound = Plan(stage(**changes), machine, samples=12_000, checkpoint_gib=0.1)
    return replace(sound, **(facts or {}))


def model(**fields):
    return {"model": fields}


FOUR = replace(CPU, processes=4)
STOPS = [
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
STARTS = [
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


def test_what_stops_slows_or_endangers_a_stage():
    told(STOPS, STARTS, recipe.CHECKS, lambda check, planned: check(planned))


@pytest.fixture
def _starts(monkeypatch):
    monkeypatch.setattr(loop, "check", lambda recipe: "")


def planned(out, **changes):
    return plan_of(stage(out=str(out), **changes), Machine())


@pytest.mark.usefixtures("_starts")
def test_samples_are_counted_by_card_and_estimated_without_one(tiny_data, tmp_path):
    count = sum(1 for path in expand(str(tiny_data / "stage2")) for _ in read_shard(path))
    found = planned(tmp_path / "run", data={"a": {"shards": str(tiny_data / "stage2")}})
    assert found.samples == count
    shutil.copytree(tiny_data / "stage2", tmp_path / "bare", ignore=shutil.ignore_patterns("card.json"))
    assert planned(tmp_path / "run", data={"a": {"shards": str(tmp_path / "bare")}}).samples == pytest.approx(
        count, rel=0.3
    )


@pytest.mark.usefixtures("_starts")
def test_a_checkpoint_is_as_large_as_the_last_one_or_as_the_model_suggests(tmp_path):
    before = tmp_path / "before"
    (before / "lora").mkdir(parents=True)
    (before / "lora" / "weights.safetensors").write_bytes(b"0" * 2**20)
    (before / "tokenizer.json").write_bytes(b"0" * 2**20)
    found = planned(tmp_path / "run", init=str(before))
    assert found.checkpoint_gib * 1024 == pytest.approx(8), "2 MiB, and 12 bytes of state for every 2 of weights"
    checkpoint = tmp_path / "run" / "checkpoints" / "step-000100"
    checkpoint.mkdir(parents=True)
    (checkpoint / "optimizer.safetensors").write_bytes(b"0" * 2**19)
    assert planned(tmp_path / "run", init=str(before)).checkpoint_gib * 1024 == pytest.approx(0.5)


# --- examining --------------------------------------------------------------------------------------------------------

MACHINE = Machine(device="AMD EPYC 9B14, 2 threads")


def test_a_sound_run_has_no_findings(tmp_path):
    found = examine(write_run(tmp_path / "run", lines()), machine=MACHINE)
    assert found.findings == [] and found.num_checks == 15
    assert found.as_text() == f"{tmp_path / 'run'}: nothing found, 15 things looked for"


def test_findings_come_with_the_costliest_first(tmp_path):
    log = lines(data_seconds=0.5, vision_seconds=0.9, loss=float("nan"), skipped={"too long": 40})
    found = examine(write_run(tmp_path / "run", log), machine=MACHINE)
    assert [one.name for one in found.findings] == ["not finite", "vision", "data wait", "skipped"]
    costs = [one.cost for one in found.findings]
    assert costs == sorted(costs, reverse=True)
    text = found.as_text(80)
    assert text.index("1. not finite") < text.index("vision") < text.index("data wait")
    assert all(len(line) <= 80 for line in text.splitlines()[1:])
    told = json.loads(found.as_json())
    assert set(told["findings"][0]) == {"name", "cost", "seen", "why", "do"}


def test_a_recipe_is_examined_with_its_environment_and_overrides(tmp_path):
    path = tmp_path / "stage.toml"
    path.write_text(f'out = "{tmp_path}/run"\nsteps = 500\nbatch_size = 6\n[data.a]\nshards = "{tmp_path}/none"\n')
    found = examine(path, ["learning_rate=0.5"], Machine(processes=4, threads=None, device="CPU, 2 threads"))
    assert {one.name for one in found.findings} == {"does not start", "threads", "learning rate"}
    assert found.findings[0].seen.startswith("no shards found")
    assert found.num_checks == 13


def test_an_environment_alone_is_examined():
    found = examine(machine=Machine(bfloat16=False, device="old"))
    assert found.target == "this environment" and [one.name for one in found.findings] == ["no bfloat16"]


def test_what_is_neither_run_nor_recipe_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"found no log.jsonl in .*, expected the directory of a run"):
        examine(tmp_path, machine=MACHINE)
    with pytest.raises(ValueError, match="no recipe at"):
        examine(tmp_path / "nowhere.toml", machine=MACHINE)
    with pytest.raises(ValueError, match="overrides are for recipes"):
        examine(write_run(tmp_path / "run", lines(3)), ["steps=4"], MACHINE)
    with pytest.raises(ValueError, match="holds no steps yet"):
        examine(write_run(tmp_path / "new", []), machine=MACHINE)


def test_the_command_exits_with_0_unless_strict(tmp_path):
    sound = write_run(tmp_path / "sound", lines())
    ill = write_run(tmp_path / "ill", lines(data_seconds=1.0))
    run = CliRunner().invoke
    assert run(app, ["doctor", str(ill)]).exit_code == 0
    assert run(app, ["doctor", str(ill), "--strict"]).exit_code == 1
    assert run(app, ["doctor", str(sound), "--strict"]).exit_code == 0
    told = json.loads(run(app, ["doctor", str(ill), "--json"]).stdout)
    assert [one["name"] for one in told["findings"]] == ["data wait"] and told["target"] == str(ill)


def test_costs_are_shares():
    told = [finding("threads", cost, processes=2).cost for cost in (7.0, -1.0)]
    assert told == [1.0, 0.0]
    assert [percent(share) for share in (0, 0.0013, 0.15, 1)] == ["0 %", "0.13 %", "15 %", "100 %"]


def test_a_machine_is_looked_at_when_none_is_given():
    assert examine().num_checks == 6 and this_machine().versions["torch"]
