"""Where a training step of the embedded default goes, by kind of work, as torch's profiler sees it.

    python perf/step_profile.py --shards runs/quickstart/data/stage2 --compile

The towers have looked before; it is the LLM, its adapter and the loss that are timed. Times are the work's own, without what it
calls. The profiler itself makes a step slower, so read the shares.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections import Counter
from itertools import islice
from typing import Any

import torch

from skymm.data.workers import Loader
from skymm.model import language
from skymm.recipe import LoraRecipe, StageRecipe, parse
from skymm.train.parallel import open_accelerator
from skymm.train.parts import cutter, mixture_of, model_for, optimizer_for, preparation, why_padded
from skymm.train.step import take_step


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shards", required=True, help="shards of conversations with one image each")
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--rank", type=int, default=16)
    parser.add_argument("--compile", action="store_true")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as out:
        recipe = parse(
            {
                "out": f"{out}/run",
                "model": {
                    "llm": "smollm2-135m-instruct",
                    "towers": [{"name": "efficientnet-lite0", "image_size": 320}],
                    "system": "",
                    "lora": {"rank": arguments.rank, "targets": LoraRecipe().targets},
                },
                "data": {"all": {"shards": arguments.shards}},
                "steps": 10,
                "batch_size": arguments.batch,
            },
            StageRecipe,
        )
        profile_step(recipe, compiled=arguments.compile)


def profile_step(recipe: StageRecipe, *, compiled: bool) -> None:
    accelerator = open_accelerator()
    model, processor = model_for(recipe, None, accelerator.device)
    model.freeze_for(recipe.trains)
    model.to(accelerator.device).train()
    optimizer = optimizer_for(model, recipe)
    packing = why_padded(recipe, model) is None
    mixture = mixture_of(recipe, preparation(recipe, model, processor), accelerator, None, None)
    items = iter(Loader(mixture, workers=0))
    batches = cutter(recipe, processor, packing=packing)(list(islice(items, recipe.batch_size)))
    for batch in batches:
        batch.inputs["features"] = model.encode_images(batch.inputs.pop("pixel_values"))
    if compiled:
        language.compile_layers(model.language_model)

    def step(number: int) -> float:
        started = time.perf_counter()
        take_step(model, optimizer, accelerator, recipe, batches, number)
        return time.perf_counter() - started

    seconds = [step(number) for number in range(1, 6)]
    with torch.profiler.profile(record_shapes=True) as profile:
        step(6)
    spent: Counter[str] = Counter()
    for event in profile.key_averages(group_by_input_shape=True):
        spent[kind_of(event, recipe.model.lora.rank)] += event.self_cpu_time_total / 1e6
    positions = sum(batch.inputs["input_ids"].numel() for batch in batches)
    print(f"{recipe.batch_size} conversations, {positions} positions; best of five steps {min(seconds):.2f} s")
    for kind, time_spent in spent.most_common():
        print(f"{kind:32} {time_spent:6.2f} s {time_spent / spent.total():6.0%}")


def kind_of(event: Any, rank: int) -> str:
    """By the operator's name; products by their shapes."""
    name = event.key
    if name in ("aten::mm", "aten::addmm", "aten::addmm_"):
        thin = any(rank in shape for shape in event.input_shapes if len(shape) == 2)
        return "LoRA's thin products" if thin else "the LLM's products, head too"
    if "bmm" in name:
        return "attention's products"
    if "log_softmax" in name:
        return "loss"
    if "softmax" in name:
        return "attention's softmax"
    if "CompiledFxGraph" in name:
        return "fused by the compiler"
    if name == "aten::copy_":
        return "copies"
    return "element by element, and the rest"


if __name__ == "__main__":
    main()
