"""The run card: what ran, on what, with which versions, and how fast. It lies beside the log and in every model directory."""

from __future__ import annotations

import platform
from collections.abc import Sequence
from importlib.metadata import version
from typing import Any

from skymm.data.stream import Mixture
from skymm.model import lora
from skymm.recipe import StageRecipe
from skymm.train.doctor.machine import this_machine

PACKAGES = ("torch", "transformers", "peft", "accelerate", "skymm")


def run_card(
    recipe: StageRecipe,
    model: Any,
    mixture: Mixture,
    *,
    processes: int,
    packed: bool,
    dealt_out: bool,
    ceiling: float,
    flops_per_position: float,
) -> dict[str, Any]:
    """What is known before the first step. `ceiling`: FLOP/s of matrix products here; `flops_per_position`: of a step."""
    trained = {part: model.parameters_of(part) for part in recipe.trains}
    return {
        "recipe": recipe.model_dump(mode="json"),
        "data": {
            name: {"fingerprint": stream.cursor.fingerprint, "shards": len(stream.shards)}
            for name, stream in mixture.streams.items()
        },
        "versions": {"python": platform.python_version()} | {name: version(name) for name in PACKAGES},
        "device": this_machine().device,
        "processes": processes,
        "attention": model.language_model.config._attn_implementation,
        "dtype": str(model.dtype).removeprefix("torch."),
        "packed": packed,
        "llm_dealt_out": dealt_out,
        "compiled": recipe.compile,
        "lora_matrices": lora.num_adapted(model.language_model),
        "trained_parameters": {part: sum(parameter.numel() for parameter in found) for part, found in trained.items()},
        "ceiling_gflops": round(ceiling / 1e9, 1),
        "flops_per_position": round(flops_per_position),
        "throughput": None,
        "best": None,
    }


def throughput(lines: Sequence[dict[str, Any]]) -> dict[str, float] | None:
    """Means over the steps of a log, the first one left out: it also warms up."""
    timed = [line for line in lines if "positions" in line][1:]
    seconds = sum(line["seconds"] for line in timed)
    if not seconds:
        return None
    found = {
        "tokens_per_second": sum(line["tokens"] for line in timed) / seconds,
        "samples_per_second": sum(line["samples"] for line in timed) / seconds,
        "data_share": sum(line["data_seconds"] for line in timed) / seconds,
        "vision_share": sum(line["vision_seconds"] for line in timed) / seconds,
        "padding_share": 1 - sum(line["tokens"] for line in timed) / sum(line["positions"] for line in timed),
        "mfu": sum(line["mfu"] * line["seconds"] for line in timed) / seconds,
    }
    return {name: round(value, 4) for name, value in found.items()}
