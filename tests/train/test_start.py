"""What a start refuses is told alike by `train`, `train --check` and the doctor, and leaves the directory as it was."""

import shutil
from pathlib import Path

import pytest
from elsewhere import Elsewhere, cli
from launching import as_toml

from skymm.conversation import Conversation, Turn
from skymm.data.shard_writing import write_shards
from skymm.files import alone_in
from skymm.recipe import StageRecipe, load
from skymm.train.doctor.examine import examine
from skymm.train.loop import check, train

REFUSED = {
    "shards": (["data.a.shards=nowhere"], "no shards found: 'nowhere' does not exist"),
    "few": (["workers=9"], "5 shards for 1 ranks x 9 workers"),
    "init": (["init=nowhere"], "either `init`"),
    "features": (["features=nowhere"], "nowhere"),
    "wanted": (
        ["negative_share=0.5", "data.instructions.shards=only-positives"],
        "all samples were skipped: no turns wanted 3",
    ),
    "length": (["max_length=8"], r"too long 20 \(.*raise `max_length`"),
    "attention": (["attention=flash_attention_2"], "(?i)flash"),
    "tower": (["model.towers=['nowhere']"], "nowhere"),
}


@pytest.fixture
def stage(tiny_stage, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    turns = (Turn("user", "q"), Turn("assistant", "Yes", (), "positive", "existence", "en"))
    write_shards([(Conversation(str(index), turns), {}) for index in range(3)], tmp_path / "only-positives", "s")
    return as_toml(tiny_stage, tmp_path / "stage.toml")


def test_what_a_start_refuses_is_told_before_it_and_leaves_nothing(stage):
    for name, (changes, words) in REFUSED.items():
        recipe = load(stage, StageRecipe, changes)
        with pytest.raises((ValueError, OSError), match=words) as caught:
            check(recipe)
        assert not Path(recipe.out).exists(), f"{name}: the directory is free for the recipe once it is mended"
        if name in ("few", "wanted"):  # one before a model is loaded, one after it
            with pytest.raises(type(caught.value), match=words):
                train(recipe, quiet=True)
            found = {one.name: one for one in examine(stage, changes).findings}
            assert found["does not start"].seen == str(caught.value) and found["does not start"].cost == 1
            assert not Path(recipe.out).exists()


def test_a_model_to_start_from_that_is_nowhere_is_named(stage, tmp_path):
    recipe = load(stage, StageRecipe).model_copy(update={"init": str(tmp_path / "nowhere"), "model": None})
    with pytest.raises(ValueError, match=r"init: no run or model at .*nowhere"):
        check(recipe)


def test_a_check_of_what_can_start_says_so_and_leaves_nothing(stage, tmp_path):
    before = sorted(tmp_path.rglob("*"))
    done = Elsewhere(cli("train", stage, "--check"))
    assert done.wait() == 0 and "training resampler" in done.out and "it can start" in done.out
    assert sorted(tmp_path.rglob("*")) == before
    assert "does not start" not in {one.name for one in examine(stage).findings}


def test_two_processes_in_one_directory_are_refused(stage, tiny_stage):
    out = Path(tiny_stage.out)
    with alone_in(out, "unused"):
        code = (
            "from skymm.recipe import StageRecipe, load; from skymm.train.loop import train\n"
            f"train(load({str(stage)!r}, StageRecipe), quiet=True)"
        )
        done = Elsewhere(code)
        assert done.wait() == 1 and f"another process trains in {out}" in done.err
    assert not out.exists()
    train(tiny_stage, quiet=True)
    with pytest.raises(ValueError, match="holds a run of another recipe:\n  batch_size: 4 -> 2"):
        check(load(stage, StageRecipe, ["batch_size=2"]))
    shutil.rmtree(out)
