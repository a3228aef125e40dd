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


def test_mistakes_are_explained(processor):
    chats = processor.apply_chat_template
    for call, message in (
        (lambda: processor(text=None), "needs text"),
        (lambda: processor(images=[RED], text=["a", "b"]), "1 images for 2 questions"),
        (lambda: chats([user({"type": "audio"})]), "part of type 'audio'"),
        (lambda: chats([user({"type": "video"})]), "part of type 'video' needs"),
        (lambda: chats([user({"type": "video"})], tokenize=False), "leave tokenize=False out"),
        (lambda: chats([user({"type": "image"})]), "part of type 'image' needs \"image\""),
        (lambda: chats([user(TEXT)], chat_template="x"), "LLM's own chat template"),
    ):
        with pytest.raises(ValueError, match=message):
            call()


def test_attention_and_dtype_are_picked_for_the_device(monkeypatch):
    assert pick_attention("auto", "cpu", torch.float32) == "varlen"
    assert pick_attention("sdpa", "cpu", torch.float32) == "sdpa"
    assert pick_attention("auto", "cuda", torch.float32) == "sdpa"
    monkeypatch.setattr("importlib.util.find_spec", lambda name: object() if name == "flash_attn" else None)
    assert pick_attention("auto", "cuda", torch.bfloat16) == "flash_attention_2"
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert pick_attention("auto", "cuda", torch.bfloat16) == "varlen"
    assert pick_dtype("cpu") in (torch.float32, torch.bfloat16)
    # A V100 and a T4 can emulate it, a tenth as fast.
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation=True: including_emulation)
    assert pick_dtype("cuda") == torch.float32


def rendered(processor, *parts, **options):
    return processor.apply_chat_template([user(*parts)], tokenize=False, add_generation_prompt=True, **options)


def test_rendered_text_is_read_as_it_stands(processor):
    text = rendered(processor, {"type": "image"}, TEXT)
    assert text.count(processor.image_token) == 1
    expected = processor.apply_chat_template([user(IMAGE, TEXT)], add_generation_prompt=True)
    for given in (
        {"images": RED, "text": text},
        {"images": [[RED]], "text": [text], "add_special_tokens": False},
    ):
        inputs = processor(**given)
        assert inputs.keys() == expected.keys() and all(torch.equal(inputs[name], expected[name]) for name in expected)
    # An answer alone, as trainers that join prompts and answers have it.
    assert processor.decode(processor(text="Yes<|end|>\n", add_special_tokens=False)["input_ids"][0]) == "Yes<|end|>\n"
    with_system = [{"role": "system", "content": "Be brief."}, user(TEXT)]
    text = processor.apply_chat_template(with_system, tokenize=False, add_generation_prompt=True)
    assert processor.decode(processor(text=text)["input_ids"][0]) == text


def test_images_go_to_rendered_texts_by_their_marks(processor):
    texts = [rendered(processor, {"type": "image"}, {"type": "image"}, TEXT), rendered(processor, TEXT)]
    flat = processor(images=[RED, RED], text=texts)
    nested = processor(images=[[RED, RED], []], text=texts)
    assert torch.equal(flat["input_ids"], nested["input_ids"]) and len(flat["pixel_values"]) == 2
    with pytest.raises(ValueError, match=r"text 0: 2 image marks \('￼'\) for 1 images"):
        processor(images=[[RED], [RED]], text=texts)


def test_what_transformers_asks_for_is_done(processor):
    texts = ["a", "a longer question"]
    left, right = processor(text=texts), processor(text=texts, padding_side="right", padding="longest")
    assert left["attention_mask"][0, 0] == right["attention_mask"][0, -1] == 0
    assert processor(text=texts, pad_to_multiple_of=64)["input_ids"].shape[1] == 64
    filled = processor(text=texts, padding="max_length", max_length=70)["input_ids"]
    assert filled.shape[1] == 70 and (filled[0, :20] == processor.pad_id).all()
    numbers = processor(text=texts, images=[RED, RED], return_tensors="np")
    assert all(type(value).__name__ == "ndarray" for value in numbers.values())
    turns = [
        user(IMAGE, TEXT),
        {"role": "assistant", "content": "a" * 50},
        user(TEXT),
        {"role": "assistant", "content": "b"},
    ]
    options = {"padding_side": "right", "truncation": True, "max_length": 80}
    short = processor.apply_chat_template(turns, processor_kwargs=options, return_assistant_tokens_mask=True)
    text = processor.decode(short["input_ids"][0])
    assert "aaa" not in text and len(short["pixel_values"]) == 1, "the oldest turns go, their picture stays"
    learned = short["input_ids"][0][short["assistant_masks"][0] == 1]
    assert processor.tokenizer.decode(learned) == "b<|end|>"
    assert "aaa" in processor.apply_chat_template(turns, tokenize=False)


def test_what_would_change_nothing_is_refused(processor):
    for options, message in (
        ({"truncation": True}, "truncation=True without max_length"),
        ({"max_length": 9}, "max_length=9 changes nothing without truncation=True"),
        ({"truncation": True, "max_length": 9}, "nothing left to shorten; the limit max_length is 9"),
        ({"padding": False}, "padding = False for texts of"),
        ({"padding": "even"}, "padding is 'even', expected one of"),
        ({"return_tensors": "tf"}, "return_tensors is 'tf', expected one of"),
        ({"truncation": "only_second", "max_length": 9}, "truncation is 'only_second'"),
        ({"enable_thinking": True}, "does nothing with enable_thinking=True"),
        ({"tools": [{"name": "search"}]}, "does nothing with tools="),
        ({"text_kwargs": {"stride": 3}}, "does nothing with stride=3"),
        ({"videos": ["a.mp4"]}, "does nothing with videos="),
    ):
        with pytest.raises(ValueError, match=message):
            processor(text=["a", "a longer question"], **options)
        if "padding" not in options:
            with pytest.raises(ValueError, match=message):
                processor.apply_chat_template([[user(TEXT)], [user(TEXT, TEXT)]], **options)


def test_what_asks_for_nothing_is_no_mistake(processor):
    processor(text="a", images=None, videos=None, enable_thinking=False, truncation=False, return_attention_mask=True)
    processor.apply_chat_template([user(TEXT)], tools=None, documents=[], enable_thinking=False, return_tensors="pt")
