"""Packed rows: no conversation sees another, on any attention path, forward and backward."""

from itertools import accumulate

import pytest
import torch
import torch.nn.functional as F
from accelerate.utils import send_to_device
from PIL import Image
from tiny_parts import save_tiny_llm
from torch.utils.flop_counter import FlopCounterMode

from skymm.conversation import Conversation, Turn, ask
from skymm.data.batches import pack
from skymm.encoded import pad
from skymm.model import attention
from skymm.model.attention import attention_forward, segments_attention
from skymm.model.build import build_model

# (query heads, key heads, window): alike, grouped, one for all; with and without a limit to looking back.
HEADS = [(6, 6, -1), (6, 2, -1), (4, 1, -1), (6, 2, 3), (4, 4, 0)]
TEXTS = [
    "Is there a cat?",
    "图里有什么？",
    "How many?",
    "Why is the sky of this picture so very blue, and where is the sea?",
]


def boundaries(lengths):
    return torch.tensor([0, *accumulate(lengths)], dtype=torch.int32)


def rows(heads, key_heads, lengths=(5, 1, 11), dtype=torch.float64):
    torch.manual_seed(0)
    shapes = [(sum(lengths), count, 8) for count in (heads, key_heads, key_heads)]
    return [torch.randn(shape, dtype=dtype, requires_grad=True) for shape in shapes], boundaries(lengths)


def one_by_one(parts, cu_seq_lens, scale, window):
    found = []
    for start, end in zip(cu_seq_lens[:-1].tolist(), cu_seq_lens[1:].tolist()):
        query, key, value = (part[start:end].transpose(0, 1)[None] for part in parts)
        back = torch.arange(end - start)[:, None] - torch.arange(end - start)[None]
        mask = (back >= 0) & ((back <= window) if window >= 0 else True)
        one = F.scaled_dot_product_attention(query, key, value, attn_mask=mask, scale=scale, enable_gqa=True)
        found.append(one[0].transpose(0, 1))
    return torch.cat(found)


@pytest.mark.parametrize("keep", [512, 0])
def test_a_packed_row_is_its_conversations_one_by_one_and_so_are_its_gradients(keep, monkeypatch):
    monkeypatch.setattr(attention, "KEEP", keep)
    for heads, key_heads, window in HEADS:
        (query, key, value), cu_seq_lens = rows(heads, key_heads)
        parts = (query, key, value[..., :5])  # narrower than keys, as DeepSeek has them
        packed = segments_attention(*parts, cu_seq_lens, cu_seq_lens, 11, 0.3, window)[0]
        alone = one_by_one(parts, cu_seq_lens, 0.3, window)
        torch.testing.assert_close(packed, alone, rtol=1e-12, atol=1e-12)
        direction = torch.randn_like(alone)
        ours, theirs = (torch.autograd.grad(out, parts, direction) for out in (packed, alone))
        torch.testing.assert_close(ours, theirs, rtol=1e-11, atol=1e-12)


@pytest.mark.parametrize("keep", [512, 0])
def test_a_beginning_that_two_share_stands_in_the_row_once(keep, monkeypatch):
    """[five shared, three of its own] and [the five again, four of its own], then one that shares nothing."""
    monkeypatch.setattr(attention, "KEEP", keep)
    wholes = [[0, 1, 2, 3, 4, 5, 6, 7], [0, 1, 2, 3, 4, 8, 9, 10, 11], [12, 13]]
    starts, seen = boundaries([8, 4, 2]), boundaries([8, 9, 2])
    for heads, key_heads, window in HEADS:
        parts, _ = rows(heads, key_heads, (14,))
        options = {
            "cu_seq_lens_q": starts,
            "cu_seq_lens_k": seen,
            "key_positions": torch.tensor([place for whole in wholes for place in whole]),
        }
        given = [part.transpose(0, 1)[None] for part in parts]
        row = attention_forward(None, *given, None, scaling=0.3, sliding_window=window + 1 or None, **options)[0][0]
        alone = [one_by_one([p[whole] for p in parts], boundaries([len(whole)]), 0.3, window) for whole in wholes]
        alone = torch.cat([alone[0], alone[1][5:], alone[2]])
        torch.testing.assert_close(row, alone, rtol=1e-12, atol=1e-12)
        direction = torch.randn_like(alone)
        ours, theirs = (torch.autograd.grad(out, parts, direction) for out in (row, alone))
        torch.testing.assert_close(ours, theirs, rtol=1e-11, atol=1e-12)


