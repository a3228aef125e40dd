"""The LoRA adapter of the frozen LLM (arXiv 2106.09685): the only file that touches peft.

LoRA goes into the LLM object before the LLM becomes part of SkyMM, so no name pattern can ever reach a vision tower. Layers,
names and files are peft's; only the arithmetic of a plain layer is done here. Written out, as peft does, an update is made,
scaled and added in passes over the output of their own, and over the gradient once more, which cost more than the thin
products themselves. Here a product adds its result in place.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from types import ModuleType
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from skymm.model.language import decoder_of


def add(
    llm: nn.Module,
    *,
    rank: int,
    alpha: float,
    dropout: float,
    targets: Sequence[str] | None = None,
    rslora: bool = False,
    dora: bool = False,
) -> list[str]:
    """Put a LoRA adapter into the LLM, in the LLM's dtype, and return the names of the layers that have one.

    `targets` None: every linear layer of the decoder. The head is none of them, nor is anything of a vision tower that the
    LLM brings along. `rslora`, `dora`: as in the recipe. Raises ValueError when the decoder has no linear layer of one of
    the names.
    """
    found = sorted({name.rsplit(".", 1)[-1] for name in _linear_layers(llm)})
    targets = found if targets is None else sorted(set(targets))
    missing = sorted(set(targets) - set(found))
    if missing or not targets:
        raise ValueError(f"lora targets {missing} are not in this LLM; its linear layers are {found}")
    config = _peft_config(llm, rank=rank, alpha=alpha, dropout=dropout, targets=targets, rslora=rslora, dora=dora)
    _put_in(llm, config, [name for name in _linear_layers(llm) if name.rsplit(".", 1)[-1] in targets])
    for _, parameter in parameters(llm):
        # peft would keep them in fp32; mixing widths in every layer costs a tenth of a step. The optimizer has fp32 masters.
        parameter.data = parameter.data.to(llm.dtype)
    plain, fused = _lora_layers()
    for module in llm.modules():
        if type(module) is plain and type(module.base_layer) is nn.Linear:  # nothing quantised, nothing transposed
            module.__class__ = fused
    return targets


def _peft() -> ModuleType:
    """Imported where it is needed: a model without an adapter needs none."""
    try:
        import peft
    except ImportError as error:
        raise ValueError("this model has an adapter, and adapters are peft's: pip install peft") from error
    return peft


def _put_in(llm: nn.Module, config: Any, layers: list[str]) -> None:
    """Adapters onto exactly these layers.

    Names alone would not do: where a mixture of experts has dense layers too, peft takes their names for those of experts,
    as they were before transformers fused them, and leaves the dense layers out.
    """
    pattern, config.target_modules = config.target_modules, "(?!)"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that the pattern, which is nothing here, is not these layers
        _peft().inject_adapter_in_model(
            config, llm, "default", state_dict=dict.fromkeys(f"{name}.lora_A" for name in layers)
        )
    config.target_modules = pattern
    llm._hf_peft_config_loaded = True
    llm.set_adapter("default")


def _linear_layers(llm: nn.Module) -> list[str]:
    """Names, inside the LLM, of the decoder's linear layers: also GPT-2's, also quantised ones, but none that does more."""
    from transformers.pytorch_utils import Conv1D

    inside = {id(module) for module in decoder_of(llm).modules()}
    linear = [(name, module) for name, module in llm.named_modules() if isinstance(module, nn.Linear | Conv1D)]
    return [name for name, module in linear if id(module) in inside and _is_only_a_matrix(module)]


@torch.no_grad()
def _is_only_a_matrix(module: nn.Module) -> bool:
    """Llama 4's routers, say, are linear layers by name, and answer with two tensors."""
    if type(module).forward is nn.Linear.forward or hasattr(module.weight, "quant_state"):
        return True
    weight = module.weight
    width = module.in_features if isinstance(module, nn.Linear) else weight.shape[0]
    return isinstance(module(torch.zeros(1, width, dtype=weight.dtype, device=weight.device)), Tensor)


