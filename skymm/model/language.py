"""The frozen LLM. Everything asked of transformers here is public: from_pretrained / from_config, get_decoder,
get_input_embeddings, get_output_embeddings, generate.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from contextlib import contextmanager

import torch
import transformers
from torch import nn
from transformers.modeling_layers import GradientCheckpointingLayer

from skymm.model import attention as varlen


def load_llm(
    source: str, *, dtype: torch.dtype, attention: str, revision: str | None = None, quantization: str | None = None
) -> nn.Module:
    """A frozen causal LLM from a local directory or hub id, in eval mode.

    `quantization` "nf4": its matrices in 4 bits, computed in `dtype` (QLoRA, arXiv 2305.14314).
    Raises ValueError, naming the source, when there is none, when it scales its logits in a way the gathered loss lacks,
    or when what quantises it is not installed.
    """
    options = {"quantization_config": _four_bits(dtype)} if quantization else {}
    varlen.register()
    try:
        with _no_progress_bar():
            llm = transformers.AutoModelForCausalLM.from_pretrained(
                source, dtype=dtype, attn_implementation=attention, revision=revision or "main", **options
            )
    except OSError as error:
        raise ValueError(
            f"llm {source!r} could not be loaded: {error}. Give a hub id or a directory with a saved LLM."
        ) from error
    return freeze(llm)


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
def _no_progress_bar() -> Iterator[None]:
    """Weights that are mapped in a second need no bar among the user's own."""
    shown = transformers.utils.logging.is_progress_bar_enabled()
    transformers.utils.logging.disable_progress_bar()
    try:
        yield
    finally:
        if shown:
            transformers.utils.logging.enable_progress_bar()


def llm_from_config(text_config: transformers.PreTrainedConfig, *, dtype: torch.dtype, attention: str) -> nn.Module:
    """The same architecture with random weights."""
    varlen.register()
    return freeze(
        transformers.AutoModelForCausalLM.from_config(text_config, dtype=dtype, attn_implementation=attention)
    )


def wake(llm: nn.Module, mode: bool) -> None:
    """Training mode for a frozen LLM: LoRA's dropout wakes, and nothing of the LLM's own does.

    Its layers count as training too, without their parts: that is how transformers knows to checkpoint activations.
    """
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
    """torch.compile, one graph for all decoder layers and all lengths: 40 seconds once instead of minutes per shape."""
    for layer in llm.get_decoder().layers:
        layer.compile(dynamic=True)


def freeze(llm: nn.Module) -> nn.Module:
    """No gradients, no dropout. Raises ValueError for heads whose logits are changed afterwards."""
    for name in ("final_logit_softcapping", "logit_scale", "logits_scaling"):
        if getattr(llm.config, name, None) not in (None, 1, 1.0):
            raise ValueError(
                f"this LLM changes its logits after the head ({name}); the gathered loss does not do that yet"
            )
    # `generate` hands the head one position per row, a slice with gaps, for which torch's CPU `linear` copies the weight
    # once per row: three quarters of the time to the first token of a batch of 64.
    llm.get_output_embeddings().register_forward_pre_hook(_without_gaps)
    return llm.requires_grad_(False).eval()


def _without_gaps(head: nn.Module, inputs: tuple[torch.Tensor, ...]) -> tuple[torch.Tensor, ...]:
    return (inputs[0].contiguous(), *inputs[1:])


def pick_dtype(device: str | torch.device = "cpu") -> torch.dtype:
    """bf16 where the device multiplies it in hardware, else fp32. The same on every call: what is cached depends on it."""
    device = torch.device(device)
    if device.type == "cuda":
        return torch.bfloat16 if torch.cuda.is_bf16_supported() else torch.float32
    return torch.bfloat16 if device.type == "cpu" and _cpu_has("amx_bf16", "avx512_bf16") else torch.float32


def fast_float32(device: str | torch.device) -> None:
    """Let torch multiply fp32 matrices the fast way on CPUs where that costs no accuracy.

    "medium" sends them to oneDNN, twice as fast on many CPUs and exact to 4e-7; with AMX it would compute in bf16.
    """
    if torch.device(device).type == "cpu" and not _cpu_has("amx_bf16"):
        torch.set_float32_matmul_precision("medium")


def _cpu_has(*features: str) -> bool:
    found = torch.cpu.get_capabilities() if hasattr(torch.cpu, "get_capabilities") else {}
    return any(found.get(feature, False) for feature in features)


def pick_attention(attention: str, device: str | torch.device, dtype: torch.dtype) -> str:
    """`auto` -> what packs rows: flash-attention 2 where it is installed, else torch's own varlen kernel, ours on a CPU.

    SDPA where there is none of them (fp32 on CUDA, other devices); rows are padded then.
    """
    kind = torch.device(device).type
    if attention != "auto":
        return attention
    if kind == "cpu":
        return varlen.NAME
    if kind != "cuda" or dtype not in (torch.bfloat16, torch.float16):
        return "sdpa"
    if importlib.util.find_spec("flash_attn"):
        return "flash_attention_2"
    return varlen.NAME if varlen.on_cuda_possible() else "sdpa"


def embedding_rms(llm: nn.Module) -> float:
    """Root mean square of the token embeddings: how loud a word is."""
    return llm.get_input_embeddings().weight.detach().float().pow(2).mean().sqrt().item()
