"""Which turns a stage uses, and how examples become a batch."""

import io
from types import SimpleNamespace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from skymm.conversation import Conversation, Turn
from skymm.data.collate import Example, Prepare, choose_turns, collate
from skymm.data.shards import BadSample, Sample


def conversation(polarities: str, key: str = "k") -> Conversation:
    """One pair per letter: p positive, n negative; languages in turn; the image at the first question."""
    turns = []
    for index, letter in enumerate(polarities):
        polarity = {"p": "positive", "n": "negative"}[letter]
        turns += [
            Turn("user", f"q{index}", ("jpg",) if index == 0 else ()),
            Turn("assistant", f"a{index}", (), polarity, "existence", ("en", "zh")[index % 2]),
        ]
    return Conversation(key, tuple(turns))


@settings(max_examples=100, deadline=None)
@given(st.text("pn", min_size=1, max_size=10), st.sampled_from([None, 0.0, 0.25, 0.5, 1.0]), st.integers(1, 10))
def test_questions_keep_their_answers_and_the_image_comes_first(polarities, share, most):
    whole = conversation(polarities)
    chosen = choose_turns(whole, negative_share=share, max_turns=most)
    if chosen is None:
        assert share in (0.0, 1.0, 0.25, 0.5)
        return
    assert chosen.images == ("jpg",) == chosen.turns[0].images
    for question, answer in zip(chosen.turns[0::2], chosen.turns[1::2]):
        assert question.text[1:] == answer.text[1:]
    assert len(chosen.targets) <= most
    order = [turn.text for turn in chosen.targets]
    assert order == [turn.text for turn in whole.targets if turn.text in order]


@pytest.mark.parametrize("share", [0.0, 0.2, 0.5, 0.7, 1.0])
def test_realised_share_of_negatives_is_within_a_hundredth(share):
    chosen = [choose_turns(conversation("ppnpnnpp", str(key)), negative_share=share) for key in range(4000)]
    answers = [turn.polarity for one in chosen if one for turn in one.targets]
    assert answers.count("negative") / len(answers) == pytest.approx(share, abs=0.01)


def test_choices_depend_on_key_and_seed_alone():
    one = [choose_turns(conversation("ppppnn", str(key)), negative_share=0.5, seed=1) for key in range(30)]
    assert one == [choose_turns(conversation("ppppnn", str(key)), negative_share=0.5, seed=1) for key in range(30)]
    assert one != [choose_turns(conversation("ppppnn", str(key)), negative_share=0.5, seed=2) for key in range(30)]


def test_languages_can_be_chosen_and_nothing_left_is_none():
    only = choose_turns(conversation("pppp"), languages=["zh"])
    assert {turn.language for turn in only.targets} == {"zh"}
    assert choose_turns(conversation("p"), languages=["zh"]) is None
    assert choose_turns(conversation("pp")) == conversation("pp")


def png(colour: str) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (4, 4), colour).save(buffer, "PNG")
    return buffer.getvalue()


def encoded(chosen):
    spans = [(turn, 0, 2) for turn in chosen.targets]
    return SimpleNamespace(key=chosen.key, images=chosen.images, targets=spans, ids=[1, 2], labels=[1, 2])


def see(images):
    return [torch.stack([torch.tensor(image.getpixel((0, 0)), dtype=torch.float32) for image in images])]


def test_prepare_decodes_late_and_names_what_it_cannot_read():
    prepare = Prepare(encode=encoded, see=see)
    good = prepare(Sample("k", {"jpg": png("red")}, "s.tar", 0), conversation("pn"))
    assert good.pixels[0].tolist() == [[255.0, 0.0, 0.0]] and good.features is None
    with pytest.raises(ValueError, match=r"s.tar: k.jpg"):
        prepare(Sample("k", {"jpg": b"<html>404</html>"}, "s.tar", 0), conversation("p"))


def test_what_does_not_fit_is_a_counted_skip():
    def refuse(chosen):
        raise ValueError("k: 99 tokens")

    with pytest.raises(BadSample, match=r"s\.tar: k: 99 tokens") as error:
        Prepare(encode=refuse, see=see)(Sample("k", {"jpg": png("red")}, "s.tar", 0), conversation("p"))
    assert error.value.reason == "too long"


def test_an_image_that_is_not_in_the_cache_is_an_error_not_a_slow_path(tmp_path):
    from skymm.data.features import FeatureCache

    prepare = Prepare(encode=encoded, see=see, cache=FeatureCache(tmp_path, fingerprints=["a"], shapes=[(1, 1)]))
    with pytest.raises(ValueError, match="not in the feature cache"):
        prepare(Sample("k", {"jpg": png("red")}, "s.tar", 0), conversation("p"))


def test_an_image_that_was_left_out_is_missed_in_words():
    sample = Sample("k", {"jpg.features.safetensors": b"x", "json": b"{}"}, "s.tar", 0)
    assert sample.images == ("jpg",)
    with pytest.raises(ValueError, match=r's\.tar: k has no image jpg, only what is left of it.*features = "shards"'):
        Prepare(encode=encoded, see=see)(sample, conversation("p"))


def test_images_stand_in_the_order_of_their_rows():
    examples = [
        Example(encoded(conversation("pn", "a")), pixels=[torch.zeros(1, 3)]),
        Example(encoded(conversation("p", "b"))),
        Example(encoded(conversation("n", "c")), pixels=[torch.ones(2, 3)]),
    ]
    batch = collate(examples, lambda rows: {"input_ids": torch.tensor([row.ids for row in rows])})
    assert batch.inputs["pixel_values"][0][:, 0].tolist() == [0, 1, 1] and batch.num_examples == 3
    assert batch.groups == [("en", "positive", 2), ("zh", "negative", 2), ("en", "positive", 2), ("en", "negative", 2)]
