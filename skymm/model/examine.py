"""What an LLM does, measured on a few tokens when it is named: how logits come from hidden states, what it cannot do here.

Families scale or cap their logits under many names, and one name is a factor in one family and a divisor in another; some
layers mix neighbours in ways that no attention function knows of. A pass over seven tokens shows both.
"""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from itertools import accumulate

import torch
from torch import Tensor, nn

_FACTORS = ("logit_scale", "logits_scaling", "lm_head_multiplier", "output_multiplier", "logits_mup_width_multiplier")
_CAPS = ("final_logit_softcapping", "logits_soft_cap", "output_logit_soft_cap")
# Layers of these kinds keep conversations of one row apart wherever the attention function does.
_PACKABLE = {"full_attention", "sliding_attention", "global", "local"}
_LENGTHS = (7, 5)


@dataclass(frozen=True, slots=True)
class Head:
    """Hidden states -> the LLM's own logits: a matrix, a factor, and a soft cap (`cap * tanh(logits / cap)`) or None."""

    module: nn.Module
    factor: float = 1.0
    cap: float | None = None

    def __call__(self, hidden: Tensor) -> Tensor:
        logits = self.module(hidden)
        if self.factor != 1.0:
            logits = logits * self.factor
        return logits if self.cap is None else self.cap * torch.tanh(logits / self.cap)


def decoder_of(llm: nn.Module) -> nn.Module:
    """Embeddings in, last hidden states out. Raises ValueError where the LLM has no such part."""
    for found in (llm.get_decoder(), llm.base_model, getattr(llm, "model", None)):
        is_other = isinstance(found, nn.Module) and found is not llm
        if is_other and "inputs_embeds" in inspect.signature(found.forward).parameters:
            return found
    raise ValueError(
        f"{type(llm).__name__} has no decoder that reads embeddings, which is where images stand; use another LLM"
    )


def layers_of(llm: nn.Module) -> nn.ModuleList:
    """The decoder's layers, whatever it calls them (`layers`, `h`, `blocks`). Raises ValueError where there are none."""
    lists = [child for child in decoder_of(llm).children() if isinstance(child, nn.ModuleList)]
    if not lists:
        raise ValueError(
            f"{type(decoder_of(llm)).__name__} has no list of layers, which compile and FSDP2 go through; use neither"
        )
    return max(lists, key=len)


def refuse_what_cannot_join(llm: nn.Module) -> None:
    """Raises ValueError for an LLM that cannot answer from embeddings: there is no place for images in it."""
    decoder_of(llm)
    if "inputs_embeds" not in inspect.signature(llm.prepare_inputs_for_generation).parameters:
        raise ValueError(
            f"{type(llm).__name__} generates from token ids only (transformers gives it no `inputs_embeds`), and images are "
            "no tokens; use another LLM"
        )
    if llm.get_output_embeddings() is None:
        raise ValueError(
            f"{type(llm).__name__} shows no output embeddings, so no loss can be computed; use another LLM"
        )


@torch.no_grad()
def head_of(llm: nn.Module) -> Head:
    """The LLM's head, checked against its own logits. Raises ValueError where they are made in a way that is not known."""
    config = llm.config.get_text_config()
    given = [getattr(config, name, None) for name in _FACTORS]
    given = [float(value) for value in given if isinstance(value, int | float) and value]
    caps = [getattr(config, name, None) for name in _CAPS]
    cap = next((float(value) for value in caps if isinstance(value, int | float) and value), None)
    heads = [
        Head(llm.get_output_embeddings(), factor, cap)
        for factor in dict.fromkeys((1.0, *given, *(1 / value for value in given)))
    ]
    if llm.get_input_embeddings().weight.is_meta:
        return heads[0]
    ids = _sample(llm)[0]
    expected = llm(input_ids=ids, use_cache=False).logits
    hidden = _hidden(llm, ids)
    errors = [_difference(head(hidden), expected) for head in heads]
    best = min(range(len(heads)), key=errors.__getitem__)
    if not errors[best] < _tolerance(expected):
        raise ValueError(
            f"{type(llm).__name__} makes its logits in a way that is not known here (the loss would be off by "
            f"{errors[best]:.0%}): something after the head, or before its first layer, reads more than embeddings; use "
            "another LLM"
        )
    return heads[best]


def why_not_packed(llm: nn.Module) -> str | None:
    """None where conversations can stand in one row, else what is in the way, to be printed."""
    kinds = set(getattr(llm.config.get_text_config(), "layer_types", None) or ())
    name, other = type(llm).__name__, sorted(kinds - _PACKABLE)
    if other:
        return f"{name} has layers ({', '.join(other)}) that would mix the conversations of a row"
    return f"{name} would mix the conversations of a row" if _leaks(llm) else None


@torch.no_grad()
def _leaks(llm: nn.Module) -> bool:
    """Whether two conversations in one row differ from the same two alone."""
    ids = _sample(llm)
    ends = torch.tensor([0, *accumulate(_LENGTHS)], dtype=torch.int32, device=ids[0].device)
    packed = {
        "position_ids": torch.cat([torch.arange(length, device=ends.device) for length in _LENGTHS])[None],
        **{f"cu_seq_lens_{which}": ends for which in "qk"},
        **{f"max_length_{which}": max(_LENGTHS) for which in "qk"},
    }
    try:
        alone = torch.cat([_hidden(llm, one) for one in ids], dim=1)
        together = _hidden(llm, torch.cat(ids, dim=1), **packed)
    except (ValueError, RuntimeError, NotImplementedError):
        return True  # layers that cannot keep them apart may say so themselves
    return not _difference(together, alone) < _tolerance(alone)


def _sample(llm: nn.Module) -> tuple[Tensor, Tensor]:
    table = llm.get_input_embeddings().weight
    ids = torch.linspace(1, table.shape[0] - 1, sum(_LENGTHS), device=table.device).long()[None]
    return ids[:, : _LENGTHS[0]], ids[:, _LENGTHS[0] :]


def _hidden(llm: nn.Module, ids: Tensor, **arguments: object) -> Tensor:
    embeds = llm.get_input_embeddings()(ids)
    return decoder_of(llm)(inputs_embeds=embeds, use_cache=False, **arguments).last_hidden_state


def _difference(found: Tensor, expected: Tensor) -> float:
    return float((found.float() - expected.float()).norm() / expected.float().norm().clamp(min=1e-12))


def _tolerance(tensor: Tensor) -> float:
    """Relative. In half precision two experts may change places, which is far less than a leak."""
    return 1e-3 if tensor.dtype in (torch.float32, torch.float64) else 0.1
