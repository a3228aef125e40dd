"""Does a run need more memory the longer it lasts? The peak of a process that trains, at a tenth of its steps and at its end.

    python perf/memory.py                  # 2000 steps of a tiny model, packed rows, stored features; some minutes on a CPU
    python perf/memory.py --steps 400 --no-features

What a step needs follows its batch, so the peak rises while longer conversations still turn up. Lengths are bounded, a tenth
of the run has seen them, and whatever rises after that is held by the program. Prints the log's `memory_gib`.
"""

from __future__ import annotations

import argparse
import io
import random
import sys
import tempfile
from pathlib import Path

import torch
import transformers
from PIL import Image

from skymm.conversation import Conversation, Turn
from skymm.data.shard_writing import write_shards
from skymm.recipe import StageRecipe, parse
from skymm.train.features import build_features
from skymm.train.loop import train
from skymm.train.parts import model_for
from skymm.train.runlog import read_log

sys.path.append(str(Path(__file__).parent.parent / "tests"))
from tiny_parts import save_tiny_llm

LIMIT = 1.10
NUM_IMAGES = 4000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=2000)
    parser.add_argument("--no-features", dest="features", action="store_false", help="the tower runs in every step")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as directory:
        lines = read_log(train(stage(Path(directory), arguments.steps, features=arguments.features), quiet=True))
    early, late = lines[arguments.steps // 10 - 1]["memory_gib"], lines[-1]["memory_gib"]
    print(
        f"step {arguments.steps // 10}: {early:.3f} GiB; step {arguments.steps}: {late:.3f} GiB, {late / early:.3f} times"
    )
    raise SystemExit(late > LIMIT * early)


def stage(directory: Path, steps: int, *, features: bool) -> StageRecipe:
    """Conversations of 1 to 4 questions about pictures that are each of their own; their features are 190 MiB."""
    vision = transformers.CLIPVisionConfig(
        hidden_size=128,
        intermediate_size=128,
        num_hidden_layers=1,
        num_attention_heads=2,
        image_size=224,
        patch_size=16,
    )
    transformers.CLIPVisionModel(vision).save_pretrained(directory / "tower")
    save_tiny_llm(directory / "llm")
    write_shards(samples(), directory / "shards", "s", max_samples=250)
    resampler = {"num_latents": 8, "num_layers": 1, "num_heads": 2, "width": 32}
    recipe = parse(
        {
            "out": str(directory / "run"),
            "model": {"llm": str(directory / "llm"), "towers": [str(directory / "tower")], "resampler": resampler},
            "data": {"a": {"shards": str(directory / "shards")}},
            "steps": steps,
            "batch_size": 8,
            "save_every": steps,
            "features": str(directory / "features") if features else None,
        },
        StageRecipe,
    )
    if features:
        build_features(recipe, model_for(recipe, None)[0])
    return recipe


def samples():
    draw = random.Random(0)
    for index in range(NUM_IMAGES):
        data = io.BytesIO()
        Image.new("RGB", (8, 8), (index % 256, index // 256, 0)).save(data, "PNG")
        turns = []
        for _ in range(draw.randint(1, 4)):
            turns += [
                Turn("user", "q" * draw.randint(5, 40)),
                Turn("assistant", "a" * draw.randint(1, 80), language="en"),
            ]
        turns[0] = Turn("user", turns[0].text, ("png",))
        yield Conversation(f"{index:05d}", tuple(turns)), {"png": data.getvalue()}


if __name__ == "__main__":
    main()
