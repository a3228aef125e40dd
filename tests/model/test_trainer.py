"""transformers' Trainer and TRL's, as their users call them: what they count, save and switch on is what they think it is."""

import datasets
import pytest
import torch
from accelerate.state import AcceleratorState
from PIL import Image
from transformers import Trainer, TrainingArguments

from skymm.conversation import Conversation, Turn
from skymm.encoded import pad
from skymm.model.build import build_model
from skymm.model.modeling import SkyMMForConditionalGeneration

pytestmark = pytest.mark.filterwarnings("ignore::FutureWarning")  # trainers call transformers by older names
COLOURS = ("red", "green", "blue", "yellow")
ANSWERS = ("Yes", "No, there is nothing of that kind", "是的", "It is one")  # of several lengths
PLAIN = {"use_cpu": True, "report_to": [], "remove_unused_columns": False, "logging_steps": 1, "save_strategy": "no"}
PLAIN |= {"lr_scheduler_type": "constant", "max_grad_norm": 0.0, "disable_tqdm": True, "dataloader_pin_memory": False}


def build(tiny_model_recipe):
    lora = tiny_model_recipe.lora.model_copy(update={"dropout": 0.0})
    model, processor = build_model(tiny_model_recipe.model_copy(update={"lora": lora}))
    torch.manual_seed(7)
    for name, parameter in model.named_parameters():
        if "lora_B" in name:  # at zero, nothing of lora_A would be learned in the first step
            parameter.data.normal_(std=0.1)
    return model, processor


@pytest.fixture
def built(tiny_model_recipe):
    return build(tiny_model_recipe)


def train(model, processor, out, *, resume=False, batch_size=4, steps=2, **options):
    """Two steps, each over the same four samples, by plain SGD: weights are equal where losses and gradients were."""

    def collate(samples):
        turns = [(Turn("user", "What is it?", ("0",)), Turn("assistant", answer)) for _, answer in samples]
        encoded = [processor.chat.encode(Conversation("k", pair)) for pair in turns]
        pixels = processor.pixels([Image.new("RGB", (32, 32), colour) for colour, _ in samples])
        return pad(encoded, pad_id=processor.pad_id, side="right") | {"pixel_values": pixels[0]}

    AcceleratorState._reset_state(reset_partial_state=True)  # else the first trainer of a process says which precision
    settings = PLAIN | {"output_dir": str(out), "optim": "sgd", "learning_rate": 0.1} | options
    arguments = TrainingArguments(**settings, per_device_train_batch_size=batch_size, max_steps=steps)
    samples = list(zip(COLOURS, ANSWERS))
    trainer = Trainer(model, arguments, train_dataset=samples, data_collator=collate, processing_class=processor)
    trainer.train(resume_from_checkpoint=resume)
    trained = {name: one.detach().clone() for name, one in model.named_parameters() if one.requires_grad}
    return [line["loss"] for line in trainer.state.log_history if "loss" in line], trained


@pytest.fixture
def plain(built, tmp_path):
    """What two steps of four samples give, and the weights before them."""
    model, processor = built
    before = {name: one.clone() for name, one in model.state_dict().items()}
    return before, *train(model, processor, tmp_path / "plain")


def assert_same(found, expected, **tolerance):
    torch.testing.assert_close(found[0], expected[0], **tolerance)
    torch.testing.assert_close(found[1], expected[1], **tolerance)


@pytest.mark.parametrize(
    "options", [{"batch_size": 2, "gradient_accumulation_steps": 2}, {"gradient_checkpointing": True}]
)
def test_neither_accumulation_nor_checkpointing_changes_losses_and_gradients(built, plain, tmp_path, options):
    model, processor = built
    before, *expected = plain
    model.load_state_dict(before)
    assert_same(train(model, processor, tmp_path, **options), expected, rtol=1e-4, atol=1e-5)
    checkpointing = any(getattr(module, "gradient_checkpointing", False) for module in model.language_model.modules())
    assert checkpointing == ("gradient_checkpointing" in options)
    assert any(not torch.equal(one, before[name]) for name, one in expected[1].items() if "lora_A" in name)


def test_a_run_goes_on_from_its_checkpoint_as_if_it_had_not_stopped(built, plain, tmp_path, caplog):
    model, processor = built
    before, losses, weights = plain
    model.load_state_dict(before)
    train(model, processor, tmp_path, steps=1, save_strategy="steps", save_steps=1)
    torch.manual_seed(0)
    for parameter in model.parameters():
        if parameter.requires_grad:
            parameter.data.normal_()
    found = train(model, processor, tmp_path, resume=True)
    assert_same(found, (losses, weights), rtol=1e-4, atol=1e-5)
    assert "missing keys" not in caplog.text and "unexpected keys" not in caplog.text
    again = SkyMMForConditionalGeneration.from_pretrained(tmp_path / "checkpoint-1")
    assert again.config.architectures == ["SkyMMForConditionalGeneration"]


