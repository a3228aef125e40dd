"""Contrast while decoding, against its formula done slowly: one question at a time, everything read anew at every token."""

import math
import re
from dataclasses import replace

import pytest
import torch
import transformers
from test_local_models import ASKS, BLUE, GREEN, RED, YES_NO, answerer, replies
from tiny_parts import VLM_TEMPLATE, byte_tokenizer

from skymm.answering.contrast import contrasted, contrasted_choices, with_less
from skymm.answering.protocol import Ask, Sampling
from skymm.answering.skymm_model import SkyMMAnswerer
from skymm.answering.transformers_model import TransformersAnswerer
from skymm.conversation import Turn
from skymm.images import open_image
from skymm.recipe import ContrastRecipe

__all__ = ["answerer"]  # the fixture: ours, and a VLM of transformers' own

P, Q = [0.5, 0.3, 0.19, 0.01], [0.7, 0.1, 0.1, 0.1]


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"strength": 0.0, "beta": 0.0}, P),
        ({"strength": 1.0, "beta": 0.0}, [0.25 / 0.7, 0.09 / 0.1, 0.0361 / 0.1, 0.0001 / 0.1]),
        ({"strength": 1.0, "beta": 0.1}, [0.25 / 0.7, 0.09 / 0.1, 0.0361 / 0.1, 0]),  # 0.01 < 0.1 * 0.5
        ({"strength": 1.0, "beta": 0.5}, [0.25 / 0.7, 0.09 / 0.1, 0, 0]),
        ({"strength": 0.5, "beta": 0.0}, [p**1.5 / q**0.5 for p, q in zip(P, Q)]),
        ({"strength": 1.0, "gate": 0.51, "beta": 0.5}, [0.25 / 0.7, 0.09 / 0.1, 0, 0]),
        ({"strength": 1.0, "gate": 0.49, "beta": 0.5}, P),  # sure enough
    ],
)
def test_the_formula(settings, expected):
    shifts = torch.tensor([[3.0], [-2.0]])  # logits are log-probabilities up to a number
    seen, less = (torch.tensor([P, P]).log() + shifts), (torch.tensor([Q, Q]).log() - shifts)
    found = torch.softmax(contrasted(seen, less, ContrastRecipe(kind="blind", **settings), [0, 7]), -1)
    wanted = torch.tensor(expected) / sum(expected)
    torch.testing.assert_close(found, wanted.expand(2, -1), rtol=1e-5, atol=1e-6)


def test_it_grows_with_the_text_as_in_m3id():
    """log p + (1 - g) / g * (log p - log q) with g = exp(-0.02 t), computed by hand for P and Q after t tokens."""
    contrast = ContrastRecipe(kind="blind", growth=0.02, beta=0)
    weights = {0: 0.0, 1: 0.020201, 10: 0.221403, 100: 6.389056}
    found = torch.softmax(contrasted(*(torch.tensor([one] * 4).log() for one in (P, Q)), contrast, [*weights]), -1)
    for row, weight in zip(found, weights.values()):
        expected = torch.tensor([p * (p / q) ** weight for p, q in zip(P, Q)])
        torch.testing.assert_close(row, expected / expected.sum(), rtol=1e-4, atol=1e-6)
    assert found[0].tolist() == pytest.approx(P) and found[3, 1] > 0.96, "first nothing, then what the picture adds"
    choices = {"yes": math.log(0.6), "no": math.log(0.3)}
    assert contrasted_choices(choices, {"yes": -0.1, "no": -3.0}, contrast) == pytest.approx(choices)
    endless = contrasted(torch.tensor([P]).log(), torch.tensor([Q]).log(), contrast, [100_000])
    assert endless.isfinite().all() and endless.argmax() == 1
    with pytest.raises(ValueError, match='growth is of kind = "blind"'):
        ContrastRecipe(kind="noised", growth=0.02)


