"""Runs that were never run: logs, cards and directories as training writes them, with anything about them changed."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

from skymm.recipe import StageRecipe, parse
from skymm.train.runlog import History, with_defaults

CARD = {
    "data": {"instructions": {"fingerprint": "4f2a" * 8, "shards": 12}},
    "versions": {"python": "3.11.7", "torch": "2.13.0+cpu", "transformers": "5.23.0", "skymm": "0.1.0"},
    "device": "AMD EPYC 9B14, 2 threads",
    "processes": 1,
    "workers": 0,
    "attention": "varlen",
    "dtype": "bfloat16",
    "packed": True,
    "compiled": False,
    "lora_matrices": 120,
    "trained_parameters": {"resampler": 4_300_000, "lora": 4_900_000},
    "ceiling_gflops": 492.0,
    "flops_per_token": 4.3e8,
    "throughput": {
        "tokens_per_second": 700.0,
        "samples_per_second": 6.0,
        "mfu": 0.55,
        "data_share": 0.02,
        "vision_share": 0.1,
    },
    "best": {"step": 300, "held_out_loss": 1.23},
}


def stage(**changes: Any) -> StageRecipe:
    return parse(
        {"out": "runs/x", "steps": 400, "negative_share": 0.5, "data": {"a": {"shards": "s"}}} | changes, StageRecipe
    )


def line(step: int, steps: int = 400) -> dict[str, Any]:
    """A step of a run that has nothing wrong with it."""
    wave = math.sin(step * 12.9898) * 43758.5453 % 1 - 0.5  # the same noise every time
    loss = 1.2 + 6 * math.exp(-4 * step / steps) + 0.3 * wave
    found = {
        "step": step,
        "loss": loss,
        "loss_en": loss * 0.9,
        "loss_zh": loss * 1.1,
        "loss_positive": loss * 1.05,
        "loss_negative": loss * 0.95,
        "grad_norm": 0.8 + 0.5 * wave + 3 * math.exp(-10 * step / steps),
        "learning_rate": 1e-3 * min(1, step / 10, (steps - step + 1) / (0.4 * steps)),
        "labels": 310,
        "tokens": 1400,
        "positions": 1500,
        "samples": 32,
        "images": 32,
        "negative_share": 0.5 + 0.2 * wave,
        "seconds": 2.0 + 0.1 * wave,
        "data_seconds": 0.04,
        "vision_seconds": 0.2,
        "tokens_per_second": 700.0 + 30 * wave,
        "samples_per_second": 16.0,
        "mfu": 0.55 + 0.02 * wave,
        "memory_gib": 3.1,
        "skipped": {},
    }
    if step % max(1, steps // 10) == 0:
        found |= {"held_out_loss": loss + 0.1, "held_out_loss_en": loss, "held_out_loss_zh": loss + 0.2}
    return found


def lines(steps: int = 400, **changes: Any) -> list[dict[str, Any]]:
    """A log in which every field of `changes` is another number, or a function of step."""
    found = [line(step, steps) for step in range(1, steps + 1)]
    for one in found:
        one |= {name: value(one["step"]) if callable(value) else value for name, value in changes.items()}
    return found


def history(steps: int = 400, *, card: dict | None = None, recipe: dict | None = None, **changes: Any) -> History:
    """A run in memory."""
    plain = json.loads(stage(steps=steps, **(recipe or {})).model_dump_json())
    return History(lines(steps, **changes), CARD | (card or {}), with_defaults(plain), True)


def write_run(directory: Path, log: list[dict[str, Any]], *, card: bool = True, **recipe: Any) -> Path:
    """A run on disk."""
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "log.jsonl").write_text("".join(json.dumps(one) + "\n" for one in log), "utf-8")
    made = stage(**{"steps": max(1, len(log)), "out": str(directory)} | recipe)
    (directory / "recipe.json").write_text(made.model_dump_json(), "utf-8")
    if card:
        (directory / "run.json").write_text(json.dumps(CARD | {"recipe": made.model_dump()}), "utf-8")
    return directory
