"""AdamW on fp32 masters of whatever is trained, so that parameters can stay in the LLM's width without losing updates.

A bf16 parameter has 8 bits of mantissa: an update smaller than 1/256 of it would vanish. Autocast would keep fp32
parameters instead, and cast them in every layer of every step (a sixth of a CPU step).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn

FLOOR = 0.02  # of the peak, at the end


class MasterAdamW:
    """One AdamW over named parameter groups.

    Args:
        groups: name -> (parameters with names, peak learning rate). Weight decay is left off vectors (norms, biases).
        clip: largest norm of the gradient of everything together.
    """

    def __init__(
        self, groups: Mapping[str, tuple[list[tuple[str, nn.Parameter]], float]], *, weight_decay: float, clip: float
    ):
        self.clip = clip
        self.parameters: dict[str, nn.Parameter] = {}
        self.masters: dict[str, Tensor] = {}
        torch_groups = []
        for parameters, learning_rate in groups.values():
            for name, parameter in parameters:
                self.parameters[name] = parameter
                self.masters[name] = parameter.detach().float().clone()
            for is_matrix, decay in ((True, weight_decay), (False, 0.0)):
                chosen = [self.masters[name] for name, one in parameters if (one.ndim > 1) == is_matrix]
                options = {"lr": learning_rate, "peak": learning_rate, "weight_decay": decay}
                torch_groups += [{"params": chosen, **options}] if chosen else []
        # betas: short memory of squares, since stages are hundreds of steps and not hundreds of thousands.
        self.adamw = torch.optim.AdamW(torch_groups, betas=(0.9, 0.98), fused=True)

    def step(self, share_of_peak: float, reduce: Callable[[list[Tensor]], None] = lambda gradients: None) -> float:
        """One update at `share_of_peak` of each group's learning rate; returns the gradient norm before clipping.

        `reduce` is given all gradients in fp32 and sums them over the ranks, in place. Raises ValueError naming a parameter
        that got no gradient, or when the norm is not a finite number.
        """
        for name, parameter in self.parameters.items():
            if parameter.grad is None:
                raise ValueError(f"{name} is trained but got no gradient")
            self.masters[name].grad = parameter.grad.float()
        reduce([master.grad for master in self.masters.values()])
        norm = torch.nn.utils.clip_grad_norm_(list(self.masters.values()), self.clip)
        if not torch.isfinite(norm):
            raise ValueError(
                f"the gradient norm is {norm.item()}; lower the learning rate or look at the data of this step"
            )
        for group in self.adamw.param_groups:
            group["lr"] = group["peak"] * share_of_peak
        self.adamw.step()
        with torch.no_grad():
            for name, parameter in self.parameters.items():
                parameter.copy_(self.masters[name])
                parameter.grad = None
                self.masters[name].grad = None
        return float(norm)

    @property
    def learning_rate(self) -> float:
        """Of the first group, in the latest step."""
        return self.adamw.param_groups[0]["lr"]

    def state(self) -> dict[str, Tensor]:
        """Masters and moments as flat named tensors."""
        state = {}
        for name, master in self.masters.items():
            moments = self.adamw.state.get(master, {})
            state[f"{name}:master"] = master
            state |= {f"{name}:{key}": value for key, value in moments.items()}
        return {name: tensor.detach().cpu().contiguous() for name, tensor in state.items()}

    def load_state(self, state: Mapping[str, Tensor]) -> None:
        """Back from `state`. Raises ValueError when the names are not those of what is trained here."""
        found = {name.rsplit(":", 1)[0] for name in state}
        if found != set(self.masters):
            different = sorted(found ^ set(self.masters))
            raise ValueError(
                f"the saved optimizer is of other parameters, {different[0]} and {len(different) - 1} more"
            )
        with torch.no_grad():
            for name, master in self.masters.items():
                master.copy_(state[f"{name}:master"])
                self.parameters[name].copy_(master)
                moments = {key: state.get(f"{name}:{key}") for key in ("step", "exp_avg", "exp_avg_sq")}
                if moments["step"] is not None:
                    self.adamw.state[master] = {key: value.clone().to(master.device) for key, value in moments.items()}


def share_of_peak(step: int, steps: int, warmup_steps: int, schedule: str = "wsd") -> float:
    """Learning rate of step 1..steps as a share of its peak: linear up, then as the schedule says.

    "wsd" (warm-up, stable, decay; Hu et al., arXiv 2404.06395): level, and over the last two fifths linear down to a
    fiftieth. It is level for longer than a straight line down, since short stages learn most of what they learn at the
    peak. "cosine": half a cosine down to a fiftieth. "constant": level to the end.
    """
    if step <= warmup_steps:
        return step / (warmup_steps + 1)
    if schedule == "constant":
        return 1.0
    if schedule == "cosine":
        done = (step - warmup_steps - 1) / max(1, steps - warmup_steps)
        return FLOOR + (1 - FLOOR) * 0.5 * (1 + math.cos(math.pi * done))
    return min(1.0, max(FLOOR, (steps - step + 1) / (0.4 * steps)))