def _peft_config(
    llm: nn.Module,
    *,
    rank: int,
    alpha: float,
    dropout: float,
    targets: list[str],
    rslora: bool = False,
    dora: bool = False,
    **fields: Any,
) -> Any:
    """peft's own description. Its pattern begins with the decoder's place, so a tower with the same names stays untouched."""
    decoder = decoder_of(llm)
    place = next(name for name, module in llm.named_modules() if module is decoder)
    return _peft().LoraConfig(
        r=rank,
        lora_alpha=alpha,
        lora_dropout=dropout,
        use_rslora=rslora,
        use_dora=dora,
        target_modules=rf"{re.escape(place)}\.(.*\.)?({'|'.join(map(re.escape, targets))})",
        **fields,
    )


def summary(llm: nn.Module) -> str:
    """For people: what has an adapter, and what of the decoder has none."""
    adapted = sorted({name.split(".lora_A")[0].rsplit(".", 1)[-1] for name, _ in parameters(llm) if ".lora_A" in name})
    if not adapted:
        return "no LoRA"
    # Experts that are one tensor of three dimensions are no layers, and peft's adapters go onto layers.
    experts = sorted(
        {
            ".".join(name.split(".")[-2:])
            for name, parameter in decoder_of(llm).named_parameters()
            if parameter.ndim == 3 and "lora_" not in name and "conv" not in name
        }
    )
    left = f", none on {', '.join(experts)} (fused experts)" if experts else ""
    return f"LoRA on {num_adapted(llm)} matrices ({', '.join(adapted)}){left}"


@cache
def _lora_layers() -> tuple[type[nn.Module], type[nn.Module]]:
    """peft's layer over an ordinary matrix, and the same layer computing a lone adapter in one operation."""
    Linear = _peft().tuners.lora.Linear

    class FusedLinear(Linear):
        def forward(self, x: Tensor, *args: Any, **kwargs: Any) -> Tensor:
            name = self.active_adapters[0] if len(self.active_adapters) == 1 else ""
            alone = name in self.lora_A and name not in self.lora_variant and not (self.disable_adapters or self.merged)
            # Compiled, the passes that this saves are one with others already; autocast chooses widths operation by operation.
            inlined = torch.compiler.is_compiling() or torch.is_autocast_enabled(x.device.type)
            if not alone or args or kwargs or inlined:
                return super().forward(x, *args, **kwargs)
            base, a, b, dropout = self.base_layer, self.lora_A[name], self.lora_B[name], self.lora_dropout[name]
            drops = isinstance(dropout, nn.Dropout) and dropout.training
            one_width = x.dtype == base.weight.dtype == a.weight.dtype == b.weight.dtype
            if drops or b.bias is not None or base.weight.requires_grad or not one_width:
                return super().forward(x)
            return lora_linear(x, base.weight, base.bias, a.weight, b.weight, self.scaling[name])

    return Linear, FusedLinear


def num_adapted(llm: nn.Module) -> int:
    """How many matrices of the LLM LoRA adapts."""
    return sum("lora_A" in name for name, _ in parameters(llm))


def peft_config(llm: nn.Module, lora: Mapping[str, Any], *, name: str) -> Any:
    """For `adapter_config.json`: the adapter then also loads onto the bare LLM, which is called `name`."""
    return _peft_config(llm, **lora, base_model_name_or_path=name, task_type="CAUSAL_LM", inference_mode=True)


def parameters(llm: nn.Module) -> list[tuple[str, nn.Parameter]]:
    return [(name, parameter) for name, parameter in llm.named_parameters() if "lora_" in name]