@pytest.mark.parametrize(("lengths", "keep"), [((17,), 512), ((5, 1, 11), 0)])
def test_the_operator_keeps_torchs_rules_for_operators(lengths, keep, monkeypatch):
    """Where several conversations are kept, room is left over whose content means nothing, so torch cannot compare it."""
    monkeypatch.setattr(attention, "KEEP", keep)
    parts, cu_seq_lens = rows(6, 2, lengths, dtype=torch.float32)
    torch.library.opcheck(segments_attention, (*parts, cu_seq_lens, cu_seq_lens, max(lengths), 0.3, -1))


def test_its_products_are_counted():
    parts, cu_seq_lens = rows(6, 2)
    with FlopCounterMode(display=False) as counter:
        segments_attention(*parts, cu_seq_lens, cu_seq_lens, 11, 0.3, -1)[0].sum().backward()
    # Two products forward and four backward, each of 2 * t * t * D per head.
    assert counter.get_total_flops() == 6 * 2 * (5**2 + 1 + 11**2) * 8 * 6


def conversations():
    return [
        Conversation(
            str(index), (Turn("user", text, ("a",) if index % 2 else ()), Turn("assistant", text[::-1], language="en"))
        )
        for index, text in enumerate(TEXTS)
    ]


def losses(model, processor, encoded, implementation, *, packing):
    model.language_model.set_attn_implementation(implementation)
    inputs = pack(encoded) if packing else pad(encoded, pad_id=processor.pad_id, side="right")
    pictures = [Image.new("RGB", (30, 30), colour) for one in encoded for colour in ["red"] * len(one.images)]
    if pictures:
        inputs["pixel_values"] = processor.pixels(pictures)
    return model(**send_to_device(inputs, next(model.parameters()).device))


def gradients(model, loss):
    found = torch.autograd.grad(loss, [parameter for parameter in model.parameters() if parameter.requires_grad])
    return torch.cat([gradient.flatten() for gradient in found])


def compare(model, processor, attention, tolerance):
    encoded = [processor.chat.encode(conversation) for conversation in conversations()]
    model.train()
    model.freeze_for(["resampler", "lora"])
    together = losses(model, processor, encoded, attention, packing=True)
    alone = [losses(model, processor, [one], attention, packing=False) for one in encoded]
    apart = torch.cat([one.token_losses for one in alone])
    torch.testing.assert_close(together.token_losses, apart, rtol=tolerance, atol=tolerance)
    gradient, expected = gradients(model, together.loss_sum), gradients(model, sum(one.loss_sum for one in alone))
    assert (gradient - expected).norm() < tolerance * expected.norm()


@pytest.mark.parametrize("family", ["llama", "qwen2"])
@pytest.mark.parametrize("attention", ["varlen", "sdpa", "eager"])
def test_packed_equals_one_by_one(tmp_path, tiny_model_recipe, attention, family):
    lora = tiny_model_recipe.lora.model_copy(update={"dropout": 0.0})
    llm = str(save_tiny_llm(tmp_path / "llm", family))
    model, processor = build_model(tiny_model_recipe.model_copy(update={"lora": lora, "llm": llm}))
    with torch.no_grad():  # LoRA begins as nothing, and nothing is the same everywhere
        for name, parameter in model.language_model.named_parameters():
            if "lora_B" in name:
                parameter.normal_(std=0.2)
    compare(model, processor, attention, 1e-5)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="the kernels of these attention paths run on CUDA only")
