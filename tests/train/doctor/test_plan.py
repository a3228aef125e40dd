"""What a recipe refers to is counted from cards and headers."""

import shutil

import pytest
from made_up_runs import stage

from skymm.data.shards import expand, read_shard
from skymm.train.doctor.machine import Machine
from skymm.train.doctor.plan import plan_of


def planned(out, **changes):
    return plan_of(stage(out=str(out), **changes), Machine())


def test_samples_are_counted_by_card_and_estimated_without_one(tiny_data, tmp_path):
    count = sum(1 for path in expand(str(tiny_data / "stage2")) for _ in read_shard(path))
    found = planned(tmp_path / "run", data={"a": {"shards": str(tiny_data / "stage2")}})
    assert found.samples == count and found.shards == {"a": 5} and not found.missing
    shutil.copytree(tiny_data / "stage2", tmp_path / "bare", ignore=shutil.ignore_patterns("card.json"))
    assert planned(tmp_path / "run", data={"a": {"shards": str(tmp_path / "bare")}}).samples == pytest.approx(
        count, rel=0.3
    )


def test_a_shard_that_is_no_tar_is_named(tmp_path):
    (tmp_path / "a.tar").write_text("no tar")
    with pytest.raises(ValueError, match=r"a\.tar cannot be read"):
        planned(tmp_path / "run", data={"a": {"shards": str(tmp_path / "a.tar")}})


def test_what_is_not_there_is_not_there(tmp_path):
    found = planned(tmp_path / "deep" / "run", init=str(tmp_path / "before"), features=str(tmp_path / "features"))
    assert "does not exist" in found.missing["a"] and found.samples is None and found.shards == {}
    assert not found.init_found and found.features == "none" and found.changes == [] and found.checkpoint_gib is None
    assert found.free_gib > 0, "the disk is that of the nearest directory there is"
    assert not (tmp_path / "deep").exists() and not (tmp_path / "features").exists(), "looking changes nothing"


def test_features_in_shards_need_no_directory(tmp_path):
    assert planned(tmp_path / "run", features="shards").features == "built"


def test_a_cache_is_built_when_it_holds_keys(tmp_path):
    (tmp_path / "features.json").write_text("{}")
    assert planned(tmp_path / "run", features=str(tmp_path)).features == "empty"
    (tmp_path / "keys.bin").write_bytes(b"0" * 16)
    assert planned(tmp_path / "run", features=str(tmp_path)).features == "built"


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


def test_a_run_of_another_recipe_is_seen(tmp_path):
    (tmp_path / "recipe.json").write_text(stage(out=str(tmp_path), steps=7).model_dump_json())
    assert planned(tmp_path).changes == ["steps: 7 -> 400"]
    assert planned(tmp_path, steps=7).changes == []
    (tmp_path / "recipe.json").write_text('{"of": "another age"}')
    assert "is not a recipe of this version" in planned(tmp_path).changes[0]