@torch.no_grad()
def merge(llm: nn.Module) -> None:
    """Add the adapter to the LLM's own matrices and take it out: the LLM then needs no peft, and answers the same up to the
    rounding of its dtype. Raises ValueError for an LLM in 4 bits, whose matrices cannot take it.
    """
    for name, module in list(llm.named_modules()):
        if not hasattr(module, "get_base_layer"):
            continue
        base = module.get_base_layer()
        if hasattr(base.weight, "quant_state"):
            raise ValueError("the LLM is held in 4 bits, and an adapter cannot be merged into it; export the adapter")
        module.merge(safe_merge=True)
        parent, _, child = name.rpartition(".")
        setattr(llm.get_submodule(parent), child, base)
    llm._hf_peft_config_loaded = False
    llm.__dict__.pop("peft_config", None)


def present(llm: nn.Module) -> bool:
    return bool(parameters(llm))


@contextmanager
def off(llm: nn.Module) -> Iterator[None]:
    """Inside, the LLM answers exactly as it did before it was adapted."""
    if not present(llm):
        yield
        return
    llm.disable_adapters()
    try:
        yield
    finally:
        llm.enable_adapters()


def state_dict(llm: nn.Module) -> dict[str, Tensor]:
    """The adapter's weights under peft's own names."""
    return {name: tensor.contiguous() for name, tensor in llm.get_adapter_state_dict("default").items()}


def load_state_dict(llm: nn.Module, state: dict[str, Tensor]) -> None:
    """Raises ValueError when names or shapes are not those of the adapter that is there."""
    expected = {name: tuple(tensor.shape) for name, tensor in state_dict(llm).items()}
    found = {name: tuple(tensor.shape) for name, tensor in state.items()}
    if expected != found:
        different = sorted(name for name in expected.keys() | found.keys() if expected.get(name) != found.get(name))
        raise ValueError(
            f"LoRA weights do not fit: {different[0]} is {found.get(different[0], 'missing')}, "
            f"expected {expected.get(different[0], 'nothing of that name')} ({len(different)} such)"
        )
    _peft().set_peft_model_state_dict(llm, state, adapter_name="default")


# Shape legend: N rows, I input width, O output width, R rank.


def lora_linear(x: Tensor, weight_OI: Tensor, bias: Tensor | None, a_RI: Tensor, b_OR: Tensor, scale: float) -> Tensor:
    """x (..., I) -> (..., O), all of one dtype. Gradients for x, a and b; weight and bias are frozen."""
    out = _LoraLinear.apply(x.reshape(-1, x.shape[-1]), weight_OI, bias, a_RI, b_OR, scale)
    return out.view(*x.shape[:-1], -1)


class _LoraLinear(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, x_NI: Tensor, weight_OI: Tensor, bias: Any, a_RI: Tensor, b_OR: Tensor, scale: float
    ) -> Tensor:
        low_NR = x_NI @ a_RI.T
        ctx.save_for_backward(x_NI, weight_OI, a_RI, b_OR, low_NR)
        ctx.scale = scale
        return F.linear(x_NI, weight_OI, bias).addmm_(low_NR, b_OR.T, alpha=scale)

    @staticmethod
    def backward(ctx: Any, grad_NO: Tensor) -> tuple[Tensor | None, ...]:
        x_NI, weight_OI, a_RI, b_OR, low_NR = ctx.saved_tensors
        grad_low_NR = (grad_NO @ b_OR).mul_(ctx.scale)
        grad_x_NI = grad_a_RI = grad_b_OR = None
        if ctx.needs_input_grad[0]:
            grad_x_NI = (grad_NO @ weight_OI).addmm_(grad_low_NR, a_RI)
        if ctx.needs_input_grad[3]:  # a stage may train the resampler alone
            grad_a_RI = grad_low_NR.T @ x_NI
        if ctx.needs_input_grad[4]:
            grad_b_OR = (grad_NO.T @ low_NR).mul_(ctx.scale)
        return grad_x_NI, None, None, grad_a_RI, grad_b_OR, None
