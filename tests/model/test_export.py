"""Exported models answer as the trained one does, and need less to be there."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
import torch
from PIL import Image

from skymm.model.build import build_model, open_model
from skymm.model.checkpoint import trained_names
from skymm.model.export import export_adapter, export_half, export_merged, export_whole
from skymm.recipe import LoraRecipe


def trained(recipe, directory, **options):
    """A model whose adapter has learned something, saved."""
    lora = LoraRecipe(rank=2, alpha=4, **options)
    model, processor = build_model(recipe.model_copy(update={"lora": lora}))
    torch.manual_seed(1)
    for name, parameter in model.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(parameter, std=0.5)
    model.save_pretrained(directory)
    processor.save_pretrained(directory)
    return model, processor


def logits(model, processor) -> torch.Tensor:
    messages = [{"role": "user", "content": [{"type": "image", "image": Image.new("RGB", (40, 30), "red")}]}]
    messages[0]["content"].append({"type": "text", "text": "What is it?"})
    inputs = processor.apply_chat_template(messages, tokenize=True, return_dict=True, return_tensors="pt")
    with torch.no_grad():
        return model(**inputs).logits[0, -1]


@pytest.mark.parametrize("options", [{}, {"rslora": True}, {"dora": True}, {"dora": True, "rslora": True}])
def test_an_adapter_of_every_kind_is_saved_loaded_and_merged(tmp_path, tiny_model_recipe, options):
    model, processor = trained(tiny_model_recipe, tmp_path / "run", **options)
    scale = next(module.scaling["default"] for module in model.modules() if hasattr(module, "lora_A"))
    assert scale == pytest.approx(4 / 2**0.5 if options.get("rslora") else 4 / 2)
    expected = logits(model, processor)
    with model.lora_off():
        assert not torch.allclose(logits(model, processor), expected, atol=1e-2)
    assert torch.equal(logits(*open_model(tmp_path / "run")), expected)
    export_merged(tmp_path / "run", tmp_path / "merged")
    assert not (tmp_path / "merged" / "lora").exists()
    (tmp_path / "merged").rename(tmp_path / "moved")
    merged, merged_processor = open_model(tmp_path / "moved")
    assert not merged.config.lora and not any("lora" in name for name in merged.state_dict())
    assert torch.allclose(logits(merged, merged_processor), expected, atol=1e-4)
    with pytest.raises(ValueError, match="moved has no adapter to merge"):
        export_merged(tmp_path / "moved", tmp_path / "again")
    with pytest.raises(ValueError, match="run is there already"):
        export_merged(tmp_path / "run", tmp_path / "run")


def test_half_the_size_says_the_same_and_holds_what_it_held(tmp_path, tiny_model_recipe):
    model, processor = trained(tiny_model_recipe, tmp_path / "run")
    export_half(tmp_path / "run", tmp_path / "half")
    half, half_processor = open_model(tmp_path / "half")
    kept, whole = half.state_dict(), model.state_dict()
    for name in trained_names(model):
        assert kept[name].dtype == torch.float32 and torch.equal(kept[name], whole[name].bfloat16().float()), name
    assert torch.allclose(logits(half, half_processor), logits(model, processor), atol=0.1)
    for name in ("resampler.safetensors", "lora/adapter_model.safetensors"):
        small, large = ((tmp_path / folder / name).stat().st_size for folder in ("half", "run"))
        assert small < 0.8 * large  # tiny weights, and a header
    described = json.loads((tmp_path / "half" / "config.json").read_text("utf-8"))
    assert described["text_config"]["_name_or_path"] == tiny_model_recipe.llm, "as the recipe says, not where it lies"


@pytest.mark.parametrize("with_adapter", [True, False])
def test_an_llm_that_was_trained_is_merged_with_what_it_learned(tmp_path, tiny_model_recipe, with_adapter):
    model, processor = trained(tiny_model_recipe, tmp_path / "run")
    if not with_adapter:
        model, processor = build_model(tiny_model_recipe.model_copy(update={"lora": None}))
    model.freeze_for(["towers", "llm"])
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.1 * parameter.requires_grad)
    for part in (model, processor):
        part.save_pretrained(tmp_path / "both")
    expected = logits(model, processor)
    export_merged(tmp_path / "both", tmp_path / "merged")
    merged = open_model(tmp_path / "merged")
    assert torch.allclose(logits(*merged), expected, atol=1e-4) and merged[0].config.unfrozen == ["towers"]
    (tmp_path / "whole").mkdir()
    export_whole(*open_model(tmp_path / "both"), tmp_path / "whole")
    assert torch.allclose(logits(*open_model(tmp_path / "whole")), expected, atol=1e-4)
    with pytest.raises(ValueError, match="the LLM was trained too" if with_adapter else "no adapter"):
        export_adapter(tmp_path / "both", tmp_path / "adapter")


def test_a_merged_model_loads_where_there_is_no_peft(tmp_path, tiny_model_recipe):
    trained(tiny_model_recipe, tmp_path / "run")
    export_merged(tmp_path / "run", tmp_path / "merged")
    code = (
        "import sys; sys.modules['peft'] = None; from skymm.model.build import open_model; "
        f"open_model({str(tmp_path / 'merged')!r}); print('loaded')"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.strip() == "loaded", done.stderr


@pytest.mark.filterwarnings("ignore:.*is_gradient_checkpointing:FutureWarning")  # peft asks transformers by an old name
def test_the_adapter_alone_goes_onto_the_bare_llm(tmp_path, tiny_model_recipe):
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    model, _ = trained(tiny_model_recipe, tmp_path / "run")
    export_adapter(tmp_path / "run", tmp_path / "adapter")
    llm = AutoModelForCausalLM.from_pretrained(tiny_model_recipe.llm, dtype="float32")
    adapted = PeftModel.from_pretrained(llm, tmp_path / "adapter").eval()
    ids = torch.tensor([[5, 6, 7, 8]])
    with torch.no_grad():
        assert torch.allclose(adapted(ids).logits, model.language_model(ids).logits, atol=1e-5)
