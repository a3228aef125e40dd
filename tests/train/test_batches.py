"""How a step is cut into passes: nothing lost, little padded, and the gradient the same whatever the cut."""

from types import SimpleNamespace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from skymm.conversation import Conversation, Turn
from skymm.data.batches import Example, micro_batches, pack
from skymm.encoded import IGNORE, Encoded
from skymm.model.language import checkpoint_activations
from skymm.recipe import StageRecipe, parse
from skymm.train.loop import train
from skymm.train.parts import mixture_of, model_for, optimizer_for, preparation, why_padded
from skymm.train.step import losses_of

STAGE = {"out": "x", "steps": 1, "data": {"a": {"shards": "s"}}}


def items(lengths):
    return [
        SimpleNamespace(value=Example(Encoded(str(index), [index + 1] * length, [IGNORE] * length)))
        for index, length in enumerate(lengths)
    ]


@given(
    st.lists(st.integers(1, 60), min_size=1, max_size=20),
    st.none() | st.integers(1, 6),
    st.none() | st.integers(8, 100),
    st.booleans(),
)
def test_every_conversation_is_in_one_pass_and_no_pass_is_too_large(lengths, size, tokens, packing):
    recipe = parse({**STAGE, "micro_batch_size": size, "micro_batch_tokens": tokens}, StageRecipe)
    batches = micro_batches(items(lengths), recipe, pad_id=0, packing=packing)
    found = sorted(int(one) for batch in batches for one in batch.inputs["input_ids"].flatten() if one)
    assert found == sorted(index + 1 for index, length in enumerate(lengths) for _ in range(length))
    for batch in batches:
        assert size is None or batch.num_examples <= size
        assert tokens is None or batch.inputs["input_ids"].numel() <= tokens or batch.num_examples == 1
        assert not packing or (batch.inputs["input_ids"].shape[0] == 1 and 0 not in batch.inputs["input_ids"])


def test_conversations_of_similar_length_are_padded_together():
    recipe = parse({**STAGE, "micro_batch_size": 2}, StageRecipe)
    batches = micro_batches(items([3, 50, 4, 49]), recipe, pad_id=0, packing=False)
    assert [tuple(batch.inputs["input_ids"].shape) for batch in batches] == [(2, 4), (2, 50)]


@pytest.mark.parametrize(
    ("attention", "asked", "expected"),
    [
        ("varlen", None, None),
        ("sdpa", None, 'attention "sdpa" would need a mask'),
        ("eager", None, 'attention "eager" would need a mask'),
        ("varlen", False, "packing = false"),
        ("sdpa", True, None),
    ],
)
def test_rows_are_packed_where_the_attention_keeps_them_apart(tiny_model, attention, asked, expected):
    model, _ = tiny_model
    model.language_model.set_attn_implementation(attention)
    found = why_padded(parse({**STAGE, "packing": asked}, StageRecipe), model)
    assert found is None if expected is None else expected in found
    assert why_padded(parse({**STAGE, "packing": asked, "objective": "words"}, StageRecipe), model)


def test_what_cannot_be_packed_is_not(tiny_model):
    """Layers that mix neighbours: known by their names, and found where nothing is named."""
    model, _ = tiny_model
    decoder = model.language_model.get_decoder()
    stage = parse(STAGE, StageRecipe)
    hook = decoder.layers[0].register_forward_hook(lambda module, inputs, out: out + 0.5 * out.roll(1, dims=1))
    assert "mix the conversations" in why_padded(stage, model)
    with pytest.raises(ValueError, match=r"packing = true, but .* would mix .* leave `packing` out"):
        why_padded(stage.model_copy(update={"packing": True}), model)
    hook.remove()
    assert why_padded(stage, model) is None
    model.language_model.config.layer_types = ["conv", "full_attention"]
    assert "layers (conv)" in why_padded(stage, model)


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
        batches = micro_batches(eight, stage, processor, packing=packing)
        count = sum(length for batch in batches for _, _, length in batch.groups)
        for batch in batches:
            (losses_of(model, batch.to(torch.device("cpu")), stage)[0] / count).backward()
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
    from launching import losses

    plain = losses(train(tiny_stage.model_copy(update={"steps": 3}), quiet=True))
    recipe = tiny_stage.model_copy(
        update={"steps": 3, "out": tiny_stage.out + "-checkpointed", "gradient_checkpointing": True}
    )
    for one, two in zip(plain, losses(train(recipe, quiet=True)), strict=True):
        assert one["loss"] == pytest.approx(two["loss"], rel=1e-6)
        assert one["grad_norm"] == pytest.approx(two["grad_norm"], rel=1e-5)
