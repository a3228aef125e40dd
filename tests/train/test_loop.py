"""The loop: resuming is never having stopped, and the gradient does not depend on how a batch was cut."""

import os
import random
import signal
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from elsewhere import Elsewhere
from launching import command, losses
from safetensors.torch import load_file

from skymm.train import loop
from skymm.train.loop import train
from skymm.train.runlog import read_log


def weights(directory: str | Path) -> dict[str, torch.Tensor]:
    return load_file(Path(directory) / "resampler.safetensors") | load_file(
        Path(directory) / "lora/adapter_model.safetensors"
    )


def same(one: dict[str, torch.Tensor], two: dict[str, torch.Tensor]) -> bool:
    return one.keys() == two.keys() and all(torch.equal(one[name], two[name]) for name in one)


def test_a_stage_learns_and_leaves_a_model_and_a_record(tiny_stage):
    out = train(tiny_stage.model_copy(update={"steps": 60, "learning_rate": 3e-2}), quiet=True)
    lines = read_log(out)
    assert [line["step"] for line in lines] == list(range(1, 61))
    assert sum(line["loss"] for line in lines[-5:]) < 0.9 * sum(line["loss"] for line in lines[:5])
    assert {"loss_en", "loss_zh", "loss_positive", "loss_negative", "tokens", "skipped", "negative_share"} <= set(
        lines[0]
    )
    assert (out / "config.json").exists() and (out / "DONE").exists() and not (out / "checkpoints").exists()


def test_a_step_is_timed_by_how_long_the_conversations_are_that_come(tiny_stage, monkeypatch):
    """The few that are timed may be short ones."""

    seen, clock = [], SimpleNamespace(perf_counter=lambda: sum(seen) / 2000)

    def step_of(_model, _optimizer, _accelerator, _recipe, batches, _step):
        seen.append(sum(batch.num_positions for batch in batches))
        return {"positions": seen[-1]}

    stage = tiny_stage.model_copy(update={"batch_size": 1})
    monkeypatch.setattr(loop, "take_step", step_of)
    monkeypatch.setattr(loop, "time", clock)
    found = loop.seconds_per_step(stage, least_seconds=0.0)
    loop.seconds_per_step(stage, least_steps=200, least_seconds=0.0)
    assert found == pytest.approx(sum(seen[4:]) / len(seen[4:]) / 2000, rel=0.02)


@pytest.mark.parametrize("workers", [0, 2] if "SKYMM_KILLS" in os.environ else [1])
def test_killed_at_any_moment_and_started_again_is_never_having_stopped(tiny_stage, tmp_path, workers):
    """Kills fall into steps, into writing checkpoints and between them. SKYMM_KILLS=20 makes it twenty of them."""
    kills = int(os.environ.get("SKYMM_KILLS", "1"))
    stage = tiny_stage.model_copy(update={"steps": 12 * kills, "workers": workers})
    undisturbed = train(stage, quiet=True)
    killed = stage.model_copy(update={"out": str(tmp_path / "killed")})
    line, moments = command(killed, tmp_path / "killed.toml"), random.Random(workers)
    for _ in range(kills):
        known = len(read_log(killed.out))
        process = Elsewhere(line)
        # The log of a resumed run begins at its checkpoint, so it is shorter first and then longer than it was.
        while process.poll() is None and len(read_log(killed.out)) <= known:
            time.sleep(0.001)
        time.sleep(moments.uniform(0, 0.1))
        process.kill()
        assert process.wait() == -signal.SIGKILL, "this kill came too late to show anything"
    train(killed, quiet=True)
    assert losses(killed.out) == losses(undisturbed)
    assert same(weights(killed.out), weights(undisturbed))


def test_a_half_written_checkpoint_is_not_taken_for_one(tiny_stage, monkeypatch):
    from skymm.train import state

    def die(*args, **kwargs):
        raise KeyboardInterrupt

    whole = train(tiny_stage.model_copy(update={"out": tiny_stage.out + "-whole"}), quiet=True)
    save_file, calls = state.save_file, []
    monkeypatch.setattr(state, "save_file", lambda *a: die() if len(calls) else (calls.append(1), save_file(*a)))
    with pytest.raises(KeyboardInterrupt):
        train(tiny_stage, quiet=True)
    monkeypatch.setattr(state, "save_file", save_file)
    assert [path.name for path in (Path(tiny_stage.out) / "checkpoints").iterdir()] == ["step-000003"]
    assert losses(train(tiny_stage, quiet=True)) == losses(whole)


