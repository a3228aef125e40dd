"""SkyMM as a whole: what is frozen, what is learned, and that looking changes nothing but what it should."""

import shutil

import pytest
import torch
import transformers
from PIL import Image
from tiny_parts import save_tiny_llm

from skymm.answering.protocol import Ask
from skymm.answering.skymm_model import SkyMMAnswerer
from skymm.conversation import Conversation, Turn, ask
from skymm.data.batches import pack
from skymm.encoded import pad
from skymm.model.build import build_model
from skymm.model.language import compile_layers
from skymm.recipe import ModelRecipe, parse

PICTURES = [Image.new("RGB", (40, 30), colour) for colour in ("red", "green", "blue")]


def batch_of(model, processor, conversations, pictures):
    encoded = [processor.chat.encode(conversation) for conversation in conversations]
    batch = pad(encoded, pad_id=processor.pad_id, side="right")
    if pictures:
        batch["pixel_values"] = processor.pixels(pictures)[0]
    return batch


def chat(question="Is it red?", answer="Yes", images=("a",)):
    return Conversation("key", (Turn("user", question, tuple(images)), Turn("assistant", answer)))


def test_text_only_logits_without_lora_are_the_untouched_llms_exactly(tiny_model, tiny_llm):
    model, processor = tiny_model
    untouched = transformers.AutoModelForCausalLM.from_pretrained(
        tiny_llm, dtype=torch.float32, attn_implementation="sdpa"
    )
    with torch.no_grad():
        for name, parameter in model.language_model.named_parameters():
            if "lora_B" in name:
                parameter.normal_()
        inputs = processor.chat.encode_prompt(ask("你好 <image>")).ids
        ids = torch.tensor([inputs])
        expected = untouched(ids).logits
        assert not torch.equal(model(input_ids=ids).logits, expected), "LoRA should do something"
        with model.lora_off():
            assert torch.equal(model(input_ids=ids).logits, expected)
        assert not torch.equal(model(input_ids=ids).logits, expected), "and come back"


def test_no_token_is_added_and_the_placeholder_is_no_row_of_the_table(tiny_model, tiny_llm):
    model, processor = tiny_model
    assert len(processor.tokenizer) == len(transformers.AutoTokenizer.from_pretrained(tiny_llm))
    assert model.config.image_token_id >= model.get_input_embeddings().weight.shape[0]
    with pytest.raises(IndexError):
        model.get_input_embeddings()(torch.tensor([[model.config.image_token_id]]))


@pytest.mark.parametrize("unfrozen", [[], ["towers", "llm"]])
@pytest.mark.parametrize("family", ["llama", "qwen2"])
@pytest.mark.parametrize("images", [(), ("a",), ("a", "b")])
def test_any_llm_and_any_number_of_images_train(tmp_path, tiny_model_recipe, family, images, unfrozen):
    recipe = tiny_model_recipe.model_copy(update={"llm": str(save_tiny_llm(tmp_path / "llm", family))})
    model, processor = build_model(recipe)
    model.train().freeze_for(["resampler", "lora", *unfrozen])
    output = model(**batch_of(model, processor, [chat(images=images)], PICTURES[: len(images)]))
    output.loss.backward()
    without = [
        name for name, parameter in model.named_parameters() if parameter.requires_grad and parameter.grad is None
    ]
    assert without == [], "the graph is the same with and without images"
    for part in (model.resampler, *(model.towers if unfrozen else ())):
        seen = any(parameter.grad.any() for parameter in part.parameters() if parameter.requires_grad)
        assert seen == bool(images), "and an image that is not there teaches nothing"