@pytest.mark.parametrize(
    ("settings", "odds"),
    [
        ({"kind": "blind", "strength": 1.0}, (0.6 / 0.3) ** 2 / (0.8 / 0.1)),
        ({"kind": "calibrated", "strength": 1.0}, (0.6 / 0.3) / (0.8 / 0.1)),
        ({"kind": "calibrated", "strength": 0.5}, (0.6 / 0.3) / (0.8 / 0.1) ** 0.5),
        ({"kind": "calibrated", "strength": 1.0, "gate": 0.55}, 0.6 / 0.3),
    ],
)
def test_the_formula_on_choices(settings, odds):
    seen, less = ({"yes": math.log(p), "no": math.log(q)} for p, q in ((0.6, 0.3), (0.8, 0.1)))
    found = contrasted_choices(seen, less, ContrastRecipe(**settings))
    assert found["yes"] - found["no"] == pytest.approx(math.log(odds))
    assert sum(map(math.exp, found.values())) == pytest.approx(0.9), "what they have together stays"


def test_with_less_to_see():
    history = (Turn("user", "Look: here.", ("first",), places=(6,)), Turn("assistant", "Yes."))
    ask = Ask("And this?", (RED, BLUE), history=history)
    blind = with_less(ask, ContrastRecipe(kind="blind"))
    assert blind.images == () and [turn.images for turn in blind.turns] == [(), (), ()]
    assert [turn.text for turn in blind.turns] == ["Look: here.", "Yes.", "And this?"]
    noised, again = (with_less(ask, ContrastRecipe(kind="noised", noise_step=300)) for _ in range(2))
    assert noised == again and len({*noised.images, *ask.images}) == 4
    assert open_image(noised.images[0], "it").size == open_image(RED, "it").size
    blank = with_less(ask, ContrastRecipe(kind="calibrated"))
    assert (
        blank.images[0] == blank.images[1] == with_less(Ask("?", (GREEN,)), ContrastRecipe(kind="calibrated")).images[0]
    )


def slowly(answerer, ask, contrast):
    """Tokens of one question, and the likeliest candidate's probability at each."""
    said, tops = [], []
    while len(said) < answerer.max_new_tokens and said[-1:] != [answerer.model.generation_config.eos_token_id]:
        seen, less = (
            torch.log_softmax(answerer.next_logits([one], [tuple(said)])[0].double(), -1)
            for one in (ask, with_less(ask, contrast))
        )
        top, scores = float(seen.max().exp()), seen
        if top < contrast.gate:
            strength = contrast.strength * (1 if contrast.growth is None else math.exp(contrast.growth * len(said)) - 1)
            scores = (1 + strength) * seen - strength * less
            scores[seen.exp() < contrast.beta * top] = -math.inf
        said.append(int(scores.argmax()))
        tops.append(top)
    return said, tops


@pytest.mark.parametrize("kind", [{"kind": "blind"}, {"kind": "noised"}, {"kind": "blind", "growth": 0.3}])
@pytest.mark.parametrize("gate", [1.0, 0.065])
@torch.inference_mode()
def test_what_is_written_is_the_formula_token_by_token(answerer, kind, gate):
    """In batches, piece by piece, through gates that close and open again."""
    *asks, without = ASKS
    together = [without, *asks]  # it comes first: what holds for it is not what holds for all
    plain = replies(answerer, together, "generate")
    answerer.contrast = contrast = ContrastRecipe(strength=2.0, beta=0.05, gate=gate, **kind)
    tokens, tops = zip(*(slowly(answerer, ask, contrast) for ask in asks))
    is_open = [[top < gate for top in of_one] for of_one in tops]
    assert all(map(all, is_open)) if gate == 1 else any(not one[0] and any(one) for one in is_open)
    first, *found = replies(answerer, together, "generate")
    expected = [answerer.tokenizer.decode(one, skip_special_tokens=True).strip() for one in tokens]
    assert [reply.text for reply in found] == expected != [reply.text for reply in plain[1:]]
    assert first.text == plain[0].text, "without a picture there is nothing to take off"
    assert first.logits == pytest.approx(plain[0].logits, abs=1e-4)
    for ask, reply in zip(asks, found):
        assert "".join(answerer.stream(ask)) == reply.text
    for written, compared in zip(found, replies(answerer, asks, "logits")):
        assert written.logits is None or written.logits == pytest.approx(compared.logits, abs=1e-4)
    assert answerer.decoding["contrast"] == contrast.model_dump(exclude_none=True)


