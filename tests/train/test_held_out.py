"""The held-out loss: measured on what is never trained on, the same whoever measures, and what decides which model is best."""

import json
from types import SimpleNamespace

import pytest
import torch
from launching import losses
from safetensors.torch import load_file

from skymm.data.shards import expand
from skymm.train import loop
from skymm.train.held_out import HeldOut
from skymm.train.loop import train
from skymm.train.parts import model_for, preparation

ALONE = SimpleNamespace(process_index=0, num_processes=1, device=torch.device("cpu"))


def resampler(model):
    return {name: tensor.clone() for name, tensor in model.resampler.state_dict().items()}


@pytest.fixture
def stage(tiny_stage):
    source = tiny_stage.data["instructions"]
    *trained, held = map(str, expand(source.shards))
    data = {"a": source.model_copy(update={"shards": trained})}
    return tiny_stage.model_copy(update={"data": data, "held_out": held, "held_out_every": 2})


def held_out(stage, accelerator=ALONE, model=None):
    model, processor = model or model_for(stage, None)
    return HeldOut(stage, preparation(stage, model, processor), processor, accelerator, packing=True), model


def test_every_conversation_is_measured_once_and_dropout_sleeps(stage):
    measured, model = held_out(stage)
    assert sum(batch.num_examples for batch in measured._batches) == 4, (
        "the last shard has four samples and comes round once"
    )
    with torch.no_grad():  # LoRA begins as nothing, and dropout of nothing shows nothing
        for name, parameter in model.language_model.named_parameters():
            if "lora_B" in name:
                parameter.normal_()
    model.train()
    first = measured.measure(model)
    assert first == measured.measure(model) and model.training
    assert set(first) >= {"held_out_loss", "held_out_loss_en", "held_out_loss_zh", "held_out_loss_negative"}


def test_ranks_measure_different_conversations_and_all_of_them(stage):
    model = model_for(stage, None)
    parts = [
        held_out(stage, SimpleNamespace(process_index=rank, num_processes=2, device=torch.device("cpu")), model)[0]
        for rank in (0, 1)
    ]
    assert [sum(batch.num_examples for batch in part._batches) for part in parts] == [2, 2]
    with pytest.raises(ValueError, match="4 held-out conversations for 5 processes"):
        held_out(stage, SimpleNamespace(process_index=4, num_processes=5, device=torch.device("cpu")), model)


def test_what_is_trained_on_cannot_be_held_out(tiny_stage):
    with pytest.raises(ValueError, match="is held out and trained on"):
        train(tiny_stage.model_copy(update={"held_out": tiny_stage.data["instructions"].shards}), quiet=True)


def test_the_best_model_is_kept_and_survives_worse_ones(stage, monkeypatch):
    """What is measured is made up here: the second of five is the best."""
    made_up = iter([3.0, 1.0, 2.0, 1.0, 4.0])
    monkeypatch.setattr(HeldOut, "measure", lambda self, model: {"held_out_loss": next(made_up)})
    kept = {}
    monkeypatch.setattr(
        loop.state, "save", lambda out, model, *rest, step, **more: kept.update({step: resampler(model)})
    )
    out = train(stage.model_copy(update={"held_out_every": 2, "save_every": 4}), quiet=True)
    assert [line["held_out_loss"] for line in losses(out) if "held_out_loss" in line] == [3.0, 1.0, 2.0, 1.0, 4.0]
    card = json.loads((out / "run.json").read_text("utf-8"))
    assert card["best"] == {"step": 4, "held_out_loss": 1.0} and set(kept) == {4, 8}
    best = load_file(out / "best" / "resampler.safetensors")
    assert all(torch.equal(best[name], kept[4][name]) for name in best)


def test_a_resumed_run_remembers_its_best(stage, monkeypatch):
    recipe = stage.model_copy(update={"steps": 12, "learning_rate": 0.5, "warmup_steps": 6, "save_every": 5})
    whole = train(recipe, quiet=True)
    stopped = recipe.model_copy(update={"out": recipe.out + "-stopped"})
    take_step = loop.take_step

    def stop_at_eleven(*arguments):
        if arguments[-1] == 11:
            raise KeyboardInterrupt
        return take_step(*arguments)

    monkeypatch.setattr(loop, "take_step", stop_at_eleven)
    with pytest.raises(KeyboardInterrupt):
        train(stopped, quiet=True)
    monkeypatch.setattr(loop, "take_step", take_step)
    again = train(stopped, quiet=True)
    assert losses(again) == losses(whole)
    for file in ("resampler.safetensors", "lora/adapter_model.safetensors"):
        assert (again / "best" / file).read_bytes() == (whole / "best" / file).read_bytes()