def test_a_stage_changes_exactly_what_it_trains(tiny_model):
    model, processor = tiny_model
    batch = batch_of(model, processor, [chat()], PICTURES[:1])
    for trains in (["resampler"], ["lora"], ["resampler", "lora"], ["towers"], ["llm"], ["lora", "llm"]):
        before = {name: parameter.clone() for name, parameter in model.named_parameters()}
        sizes = model.train().freeze_for(trains)
        trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
        assert sum(sizes.values()) == sum(parameter.numel() for parameter in trained)
        optimizer = torch.optim.SGD(trained, lr=1.0)
        for _ in range(2):  # lora_A learns nothing while lora_B is zero
            optimizer.zero_grad()
            model(**batch).loss.backward()
            optimizer.step()
        changed = {name for name, parameter in model.named_parameters() if not torch.equal(parameter, before[name])}
        places = {"language_model": "llm"}
        assert {
            "lora" if "lora_" in name else places.get(name.split(".")[0], name.split(".")[0]) for name in changed
        } == set(trains)


@pytest.mark.parametrize("trained", [False, True])
def test_layers_of_llm_and_of_trained_towers_are_computed_again(tiny_model, trained):
    model, processor = tiny_model
    model.freeze_for(["lora", "towers"] if trained else ["lora"])
    model.train().checkpoint_activations()
    calls = {"vision": 0, "self_attn": 0}
    for name, module in model.named_modules():
        if name.endswith("layers.0.self_attn"):
            place = "vision" if name.startswith("towers.") else "self_attn"
            module.register_forward_hook(lambda *_, place=place: calls.update({place: calls[place] + 1}))
    model(**batch_of(model, processor, [chat()], PICTURES[:1])).loss.backward()
    assert calls == {"vision": 1 + trained, "self_attn": 2}


def test_only_training_looks_at_a_blank_image(tiny_model):
    model, processor = tiny_model
    ids = torch.tensor([processor.chat.encode(chat(images=())).ids])
    model.freeze_for(["resampler"])
    assert model.train().embed(ids, None).requires_grad and not model.eval().embed(ids, None).requires_grad


def test_training_an_unknown_or_absent_part_is_refused(tiny_model, tiny_model_recipe):
    model, _ = tiny_model
    with pytest.raises(ValueError, match="found 'head'"):
        model.freeze_for(["head"])
    model.config.quantization = "nf4"
    with pytest.raises(ValueError, match="packed weights take no steps"):
        model.freeze_for(["llm"])
    bare, _ = build_model(tiny_model_recipe.model_copy(update={"lora": None}))
    with pytest.raises(ValueError, match="trains 'lora', but the model has none"):
        bare.freeze_for(["lora"])


def test_lora_adapts_the_llm_and_no_tower(tiny_model):
    model, _ = tiny_model
    names = [name for name, _ in model.named_parameters() if "lora_" in name]
    assert len(names) == 2 * 7 * 2 and all(name.startswith("language_model.") for name in names)


def test_wrong_lora_targets_are_named(tiny_model_recipe):
    recipe = ModelRecipe.model_validate({**tiny_model_recipe.model_dump(), "lora": {"targets": ["q_proj", "wqkv"]}})
    with pytest.raises(ValueError, match=r"\['wqkv'\] are not in this LLM"):
        build_model(recipe)


def test_features_replace_pixels(tiny_model):
    model, processor = tiny_model
    batch = batch_of(model, processor, [chat(), chat("And now?")], PICTURES[:2])
    pixels = batch.pop("pixel_values")
    with torch.no_grad():
        by_pixels = model(**batch, pixel_values=pixels).token_losses
        by_features = model(**batch, features=model.encode_images([pixels])).token_losses
    assert torch.equal(by_pixels, by_features)


def test_the_answer_depends_on_the_image(tiny_model):
    model, processor = tiny_model
    losses = [
        model(**batch_of(model, processor, [chat()], [picture])).token_losses for picture in (PICTURES[0], PICTURES[2])
    ]
    assert not torch.allclose(*losses)


