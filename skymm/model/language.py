"""The frozen LLM: loaded, held still, run with the attention and the width that fit the device, and examined once.

What an LLM does is measured on a few tokens when it is named: how logits come from hidden states, what it cannot do here.
Families scale or cap their logits under many names, and one name is a factor in one family and a divisor in another; some
layers mix neighbours in ways that no attention function knows of. A pass over a dozen tokens shows both.
"""

from __future__ import annotations

import importlib.util
import inspect
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

import torch
import transformers
from torch import Tensor, nn

from skymm.model import attention as varlen

# On a CPU oneDNN and torch's bridge to it each keep a kernel for the last 1,024 shapes of a product, 1 to 2 MB a kernel. A step
# of packed rows has about 60 shapes, new ones in every step: kept for longer they filled 3 GiB. Read at the first product.
for _kept in ("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "LRU_CACHE_CAPACITY"):
    os.environ.setdefault(_kept, "64")


def load_llm(
    source: str,
    *,
    dtype: torch.dtype,
    attention: str,
    device: str | torch.device = "cpu",
    revision: str | None = None,
    quantization: Any = None,
    trust_remote_code: bool = False,
) -> nn.Module:
    """A frozen causal LLM from a local directory or hub id, in eval mode, on the CPU.

    `attention` "auto": what packs rows on `device`, or what the LLM has, see `pick_attention`.
    `quantization` "nf4": its matrices in 4 bits, computed in `dtype` (QLoRA, arXiv 2305.14314); else a configuration that
    transformers takes.
    Raises ValueError, naming the source, when there is none, when it cannot be joined (no generation from embeddings), or
    when what quantises it is not installed.
    """
    options = (
        {"quantization_config": _four_bits(dtype) if quantization == "nf4" else quantization} if quantization else {}
    )
    where = {"revision": revision or "main", "trust_remote_code": trust_remote_code}
    varlen.register()
    try:
        whole = transformers.AutoConfig.from_pretrained(source, **where)
        config = whole.get_text_config()
        if config is not whole and _class_of(config):
            # Of a multimodal one (gemma-3-4b) the LLM alone: its own tower would be a second pair of eyes that nobody uses.
            options["key_mapping"] = {r"^(model\.)?language_model\.(model\.)?": "model."}
        else:
            config = whole
        attention = pick_attention(attention, device, dtype, _class_of(config))
        with quietly():
            llm, report = transformers.AutoModelForCausalLM.from_pretrained(
                source,
                config=config,
                dtype=dtype,
                attn_implementation=attention,
                output_loading_info=True,
                **where,
                **options,
            )
    except OSError as error:
        raise ValueError(
            f"llm {source!r} could not be loaded: {error}. Give a hub id or a directory with a saved LLM."
        ) from error
    except ValueError as error:
        if "trust_remote_code" not in str(error):
            raise
        raise ValueError(
            f"llm {source!r} is made of code that lies beside its weights; read that code, then set "
            "`trust_remote_code = true` in [model]"
        ) from error
    missing = sorted(report["missing_keys"])
    if missing:
        raise ValueError(
            f"llm {source!r}: {len(missing)} tensors of a {config.model_type} are missing, as {missing[0]!r}; expected a "
            "complete checkpoint"
        )
    for module in llm.modules():
        if hasattr(module, "support_avx512bf16_for_cpu"):
            # bitsandbytes 0.50 packs 4 bits anew for such CPUs in the first pass, and its `state_dict()` then unpacks them
            # into others: what was asked before is answered, and nothing after it.
            module.support_avx512bf16_for_cpu = False
    return freeze(llm)


def _class_of(config: transformers.PreTrainedConfig) -> type[nn.Module] | None:
    """What transformers would make of it; None for code from elsewhere."""
    found = transformers.MODEL_FOR_CAUSAL_LM_MAPPING.get(type(config), None)
    return found[0] if isinstance(found, tuple | list) else found


def _four_bits(dtype: torch.dtype) -> transformers.BitsAndBytesConfig:
    if importlib.util.find_spec("bitsandbytes") is None:
        raise ValueError(
            'quantization = "nf4" needs bitsandbytes, which is not installed: pip install bitsandbytes, '
            "or leave quantization out and train on the LLM as it is"
        )
    return transformers.BitsAndBytesConfig(
        load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_use_double_quant=True, bnb_4bit_compute_dtype=dtype
    )


@contextmanager
def quietly() -> Iterator[None]:
    """Weights that are mapped in a second need no bar among the user's own; what is missing we say ourselves."""
    logging = transformers.utils.logging
    shown, verbosity = logging.is_progress_bar_enabled(), logging.get_verbosity()
    logging.disable_progress_bar()
    logging.set_verbosity_error()
    try:
        yield
    finally:
        logging.set_verbosity(verbosity)
        if shown:
            logging.enable_progress_bar()


def wake(llm: nn.Module, mode: bool) -> None:
    """Training mode for a frozen LLM: LoRA's dropout wakes, and nothing of the LLM's own does.

    Its layers count as training too, without their parts: that is how transformers knows to checkpoint activations.
    """
    from transformers.modeling_layers import GradientCheckpointingLayer  # not above: it may be what is importing us

    llm.eval()
    for name, module in llm.named_modules():
        if "lora_dropout" in name:
            module.train(mode)
        elif isinstance(module, GradientCheckpointingLayer):
            module.training = mode


def checkpoint_activations(llm: nn.Module) -> None:
    """Compute the activations of each layer again in the backward pass: less memory, about a third more work."""
    enable = getattr(llm, "activation_checkpointing_enable", None) or llm.gradient_checkpointing_enable
    enable({"use_reentrant": False})


def compile_layers(llm: nn.Module) -> None:
    """torch.compile, one graph for all decoder layers and all lengths: 40 seconds once instead of minutes per shape.

    Raises ValueError for a decoder without a list of layers.
    """
    for layer in layers_of(llm):
        layer.compile(dynamic=True)


def freeze(llm: nn.Module) -> nn.Module:
    """No gradients, no dropout. Raises ValueError for an LLM that cannot be joined with images."""
    refuse_what_cannot_join(llm)
    # `generate` hands the head one position per row, a slice with gaps, for which torch's CPU `linear` copies the weight
    # once per row: three quarters of the time to the first token of a batch of 64.
    llm.get_output_embeddings().register_forward_pre_hook(_without_gaps)
    return llm.requires_grad_(False).eval()


def _without_gaps(head: nn.Module, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    return (inputs[0].contiguous(), *inputs[1:])


def pick_dtype(device: str | torch.device = "cpu") -> torch.dtype:
    """bf16 where the device multiplies it faster, else fp32. The same on every call: what is cached depends on it.

    AVX-512's instruction for bf16 alone does not make it faster: a Xeon with it and without AMX did 180 GFLOP/s in bf16 and
    300 in fp32, in products of the embedded LLM's size.
    """
    device = torch.device(device)
    if device.type == "cuda":
        return torch.bfloat16 if torch.cuda.is_bf16_supported(including_emulation=False) else torch.float32
    return torch.bfloat16 if device.type == "cpu" and _cpu_has("amx_bf16") else torch.float32


def fast_float32(device: str | torch.device) -> None:
    """Let torch multiply fp32 matrices the fast way on CPUs where that costs no accuracy.

    "medium" sends them to oneDNN, twice as fast on many CPUs and exact to 4e-7; with AMX it would compute in bf16.
    """
    if torch.device(device).type == "cpu" and not _cpu_has("amx_bf16"):
        torch.set_float32_matmul_precision("medium")


def _cpu_has(*features: str) -> bool:
    found = torch.cpu.get_capabilities() if hasattr(torch.cpu, "get_capabilities") else {}
    return any(found.get(feature, False) for feature in features)


def pick_attention(
    attention: str, device: str | torch.device, dtype: torch.dtype, llm_class: type[nn.Module] | None = None
) -> str:
    """`auto` -> what packs rows: flash-attention 2 where it is installed, else torch's own varlen kernel, ours on a CPU.

    SDPA where there is none of them (fp32 on CUDA, other devices), or where `llm_class` does not ask transformers for its
    attention; eager where its scores are capped or have sinks, which SDPA does not know. Rows are padded then.
    Raises ValueError for "varlen" with such a class.
    """
    knows_sdpa = getattr(llm_class, "_supports_sdpa", True)
    knows_varlen = knows_sdpa and getattr(llm_class, "_supports_attention_backend", True)
    if attention == varlen.NAME and not knows_varlen:
        raise ValueError(f'{llm_class.__name__} computes attention in a way of its own; use attention = "auto"')
    if attention != "auto":
        return attention
    other = "sdpa" if knows_sdpa else "eager"
    kind = torch.device(device).type
    if kind == "cpu":
        return varlen.NAME if knows_varlen else other
    if kind != "cuda" or dtype not in (torch.bfloat16, torch.float16):
        return other
    flash = getattr(llm_class, "_compatible_flash_implementations", None) or ("flash_attention_2",)
    flash = getattr(llm_class, "_supports_flash_attn", True) and "flash_attention_2" in flash
    if flash and importlib.util.find_spec("flash_attn"):
        return "flash_attention_2"
    return varlen.NAME if knows_varlen else other


def embedding_rms(llm: nn.Module) -> float:
    """Root mean square of the token embeddings as the decoder reads them: how loud a word is.

    The module is asked and not its table: Gemma 3 multiplies what it looks up.
    """
    embed = llm.get_input_embeddings()
    ids = torch.linspace(0, embed.weight.shape[0] - 1, min(embed.weight.shape[0], 4096), device=embed.weight.device)
    with torch.no_grad():
        return embed(ids.long()).float().pow(2).mean().sqrt().item()


# --- what an LLM does -----------------------------------------------------------------------------------------------------

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


def why_not_shared(llm: nn.Module) -> str | None:
    """None where two answers in one row can share the question before them, else what is in the way, to be printed.

    The LLM's conversations can be packed, and its attention is "varlen".
    """
    reason = f"{type(llm).__name__} would mix two answers to one question"
    return reason if _leaks(llm, shared=_LENGTHS[0] - 2) else None


@torch.no_grad()
def _leaks(llm: nn.Module, *, shared: int = 0) -> bool:
    """Whether two conversations in one row differ from the same two alone; the second begins with `shared` of the first."""
    first, second = _sample(llm)
    device, wholes = first.device, (_LENGTHS[0], shared + _LENGTHS[1])
    places = [torch.arange(wholes[0]), torch.arange(shared), torch.arange(wholes[0], sum(_LENGTHS))]
    packed = {"position_ids": torch.cat([torch.arange(wholes[0]), torch.arange(shared, wholes[1])])[None].to(device)}
    packed |= {"key_positions": torch.cat(places).to(device)} if shared else {}
    for which, lengths in (("q", _LENGTHS), ("k", wholes)):
        ends = torch.tensor([0, *accumulate(lengths)], dtype=torch.int32, device=device)
        packed |= {f"cu_seq_lens_{which}": ends, f"max_length_{which}": max(lengths)}
    try:
        alone = [_hidden(llm, first), _hidden(llm, torch.cat([first[:, :shared], second], dim=1))[:, shared:]]
        together = _hidden(llm, torch.cat([first, second], dim=1), **packed)
    except (ValueError, RuntimeError, NotImplementedError):
        return True  # layers that cannot keep them apart may say so themselves
    alone = torch.cat(alone, dim=1)
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
