"""Own LLMs: of every family the loss is the LLM's own, the adapter finds its layers, and rows are packed where they may be."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
import transformers
from llm_families import OWN, SIZES, random_llm, save_family
from tiny_parts import byte_tokenizer

from skymm.conversation import Conversation, Turn
from skymm.data.batches import pack
from skymm.encoded import pad
from skymm.model import language, lora
from skymm.model.build import build_model
from skymm.model.language import decoder_of, head_of, layers_of, why_not_packed

PLAIN = "down_proj gate_proj k_proj o_proj q_proj up_proj v_proj"
# family -> (layers with an adapter, and why rows are padded, None where they are packed)
FAMILIES = {
    "llama": (PLAIN, None),
    "qwen2": (PLAIN, None),
    "qwen3": (PLAIN, None),
    "qwen3_moe": ("k_proj o_proj q_proj v_proj", None),
    "mixtral": ("k_proj o_proj q_proj v_proj", None),
    "gemma2": (PLAIN, "eager"),
    "gemma3_text": (PLAIN, None),
    "phi3": ("down_proj gate_up_proj o_proj qkv_proj", None),
    "glm4": ("down_proj gate_up_proj k_proj o_proj q_proj v_proj", None),
    "gpt_neox": ("dense dense_4h_to_h dense_h_to_4h query_key_value", None),
    "gpt2": ("c_attn c_fc c_proj", None),
    "falcon": ("dense dense_4h_to_h dense_h_to_4h query_key_value", "sdpa"),
    "bloom": ("dense dense_4h_to_h dense_h_to_4h query_key_value", "eager"),
    "cohere": (PLAIN, None),
    "cohere2": (PLAIN, None),
    "granite": (PLAIN, None),
    "hyperclovax": (PLAIN, None),
    "minicpm3": ("down_proj gate_proj kv_a_proj_with_mqa kv_b_proj o_proj q_a_proj q_b_proj up_proj", None),
    "deepseek_v2": ("down_proj gate_proj kv_a_proj_with_mqa kv_b_proj o_proj q_a_proj q_b_proj up_proj", None),
    "deepseek_v3": ("down_proj gate_proj kv_a_proj_with_mqa kv_b_proj o_proj q_a_proj q_b_proj up_proj", None),
    "gpt_oss": ("k_proj o_proj q_proj v_proj", "eager"),
    "qwen3_next": (f"{PLAIN} in_proj_ba in_proj_qkvz out_proj shared_expert_gate", "linear_attention"),
    "qwen3_5_text": (f"{PLAIN} in_proj_a in_proj_b in_proj_qkv in_proj_z out_proj", "linear_attention"),
    "lfm2": ("in_proj k_proj out_proj q_proj v_proj w1 w2 w3", "conv"),
    "granitemoehybrid": (None, "linear_attention"),
    "llama4_text": (PLAIN, "chunked_attention"),
    "stablelm": (PLAIN, "sdpa"),
    "nemotron": ("down_proj k_proj o_proj q_proj up_proj v_proj", "mix"),
    "opt": ("fc1 fc2 k_proj out_proj q_proj v_proj", None),
}
TALKS = [
    Conversation(str(index), (Turn("user", text), Turn("assistant", text[::-1], language="en")))
    for index, text in enumerate(["Is there a cat?", "图里有什么？", "Why is the sky so very blue?"])
]


@pytest.fixture(scope="module", params=FAMILIES)
def joined(request, tmp_path_factory, tiny_model_recipe):
    """(family, the LLM alone, a model around it, its processor, its directory)."""
    directory = save_family(tmp_path_factory.mktemp("llms") / request.param, request.param)
    settings = tiny_model_recipe.lora.model_copy(update={"dropout": 0.0})
    recipe = tiny_model_recipe.model_copy(update={"llm": str(directory), "lora": settings})
    return request.param, random_llm(request.param), *build_model(recipe)


def own_losses(llm, ids, labels):
    logits = llm(input_ids=ids).logits
    losses = F.cross_entropy(logits[0, :-1].float(), labels[0, 1:], ignore_index=-100, reduction="none")
    return losses[labels[0, 1:] != -100]


def test_the_loss_is_the_llms_own_however_it_scales_or_caps_its_logits(joined):
    _, llm, model, processor = joined
    encoded = [processor.chat.encode(talk) for talk in TALKS]
    with torch.no_grad():
        batch = pad(encoded, pad_id=processor.pad_id, side="right")
        found = model(**batch).token_losses
        rows = [pad([one], pad_id=processor.pad_id, side="right") for one in encoded]
        expected = torch.cat([own_losses(llm, row["input_ids"], row["labels"]) for row in rows])
        torch.testing.assert_close(found, expected, rtol=1e-5, atol=2e-5)


def test_rows_are_packed_where_no_conversation_sees_another(joined):
    family, _, model, processor = joined
    reason = FAMILIES[family][1]
    if reason in ("sdpa", "eager"):
        assert model.language_model.config._attn_implementation == reason
        return
    found = why_not_packed(model.language_model)
    assert (found is None) == (reason is None) and (reason or "") in (found or ""), found
    if found is None:
        encoded = [processor.chat.encode(talk) for talk in TALKS]
        with torch.no_grad():
            together = model(**pack(encoded)).token_losses
            apart = [model(**pad([one], pad_id=processor.pad_id, side="right")).token_losses for one in encoded]
        torch.testing.assert_close(together, torch.cat(apart), rtol=1e-4, atol=1e-4)


def test_every_linear_layer_of_the_decoder_has_an_adapter_that_learns(joined):
    family, _, model, processor = joined
    expected = FAMILIES[family][0]
    llm = model.language_model
    targets = model.config.lora["targets"]
    assert expected is None or targets == sorted(set(expected.split()))
    assert not any("head" in name for name, _ in lora.parameters(llm))
    assert all(target in lora.summary(llm) for target in targets)
    fused = {name for name, one in decoder_of(llm).named_parameters() if "experts" in name and one.ndim == 3}
    assert bool(fused) == ("none on" in lora.summary(llm))
    model.train()
    model.freeze_for(["lora"])
    for layer in {id(one): one for _, one in lora.parameters(llm)}.values():
        torch.nn.init.normal_(layer, std=0.05)
    rows = pad([processor.chat.encode(talk) for talk in TALKS], pad_id=processor.pad_id, side="right")
    model(**rows).loss.backward()
    silent = [name for name, one in lora.parameters(llm) if one.grad is None or not one.grad.any()]
    model.zero_grad()
    model.eval()
    assert not silent


def test_answers_are_the_llms_own(joined):
    """gpt-oss without its sinks, Doge without its mask, ... would say something else, and nothing would tell."""
    _, llm, model, processor = joined
    ids = torch.tensor([processor.chat.encode_prompt(TALKS[2]).ids])
    options = {"max_new_tokens": 6, "do_sample": False, "eos_token_id": None, "pad_token_id": 257}
    expected = llm.generate(input_ids=ids, attention_mask=torch.ones_like(ids), **options)[:, ids.shape[1] :]
    with model.lora_off():
        found = model.generate(input_ids=ids, **options)
    assert found[:, -6:].tolist() == expected.tolist()


def test_an_llm_that_cannot_answer_from_embeddings_is_refused_when_it_is_joined(tmp_path, tiny_model_recipe):
    recipe = tiny_model_recipe.model_copy(update={"llm": str(save_family(tmp_path / "llm", "falcon_h1"))})
    with pytest.raises(ValueError, match="FalconH1ForCausalLM generates from token ids only"):
        build_model(recipe)


def test_logits_that_are_made_in_an_unknown_way_are_refused(tiny_llm):
    llm = language.load_llm(str(tiny_llm), dtype=torch.float32, attention="auto")
    llm.register_forward_hook(lambda module, inputs, out: setattr(out, "logits", out.logits * 3) or out)
    with pytest.raises(ValueError, match="makes its logits in a way that is not known here"):
        head_of(llm)


def test_of_a_multimodal_llm_the_words_alone_are_joined_and_adapted(tmp_path, tiny_model_recipe):
    """gemma-3-4b: no adapter for its own vision tower, whose layers have the same names, and it can generate."""
    text = {**SIZES, **OWN["gemma3_text"], "num_hidden_layers": 2}
    vision = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 1, "num_attention_heads": 2}
    vision |= {"image_size": 28, "patch_size": 14}
    config = transformers.Gemma3Config(text_config=text, vision_config=vision, mm_tokens_per_image=4)
    whole = transformers.Gemma3ForConditionalGeneration(config).eval()
    whole.save_pretrained(tmp_path / "llm")
    byte_tokenizer().save_pretrained(tmp_path / "llm")
    model, _ = build_model(tiny_model_recipe.model_copy(update={"llm": str(tmp_path / "llm")}))
    names = {name for name, _ in model.language_model.named_parameters()}
    assert not any("vision" in name for name in names) and len(lora.parameters(model.language_model)) == 2 * 2 * 7
    ids = torch.tensor([[1, 2, 3]])
    with torch.no_grad():
        torch.testing.assert_close(model(input_ids=ids).logits, whole(input_ids=ids).logits)
    assert model.generate(input_ids=ids, max_new_tokens=2, do_sample=False).shape[0] == 1


def test_an_adapter_stays_inside_of_the_decoder():
    """Should a tower be there, then with layers of the same names."""
    llm = random_llm("llama")
    llm.vision_tower = torch.nn.ModuleDict({"q_proj": torch.nn.Linear(4, 4)})
    lora.add(llm, rank=2, alpha=2, dropout=0.0)
    assert len(lora.parameters(llm)) == 2 * 2 * 7 and not any("vision" in name for name, _ in lora.parameters(llm))
    import re

    pattern = lora.peft_config(
        llm, {"rank": 2, "alpha": 2, "dropout": 0, "targets": ["q_proj"]}, name="x"
    ).target_modules
    assert re.fullmatch(pattern, "model.layers.0.self_attn.q_proj") and not re.fullmatch(pattern, "vision_tower.q_proj")


def test_an_llm_with_missing_weights_is_refused(tmp_path):
    from safetensors.torch import load_file, save_file

    save_family(tmp_path, "llama")
    weights = load_file(tmp_path / "model.safetensors")
    weights.pop("model.layers.1.mlp.up_proj.weight")
    save_file(weights, tmp_path / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(ValueError, match=r"1 tensors of a llama are missing, as 'model.layers.1.mlp.up_proj.weight'"):
        language.load_llm(str(tmp_path), dtype=torch.float32, attention="auto")


def test_latents_begin_as_loud_as_words(tmp_path):
    llm = language.load_llm(str(save_family(tmp_path, "gemma3_text")), dtype=torch.float32, attention="auto")
    spoken = llm.get_input_embeddings()(torch.arange(264))
    assert language.embedding_rms(llm) == pytest.approx(spoken.pow(2).mean().sqrt().item(), rel=1e-4)
    assert language.embedding_rms(llm) > 5 * llm.get_input_embeddings().weight.pow(2).mean().sqrt().item()


@pytest.mark.parametrize("family", ["gpt_oss", "falcon", "stablelm"])
def test_an_attention_that_would_be_wrong_is_refused_by_name(tmp_path, family):
    with pytest.raises(ValueError, match='computes attention in a way of its own; use attention = "auto"'):
        language.load_llm(str(save_family(tmp_path, family)), dtype=torch.float32, attention="varlen")


def test_layers_are_found_whatever_they_are_called():
    assert len(layers_of(random_llm("gpt2"))) == len(layers_of(random_llm("llama"))) == 2
    llm = random_llm("gpt2")
    llm.transformer.h = torch.nn.Sequential(*llm.transformer.h)
    with pytest.raises(ValueError, match="no list of layers, which compile and FSDP2 go through"):
        language.compile_layers(llm)
