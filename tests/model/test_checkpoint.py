"""One directory, complete; one reader that says what is missing; and transformers' own doors open it."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import transformers
from PIL import Image
from safetensors.torch import load_file, save_file
from transformers import AutoModelForImageTextToText, AutoProcessor, pipeline
from typer.testing import CliRunner

from skymm.answering.skymm_model import SkyMMAnswerer
from skymm.cli import app
from skymm.model import checkpoint, language
from skymm.model.build import build_model, open_model
from skymm.model.checkpoint import llm_fingerprint, relocate
from skymm.model.modeling import SkyMMForConditionalGeneration

load_model = SkyMMForConditionalGeneration.from_pretrained

QUESTION = "图里有熊猫吗？ Is there a panda?"


@pytest.fixture
def saved(tiny_model, tmp_path):
    model, processor = tiny_model
    torch.manual_seed(3)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "lora_B" in name:
                parameter.normal_(std=0.3)
    model.save_pretrained(tmp_path / "model")
    processor.save_pretrained(tmp_path / "model")
    Image.new("RGB", (50, 40), "orange").save(tmp_path / "picture.png")
    return model, processor, tmp_path / "model", tmp_path / "picture.png"


def test_it_is_a_delta_and_comes_back_equal_in_every_weight_and_answer(saved):
    model, processor, directory, picture = saved
    files = {str(path.relative_to(directory)) for path in directory.rglob("*") if path.is_file()}
    parts = {"config.json", "resampler.safetensors", "lora/adapter_model.safetensors", "lora/adapter_config.json"}
    assert parts <= files and not {"model.safetensors", "pytorch_model.bin"} & files
    again, shown = load_model(str(directory)), picture.read_bytes()
    assert all(torch.equal(a, b) for a, b in zip(model.state_dict().values(), again.state_dict().values(), strict=True))
    expected = SkyMMAnswerer(model.eval(), processor).answer_one(QUESTION, shown)
    assert SkyMMAnswerer.from_directory(directory).answer_one(QUESTION, shown) == expected
    with model.lora_off():
        expected = SkyMMAnswerer(model, processor).answer_one(QUESTION, shown)
    assert SkyMMAnswerer(load_model(str(directory), lora=False), processor).answer_one(QUESTION, shown) == expected


def test_unfrozen_parts_are_saved_whole_and_loaded_over_the_frozen_ones(saved, tmp_path):
    model, _, directory, _ = saved
    frozen = checkpoint.delta_fingerprint(str(directory))
    model.freeze_for(["towers", "llm"])
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.1 * parameter.requires_grad)
    model.save_pretrained(directory)
    again = load_model(str(directory))
    assert all(torch.equal(one, again.state_dict()[name]) for name, one in model.state_dict().items())
    assert again.config.unfrozen == ["llm", "towers"] and not any(tower.trained for tower in again.towers)
    assert checkpoint.delta_fingerprint(str(directory)) != frozen
    again.freeze_for(["resampler"])
    again.save_pretrained(tmp_path / "next")
    named = json.loads((tmp_path / "next" / checkpoint.INDEX).read_text("utf-8"))["weight_map"]
    assert named.keys() == dict(model.named_parameters()).keys(), "every parameter once, tied ones too"
    assert (tmp_path / "next/unfrozen.safetensors").read_bytes() == (directory / "unfrozen.safetensors").read_bytes()
    with pytest.raises(ValueError, match="the towers of this model were trained"):
        _ = again.config.feature_fingerprints
    state = load_file(directory / "unfrozen.safetensors")
    save_file(dict(list(state.items())[1:]), directory / "unfrozen.safetensors")
    with pytest.raises(ValueError, match="does not hold the weights of llm, towers"):
        load_model(str(directory))
    (directory / "unfrozen.safetensors").unlink()
    with pytest.raises(ValueError, match=r"unfrozen\.safetensors is missing"):
        load_model(str(directory))


def test_transformers_auto_classes_and_pipeline_answer_as_skymm_ask_does(saved):
    _, _, directory, picture = saved
    command = ["ask", str(directory), str(picture), QUESTION, "--max-new-tokens", "12"]
    ours = CliRunner().invoke(app, command, catch_exceptions=False).stdout.strip()
    image = Image.open(picture)
    messages = [{"role": "user", "content": [{"type": "image", "image": image}, {"type": "text", "text": QUESTION}]}]
    model = AutoModelForImageTextToText.from_pretrained(directory)
    processor = AutoProcessor.from_pretrained(directory)
    inputs = processor.apply_chat_template(messages, add_generation_prompt=True, tokenize=True, return_dict=True)
    new = model.generate(**inputs, max_new_tokens=12, do_sample=False)[:, inputs["input_ids"].shape[1] :]
    by_auto = processor.batch_decode(new, skip_special_tokens=True)[0].strip()
    pipe = pipeline("image-text-to-text", model=str(directory))
    options = {"max_new_tokens": 12, "do_sample": False, "return_full_text": False}
    by_chat = pipe(text=messages, **options)[0]["generated_text"].strip()
    by_question = pipe(images=image, text=QUESTION, **options)[0]["generated_text"].strip()
    assert by_auto == by_chat == by_question == ours != ""


@pytest.mark.parametrize("order", ["import transformers, skymm", "import skymm.model.modeling, transformers"])
def test_auto_classes_know_skymm_whichever_is_imported_first(saved, order):
    """After skymm alone they do so in every other test."""
    directory = str(saved[2])
    code = (
        f"{order}\n"
        f"model = transformers.AutoModelForImageTextToText.from_pretrained({directory!r})\n"
        f"processor = transformers.AutoProcessor.from_pretrained({directory!r})\n"
        f"config = transformers.AutoConfig.from_pretrained({directory!r})\n"
        "from transformers.pipelines import PIPELINE_REGISTRY as R\n"
        "pipe = R.supported_tasks['image-text-to-text']['impl']\n"
        "print(type(model).__name__, type(processor).__name__, type(config).__name__, pipe.__name__)"
    )
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert printed == ["SkyMMForConditionalGeneration", "SkyMMProcessor", "SkyMMConfig", "OpeningPipeline"]


@pytest.mark.filterwarnings("ignore::FutureWarning")  # peft asks transformers by an old name
def test_the_adapter_is_one_that_peft_can_read(saved, tiny_llm):
    from peft import PeftModel

    model, _, directory, _ = saved
    bare = transformers.AutoModelForCausalLM.from_pretrained(tiny_llm, dtype=torch.float32, attn_implementation="eager")
    adapted = PeftModel.from_pretrained(bare, directory / "lora").eval()
    ids = torch.tensor([[1, 2, 3, 4]])
    with torch.no_grad():
        assert torch.allclose(adapted(ids).logits, model.eval()(input_ids=ids).logits, atol=1e-5)


def test_what_is_missing_damaged_or_another_is_named(saved, tiny_llm):
    directory = saved[2]

    def refused(words, **options):
        with pytest.raises(ValueError, match=words):
            load_model(str(directory), **options)

    for missing in ("config.json", "resampler.safetensors", "lora/adapter_model.safetensors"):
        (directory / missing).rename(directory / "aside")
        refused(missing.rsplit("/", 1)[-1])
        (directory / "aside").rename(directory / missing)
    config = json.loads((directory / "config.json").read_text())
    (directory / "config.json").write_text(json.dumps(config | {"tower_fingerprints": ["0" * 16]}))
    refused("this model was trained with 0000000000000000")
    (directory / "config.json").write_text(json.dumps(config | {"trust_remote_code": True}))
    refused("open the model with trust_remote_code=True")
    load_model(str(directory), trust_remote_code=True)
    path = directory / "resampler.safetensors"
    path.write_bytes(path.read_bytes()[:100])
    refused("resampler.safetensors is damaged", trust_remote_code=True)
    with pytest.raises(ValueError, match="another kind of model"):
        load_model(str(tiny_llm))


@pytest.mark.parametrize("saved_in", ["float32", "bfloat16"])
def test_eyes_and_llm_are_known_in_every_width(tmp_path, tiny_model_recipe, saved_in):
    model, _ = build_model(tiny_model_recipe.model_copy(update={"dtype": saved_in}))
    model.save_pretrained(tmp_path)
    for dtype in ("float32", "bfloat16", "float16"):
        assert load_model(str(tmp_path), dtype=dtype).dtype == getattr(torch, dtype)
    config = json.loads((tmp_path / "config.json").read_text())
    config["tower_fingerprints"] = [model.towers[0].fingerprint_as_cast()]  # as it was written down before
    (tmp_path / "config.json").write_text(json.dumps(config))
    load_model(str(tmp_path))


@pytest.mark.parametrize(("has_amx", "dtype"), [(True, torch.bfloat16), (False, torch.float32)])
def test_what_was_saved_in_bf16_is_opened_in_what_this_processor_multiplies_faster(
    tmp_path, tiny_model_recipe, monkeypatch, has_amx, dtype
):
    for part in build_model(tiny_model_recipe.model_copy(update={"dtype": "bfloat16"})):
        part.save_pretrained(tmp_path)
    monkeypatch.setattr(language, "_cpu_has", lambda *features: has_amx)
    assert open_model(tmp_path)[0].dtype == dtype


@pytest.fixture
def moved(tmp_path, tiny_model_recipe, tiny_llm, tiny_tower):
    """A run with two models whose LLM and tower were moved from `old` to `new`."""
    for part, source in (("llm", tiny_llm), ("tower", tiny_tower)):
        shutil.copytree(source, tmp_path / "old" / part)
    places = {"llm": str(tmp_path / "old/llm"), "towers": [str(tmp_path / "old/tower")]}
    model, _ = build_model(tiny_model_recipe.model_copy(update=places))
    for name in ("run", "run/checkpoints/step-000001"):
        model.save_pretrained(tmp_path / name)
    (tmp_path / "old").rename(tmp_path / "new")
    return tmp_path


def test_what_was_moved_can_be_named_anew(moved):
    with pytest.raises(ValueError, match=r"llm is .*old/llm.*nothing at .*`skymm relocate MODEL --llm DIR`"):
        load_model(str(moved / "run"))
    load_model(str(moved / "run"), llm=str(moved / "new/llm"), towers=[str(moved / "new/tower")])
    command = ["relocate", str(moved / "run"), "--llm", str(moved / "new/llm"), "--tower", str(moved / "new/tower")]
    printed = CliRunner().invoke(app, command, catch_exceptions=False).stdout.split()
    assert printed == [str(moved / "run/checkpoints/step-000001"), str(moved / "run")]
    for directory in printed:
        load_model(directory)


def test_an_llm_with_other_weights_is_told(moved):
    path = moved / "new/llm/model.safetensors"
    changes = {
        "one value": lambda weights: next(iter(weights.values())).view(-1)[100].add_(1),
        "retrained": lambda weights: [tensor.add_(1e-3) for tensor in weights.values()],
        "other": lambda weights: [tensor.normal_() for tensor in weights.values()],
    }
    for change in changes.values():
        weights = load_file(path)
        change(weights)
        save_file(weights, path, metadata={"format": "pt"})
        for act in (load_model, relocate):
            with pytest.raises(ValueError, match=r"the weights of llm .* have fingerprint .*trained with .*replaced"):
                act(str(moved / "run"), llm=str(moved / "new/llm"), towers=[str(moved / "new/tower")])


def test_an_llms_fingerprint_is_of_its_tensors_however_they_are_stored(tmp_path, tiny_llm, monkeypatch):
    first = llm_fingerprint(str(tiny_llm))
    llm = transformers.AutoModelForCausalLM.from_pretrained(tiny_llm)
    llm.save_pretrained(tmp_path, max_shard_size="50KB")
    assert len(list(tmp_path.glob("*.safetensors"))) > 1 and llm_fingerprint(str(tmp_path)) == first
    monkeypatch.setattr(checkpoint, "SAMPLE", 1024)  # as of tensors that are larger than what is read of them
    sampled = llm_fingerprint(str(tmp_path))
    assert sampled == llm_fingerprint(str(tiny_llm)) != first
    with torch.no_grad():
        llm.get_input_embeddings().weight += 0.01
    llm.save_pretrained(tmp_path, max_shard_size="50KB")
    assert llm_fingerprint(str(tmp_path)) != sampled


def test_the_same_seed_builds_the_same_model(tiny_model_recipe):
    one, two = (build_model(tiny_model_recipe, seed=5)[0].state_dict() for _ in range(2))
    assert all(torch.equal(one[name], two[name]) for name in one)
    other = build_model(tiny_model_recipe, seed=6)[0].state_dict()
    assert not torch.equal(one["resampler.latents"], other["resampler.latents"])


def test_loading_heeds_what_it_is_given_and_refuses_the_rest(saved):
    directory = str(saved[2])
    model = AutoModelForImageTextToText.from_pretrained(directory, attn_implementation="eager", dtype="auto")
    assert model.config._attn_implementation == model.language_model.config._attn_implementation == "eager"
    for options, message in (
        ({"state_dict": {}}, "does nothing with state_dict="),
        ({"device_map": {"towers": "cpu", "language_model": "cpu"}}, "loaded onto one device"),
        ({"device_map": "balanced"}, "loaded onto one device"),
        ({"trust_remote_code": True, "output_loading_info": True}, "does nothing with"),
    ):
        for load in (load_model, AutoModelForImageTextToText.from_pretrained):
            with pytest.raises(ValueError, match=message):
                load(directory, **options)


def test_saving_heeds_what_it_is_given(saved, tmp_path):
    model = saved[0]
    other = {name: torch.zeros_like(tensor) for name, tensor in model.state_dict().items()}
    model.save_pretrained(tmp_path / "zeros", state_dict=other, safe_serialization=True)
    assert not load_model(tmp_path / "zeros").resampler.latents.any()
    model.save_pretrained(tmp_path / "nothing", is_main_process=False)
    assert not (tmp_path / "nothing").exists()
    with pytest.raises(ValueError, match="does nothing with push_to_hub=True"):
        model.save_pretrained(tmp_path / "nothing", push_to_hub=True)


def test_answers_end_where_they_learned_to_and_padding_is_no_image(tiny_model_recipe, tmp_path):
    """An LLM whose configuration names another end, and whose padding has no embedding."""
    llm = Path(shutil.copytree(tiny_model_recipe.llm, tmp_path / "llm"))
    tokenizer = transformers.AutoTokenizer.from_pretrained(llm)
    tokenizer.add_tokens([f"<{index}>" for index in range(264 - len(tokenizer))])
    tokenizer.add_special_tokens({"pad_token": "[PAD]"})
    tokenizer.save_pretrained(llm)
    for name in ("config.json", "generation_config.json"):
        (llm / name).write_text(json.dumps(json.loads((llm / name).read_text()) | {"eos_token_id": 7}))
    assert tokenizer.pad_token_id == 264, "as many embeddings as there are"

    recipe = tiny_model_recipe.model_copy(update={"llm": str(llm)})
    model, processor = build_model(recipe)
    assert model.config.image_token_id > 264 > processor.pad_id
    assert model.generation_config.eos_token_id == [7, processor.chat.end_id]
    model.save_pretrained(tmp_path / "run")
    again = type(model).from_pretrained(str(tmp_path / "run"))
    assert again.language_model.generation_config.eos_token_id == [7, processor.chat.end_id]

    tokenizer.add_tokens(["<one more>"])
    tokenizer.save_pretrained(llm)
    with pytest.raises(ValueError, match="'<one more>' as id 265, but the LLM has 264 embeddings"):
        build_model(recipe)
