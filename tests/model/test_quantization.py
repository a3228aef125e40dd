"""The LLM in four bits: it trains, only the adapter and the resampler do, and it is opened again as it was."""

import pytest
import torch
import transformers
from tiny_parts import save_tiny_llm

from skymm.conversation import Conversation, Turn
from skymm.data.batches import pack
from skymm.model.build import build_model, open_model

pytest.importorskip("bitsandbytes", reason="bitsandbytes is not installed, and four bits need it")


@pytest.fixture
def wide_llm(tmp_path):
    llm = save_tiny_llm(tmp_path / "llm")
    # Its CPU kernels want widths that are multiples of 32.
    sizes = {"hidden_size": 128, "intermediate_size": 256, "num_key_value_heads": 4, "head_dim": 32}
    config = transformers.AutoConfig.from_pretrained(llm, **sizes)
    transformers.AutoModelForCausalLM.from_config(config).save_pretrained(llm)
    return llm


def test_four_bits_train_and_come_back(tmp_path, wide_llm, tiny_model_recipe):
    model, processor = build_model(tiny_model_recipe.model_copy(update={"llm": str(wide_llm), "quantization": "nf4"}))
    kinds = {type(module).__name__ for module in model.language_model.modules()}
    assert "Linear4bit" in kinds
    model.train()
    model.freeze_for(["resampler", "lora"])
    row = pack([processor.chat.encode(Conversation("a", (Turn("user", "Hi"), Turn("assistant", "Hello"))))])
    model(**row).loss_sum.backward()
    with_gradient = {name for name, parameter in model.named_parameters() if parameter.grad is not None}
    assert with_gradient and all("lora_" in name or name.startswith("resampler.") for name in with_gradient)
    model.save_pretrained(tmp_path / "model")
    processor.save_pretrained(tmp_path / "model")
    again, _ = open_model(tmp_path / "model")
    torch.testing.assert_close(again(**row).loss, model.eval()(**row).loss)


def test_a_configuration_of_transformers_is_taken_and_weights_outlive_being_looked_at(
    tmp_path, wide_llm, tiny_model_recipe
):
    model, processor = build_model(tiny_model_recipe.model_copy(update={"llm": str(wide_llm)}))
    for part in (model, processor):
        part.save_pretrained(tmp_path)
    four = transformers.BitsAndBytesConfig(load_in_4bit=True, bnb_4bit_compute_dtype=torch.float32)
    held = transformers.AutoModelForImageTextToText.from_pretrained(tmp_path, quantization_config=four)
    assert "Linear4bit" in {type(module).__name__ for module in held.language_model.modules()}
    inputs = processor(text="What is it?")
    with torch.no_grad():
        before, whole = held(**inputs).logits, model(**inputs).logits
        held.state_dict()
        assert torch.equal(held(**inputs).logits, before)
    assert torch.corrcoef(torch.stack([before.flatten(), whole.flatten()]))[0, 1] > 0.5
