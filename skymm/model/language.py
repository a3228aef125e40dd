"""The frozen LLM: loaded, held still, and run with the attention and the width that fit the device."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from contextlib import contextmanager

import torch
import transformers
from torch import nn

from skymm.model import attention as varlen
from skymm.model.examine import layers_of, refuse_what_cannot_join


def load_llm(
    source: str,
    *,
    dtype: torch.dtype,
    attention: str,
    device: str | torch.device = "cpu",
    revision: str | None = None,
    quantization: str | None = None,
    trust_remote_code: bool = False,
) -> nn.Module:
    """A frozen causal LLM from a local directory or hub id, in eval mode, on the CPU.

    `attention` "auto": what packs rows on `device`, or what the LLM has, see `pick_attention`.
    `quantization` "nf4": its matrices in 4 bits, computed in `dtype` (QLoRA, arXiv 2305.14314).
    Raises ValueError, naming the source, when there is none, when it cannot be joined (no generation from embeddings), or
    when what quantises it is not installed.
    """
    options = {"quantization_config": _four_bits(dtype)} if quantization else {}
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


def _without_gaps(head: nn.Module, inputs: tuple[torch.Tensor, ...]) -> tuple[torch.Tensor, ...]:
    return (inputs[0].contiguous(), *inputs[1:])


def pick_dtype(device: str | torch.device = "cpu") -> torch.dtype:
    """bf16 where the device multiplies it in hardware, else fp32. The same on every call: what is cached depends on it."""
    device = torch.device(device)
    if device.type == "cuda":
        return torch.bfloat16 if torch.cuda.is_bf16_supported(including_emulation=False) else torch.float32
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
