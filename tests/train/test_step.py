"""A step's gradient does not depend on how it was cut; the held-out loss is measured on what is never trained on, is the same
whoever measures, and decides which model is best.
"""

import json
import traceback
from types import SimpleNamespace

import pytest
import torch
from launching import losses
from safetensors.torch import load_file
from torch.utils._python_dispatch import TorchDispatchMode

from skymm.conversation import Conversation, Turn
from skymm.data.batches import pack
from skymm.data.shards import expand
from skymm.model.language import checkpoint_activations
from skymm.train import loop
from skymm.train.loop import train
from skymm.train.objectives import objective_of
from skymm.train.parts import cutter, mixture_of, model_for, optimizer_for, preparation
from skymm.train.step import HeldOut, losses_of


def test_the_gradient_does_not_depend_on_how_the_batch_was_cut(tiny_stage):
    lora = tiny_stage.model.lora.model_copy(update={"dropout": 0.0})
    recipe = tiny_stage.model_copy(update={"model": tiny_stage.model.model_copy(update={"lora": lora})})
    model, processor = model_for(recipe, None)
    model.double().train()
    model.freeze_for(recipe.trains)
    with torch.no_grad():
        for name, parameter in model.language_model.named_parameters():
            if "lora_B" in name:
                parameter.normal_(std=0.1)
    optimizer = optimizer_for(model, recipe)
    accelerator = SimpleNamespace(process_index=0, num_processes=1)
    mixture = iter(mixture_of(recipe, preparation(recipe, model, processor), accelerator, None, None))
    eight = [next(mixture) for _ in range(8)]

    def gradient(**cut):
        packing = cut.pop("packing", True)
        stage = recipe.model_copy(update=cut)
        batches = cutter(stage, processor, packing=packing)(eight)
        count = sum(batch.num_losses for batch in batches)
        for batch in batches:
            (losses_of(model, batch.to(torch.device("cpu")), objective_of(stage))[0] / count).backward()
        found = torch.cat([parameter.grad.flatten() for parameter in optimizer.parameters.values()])
        for parameter in optimizer.parameters.values():
            parameter.grad = None
        return found

    whole = gradient()
    assert whole.norm() > 0
    for cut in (
        {"micro_batch_size": 4},
        {"micro_batch_size": 1},
        {"micro_batch_tokens": 700},
        {"packing": False},
        {"packing": False, "micro_batch_size": 3},
    ):
        assert (gradient(**cut) - whole).norm() < 1e-6 * whole.norm(), cut


def test_gradient_checkpointing_runs_every_layer_again(tiny_model):
    model, processor = tiny_model
    model.train()
    model.freeze_for(["resampler", "lora"])
    checkpoint_activations(model.language_model)
    calls = []
    model.language_model.get_decoder().layers[0].self_attn.q_proj.register_forward_hook(
        lambda *ignored: calls.append(1)
    )
    chat = Conversation("a", (Turn("user", "Hi"), Turn("assistant", "Hello")))
    model(**pack([processor.chat.encode(chat)])).loss_sum.backward()
    assert len(calls) == 2


def test_gradient_checkpointing_changes_the_cost_and_not_the_loss(tiny_stage):
    plain = losses(train(tiny_stage.model_copy(update={"steps": 3}), quiet=True))
    recipe = tiny_stage.model_copy(
        update={"steps": 3, "out": tiny_stage.out + "-checkpointed", "gradient_checkpointing": True}
    )
    for one, two in zip(plain, losses(train(recipe, quiet=True)), strict=True):
        assert one["loss"] == pytest.approx(two["loss"], rel=1e-6)
        assert one["grad_norm"] == pytest.approx(two["grad_norm"], rel=1e-5)


def test_liger_belongs_to_answers_needs_cuda_and_never_measures(tiny_model, tiny_stage):
    model, processor = tiny_model
    stage = tiny_stage.model_copy(update={"liger": True, "held_out": tiny_stage.data["instructions"].shards})
    objective = objective_of(stage)
    assert (
        objective.liger
        and objective.why_padded is None
        and objective_of(stage.model_copy(update={"objective": "words"}))
    )
    chat = Conversation("a", (Turn("user", "Hi"), Turn("assistant", "Hello")))
    inputs = {
        **pack(objective.encode(processor.chat, chat)),
        "label_positions": torch.tensor([1]),
        "image_positions": torch.tensor([]),
    }
    with pytest.raises(ValueError, match="liger = true needs CUDA"):
        objective.losses(model, inputs)


ALONE = SimpleNamespace(process_index=0, num_processes=1, device=torch.device("cpu"))


class Asked(TorchDispatchMode):
    """Where in skymm an operator was called whose result only the device knows: on a GPU each makes Python wait for it."""

    def __init__(self):
        super().__init__()
        self.found = []

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        if function.overloadpacket.__name__ in ("_local_scalar_dense", "nonzero", "masked_select", "_unique2"):
            files = [frame.filename for frame in traceback.extract_stack()[:-1]]
            caller = next(name for name in reversed(files) if "/torch/" not in name)
            self.found += [caller] if "/skymm/" in caller else []  # transformers looks at its position ids
        return function(*args, **kwargs or {})


def test_a_pass_forward_and_backward_asks_the_device_for_nothing_that_python_knows(tiny_model, tiny_stage):
    model, processor = tiny_model
    model.language_model.set_attn_implementation("sdpa")
    model.train().freeze_for(["resampler", "lora"])
    items = iter(mixture_of(tiny_stage, preparation(tiny_stage, model, processor), ALONE, None, None))
    (batch,) = cutter(tiny_stage, processor, packing=False)([next(items) for _ in range(3)])
    with Asked() as asked:
        losses_of(model, batch.to(torch.device("cpu")), objective_of(tiny_stage))[0].backward()
    assert not asked.found
    with Asked() as asked:
        model(**{name: batch.inputs[name] for name in ("input_ids", "labels", "pixel_values")})
    assert len(asked.found) == 2, "where nobody knows it, the face for transformers asks where labels and images stand"


# --- held out ---------------------------------------------------------------------------------------------------------


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
    cut = cutter(stage, processor, packing=True)
    return HeldOut(stage, preparation(stage, model, processor), accelerator, cut), model


def test_every_conversation_is_measured_once_and_dropout_sleeps(stage):
    measured, model = held_out(stage)
    assert sum(batch.num_examples for batch in measured.batches) == 4, (
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
    assert [sum(batch.num_examples for batch in part.batches) for part in parts] == [2, 2]
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
        loop.state, "save", lambda out, model, *rest, **more: kept.update({rest[-1]["step"]: resampler(model)})
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