def test_unfrozen_parts_learn_resume_and_stay_with_the_next_stage(tiny_stage, monkeypatch):
    from skymm.train import loop

    stage = tiny_stage.model_copy(update={"trains": ["resampler", "lora", "towers", "llm"], "steps": 5})
    whole = train(stage, quiet=True)
    unfrozen = load_file(whole / "unfrozen.safetensors")
    names = {name.split(".")[0] for name in unfrozen}
    assert names == {"towers", "language_model"} and read_log(whole)[-1]["loss"] < read_log(whole)[0]["loss"]
    stopped = stage.model_copy(update={"out": stage.out + "-stopped"})
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        take_step = loop.take_step

        def step_or_die(*given):
            if given[-1] == 5:
                raise KeyboardInterrupt
            return take_step(*given)

        patch.setattr(loop, "take_step", step_or_die)
        train(stopped, quiet=True)
    again = train(stopped, quiet=True)
    assert losses(again) == losses(whole)
    assert same(load_file(again / "unfrozen.safetensors"), unfrozen) and same(weights(again), weights(whole))
    after = {"out": stage.out + "-next", "init": str(whole), "model": None, "trains": ["resampler"], "steps": 2}
    following = train(stage.model_copy(update=after), quiet=True)
    assert same(load_file(following / "unfrozen.safetensors"), unfrozen)
    cut = train(stage.model_copy(update={"out": stage.out + "-cut", "gradient_checkpointing": True}), quiet=True)
    assert [one["loss"] for one in read_log(cut)] == pytest.approx([one["loss"] for one in read_log(whole)], rel=1e-4)


def test_finished_runs_are_kept_and_other_recipes_refused(tiny_stage):
    out = train(tiny_stage, quiet=True)
    before = (out / "resampler.safetensors").stat().st_mtime_ns
    train(tiny_stage, quiet=True)
    assert (out / "resampler.safetensors").stat().st_mtime_ns == before
    with pytest.raises(ValueError, match=r"steps: 10 -> 11"):
        train(tiny_stage.model_copy(update={"steps": 11}), quiet=True)


def test_micro_batches_change_nothing(tiny_stage):
    no_dropout = tiny_stage.model.lora.model_copy(update={"dropout": 0.0})
    recipe = tiny_stage.model_copy(
        update={"model": tiny_stage.model.model_copy(update={"lora": no_dropout}), "steps": 3}
    )
    whole = train(recipe, quiet=True)
    for size in (1, 3):
        cut = train(recipe.model_copy(update={"out": f"{recipe.out}-{size}", "micro_batch_size": size}), quiet=True)
        for one, two in zip(losses(whole), losses(cut), strict=True):
            assert one["loss"] == pytest.approx(two["loss"], rel=1e-6) and one["labels"] == two["labels"]
            assert one["grad_norm"] == pytest.approx(two["grad_norm"], rel=1e-5)
        for name, tensor in weights(whole).items():
            # Adam moves a weight whose gradient is next to nothing by its rounding.
            assert torch.allclose(tensor, weights(cut)[name], atol=1e-4)


def test_polarity_share_is_what_the_recipe_says(tiny_stage):
    """Of a share between 0 and 1 every answer is a coin: some ninety of them are thrown here."""
    for share in (0.0, 0.5, 1.0):
        recipe = tiny_stage.model_copy(
            update={"out": f"{tiny_stage.out}-{share}", "negative_share": share, "steps": 12}
        )
        realised = [line["negative_share"] for line in read_log(train(recipe, quiet=True))]
        assert sum(realised) / len(realised) == pytest.approx(share, abs=0.15 if share == 0.5 else 0)


def test_both_init_and_model_is_refused(tiny_stage):
    with pytest.raises(ValueError, match="either `init`"):
        train(tiny_stage.model_copy(update={"init": "somewhere"}), quiet=True)


def test_words_objective_trains_the_resampler_without_the_llm(tiny_stage, monkeypatch):
    import transformers

    recipe = tiny_stage.model_copy(update={"objective": "words", "trains": ["resampler"], "steps": 25, "batch_size": 8})
    whole, taught = transformers.LlamaModel.forward, []
    monkeypatch.setattr(
        transformers.LlamaModel,
        "forward",
        lambda self, *given, inputs_embeds=None, **rest: (
            taught.append(torch.is_grad_enabled()) or whole(self, *given, inputs_embeds=inputs_embeds, **rest)
        ),
    )
    lines = read_log(train(recipe, quiet=True))
    assert lines[-1]["loss"] < 0.8 * lines[0]["loss"]
    assert not any(taught), "it is only asked, when it is loaded, how it makes its logits"