def test_strength_0_is_plain_decoding(answerer):
    plain = {mode: replies(answerer, ASKS, mode) for mode in ("generate", "logits")}
    decoding = answerer.decoding
    for kind in ("blind", "noised", "calibrated"):
        answerer.contrast = ContrastRecipe(kind=kind, strength=0)
        assert {mode: replies(answerer, ASKS, mode) for mode in plain} == plain and answerer.decoding == decoding
    # And the formula itself goes there.
    answerer.contrast = ContrastRecipe(kind="blind", strength=1e-9, beta=0)
    assert [reply.text for reply in replies(answerer, ASKS, "generate")] == [reply.text for reply in plain["generate"]]


def test_sampling_is_from_the_contrasted_candidates(answerer):
    """With beta 1 the likeliest candidate alone is left: sampling under that name is greedy decoding."""
    hot = [replace(ask, sampling=Sampling(temperature=50.0)) for ask in ASKS[:3]]
    greedy = [reply.text for reply in replies(answerer, ASKS[:3], "generate")]
    torch.manual_seed(0)
    assert [reply.text for reply in replies(answerer, hot, "generate")] != greedy
    answerer.contrast = ContrastRecipe(kind="blind", beta=1.0)
    assert [reply.text for reply in replies(answerer, hot, "generate")] == greedy


def test_both_sides_are_read_once(answerer):
    llm = answerer.model.language_model if isinstance(answerer, SkyMMAnswerer) else answerer.model.model.language_model
    read = []

    def count(module, args, kwargs, output):
        given = kwargs["inputs_embeds"] if kwargs.get("inputs_embeds") is not None else kwargs["input_ids"]
        read.append(given.shape[0] * given.shape[1])

    asks = [replace(ASKS[0], choices=())]
    steps, contrast = answerer.max_new_tokens - 1, ContrastRecipe(kind="blind")
    less = answerer.inputs([with_less(asks[0], contrast)])["input_ids"].numel()
    seen = answerer.inputs(asks)["input_ids"].numel()
    hook = llm.register_forward_hook(count, with_kwargs=True)
    for gate, expected in ((1.0, seen + less + 2 * steps), (1e-9, seen + steps)):
        read.clear()
        answerer.contrast = contrast.model_copy(update={"gate": gate})
        found = replies(answerer, asks, "generate")
        assert all(reply.finish_reason == "length" for reply in found)
        assert sum(read) == expected, "and where no gate opens, nothing is read without the picture"
    hook.remove()


