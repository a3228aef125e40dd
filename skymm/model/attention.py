"""Attention for packed rows: conversations stand one after another in one row, and none of them sees another.

The boundaries travel as `cu_seq_lens_q`, the keyword that flash-attention's callers use, so `flash_attention_2` where it is
installed takes the same call. A segment may also see the beginning of the one before it, which then stands in the row once
for both (two answers to one question): `key_positions` names what each of them sees. Nothing is inferred from position ids:
transformers infers packing only without a mask and without a cache, and mixes conversations silently otherwise.

On CUDA torch's own variable-length kernel does the work. On a CPU each conversation is a few small matrix products: no
padding, no repeated key heads and no mask of the whole row. Rows that are not packed (generation, padded batches) go to
transformers' SDPA.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from functools import cache, lru_cache
from itertools import pairwise
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.attention.varlen import varlen_attn
from torch.utils.flop_counter import register_flop_formula
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import AttentionMaskInterface, sdpa_mask
from transformers.modeling_utils import AttentionInterface

NAME = "varlen"
_PACKING = (NAME, "flash_attention_2", "flash_attention_3", "flash_attention_4", "flex_attention")


def register() -> None:
    """Make "varlen" a value of transformers' `attn_implementation`."""
    AttentionInterface.register(NAME, attention_forward)
    AttentionMaskInterface.register(NAME, _mask)


def packs(attention: str) -> bool:
    """Whether this implementation keeps conversations in one row apart without building a mask of the whole row."""
    return attention in _PACKING


def attention_forward(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    dropout: float = 0.0,
    scaling: float | None = None,
    sliding_window: int | None = None,
    cu_seq_lens_q: Tensor | None = None,
    cu_seq_lens_k: Tensor | None = None,
    max_length_q: int | None = None,
    max_length_k: int | None = None,
    key_positions: Tensor | None = None,
    **kwargs: Any,
) -> tuple[Tensor, None]:
    """query (B, H, T, D), key (B, H_kv, T, D), value (B, H_kv, T, Dv) -> (B, T, H, Dv), as transformers' functions do.

    `key_positions` (S,): where in the row the keys of each segment stand, with boundaries `cu_seq_lens_k`; its queries are
    the last of them. None: each segment sees itself alone.

    Raises ValueError for what changes the scores and is not done here (soft caps, sinks), packed or not; in packed rows also
    for dropout, and for a mask that is more than a sliding window (chunks, ...).
    """
    changes = [name for name in ("softcap", "s_aux", "position_bias") if kwargs.get(name) is not None]
    if changes:
        raise ValueError(f'attention "{NAME}" does not do {changes[0]}; use attention = "eager", and packing = false')
    if cu_seq_lens_q is None:
        return sdpa_attention_forward(
            module, query, key, value, attention_mask, dropout=dropout, scaling=scaling, **kwargs
        )
    what = f"{query.shape[0]} packed rows at once" if query.shape[0] != 1 else "dropout in attention" if dropout else ""
    if attention_mask is not None and sliding_window is None:
        what = "a mask of the LLM's own in packed rows"
    if what:
        raise ValueError(f'attention "{NAME}" does not do {what}; use packing = false with attention = "sdpa"')
    scale = query.shape[-1] ** -0.5 if scaling is None else scaling
    query_THD, key_SGD, value_SGD = (part[0].transpose(0, 1) for part in (query, key, value))
    if key_positions is None:
        cu_seq_lens_k, max_length_k = cu_seq_lens_q, max_length_q
    else:
        key_SGD, value_SGD = key_SGD.index_select(0, key_positions), value_SGD.index_select(0, key_positions)
    lengths = [
        int(starts.diff().max()) if longest is None else int(longest)
        for starts, longest in ((cu_seq_lens_q, max_length_q), (cu_seq_lens_k, max_length_k))
    ]
    window = -1 if sliding_window is None else sliding_window - 1
    given = (query_THD, key_SGD, value_SGD, cu_seq_lens_q, cu_seq_lens_k)
    if query.is_cuda:
        return _on_cuda(*given, *lengths, scale, window)[None], None
    return segments_attention(*given, lengths[1], scale, window)[0][None], None


@cache
def _kernel_shares_key_heads() -> bool:
    """Whether torch's kernel takes fewer key heads than query heads (from 2.12 on)."""
    return "enable_gqa" in inspect.signature(varlen_attn).parameters