def test_padding_on_the_left_is_refused_in_training(tiny_model):
    model, processor = tiny_model
    batch = pad(
        [processor.chat.encode(c) for c in (chat(images=()), chat("longer question", images=()))],
        pad_id=257,
        side="left",
    )
    with pytest.raises(ValueError, match="padded on the right"):
        model(**batch)


def test_padding_does_not_change_the_loss(tiny_model):
    model, processor = tiny_model
    model.eval()
    chats = [chat(), chat("A much longer question, is it not?", "No")]
    together = model(**batch_of(model, processor, chats, PICTURES[:2])).token_losses
    apart = [
        model(**batch_of(model, processor, [one], [picture])).token_losses for one, picture in zip(chats, PICTURES)
    ]
    assert torch.allclose(together, torch.cat(apart), atol=1e-5)


def test_positions_without_an_image_are_an_error(tiny_model):
    model, processor = tiny_model
    batch = batch_of(model, processor, [chat(images=("a", "b"))], PICTURES[:1])
    with pytest.raises(ValueError, match="12 image positions for 1 images of 6 latents each"):
        model(**batch)


def test_many_questions_at_once_are_answered_as_one_by_one(tiny_model, tmp_path):
    model, processor = tiny_model
    paths = []
    for index, picture in enumerate(PICTURES):
        paths.append(tmp_path / f"{index}.png")
        picture.save(paths[-1])
    data = [path.read_bytes() for path in paths]
    questions = [
        Ask("Is it red?", (data[0],)),
        Ask("图里是什么颜色？", (data[1],)),
        Ask("Hello"),
        Ask("a " * 20, (data[2],)),
        Ask("?", (data[0],)),
    ]
    model.generation_config.eos_token_id = None  # random weights like to stop at once
    answerer = SkyMMAnswerer(model, processor, max_new_tokens=8)
    together = [reply.text for _, reply in answerer.answer(questions)]
    assert together == [answerer.answer_one(question.prompt, *question.images) for question in questions]
    assert len(set(together)) > 1


def test_lora_on_nothing_is_refused(tiny_model_recipe):
    with pytest.raises(ValueError, match=r"lora targets \['w_pack'\] are not in this LLM.*q_proj"):
        lora = tiny_model_recipe.lora.model_copy(update={"targets": ["w_pack"]})
        build_model(tiny_model_recipe.model_copy(update={"lora": lora}))
    with pytest.raises(ValueError, match=r"lora\.targets"):
        parse({"lora": {"targets": []}}, ModelRecipe)


def test_four_bits_without_bitsandbytes_are_refused(tiny_model_recipe, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ValueError, match="needs bitsandbytes, which is not installed: pip install bitsandbytes"):
        build_model(tiny_model_recipe.model_copy(update={"quantization": "nf4"}))


def test_only_what_is_trained_wakes_up(tiny_model):
    model, _ = tiny_model
    model.train()
    awake = {name for name, module in model.language_model.named_modules() if module.training}
    assert any("lora_dropout" in name for name in awake)
    assert all("lora_dropout" in name or name.endswith((".layers.0", ".layers.1")) for name in awake)
    assert not any(module.training for module in model.towers.modules() if module is not model.towers)
    model.eval()
    assert not any(module.training for module in model.modules())


@pytest.mark.skipif(not shutil.which("g++"), reason="torch.compile needs a C++ compiler on CPUs")
def test_compiled_layers_give_the_same_losses_and_gradients(tiny_model):
    model, processor = tiny_model
    model.train()
    model.freeze_for(["resampler"])
    found = []
    for compiled in (False, True):
        if compiled:
            compile_layers(model.language_model)
        for texts in (("A?", "Is it red or blue?"), ("How many of them are there?", "B?", "C")):
            row = pack([processor.chat.encode(chat(question=text, images=())) for text in texts])
            output = model(**row)
            output.loss_sum.backward()
            found.append(output.token_losses)
    for plain, fast in zip(found[:2], found[2:]):
        torch.testing.assert_close(plain, fast, rtol=1e-5, atol=1e-5)