@pytest.mark.parametrize("attention", ["varlen", "flex_attention", "flash_attention_2", "sdpa", "eager"])
def test_packed_equals_one_by_one_on_cuda(tmp_path, tiny_model_recipe, attention):
    import importlib.util

    if attention == "flash_attention_2" and not importlib.util.find_spec("flash_attn"):
        pytest.skip("flash-attn is not installed")
    lora = tiny_model_recipe.lora.model_copy(update={"dropout": 0.0})
    kind = "bfloat16" if attention in ("varlen", "flash_attention_2") else "float32"
    recipe = tiny_model_recipe.model_copy(update={"lora": lora, "dtype": kind})
    model, processor = build_model(recipe, device="cuda")
    compare(model.cuda(), processor, attention, 1e-5 if kind == "float32" else 3e-2)


def test_the_first_label_of_a_conversation_is_not_learned_from_the_one_before(tiny_model):
    _, processor = tiny_model
    encoded = [processor.chat.encode(conversation) for conversation in conversations()[:2]]
    encoded[1].labels[0] = 7
    assert pack(encoded)["labels"][0, len(encoded[0].ids)] == -100


def test_generation_is_what_it_is_with_sdpa(tiny_model):
    model, processor = tiny_model
    inputs = processor.prompts([ask("你好"), ask("What is in this picture, and why?")])
    answers = {}
    for implementation in ("varlen", "sdpa", "eager"):
        model.language_model.set_attn_implementation(implementation)
        answers[implementation] = model.generate(**inputs, max_new_tokens=8, do_sample=False).tolist()
    assert answers["varlen"] == answers["sdpa"] == answers["eager"]


def test_what_it_does_not_do_is_refused():
    chunks = torch.zeros(1, 1, 4, 4)  # Llama 4's
    for words, packed, options in (
        ("softcap", True, {"softcap": 30.0}),
        ("s_aux", True, {"s_aux": torch.zeros(1)}),
        ("s_aux", False, {"s_aux": torch.zeros(1)}),  # in generation it would be lost without a word
        ("dropout", True, {"dropout": 0.1}),
        ("2 packed rows", True, {}),
        ("a mask of the LLM's own", True, {"attention_mask": chunks}),
    ):
        parts = [torch.zeros(2 if "rows" in words else 1, 2, 4, 8) for _ in range(3)]
        packing = {"cu_seq_lens_q": boundaries([4])} if packed else {}
        with pytest.raises(ValueError, match=f"does not do {words}.*packing = false"):
            attention_forward(None, *parts, **{"attention_mask": None, **packing, **options})


@pytest.mark.parametrize("shares_key_heads", [True, False])
def test_torchs_kernel_gets_values_as_wide_as_keys_and_the_heads_that_it_wants(monkeypatch, shares_key_heads):
    """DeepSeek's values are narrower; the kernel itself is a stand-in here, with the rules of the real one."""

    def kernel(query, key, value, starts, seen, _, longest, *, scale, window_size, enable_gqa=False):
        assert query.shape[-1] == key.shape[-1] == value.shape[-1]
        assert enable_gqa == shares_key_heads and (enable_gqa or query.shape[1] == key.shape[1])
        return segments_attention(query, key, value, starts, seen, longest, scale, window_size[0])[0]

    monkeypatch.setattr(attention, "varlen_attn", kernel)
    monkeypatch.setattr(attention, "_kernel_shares_key_heads", lambda: shares_key_heads)
    (query, key, value), starts = rows(6, 2)
    found = attention._on_cuda(query, key, value[..., :5], starts, starts, 11, 11, 0.3, -1)
    torch.testing.assert_close(found, one_by_one((query, key, value), starts, 0.3, -1)[..., :5])
