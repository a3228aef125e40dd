"""What a run leaves on disk: whole or not there, the newest few and the best."""

import contextlib
import json
import resource
import shutil
from pathlib import Path

import pytest
from elsewhere import Elsewhere
from launching import command, losses

from skymm.data.shards import expand
from skymm.model.build import open_model
from skymm.recipe import StageRecipe
from skymm.train import state
from skymm.train.loop import train


def test_only_the_newest_checkpoints_stay_in_the_order_of_their_steps(tiny_stage, monkeypatch):
    seen = []
    save = state.save
    monkeypatch.setattr(
        state, "_checkpoints", lambda out, whole=state._checkpoints: seen.append(whole(out)) or seen[-1]
    )
    train(tiny_stage.model_copy(update={"steps": 9, "save_every": 1, "keep_checkpoints": 2}), quiet=True)
    assert max(map(len, seen)) == 3, "two and the one that was just written"
    assert save is state.save
    names = [[path.name for path in paths] for paths in seen]
    assert ["step-000006", "step-000007", "step-000008"] in names


def test_a_step_of_seven_digits_is_newer_than_one_of_six(tmp_path):
    for name in ("step-1000000", "step-999999"):
        (tmp_path / "checkpoints" / name).mkdir(parents=True)
    assert state.latest(tmp_path).name == "step-1000000"


def test_the_card_lies_in_every_directory_with_a_model(tiny_stage):
    recipe = tiny_stage.model_copy(update={"held_out": tiny_stage.data["instructions"].shards, "steps": 4})
    source = recipe.data["instructions"]
    trained, held = expand(source.shards)[:-1], str(expand(source.shards)[-1])
    data = {"a": source.model_copy(update={"shards": [str(path) for path in trained]})}
    recipe = recipe.model_copy(update={"data": data, "held_out": held, "held_out_every": 2})
    out = train(recipe, quiet=True)
    for directory in (out, out / "best"):
        card = json.loads((directory / "run.json").read_text("utf-8"))
        assert card["recipe"]["steps"] == 4 and card["lora_matrices"] == 14 and card["versions"]["torch"]
        assert card["best"]["step"] in (2, 4) and card["data"]["a"]["shards"] == 4
    assert json.loads((out / "run.json").read_text("utf-8"))["throughput"]["samples_per_second"] > 0
    assert (out / "run.html").stat().st_size > 10_000


def test_what_changes_nothing_that_is_learned_may_be_changed_on_the_way(tiny_stage):
    state.claim(Path(tiny_stage.out), tiny_stage)
    state.claim(Path(tiny_stage.out), tiny_stage.model_copy(update={"save_every": 1, "keep_checkpoints": 5}))
    with pytest.raises(ValueError, match="batch_size: 4 -> 8"):
        state.claim(Path(tiny_stage.out), tiny_stage.model_copy(update={"batch_size": 8}))


@pytest.mark.parametrize("operation", range(5))
def test_a_kill_at_any_moment_leaves_the_best_model(tmp_path, tiny_stage, monkeypatch, operation):
    """Killed before the first, second, ... change of a directory: the old one or the new one is there, whole."""
    written = []
    monkeypatch.setattr(
        state, "_write_model", lambda directory, *_: (directory / "model").write_text(str(len(written)))
    )
    state.claim(tmp_path, tiny_stage)
    state.save_best(tmp_path, None, None, {})
    written.append(1)
    left = [operation]

    def killed(call):
        def instead(*arguments, **options):
            if not left[0]:
                raise KeyboardInterrupt
            left[0] -= 1
            return call(*arguments, **options)

        return instead

    with monkeypatch.context() as patch:
        patch.setattr(Path, "rename", killed(Path.rename))
        patch.setattr(state.shutil, "rmtree", killed(shutil.rmtree))
        with contextlib.suppress(KeyboardInterrupt):
            state.save_best(tmp_path, None, None, {})
    state.claim(tmp_path, tiny_stage)
    assert (tmp_path / "best" / "model").read_text() in ("0", "1")


def test_a_full_disk_is_told_and_the_last_checkpoint_stays_good(tiny_stage, tmp_path):
    """No file of the second checkpoint may grow beyond a kilobyte: the system refuses to write, as on a full disk."""
    undisturbed = losses(train(tiny_stage.model_copy(update={"out": tiny_stage.out + "-undisturbed"}), quiet=True))
    program = (
        "import resource\n"
        "from skymm.train import state\n"
        "save = state.save\n"
        "def then_full(*arguments, **options):\n"
        "    save(*arguments, **options)\n"
        "    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, resource.RLIM_INFINITY))\n"
        "state.save = then_full\n"
    )
    done = Elsewhere(program + command(tiny_stage, tmp_path / "stage.toml"))
    assert done.wait() == 1 and "Traceback" not in done.err
    checkpoints = Path(tiny_stage.out) / "checkpoints"
    assert f"{checkpoints / 'step-000006'} could not be written" in done.err
    assert f"{checkpoints / 'step-000003'} is whole; make room and run the same command" in done.err
    assert [path.name for path in checkpoints.iterdir()] == ["step-000003"]
    assert not list(Path(tiny_stage.out).glob(".step*"))
    open_model(checkpoints / "step-000003")
    assert losses(train(tiny_stage, quiet=True)) == undisturbed


def test_limits_of_this_process_are_as_they_were():
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[0] == resource.RLIM_INFINITY
    assert StageRecipe.model_fields["save_every"].default == 100
