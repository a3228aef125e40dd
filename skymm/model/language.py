"""The frozen LLM and its LoRA adapter: the only file that touches peft.

LoRA goes into the LLM object before the LLM becomes part of SkyMM, so no name pattern can ever reach a vision tower.
Everything asked of transformers here is public: from_pretrained / from_config, add_adapter, enable_adapters,
disable_adapters, get_decoder, get_input_embeddings, get_output_embeddings, generate.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

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


def add_lora(llm: nn.Module, *, rank: int, alpha: float, dropout: float, targets: tuple[str, ...] | list[str]) -> int:
    """Put a LoRA adapter into the LLM, in the LLM's dtype, and return how many matrices it adapts.

    Raises ValueError when no module of the LLM has one of the target names.
    """
    from peft import LoraConfig

    names = {name.rsplit(".", 1)[-1] for name, module in llm.named_modules() if isinstance(module, nn.Linear)}
    missing = sorted(set(targets) - names)
    if missing:
        raise ValueError(f"lora targets {missing} are not in this LLM; its linear layers are {sorted(names)}")
    llm.add_adapter(LoraConfig(r=rank, lora_alpha=alpha, lora_dropout=dropout, target_modules=list(targets)))
    for _, parameter in lora_parameters(llm):
        # peft would keep them in fp32; mixing widths in every layer costs a tenth of a step. The optimizer has fp32 masters.
        parameter.data = parameter.data.to(llm.dtype)
    return num_adapted(llm)


def num_adapted(llm: nn.Module) -> int:
    """How many matrices of the LLM LoRA adapts."""
    return sum("lora_A" in name for name, _ in lora_parameters(llm))


def lora_config(lora: Mapping[str, Any], *, llm: str) -> Any:
    """peft's own description of the adapter, for `adapter_config.json`: it then also loads onto the bare LLM."""
    from peft import LoraConfig

    return LoraConfig(
        r=lora["rank"],
        lora_alpha=lora["alpha"],
        lora_dropout=lora["dropout"],
        target_modules=list(lora["targets"]),
        base_model_name_or_path=llm,
        task_type="CAUSAL_LM",
        inference_mode=True,
    )


def lora_parameters(llm: nn.Module) -> list[tuple[str, nn.Parameter]]:
    return [(name, parameter) for name, parameter in llm.named_parameters() if "lora_" in name]


def has_lora(llm: nn.Module) -> bool:
    return bool(lora_parameters(llm))


@contextmanager
def lora_off(llm: nn.Module) -> Iterator[None]:
    """Inside, the LLM answers exactly as it did before it was adapted."""
    if not has_lora(llm):
        yield
        return
    llm.disable_adapters()
    try:
        yield
    finally:
        llm.enable_adapters()


def lora_state(llm: nn.Module) -> dict[str, torch.Tensor]:
    """The adapter's weights under peft's own names."""
    return {name: tensor.contiguous() for name, tensor in llm.get_adapter_state_dict("default").items()}


def load_lora_state(llm: nn.Module, state: dict[str, torch.Tensor]) -> None:
    """Raises ValueError when names or shapes are not those of the adapter that is there."""
    from peft import set_peft_model_state_dict

    expected = {name: tuple(tensor.shape) for name, tensor in lora_state(llm).items()}
    found = {name: tuple(tensor.shape) for name, tensor in state.items()}
    if expected != found:
        different = sorted(name for name in expected.keys() | found.keys() if expected.get(name) != found.get(name))
        raise ValueError(
            f"LoRA weights do not fit: {different[0]} is {found.get(different[0], 'missing')}, "
            f"expected {expected.get(different[0], 'nothing of that name')} ({len(different)} such)"
        )
    set_peft_model_state_dict(llm, state, adapter_name="default")


def embedding_rms(llm: nn.Module) -> float:
    """Root mean square of the token embeddings: how loud a word is."""
    return llm.get_input_embeddings().weight.detach().float().pow(2).mean().sqrt().item()