def _on_cuda(
    query_THD: Tensor,
    key_SGD: Tensor,
    value_SGD: Tensor,
    cu_seq_lens_q: Tensor,
    cu_seq_lens_k: Tensor,
    longest_q: int,
    longest_k: int,
    scale: float,
    window: int,
) -> Tensor:
    options: dict[str, Any] = {"scale": scale, "window_size": (window, 0)}
    groups = query_THD.shape[1] // key_SGD.shape[1]
    if groups > 1 and _kernel_shares_key_heads():
        options["enable_gqa"] = True
    elif groups > 1:
        key_SGD, value_SGD = key_SGD.repeat_interleave(groups, 1), value_SGD.repeat_interleave(groups, 1)
    # The kernel wants values as wide as keys (DeepSeek's are narrower): zeros are added, and their sums cut off again.
    width = value_SGD.shape[-1]
    value_SGD = F.pad(value_SGD, (0, key_SGD.shape[-1] - width))
    given = (query_THD, key_SGD, value_SGD, cu_seq_lens_q, cu_seq_lens_k, longest_q, longest_k)
    return varlen_attn(*given, **options)[..., :width]


def _mask(*, attention_mask: Tensor | None = None, q_length: int = 0, kv_length: int = 0, **kwargs: Any) -> Any:
    """No mask for whole rows without padding, packed or not: the function above is causal by itself. Else SDPA's."""
    if attention_mask is None and q_length == kv_length and q_length > 1 and kwargs.get("local_size") is None:
        return None
    return sdpa_mask(attention_mask=attention_mask, q_length=q_length, kv_length=kv_length, **kwargs)


# --- CPU ------------------------------------------------------------------------------------------------------------------
# Shape legend: T tokens of the row, t of one conversation, S and s what they see (themselves, where nothing is shared),
# H query heads, G key heads, M = t * H / G, D head width (of values it may be another).

KEEP = 512
"""Longest conversation whose probabilities are kept for the backward pass; of longer ones they are computed again."""


@torch.library.custom_op("skymm::segments_attention", mutates_args=())
def segments_attention(
    query_THD: Tensor,
    key_SGD: Tensor,
    value_SGD: Tensor,
    cu_seq_lens_q: Tensor,
    cu_seq_lens_k: Tensor,
    longest: int,
    scale: float,
    window: int,
) -> tuple[Tensor, Tensor]:
    """Causal attention inside each conversation of a row; `window` is how far back a token sees, -1 without limit.

    `longest` is that of the keys; a conversation's queries are the last of its keys.

    Returns the output (T, H, D), and the probabilities of all conversations one after another, for the backward pass.
    """
    heads = query_THD.shape[1]
    out_THD, kept = _room(query_THD, value_SGD, longest)
    for segment, seen, place in _segments(cu_seq_lens_q, cu_seq_lens_k, heads):
        room = kept[place] if len(kept) else None
        probabilities_GMs = _probabilities(query_THD[segment], key_SGD[seen], scale, window, room)
        out_GMD = torch.bmm(probabilities_GMs, value_SGD[seen].transpose(0, 1))
        out_THD[segment] = _ungrouped(out_GMD, heads)
    return out_THD, kept


def _room(query_THD: Tensor, value_SGD: Tensor, longest: int) -> tuple[Tensor, Tensor]:
    tokens, heads, _ = query_THD.shape
    size = heads * tokens * longest if longest <= KEEP else 0
    return query_THD.new_empty(tokens, heads, value_SGD.shape[-1]), query_THD.new_empty(size)


@segments_attention.register_fake
def _(query_THD, key_SGD, value_SGD, cu_seq_lens_q, cu_seq_lens_k, longest, scale, window):
    return _room(query_THD, value_SGD, longest)


@torch.library.custom_op("skymm::segments_attention_backward", mutates_args=())
def _segments_attention_backward(
    grad_THD: Tensor,
    kept: Tensor,
    query_THD: Tensor,
    key_SGD: Tensor,
    value_SGD: Tensor,
    cu_seq_lens_q: Tensor,
    cu_seq_lens_k: Tensor,
    scale: float,
    window: int,
) -> tuple[Tensor, Tensor, Tensor]:
    grads = [torch.empty(tensor.shape, dtype=tensor.dtype) for tensor in (query_THD, key_SGD, value_SGD)]
    heads, key_heads = query_THD.shape[1], key_SGD.shape[1]
    for segment, seen, place in _segments(cu_seq_lens_q, cu_seq_lens_k, heads):
        if len(kept):
            probabilities_GMs = kept[place].view(key_heads, -1, seen.stop - seen.start)
        else:
            probabilities_GMs = _probabilities(query_THD[segment], key_SGD[seen], scale, window)
        grad_GMD = _grouped(grad_THD[segment], key_heads)
        grads[2][seen] = torch.bmm(probabilities_GMs.transpose(1, 2), grad_GMD).transpose(0, 1)
        grad_GMs = torch.bmm(grad_GMD, value_SGD[seen].permute(1, 2, 0))
        grad_GMs = torch._softmax_backward_data(grad_GMs, probabilities_GMs, -1, probabilities_GMs.dtype)
        grads[0][segment] = _ungrouped(torch.bmm(grad_GMs, key_SGD[seen].transpose(0, 1)).mul_(scale), heads)
        query_GMD = _grouped(query_THD[segment], key_heads)
        grads[1][seen] = torch.bmm(grad_GMs.transpose(1, 2), query_GMD).mul_(scale).transpose(0, 1)
    return grads[0], grads[1], grads[2]


