"""The LoRA adapter of the frozen LLM (arXiv 2106.09685): the only file that touches peft.

LoRA goes into the LLM object before the LLM becomes part of SkyMM, so no name pattern can ever reach a vision tower. Layers,
names and files are peft's; only the arithmetic of a plain layer is done here. Written out, as peft does, an update is made,
scaled and added in passes over the output of their own, and over the gradient once more, which cost more than the thin
products themselves. Here a product adds its result in place.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def add(llm: nn.Module, *, rank: int, alpha: float, dropout: float, targets: tuple[str, ...] | list[str]) -> int:
    """Put a LoRA adapter into the LLM, in the LLM's dtype, and return how many matrices it adapts.

    Raises ValueError when no module of the LLM has one of the target names.
    """
    from peft import LoraConfig

    names = {name.rsplit(".", 1)[-1] for name, module in llm.named_modules() if isinstance(module, nn.Linear)}
    missing = sorted(set(targets) - names)
    if missing:
        raise ValueError(f"lora targets {missing} are not in this LLM; its linear layers are {sorted(names)}")
    llm.add_adapter(LoraConfig(r=rank, lora_alpha=alpha, lora_dropout=dropout, target_modules=list(targets)))
    for _, parameter in parameters(llm):
        # peft would keep them in fp32; mixing widths in every layer costs a tenth of a step. The optimizer has fp32 masters.
        parameter.data = parameter.data.to(llm.dtype)
    plain, fused = _lora_layers()
    for module in llm.modules():
        if type(module) is plain and type(module.base_layer) is nn.Linear:  # nothing quantised, nothing transposed
            module.__class__ = fused
    return num_adapted(llm)


@cache
def _lora_layers() -> tuple[type[nn.Module], type[nn.Module]]:
    """peft's layer over an ordinary matrix, and the same layer computing a lone adapter in one operation."""
    from peft.tuners.lora import Linear

    class FusedLinear(Linear):
        def forward(self, x: Tensor, *args: Any, **kwargs: Any) -> Tensor:
            name = self.active_adapters[0] if len(self.active_adapters) == 1 else ""
            alone = name in self.lora_A and name not in self.lora_variant and not (self.disable_adapters or self.merged)
            # Compiled, the passes that this saves are one with others already.
            if not alone or args or kwargs or torch.compiler.is_compiling():
                return super().forward(x, *args, **kwargs)
            base, a, b = self.base_layer, self.lora_A[name], self.lora_B[name]
            drops = isinstance(self.lora_dropout[name], nn.Dropout) and self.lora_dropout[name].training
            if drops or b.bias is not None or base.weight.requires_grad:
                return super().forward(x)
            if not x.dtype == base.weight.dtype == a.weight.dtype == b.weight.dtype:
                return super().forward(x)
            return lora_linear(x, base.weight, base.bias, a.weight, b.weight, self.scaling[name])

    return Linear, FusedLinear


def num_adapted(llm: nn.Module) -> int:
    """How many matrices of the LLM LoRA adapts."""
    return sum("lora_A" in name for name, _ in parameters(llm))


def peft_config(lora: Mapping[str, Any], *, llm: str) -> Any:
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


def parameters(llm: nn.Module) -> list[tuple[str, nn.Parameter]]:
    return [(name, parameter) for name, parameter in llm.named_parameters() if "lora_" in name]


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
    from peft import set_peft_model_state_dict

    expected = {name: tuple(tensor.shape) for name, tensor in state_dict(llm).items()}
    found = {name: tuple(tensor.shape) for name, tensor in state.items()}
    if expected != found:
        different = sorted(name for name in expected.keys() | found.keys() if expected.get(name) != found.get(name))
        raise ValueError(
            f"LoRA weights do not fit: {different[0]} is {found.get(different[0], 'missing')}, "
            f"expected {expected.get(different[0], 'nothing of that name')} ({len(different)} such)"
        )
    set_peft_model_state_dict(llm, state, adapter_name="default")


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