class QwenProcessor:
    """What Qwen's own processor does, without the video side, which wants torchvision."""

    def __init__(self):
        self.tokenizer = byte_tokenizer()
        self.marks = ["<|vision_start|>", "<|image_pad|>", "<|vision_end|>", "<|video_pad|>"]
        self.tokenizer.add_special_tokens({"additional_special_tokens": self.marks})
        self.chat_template = VLM_TEMPLATE.replace("<image>", "".join(self.marks[:3]))
        self.pictures = transformers.Qwen2VLImageProcessorPil(min_pixels=56 * 56, max_pixels=112 * 112)

    def apply_chat_template(self, messages, **options):
        given = {"chat_template": self.chat_template, "add_generation_prompt": True, "tokenize": False}
        return self.tokenizer.apply_chat_template(messages, **given)

    def __call__(self, text, images, **options):
        found, pad = {}, self.marks[1]
        if images is not None:
            found = self.pictures(images=[one for row in images for one in row], return_tensors="pt")
            sizes = iter((found["image_grid_thw"].prod(-1) // 4).tolist())
            text = [re.sub(re.escape(pad), lambda _: pad * next(sizes), one) for one in text]
        ids = self.tokenizer(text, **options, return_token_type_ids=False)
        is_picture = ids["input_ids"] == self.tokenizer.convert_tokens_to_ids(pad)
        return {**found, **ids, "mm_token_type_ids": is_picture.long()}


def test_a_model_that_counts_from_what_it_read_last_counts_for_each_side():
    """Qwen's positions behind a picture depend on its size, and are kept in the model between calls."""
    torch.manual_seed(0)
    processor = QwenProcessor()
    start, image, end, video = map(processor.tokenizer.convert_tokens_to_ids, processor.marks)
    sizes = {"hidden_size": 32, "intermediate_size": 48}
    rope = {"rope_type": "default", "mrope_section": [2, 1, 1], "rope_theta": 1e4}
    heads = {"num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2, "initializer_range": 0.2}
    config = transformers.Qwen2_5_VLConfig(
        text_config={**sizes, **heads, "vocab_size": 264, "rope_parameters": rope, "pad_token_id": 257},
        vision_config={**sizes, "depth": 2, "num_heads": 4, "out_hidden_size": 32, "fullatt_block_indexes": [1]},
        **{
            "image_token_id": image,
            "video_token_id": video,
            "vision_start_token_id": start,
            "vision_end_token_id": end,
        },
    )
    model = transformers.Qwen2_5_VLForConditionalGeneration(config).float()
    answerer = TransformersAnswerer(model, processor, name="qwen", max_new_tokens=4)
    asks = [Ask("Is it red?", (RED,), YES_NO), Ask("Is it a long question about green?", (GREEN,), YES_NO)]
    contrast = ContrastRecipe(kind="blind", strength=2.0)
    seen, less = (replies(answerer, some, "logits") for some in (asks, [with_less(ask, contrast) for ask in asks]))
    expected = [contrasted_choices(one.logits, other.logits, contrast) for one, other in zip(seen, less)]
    answerer.contrast = contrast
    for mode in ("logits", "generate"):
        for reply, logits in zip(replies(answerer, asks, mode), expected):
            assert reply.logits == pytest.approx(logits, abs=1e-4), mode


def test_calibration_takes_a_blank_picture_off_once_per_question_text(answerer, monkeypatch):
    asks = [Ask("Is it red?", (RED,), YES_NO), Ask("Is it red?", (BLUE,), YES_NO), Ask("Was it?", (BLUE,), YES_NO)]
    seen = [reply.logits for reply in replies(answerer, asks, "logits")]
    contrast = ContrastRecipe(kind="calibrated", strength=0.5)
    less = [reply.logits for reply in replies(answerer, [with_less(ask, contrast) for ask in asks], "logits")]
    answerer.contrast = contrast
    shown, inputs = [], answerer.inputs
    monkeypatch.setattr(answerer, "inputs", lambda asks: shown.extend(asks) or inputs(asks))
    for reply, with_it, without in zip(replies(answerer, asks, "logits"), seen, less):
        expected = (with_it["yes"] - with_it["no"]) - 0.5 * (without["yes"] - without["no"])
        assert reply.logits["yes"] - reply.logits["no"] == pytest.approx(expected, abs=1e-4)
        assert reply.text == ("Yes" if expected > 0 else "No")
    blank = with_less(asks[0], contrast).images
    assert sorted(ask.prompt for ask in shown if ask.images == blank) == ["Is it red?", "Was it?"]
    shown.clear()
    replies(answerer, [Ask("Is it red?", (GREEN,), YES_NO)], "logits")
    assert [ask.images for ask in shown] == [(GREEN,)], "known from before"
