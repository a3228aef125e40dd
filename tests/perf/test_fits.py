"""What fits into a GPU: counted parts are the real ones, and the sum is the one worked out by hand."""

import pytest
import torch
from fits import BYTES_NF4, KNOWN, Need, need, table
from torch.autograd.graph import saved_tensors_hooks


def test_parts_without_weights_are_the_parts(tiny_model_recipe, tiny_model):
    model, _ = tiny_model
    tower = model.towers[0]
    found = need(model.language_model.config, [tower.encoder.model.config], tiny_model_recipe)
    trained = sum(model.freeze_for(["resampler", "lora"]).values())
    frozen = sum(one.numel() for one in model.language_model.parameters() if not one.requires_grad)
    assert (found.trained, found.parameters) == (trained, frozen)
    assert found.patches == tower.num_patches and found.vocabulary == 264


def test_what_is_kept_is_what_autograd_keeps(tiny_model_recipe, tiny_model):
    """By the same count over the real weights, with torch's own attention, which keeps what a flash kernel keeps."""
    llm = tiny_model[0].language_model.bfloat16()
    tiny_model[0].freeze_for(["lora"])
    own = {one.untyped_storage().data_ptr() for one in llm.parameters()}
    kept = {}

    def keep(tensor):
        if tensor.untyped_storage().data_ptr() not in own:
            kept[tensor.untyped_storage().data_ptr()] = tensor
        return tensor

    llm.set_attn_implementation("sdpa")
    words = torch.zeros(1, 256, 48, dtype=torch.bfloat16, requires_grad=True)
    with saved_tensors_hooks(keep, lambda tensor: tensor):
        llm.get_decoder()(inputs_embeds=words, use_cache=False)
    real = sum(one.untyped_storage().nbytes() for one in kept.values()) / 256
    recipe = tiny_model_recipe.model_copy(update={"lora": tiny_model_recipe.lora.model_copy(update={"dropout": 0.0})})
    found = need(llm.config, [KNOWN["CLIP-L-336"]], recipe)
    assert found.kept_per_position == pytest.approx(real, rel=0.1)


def test_a_sum_by_hand():
    """Weights 2 x (10 + 3), 20 bytes for each of 5 trained, 7 bytes kept for each of 100 positions, 14 x 9 x 40 of logits."""
    one = Need(10, 8, 3, 5, 7.0, 2.0, 1.0, 9, 4, 6)
    assert one.memory(100, 40) == pytest.approx((26 + 100 + 700 + 5040) / 1e9)
    assert one.memory(100, 4000) == pytest.approx((26 + 100 + 700 + 14 * 9 * 2048) / 1e9)
    small = one.memory(100, 40, nf4=True, checkpointing=True)
    assert small == pytest.approx((4 + 8 * BYTES_NF4 + 6 + 100 + 300 + 5040) / 1e9)


def test_the_worked_example():
    """Qwen2.5-7B has 7,615,616,512 parameters, LoRA of rank 16 on its seven matrices 40,370,176, CLIP's tower 303.5 million
    and 577 positions that need 2 x 0.3035e9 x 577 = 350 GFLOP, and 34 of attention.
    """
    found = need(KNOWN["Qwen2.5-7B"], [KNOWN["CLIP-L-336"]])
    assert found.parameters == 7_615_616_512 and found.patches == 576
    assert 40_370_176 < found.trained < 51e6
    assert found.tower_flops == pytest.approx(384e9, rel=0.02)
    text = table({"Qwen2.5-7B": KNOWN["Qwen2.5-7B"]}, {"CLIP-L-336": KNOWN["CLIP-L-336"]})
    assert text.startswith("ARITHMETIC, not measured") and " 7.62 B " in text
