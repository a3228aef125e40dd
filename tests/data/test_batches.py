"""Which turns a stage uses, and how examples become a batch."""

import io
from collections import Counter
from types import SimpleNamespace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from skymm.conversation import Conversation, Turn
from skymm.data.batches import Example, Prepare, choose_turns, collate, micro_batches, pack
from skymm.data.shards import BadSample, Sample
from skymm.encoded import IGNORE, Encoded
from skymm.recipe import StageRecipe, parse


def conversation(polarities: str, key: str = "k") -> Conversation:
    """One pair per letter: p positive, n negative, c caption, u none; languages in turn; the image at the first."""
    turns = []
    for index, letter in enumerate(polarities):
        polarity = {"p": "positive", "n": "negative", "c": "positive", "u": None}[letter]
        turns += [
            Turn("user", f"q{index}", ("jpg",) if index == 0 else ()),
            Turn(
                "assistant",
                f"a{index}",
                (),
                polarity,
                "caption" if letter == "c" else "existence",
                ("en", "zh")[index % 2],
            ),
        ]
    return Conversation(key, tuple(turns))


@settings(max_examples=100, deadline=None)
@given(st.text("pnc", min_size=1, max_size=10), st.sampled_from([None, 0.0, 0.25, 0.5, 1.0]), st.integers(1, 10))
def test_questions_keep_their_answers_and_their_order(polarities, share, most):
    whole = conversation(polarities)
    chosen = choose_turns(whole, negative_share=share, max_turns=most)
    if chosen is None:
        assert not (set(polarities) == {"p", "n"} and share in (None, 0.25, 0.5))
        return
    assert chosen.images == ("jpg",) == chosen.turns[0].images
    for question, answer in zip(chosen.turns[0::2], chosen.turns[1::2]):
        assert question.text[1:] == answer.text[1:]
    assert len(chosen.targets) <= most
    order = [turn.text for turn in chosen.targets]
    assert order == [turn.text for turn in whole.targets if turn.text in order]


@pytest.mark.parametrize("polarities", ["pn", "pnpn", "ppnpnnpp", "ppppnnnn", "npcnnnpc"])
@pytest.mark.parametrize("share", [0.0, 0.2, 0.5, 0.7, 1.0])
def test_shares_come_true_and_no_answer_tells_the_next(polarities, share):
    """Against who knows the recipe, the number of the question and all answers before it, on average and in the worst case."""
    chosen = [choose_turns(conversation(polarities, str(key)), negative_share=share) for key in range(3000)]
    heard = ["".join(turn.polarity[0] for turn in one.targets if turn.kind != "caption") for one in chosen if one]
    answers = "".join(heard)
    assert answers.count("n") / len(answers) == pytest.approx(share, abs=0.02)
    after = Counter((one[:index], one[index]) for one in heard for index in range(len(one)))
    for before in {before for before, _ in after}:
        yes, no = after[before, "p"], after[before, "n"]
        if yes + no >= 200:
            assert no / (yes + no) == pytest.approx(share, abs=0.11)
    if share == 0.5:
        histories = {before for before, _ in after}
        assert sum(max(after[one, "p"], after[one, "n"]) for one in histories) / len(answers) <= 0.55


@pytest.mark.parametrize(
    ("polarities", "share", "kept"),
    [
        ("pp", 0.5, None),
        ("n", 0.5, None),
        ("c", 0.5, "c"),
        ("pcp", 0.5, "c"),
        ("pcn", 0.0, "pc"),
        ("pcn", 1.0, "n"),
        ("p", 1.0, None),
        ("u", 0.5, None),
    ],
)
def test_captions_are_not_counted_and_what_cannot_be_balanced_is_not_taken(polarities, share, kept):
    chosen = choose_turns(conversation(polarities), negative_share=share)
    assert kept == (chosen and "".join(polarities[int(turn.text[1:])] for turn in chosen.targets))


@pytest.mark.parametrize(
    ("kept", "shown"),
    [
        ("010", {1: ("a", "b")}),  # what was shown before it, in its order
        ("001", {2: ("a", "b", "c")}),
        ("101", {0: ("a",), 2: ("b", "c")}),
        ("100", {0: ("a",)}),  # what came later is not shown before it
    ],
)
def test_a_picture_never_moves_to_before_the_questions_that_stood_before_it(kept, shown):
    turns = []
    for index, image in enumerate("abc"):
        language = "en" if kept[index] == "1" else "zh"
        turns += [Turn("user", f"q{index}", (image,)), Turn("assistant", f"a{index}", language=language)]
    chosen = choose_turns(Conversation("k", tuple(turns)), languages=["en"])
    assert {int(turn.text[1:]): turn.images for turn in chosen.turns if turn.role == "user"} == shown


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


def segments(chosen):
    return [Encoded(chosen.key, [1, 9], [IGNORE, 9], chosen.images, [(turn, 1, 2) for turn in chosen.targets])]


def see(images):
    return [torch.stack([torch.tensor(image.getpixel((0, 0)), dtype=torch.float32) for image in images])]


