"""What a recipe refers to is counted from cards and headers."""

import shutil

import pytest
from made_up_runs import stage

from skymm.data.shards import expand, read_shard
from skymm.train import loop
from skymm.train.doctor.machine import Machine
from skymm.train.doctor.plan import plan_of


@pytest.fixture(autouse=True)
def _starts(monkeypatch):
    monkeypatch.setattr(loop, "check", lambda recipe: "")


def planned(out, **changes):
    return plan_of(stage(out=str(out), **changes), Machine())


def test_samples_are_counted_by_card_and_estimated_without_one(tiny_data, tmp_path):
    count = sum(1 for path in expand(str(tiny_data / "stage2")) for _ in read_shard(path))
    found = planned(tmp_path / "run", data={"a": {"shards": str(tiny_data / "stage2")}})
    assert found.samples == count
    shutil.copytree(tiny_data / "stage2", tmp_path / "bare", ignore=shutil.ignore_patterns("card.json"))
    assert planned(tmp_path / "run", data={"a": {"shards": str(tmp_path / "bare")}}).samples == pytest.approx(
        count, rel=0.3
    )


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
