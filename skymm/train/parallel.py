"""Many processes: every rank holds all that is trained, and one sum over the ranks per step keeps the copies equal.

What is trained is a few million parameters, so one fp32 sum of all gradients at the end of a step costs a millisecond. In
return no rank ever waits for another in the middle of a step: a batch of text alone, a shorter row or one micro-batch fewer
on one rank cannot hang the others, as they do where gradients are reduced layer by layer.

The frozen LLM is held by every rank, or dealt out over them with FSDP2 where it does not fit into one device.
"""

from __future__ import annotations

import os
from collections import defaultdict
from typing import Any

import torch
from accelerate import Accelerator
from accelerate.utils import DistributedType, FullyShardedDataParallelPlugin, gather_object
from torch import Tensor, nn

from skymm.model.language import layers_of
from skymm.train.objectives.preference import METRICS

SUMS = ("labels", "tokens", "positions", "samples", "images", "answers", "negatives")
LANGUAGES, POLARITIES = ("en", "zh", "unknown_language"), ("positive", "negative", "unknown_polarity")
GROUPS = ("loss", *(f"loss_{group}" for group in LANGUAGES + POLARITIES), *METRICS)


def open_accelerator(**options: Any) -> Accelerator:
    """accelerate's view of this process: device, rank, number of ranks. Raises ValueError for what cannot work here."""
    accelerator = Accelerator(**options)
    started = int(os.environ.get("WORLD_SIZE") or 1)
    if started != accelerator.num_processes:
        raise ValueError(
            f"the launcher started {started} processes, but accelerate sees {accelerator.num_processes}, so each would "
            "train alone into the same directory; several processes without GPUs are started by torch's launcher: "
            "ACCELERATE_USE_CPU=true torchrun --nproc_per_node 2 -m skymm.cli train RECIPE"
        )
    if accelerator.distributed_type == DistributedType.DEEPSPEED:
        raise ValueError(
            "DeepSpeed's ZeRO has nothing to cut up here, where what is trained is small; use training/8_gpus.yaml, or "
            "training/fsdp2.yaml where the frozen LLM does not fit"
        )
    fsdp = _fsdp(accelerator)
    if fsdp and fsdp.fsdp_version != 2:
        raise ValueError("FSDP version 1 cannot hold frozen and trained parts together; set fsdp_version: 2")
    return accelerator


def _fsdp(accelerator: Accelerator) -> FullyShardedDataParallelPlugin | None:
    """What the launcher was told of FSDP. accelerate itself leaves it out on CPUs; torch does not."""
    if accelerator.num_processes == 1 or os.environ.get("ACCELERATE_USE_FSDP", "false").lower() != "true":
        return None
    return getattr(accelerator.state, "fsdp_plugin", None) or FullyShardedDataParallelPlugin()


def deal_out(model: nn.Module, accelerator: Accelerator) -> bool:
    """With FSDP2: each rank keeps a share of the frozen LLM and gets a layer's rest when it is that layer's turn.

    What is trained stays whole on every rank. Returns whether anything was dealt out. Raises ValueError for 4-bit weights,
    and for an LLM that is trained.
    """
    plugin = _fsdp(accelerator)
    if plugin is None:
        return False
    if model.config.quantization:
        raise ValueError(
            f"quantization = {model.config.quantization!r} with FSDP2: packed bytes cannot be dealt out; leave one of the "
            "two out"
        )
    if any(one.requires_grad and "lora_" not in name for name, one in model.language_model.named_parameters()):
        raise ValueError(
            'trains = [..., "llm"] with FSDP2: what is trained is whole on every rank, so nothing of the LLM is left to '
            "deal out; leave one of the two out"
        )
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.fsdp import fully_shard

    options: dict[str, Any] = {
        "mesh": init_device_mesh(accelerator.device.type, (accelerator.num_processes,)),
        "reshard_after_forward": bool(plugin.reshard_after_forward),
        "ignored_params": {parameter for parameter in model.parameters() if parameter.requires_grad},
    }
    # Checkpointing comes to lie around a layer that is dealt out; FSDP2 has it whole already when it is computed again.
    # Only the layers: the embedding is read and the head is called from outside of the LLM's own forward.
    for layer in layers_of(model.language_model):
        fully_shard(layer, **options)
    return True


def sum_gradients(gradients: list[Tensor], accelerator: Accelerator) -> None:
    """Each becomes its sum over all ranks, in place, in one message."""
    if accelerator.num_processes == 1:
        return
    flat = accelerator.reduce(torch.cat([gradient.flatten() for gradient in gradients]), "sum")
    torch._foreach_copy_(
        gradients, [part.view_as(one) for one, part in zip(gradients, flat.split([g.numel() for g in gradients]))]
    )


def gathered(value: Any, accelerator: Accelerator) -> list[Any]:
    """The plain Python values of all ranks, in order."""
    return gather_object([value]) if accelerator.num_processes > 1 else [value]


class Totals:
    """Counts and sums of losses of one step, summed over the ranks in one message of fixed length."""

    def __init__(self) -> None:
        self.counts: dict[str, float] = defaultdict(float)
        self.losses: dict[str, list[float]] = {name: [0.0, 0] for name in GROUPS}

    def add_losses(
        self, losses: list[Any] | float, groups: list[tuple[str, str, int]], metrics: tuple[str, ...] = ()
    ) -> None:
        """Losses of labels (or pairs) in order, and of how many of them in which language and polarity each answer consists.

        One number is their sum, where they are not known one by one. With `metrics` each loss is a list that goes on with
        those.
        """
        if isinstance(losses, float):
            return self._add(("loss",), losses, sum(length for _, _, length in groups))
        if metrics:
            losses, *shown = zip(*losses)
            for name, values in zip(metrics, shown, strict=True):
                self._add((name,), sum(values), len(values))
        start = 0
        for language, polarity, length in groups:
            part = sum(losses[start : start + length])
            start += length
            polarity = "positive" if polarity == "caption" else polarity
            language = language if language in LANGUAGES else "unknown_language"
            polarity = polarity if polarity in POLARITIES else "unknown_polarity"
            self._add(("loss", f"loss_{language}", f"loss_{polarity}"), part, length)
        assert start == len(losses), "every label belongs to an answer"

    def _add(self, names: tuple[str, ...], total: float, count: int) -> None:
        for name in names:
            self.losses[name][0] += total
            self.losses[name][1] += count

    def over_ranks(self, accelerator: Accelerator) -> Totals:
        """The same of all ranks together, whichever groups each of them saw."""
        if accelerator.num_processes == 1:
            return self
        flat = [self.counts[name] for name in SUMS] + [value for name in GROUPS for value in self.losses[name]]
        kind = torch.float32 if accelerator.device.type == "mps" else torch.float64
        summed = accelerator.reduce(torch.tensor(flat, dtype=kind, device=accelerator.device), "sum").tolist()
        total = Totals()
        total.counts.update(zip(SUMS, summed))
        for index, name in enumerate(GROUPS):
            total.losses[name] = summed[len(SUMS) + 2 * index : len(SUMS) + 2 * index + 2]
        return total

    def means(self) -> dict[str, float]:
        """Mean loss per group that has labels."""
        return {name: total / count for name, (total, count) in self.losses.items() if count}