def test_autocast_trains_as_well(tiny_model_recipe, plain, tmp_path):
    found, _ = train(*build(tiny_model_recipe), tmp_path, bf16=True)
    assert found == pytest.approx(plain[1], rel=0.02) and found != plain[1]


def test_what_is_no_part_of_a_checkpoint_is_not_trained_in_vain(built, tmp_path):
    model, _ = built
    model.language_model.get_input_embeddings().requires_grad_(True)
    with pytest.raises(
        ValueError, match=r"embed_tokens.weight is trainable, and this checkpoint holds the resampler, LoRA only"
    ):
        model.save_pretrained(tmp_path)


def test_image_positions_are_never_labels(built):
    model, processor = built
    batch = processor(images=Image.new("RGB", (9, 9)), text="What is it?")
    ids = batch["input_ids"]
    expected = model(**batch, labels=ids.masked_fill(ids == processor.image_token_id, -100)).loss
    assert torch.equal(model(**batch, labels=ids.clone()).loss, expected)


def rows(**columns):
    images = [[Image.new("RGB", (32, 32), colour)] for colour in COLOURS]
    asked = [[{"role": "user", "content": "What is it?"}]] * 4
    answers = {name: [[{"role": "assistant", "content": one}] for one in said] for name, said in columns.items()}
    return datasets.Dataset.from_dict({"images": images, "prompt": asked, **answers})


def assert_only_the_trained_moved(model, before):
    moved = {name for name, one in model.state_dict().items() if not torch.equal(one, before[name])}
    assert moved and all("lora_" in name or name.startswith("resampler.") for name in moved), moved
    assert any("lora_B" in name for name in moved) and any(name.startswith("resampler.") for name in moved)


def trl_losses(kind, model, processor, data, out, **options):
    """What TRL's trainer of that kind ("SFT", "DPO") logs."""
    trl = pytest.importorskip("trl", reason="trl is not installed")
    settings = getattr(trl, f"{kind}Config")(**PLAIN, output_dir=str(out), optim="sgd", bf16=False, **options)
    trainer = getattr(trl, f"{kind}Trainer")(model, args=settings, train_dataset=data, processing_class=processor)
    trainer.train()
    return [line["loss"] for line in trainer.state.log_history if "loss" in line]


def test_trl_fine_tunes_on_the_answers(built, tmp_path):
    model, processor = built
    before = {name: one.clone() for name, one in model.state_dict().items()}
    expected, _ = train(model, processor, tmp_path / "plain")
    model.load_state_dict(before)
    options = {"learning_rate": 0.1, "max_steps": 2, "per_device_train_batch_size": 2, "gradient_accumulation_steps": 2}
    found = trl_losses("SFT", model, processor, rows(completion=ANSWERS), tmp_path, **options)
    # TRL also learns what the template writes behind an answer's end mark.
    assert found == pytest.approx(expected, rel=0.3) and found[1] < found[0]
    assert_only_the_trained_moved(model, before)


@pytest.mark.parametrize("messages", [True, False])
def test_trl_reads_whole_conversations(built, tmp_path, messages):
    data = rows(completion=ANSWERS)
    if messages:
        chats = [[*one["prompt"], *one["completion"]] for one in data]
        data = data.remove_columns(["prompt", "completion"]).add_column("messages", chats)
    assert 0 < trl_losses("SFT", *built, data, tmp_path, max_steps=1, max_length=256)[0] < 12


def test_trl_prefers(built, tmp_path):
    for part in built:
        part.save_pretrained(tmp_path / "model")
    # From a directory, since it is also opened as the reference.
    model = SkyMMForConditionalGeneration.from_pretrained(tmp_path / "model")
    options = {"learning_rate": 0.5, "max_steps": 3, "per_device_train_batch_size": 4}
    before = {name: one.clone() for name, one in model.state_dict().items()}
    data = rows(chosen=ANSWERS, rejected=ANSWERS[::-1])
    losses = trl_losses("DPO", model, built[1], data, tmp_path, **options)
    assert losses[0] == pytest.approx(0.6931, abs=1e-3), "the reference is the model itself"
    assert losses[-1] < losses[0]
    assert_only_the_trained_moved(model, before)