@_segments_attention_backward.register_fake
def _(grad_THD, kept, query_THD, key_SGD, value_SGD, cu_seq_lens_q, cu_seq_lens_k, scale, window):
    return tuple(torch.empty(tensor.shape, dtype=tensor.dtype) for tensor in (query_THD, key_SGD, value_SGD))


def _keep(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, Tensor]) -> None:
    *tensors, _, ctx.scale, ctx.window = inputs
    ctx.save_for_backward(output[1], *tensors)
    ctx.mark_non_differentiable(output[1])


def _backward(ctx: Any, grad_THD: Tensor, _: Tensor | None) -> tuple[Any, ...]:
    grads = _segments_attention_backward(grad_THD, *ctx.saved_tensors, ctx.scale, ctx.window)
    return (*grads, None, None, None, None, None)


segments_attention.register_autograd(_backward, setup_context=_keep)


@register_flop_formula([torch.ops.skymm.segments_attention], get_raw=True)
def _forward_flops(
    query: Tensor, key: Tensor, value: Tensor, starts_q: Tensor, starts_k: Tensor, *rest: Any, **kwargs: Any
) -> int:
    """To torch's counter this is one operator, so it has to be told: two products of (t, D) x (D, s) per head."""
    pairs = int((starts_q.diff().long() * starts_k.diff().long()).sum())
    return 2 * pairs * query.shape[1] * (query.shape[2] + value.shape[2])


@register_flop_formula([torch.ops.skymm.segments_attention_backward], get_raw=True)
def _backward_flops(grad: Tensor, kept: Tensor, *inputs: Any, **kwargs: Any) -> int:
    """Twice the forward pass; what is computed again is no work of the model."""
    return 2 * _forward_flops(*inputs)


def _segments(cu_seq_lens_q: Tensor, cu_seq_lens_k: Tensor, heads: int) -> Iterator[tuple[slice, slice, slice]]:
    """Where each conversation lies in the row, where what it sees lies among the keys, and where its probabilities lie
    among those that are kept.
    """
    place = 0
    for own, seen in zip(pairwise(cu_seq_lens_q.tolist()), pairwise(cu_seq_lens_k.tolist())):
        size = heads * (own[1] - own[0]) * (seen[1] - seen[0])
        if size:
            yield slice(*own), slice(*seen), slice(place, place + size)
        place += size


def _grouped(tensor_tHD: Tensor, key_heads: int) -> Tensor:
    """(t, H, D) -> (G, M, D): the query heads of one key head under one another, so keys are never repeated."""
    length, heads, width = tensor_tHD.shape
    return tensor_tHD.transpose(0, 1).reshape(key_heads, heads // key_heads * length, width)


def _ungrouped(tensor_GMD: Tensor, heads: int) -> Tensor:
    return tensor_GMD.view(heads, -1, tensor_GMD.shape[-1]).transpose(0, 1)


def _probabilities(query_tHD: Tensor, key_sGD: Tensor, scale: float, window: int, room: Tensor | None = None) -> Tensor:
    """(G, M, s), each row a sum of one; written into `room` where there is one."""
    length, key_heads = key_sGD.shape[:2]
    mask = _kept_mask if length <= KEEP else _mask_of
    mask_hss = mask(length, query_tHD.shape[1] // key_heads, window, query_tHD.dtype)
    mask_Ms = mask_hss[:, length - len(query_tHD) :].reshape(-1, length)
    # Added inside the product: a pass over the scores of all heads would cost half as much as their softmax.
    scores_GMs = torch.baddbmm(mask_Ms, _grouped(query_tHD, key_heads), key_sGD.permute(1, 2, 0), alpha=scale)
    if room is None:
        return torch.softmax(scores_GMs, -1)
    return torch.softmax(scores_GMs, -1, out=room.view_as(scores_GMs))


def _mask_of(length: int, heads_per_key: int, window: int, dtype: torch.dtype) -> Tensor:
    mask_ss = torch.full((length, length), float("-inf"), dtype=dtype).triu_(1)
    if window >= 0:
        mask_ss += torch.full_like(mask_ss, float("-inf")).tril_(-window - 1)
    return mask_ss.repeat(heads_per_key, 1, 1)


# Every layer of every step needs the masks of the same few lengths; of the longest ones a hundred take 150 MB.
_kept_mask = lru_cache(maxsize=100)(_mask_of)
