"""One walk gives ids, labels and image positions, and they cannot disagree."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_parts import byte_tokenizer

from skymm.conversation import Conversation, Turn
from skymm.encoded import IGNORE, pad
from skymm.model.chat import ChatEncoder

K, IMAGE = 4, 1000
TOKENIZER = byte_tokenizer()
END = TOKENIZER.eos_token_id


def encoder(**options) -> ChatEncoder:
    return ChatEncoder(TOKENIZER, num_latents=K, image_token_id=IMAGE, **options)


def chat(*pairs: tuple[str, str], images: int = 1, system: str | None = None) -> Conversation:
    turns = [Turn("system", system)] if system is not None else []
    for index, (question, answer) in enumerate(pairs):
        shown = tuple(f"{i}.jpg" for i in range(images)) if index == 0 else ()
        turns += [Turn("user", question, shown), Turn("assistant", answer, language="zh" if answer == "是" else "en")]
    return Conversation("key", tuple(turns))


texts = st.text(min_size=1, max_size=30).filter(str.strip) | st.sampled_from(
    ["<image>", "<|end|>", "<|start|>user", "是", "有熊猫吗？"]
)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(texts, texts), min_size=1, max_size=4), st.integers(0, 3), st.none() | texts)
def test_labels_are_the_answers_and_nothing_else(pairs, images, system):
    encoded = encoder().encode(chat(*pairs, images=images, system=system))
    assert len(encoded.ids) == len(encoded.labels)
    assert encoded.ids.count(IMAGE) == images * K
    learned = [token for token in encoded.labels if token != IGNORE]
    expected = []
    for _, answer in pairs:
        expected += [*TOKENIZER(answer, add_special_tokens=False, split_special_tokens=True)["input_ids"], END]
    assert learned == expected
    assert all(label in (IGNORE, token) for token, label in zip(encoded.ids, encoded.labels))


def test_target_spans_point_at_the_labels_of_their_turn():
    encoded = encoder().encode(chat(("有吗？", "是"), ("Is it?", "No")))
    said = [(turn.text, TOKENIZER.decode(encoded.labels[start : end - 1])) for turn, start, end in encoded.targets]
    assert said == [("是", "是"), ("No", "No")]
    assert all(encoded.labels[end - 1] == END for _, _, end in encoded.targets)


@settings(max_examples=40, deadline=None)
@given(texts)
def test_what_people_write_never_becomes_a_control_token(text):
    encoded = encoder().encode(chat((text, "Yes")))
    assert sum(token == END for token in encoded.ids) == 2  # one per turn, from the template
    assert IMAGE not in TOKENIZER(text)["input_ids"]


def test_prompt_is_the_same_walk_without_the_answer_and_the_text_is_the_templates():
    conversation = chat(("Is it?", "No"), images=0)
    prompt, full = encoder().encode_prompt(conversation).ids, encoder().encode(conversation).ids
    assert full[: len(prompt)] == prompt and TOKENIZER.decode(prompt[-11:]).endswith("assistant\n")
    messages = [{"role": "user", "content": "Is it?"}, {"role": "assistant", "content": "No"}]
    assert TOKENIZER.decode(full) == TOKENIZER.apply_chat_template(messages, tokenize=False)


def test_system_turn_of_the_recipe_is_used_only_where_there_is_none():
    assert "Be brief" in TOKENIZER.decode(encoder(system="Be brief").encode(chat(("a", "b"), images=0)).ids)
    text = TOKENIZER.decode(encoder(system="Be brief").encode(chat(("a", "b"), images=0, system="Own")).ids)
    assert "Own" in text and "Be brief" not in text


def test_too_long_drops_the_oldest_questions_and_keeps_every_image():
    conversation = chat(("first" * 10, "one"), ("second" * 10, "two"), ("third", "three"), images=2)
    whole = len(encoder().encode(conversation).ids)
    for limit, left in ((whole, ["one", "two", "three"]), (whole - 1, ["two", "three"]), (70, ["three"])):
        shorter = encoder().encode(conversation, max_length=limit)
        assert shorter.ids.count(IMAGE) == 2 * K and [turn.text for turn, _, _ in shorter.targets] == left
    with pytest.raises(ValueError, match=r"key: \d+ tokens, 8 of them image positions.*max_length is 20"):
        encoder().encode(chat(("a question", "an answer"), images=2), max_length=20)


def test_images_stand_where_the_turn_has_them():
    turns = (Turn("user", "Is , or ?", ("a", "b"), places=(3, 8)), Turn("assistant", "No"))
    encoded = encoder().encode(Conversation("key", turns))
    shown = TOKENIZER.decode([TOKENIZER("#").input_ids[0] if token == IMAGE else token for token in encoded.ids])
    assert "Is ####, or ####?" in shown and encoded.images == ("a", "b")


def test_a_template_without_an_end_mark_still_teaches_stopping():
    tokenizer = byte_tokenizer()
    tokenizer.chat_template = (
        "{% for message in messages %}{{ message['role'] }}: {{ message['content'] }}\n{% endfor %}"
    )
    encoded = ChatEncoder(tokenizer, num_latents=K, image_token_id=IMAGE).encode(chat(("a", "b")))
    learned = [token for token in encoded.labels if token != IGNORE]
    assert learned == [*tokenizer("assistant: b", add_special_tokens=False)["input_ids"], END]


def test_what_cannot_be_encoded_is_an_error():
    tokenizer = byte_tokenizer()
    tokenizer.chat_template = None
    with pytest.raises(ValueError, match="no chat template"):
        ChatEncoder(tokenizer, num_latents=K, image_token_id=IMAGE)
    with pytest.raises(ValueError, match="no assistant turn"):
        encoder().encode(Conversation("key", (Turn("user", "hello"),)))


def test_padding_stands_on_the_side_asked_for():
    short, long = encoder().encode(chat(("a", "b"))), encoder().encode(chat(("a longer one", "b")))
    length = len(short.ids)
    for side, kept in (("right", slice(0, length)), ("left", slice(-length, None))):
        batch = pad([short, long], pad_id=END, side=side)
        assert batch["input_ids"][0, kept].tolist() == short.ids
        assert batch["labels"][0, kept].tolist() == short.labels
        assert batch["attention_mask"][0].sum() == length and batch["attention_mask"][0, kept].all()
        assert (batch["labels"][batch["attention_mask"] == 0] == IGNORE).all()
    with pytest.raises(ValueError, match="side is 'middle'"):
        pad([short], pad_id=END, side="middle")
