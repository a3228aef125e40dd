"""The transformers face: chat messages, questions, images from anywhere."""

import pytest
import torch
from PIL import Image

from skymm.model.language import pick_attention, pick_dtype
from skymm.model.processing import SkyMMProcessor

RED = Image.new("RGB", (20, 10), "red")


@pytest.fixture
def processor(tiny_model) -> SkyMMProcessor:
    return tiny_model[1]


def user(*parts):
    return {"role": "user", "content": list(parts)}


IMAGE, TEXT = {"type": "image", "image": RED}, {"type": "text", "text": "图里有什么？"}


def test_a_question_and_the_same_chat_are_the_same_inputs(processor):
    by_question = processor(images=RED, text="图里有什么？")
    by_chat = processor.apply_chat_template([user(TEXT, IMAGE)], add_generation_prompt=True)
    assert by_question.keys() == by_chat.keys() == {"input_ids", "attention_mask", "pixel_values"}
    assert all(torch.equal(by_question[name], by_chat[name]) for name in by_chat)
    assert (by_chat["input_ids"] == processor.image_token_id).sum() == processor.num_latents


def test_batches_are_padded_on_the_left(processor):
    batch = processor(images=[RED, [RED, RED]], text=["short", "a longer question"])
    assert (
        batch["attention_mask"][0, 0] == 0 and batch["attention_mask"][:, -1].all() and len(batch["pixel_values"]) == 3
    )
    chats = [[user(TEXT)], [user(IMAGE, TEXT, {"type": "text", "text": "?"})]]
    assert len(processor.apply_chat_template(chats, add_generation_prompt=True)["input_ids"]) == 2


def test_images_from_files_and_strings(processor, tmp_path):
    RED.save(tmp_path / "red.png")
    by_path = processor.apply_chat_template([user({"type": "image", "path": str(tmp_path / "red.png")}, TEXT)])
    assert torch.equal(by_path["pixel_values"], processor(images=RED, text="x")["pixel_values"])
    plain = processor.apply_chat_template([{"role": "user", "content": "hello"}])
    assert "pixel_values" not in plain


def test_an_answer_can_be_continued(processor):
    messages = [user(TEXT), {"role": "assistant", "content": "I see"}]
    text = processor.apply_chat_template(messages, continue_final_message=True, tokenize=False)
    assert text.endswith("assistant\nI see")
    assert processor.apply_chat_template(messages, tokenize=False).endswith("I see<|end|>\n")


def test_decoding_leaves_image_positions_out(processor):
    batch = processor(images=RED, text="图里有什么？")
    assert processor.batch_decode(batch["input_ids"], skip_special_tokens=True)[0].startswith("user\n图里有什么？")
    assert "图里有什么？" in processor.decode(batch["input_ids"][0])


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda p: p(text=None), "needs text"),
        (lambda p: p(images=[RED], text=["a", "b"]), "1 images for 2 questions"),
        (lambda p: p.apply_chat_template([user({"type": "video"})]), "part of type 'video'"),
        (lambda p: p.apply_chat_template([user({"type": "image"})]), 'an image part needs "image"'),
        (lambda p: p.apply_chat_template([user(TEXT)], chat_template="x"), "LLM's own chat template"),
    ],
)
def test_mistakes_are_explained(processor, call, message):
    with pytest.raises(ValueError, match=message):
        call(processor)


def test_attention_and_dtype_are_picked_for_the_device(monkeypatch):
    assert pick_attention("auto", "cpu", torch.float32) == "varlen"
    assert pick_attention("sdpa", "cpu", torch.float32) == "sdpa"
    assert pick_attention("auto", "cuda", torch.float32) == "sdpa"
    monkeypatch.setattr("importlib.util.find_spec", lambda name: object() if name == "flash_attn" else None)
    assert pick_attention("auto", "cuda", torch.bfloat16) == "flash_attention_2"
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert pick_attention("auto", "cuda", torch.bfloat16) == "varlen"
    assert pick_dtype("cpu") in (torch.float32, torch.bfloat16)