def test_prepare_decodes_late_and_names_what_it_cannot_read():
    prepare = Prepare(encode=segments, see=see)
    good = prepare(Sample("k", {"jpg": png("red")}, "s.tar", 0), conversation("pn"))
    assert good.pixels[0].tolist() == [[255.0, 0.0, 0.0]] and good.features is None
    with pytest.raises(ValueError, match=r"s.tar: k.jpg"):
        prepare(Sample("k", {"jpg": b"<html>404</html>"}, "s.tar", 0), conversation("p"))


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (BadSample("k: 99 tokens", "too long"), "too long"),
        (BadSample("k: no place for a system turn", "system turn"), "system turn"),
        (ValueError("99 tokens"), "cannot be encoded"),
    ],
)
def test_what_cannot_be_encoded_is_a_skip_with_its_own_reason_shard_and_key(error, reason):
    def refuse(chosen):
        raise error

    with pytest.raises(BadSample) as caught:
        Prepare(encode=refuse, see=see)(Sample("k", {"jpg": png("red")}, "s.tar", 0), conversation("p"))
    assert caught.value.reason == reason and str(caught.value) == f"s.tar: k: {str(error).removeprefix('k: ')}"


def test_what_the_stage_does_not_want_is_a_skip_that_says_what_it_found():
    with pytest.raises(
        BadSample, match=r"s\.tar: k: .*1 en positive, 1 zh positive; .*negative_share = 0\.5"
    ) as caught:
        Prepare(encode=segments, see=see, negative_share=0.5)(Sample("k", {}, "s.tar", 0), conversation("pp"))
    assert caught.value.reason == "no turns wanted"


def test_an_image_that_is_not_in_the_cache_is_an_error_not_a_slow_path(tmp_path):
    from skymm.data.features import FeatureCache

    prepare = Prepare(encode=segments, see=see, cache=FeatureCache(tmp_path, fingerprints=["a"], shapes=[(1, 1)]))
    with pytest.raises(ValueError, match="not in the feature cache"):
        prepare(Sample("k", {"jpg": png("red")}, "s.tar", 0), conversation("p"))


def test_an_image_that_was_left_out_is_missed_in_words():
    sample = Sample("k", {"jpg.features.safetensors": b"x", "json": b"{}"}, "s.tar", 0)
    assert sample.images == ("jpg",)
    with pytest.raises(ValueError, match=r's\.tar: k has no image jpg, only what is left of it.*features = "shards"'):
        Prepare(encode=segments, see=see)(sample, conversation("p"))


def test_images_stand_in_the_order_of_their_rows_and_what_python_knows_travels_with_the_batch():
    examples = [
        Example(segments(conversation("pn", "a")), pixels=[torch.zeros(1, 3)]),
        Example(segments(conversation("p", "b"))),
        Example(segments(conversation("n", "c")) * 2, pixels=[torch.ones(2, 3)]),
    ]
    for packing in (True, False):
        batch = collate(examples, pad_id=0, image_token_id=1, packing=packing)
        assert batch.inputs["pixel_values"][0][:, 0].tolist() == [0, 1, 1], "once, whatever shows it"
        assert batch.inputs["image_rows"].tolist() == [0, 1, 2, 1, 2], "as each of two segments does"
        assert (batch.num_examples, batch.num_images, batch.num_tokens, batch.num_positions) == (3, 3, 8, 8)
        assert batch.groups == [
            *(("en", "positive", 1), ("zh", "negative", 1), ("en", "positive", 1)),
            *[("en", "negative", 1)] * 2,
        ]
        assert batch.inputs["label_positions"].tolist() == [1, 3, 5, 7]
        assert batch.inputs["image_positions"].tolist() == [0, 2, 4, 6]


def test_a_row_says_where_its_conversations_are_and_none_learns_the_next_ones_first_token():
    row = pack([Encoded("a", [5, 6, 7], [5, 6, 7]), Encoded("b", [8, 9], [8, 9])])
    assert row["labels"].tolist() == [[IGNORE, 6, 7, IGNORE, 9]] and row["position_ids"].tolist() == [[0, 1, 2, 0, 1]]
    assert row["cu_seq_lens_q"].tolist() == [0, 3, 5] and row["cu_seq_lens_q"].dtype == torch.int32
    assert row["max_length_q"] == row["max_length_k"] == 3


# --- cutting ----------------------------------------------------------------------------------------------------------

STAGE = {"out": "x", "steps": 1, "data": {"a": {"shards": "s"}}}
IDS = {"pad_id": 0, "image_token_id": -1}


def items(lengths):
    return [
        SimpleNamespace(value=Example([Encoded(str(index), [index + 1] * length, [IGNORE] * length)]))
        for index, length in enumerate(lengths)
    ]


@given(
    st.lists(st.integers(1, 60), min_size=1, max_size=20),
    st.none() | st.integers(1, 6),
    st.none() | st.integers(8, 100),
    st.booleans(),
)
def test_every_conversation_is_in_one_pass_and_no_pass_is_too_large(lengths, size, tokens, packing):
    recipe = parse({**STAGE, "micro_batch_size": size, "micro_batch_tokens": tokens}, StageRecipe)
    batches = micro_batches(items(lengths), recipe, **IDS, packing=packing)
    found = sorted(int(one) for batch in batches for one in batch.inputs["input_ids"].flatten() if one)
    assert found == sorted(index + 1 for index, length in enumerate(lengths) for _ in range(length))
    for batch in batches:
        assert size is None or batch.num_examples <= size
        assert tokens is None or batch.inputs["input_ids"].numel() <= tokens or batch.num_examples == 1
        assert batch.num_tokens == int((batch.inputs["input_ids"] != 0).sum())
        assert not packing or (batch.inputs["input_ids"].shape[0] == 1 and 0 not in batch.inputs["input_ids"])


def test_conversations_of_similar_length_are_padded_together():
    recipe = parse({**STAGE, "micro_batch_size": 2}, StageRecipe)
    batches = micro_batches(items([3, 50, 4, 49]), recipe, **IDS, packing=False)
    assert [tuple(batch.inputs["input_ids"].shape) for batch in batches] == [(2, 4), (2, 50)]
