"""Latents learn to name the phrases of an image: each in a slot, in any order, in each language's own places."""

import pytest
import torch
import torch.nn.functional as F

from skymm.conversation import Conversation, Turn
from skymm.encoded import IGNORE
from skymm.model.chat import ChatEncoder
from skymm.train.objectives.words import Words, phrases, slots_of, words_loss
from tests.tiny_parts import byte_tokenizer

K, IMAGE, BLANK = 20, 300, 0
SPANS = slots_of(K)


def said(*answers, images=1):
    turns = [Turn("user", "q", ("jpg", "png")[:images])]
    for text, language in answers:
        turns += [Turn("assistant", text, language=language), Turn("user", "q")]
    return Conversation("key", tuple(turns[:-1]))


def encoded(conversation):
    tokenizer = byte_tokenizer()
    [one] = Words().encode(ChatEncoder(tokenizer, num_latents=K, image_token_id=IMAGE), conversation)
    shown = [tokenizer.decode([label for label in one.labels[start:end] if label != IGNORE]) for start, end, _ in SPANS]
    return one, shown


def labels_of(*slots):
    """Labels of one image with K places: the English slots given, filled with blanks; no Chinese."""
    _, end, size = SPANS[0]
    placed = [label for slot in slots for label in [*slot, *[BLANK] * (size - len(slot))]]
    return torch.tensor([placed + [BLANK] * (end - len(placed)) + [IGNORE] * (K - end)])


def test_phrases_stand_between_marks_and_function_words():
    assert [*phrases("A red car, two dogs and the Eiffel tower.")] == ["red car", "two dogs", "eiffel tower"]
    assert [*phrases("On black: fire, fire.")] == ["black", "fire", "fire"], "how often is said, too"
    assert [*phrases("红色的苹果和两只猫。")] == ["红色苹果", "两只猫"]
    assert [*phrases("")] == [] == [*phrases("...")]


def test_phrases_are_labelled_in_slots_of_their_language():
    assert SPANS == [(0, 6, 2), (6, 20, 4)]
    one, shown = encoded(said(("猫和狗。", "zh"), ("A cat, a dog, an eel.", "en")))
    assert one.ids == [IMAGE] * K
    assert shown[0] == " c d\n\n", "what does not fit is cut, one slot stays empty"
    assert shown[1] == "猫\n狗\n" + "\n" * 6
    assert [(turn.language, start, end) for turn, start, end in one.targets] == [("en", 0, 6), ("zh", 6, 20)]
    one, shown = encoded(said(("猫", "zh")))
    assert one.labels[:6] == [IGNORE] * 6 and shown[1] == "猫" + "\n" * 11, "nothing is learned of the other language"
    with pytest.raises(ValueError, match="2 images"):
        encoded(said(("a", "en"), images=2))


def test_which_slot_says_a_phrase_does_not_matter_but_the_order_in_it_does():
    torch.manual_seed(0)
    table = torch.randn(30, 16)
    labels = labels_of((3, 7), (9,))
    latents = table[labels.clamp(min=0)]
    losses = words_loss(latents, table, labels)
    assert losses.shape == (6,)
    moved = latents[:, [4, 5, 0, 1, 2, 3, *range(6, K)]]
    assert torch.allclose(words_loss(moved, table, labels), losses, atol=1e-5)
    turned = latents[:, [1, 0, *range(2, K)]]
    assert words_loss(turned, table, labels).sum() > losses.sum() + 1


def test_latents_become_their_words_and_spare_ones_the_line_break():
    torch.manual_seed(0)
    table = torch.randn(30, 16)
    labels = torch.cat([labels_of((3, 7), (9,)), labels_of((4,))])
    latents = torch.randn(2, K, 16, requires_grad=True)
    optimizer = torch.optim.Adam([latents], lr=0.05)
    for _ in range(300):
        optimizer.zero_grad()
        words_loss(latents, table, labels).sum().backward()
        optimizer.step()
    nearest = (F.normalize(latents, dim=-1) @ F.normalize(table, dim=-1).T).argmax(-1)
    slots = [sorted(map(tuple, one.unflatten(0, (3, 2)).tolist())) for one in nearest[:, :6]]
    assert slots == [[(0, 0), (3, 7), (9, 0)], [(0, 0), (0, 0), (4, 0)]]


def test_a_word_that_is_said_of_another_image_is_unlikely_here():
    table = torch.eye(16)
    labels = torch.cat([labels_of((3,)), labels_of((4,))])
    latents = table[labels.clamp(min=0)]
    right = words_loss(latents, table, labels)
    latents[0, 10] = table[4]  # a place without a label names what is not there
    wrong = words_loss(latents, table, labels)
    assert (wrong[:6] > right[:6] + 1).all() and torch.equal(wrong[6:], right[6:])


def test_images_of_one_language_stand_in_one_batch():
    torch.manual_seed(0)
    table = torch.randn(30, 64)
    english, chinese = labels_of((3, 7)), torch.full((1, K), IGNORE)
    start, end, size = SPANS[1]
    chinese[:, start:end] = BLANK
    chinese[:, start : start + size] = torch.tensor([11, 12, 13, 14])
    labels = torch.cat([chinese, english])
    latents = table[labels.clamp(min=0)]
    losses = words_loss(latents, table, labels)
    assert losses.shape == (end - start + SPANS[0][1],) and losses.max() < 1
    assert words_loss(latents.flip(0), table, labels).min() > losses.max()


def test_what_is_no_number_is_left_to_the_step_which_says_so():
    table = torch.randn(30, 16)
    labels = labels_of((3, 7))
    assert words_loss(torch.full((1, K, 16), torch.nan), table, labels).isnan().all()
