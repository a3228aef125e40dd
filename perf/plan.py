"""What would 50 million pairs take? Arithmetic with stated assumptions: nothing here was run or measured.

    python perf/plan.py
    python perf/plan.py --samples 10000000 --gpus 8 --peak 312e12

A frozen LLM with LoRA costs 4 P FLOPs a token: 2 P forward, 2 P for the gradient that has to cross every layer, and none for
weights that do not change. It is so in stage 1 too, where only the resampler learns: its gradient comes through the LLM.
"""

from __future__ import annotations

import argparse
import math
from dataclasses import dataclass

LLMS = {"1.7B": 1.7e9, "7B": 7e9, "13B": 13e9}


@dataclass(frozen=True, slots=True)
class Assumptions:
    """What a plan takes for given. FLOPs of the tower, patches and width: one CLIP ViT-L/14 at 224 px."""

    samples: float = 50e6
    latents: int = 64
    text_tokens: int = 100
    tower_flops: float = 163e9
    patches: int = 257
    width: int = 1024
    image_bytes: float = 50e3
    samples_per_shard: int = 1000
    decodes_per_core: float = 500.0
    peak: float = 989e12


@dataclass(frozen=True, slots=True)
class Plan:
    """One epoch. FLOPs are per sample, rates are of all GPUs together, `cache_bytes` is the whole feature cache in bf16."""

    flops: float
    tower_share: float
    samples_per_second: float
    hours: float
    image_bytes_per_second: float
    feature_bytes_per_second: float
    decoding_cores: float
    shards: int
    dataset_bytes: float
    cache_bytes: float
    weight_bytes: float


def plan(parameters: float, gpus: int, share: float, given: Assumptions = Assumptions()) -> Plan:
    """An LLM of P parameters on so many GPUs, each at `share` of its peak for the FLOPs counted here.

    FLOPs: 4 P (latents + text tokens) + one forward pass of the tower. Raises ValueError for what cannot be.
    """
    if not (parameters > 0 and gpus > 0 and 0 < share <= 1):
        raise ValueError(
            f"{parameters} parameters on {gpus} GPUs at a share of {share} of their peak: "
            "expected numbers above 0, and a share of at most 1"
        )
    flops = 4 * parameters * (given.latents + given.text_tokens) + given.tower_flops
    rate = gpus * given.peak * share / flops
    feature_bytes = 2 * given.patches * given.width
    return Plan(
        flops=flops,
        tower_share=given.tower_flops / flops,
        samples_per_second=rate,
        hours=given.samples / rate / 3600,
        image_bytes_per_second=rate * given.image_bytes,
        feature_bytes_per_second=rate * feature_bytes,
        decoding_cores=rate / given.decodes_per_core,
        shards=math.ceil(given.samples / given.samples_per_shard),
        dataset_bytes=given.samples * given.image_bytes,
        cache_bytes=given.samples * feature_bytes,
        weight_bytes=2 * parameters,
    )


def table(gpus: list[int], shares: list[float], given: Assumptions = Assumptions()) -> str:
    """Assumptions, and a line for every LLM, number of GPUs and share."""
    one = plan(1e9, 1, 1, given)
    lines = [
        f"ARITHMETIC, not measured: {given.samples / 1e6:g}M pairs, one epoch; frozen LLM + LoRA, 4 P FLOPs a token (P with",
        f"embeddings); {given.latents} latents + {given.text_tokens} text tokens a pair;",
        f"tower forward {given.tower_flops / 1e9:g} GFLOP an image;",
        f"a GPU's dense bf16 peak {given.peak / 1e12:g} TFLOP/s, of which `share` is reached;",
        f"{given.image_bytes / 1e3:g} kB an image, {given.decodes_per_core:g} of them decoded by a core in a second.",
        "Left out: attention over these few tokens, LoRA's own and the resampler's matrices (a few % each), padding,",
        "checkpoints, evaluation, and whatever breaks.",
        f"Files: {one.shards:,} shards of {given.samples_per_shard}, {one.dataset_bytes / 1e12:.2f} TB of images; "
        f"a feature cache of all of them: {one.cache_bytes / 1e12:.1f} TB.",
        "",
        f"{'LLM':>5} {'weights':>8} {'GPUs':>5} {'share':>6} {'TFLOP/pair':>11} {'tower':>6} {'pairs/s':>8} {'hours':>7} "
        f"{'images MB/s':>12} {'decoding cores':>15} {'or cache MB/s':>14}",
    ]
    for name, parameters in LLMS.items():
        for number in gpus:
            for share in shares:
                found = plan(parameters, number, share, given)
                lines.append(
                    f"{name:>5} {found.weight_bytes / 1e9:5.1f} GB {number:5} {share:6.0%} {found.flops / 1e12:11.2f} "
                    f"{found.tower_share:6.1%} {found.samples_per_second:8.0f} {found.hours:7.1f} "
                    f"{found.image_bytes_per_second / 1e6:12.0f} {found.decoding_cores:15.1f} "
                    f"{found.feature_bytes_per_second / 1e6:14.0f}"
                )
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--samples", type=float, default=Assumptions().samples)
    parser.add_argument("--gpus", type=int, nargs="+", default=[8, 64])
    parser.add_argument("--shares", type=float, nargs="+", default=[0.4, 0.5], help="of a GPU's peak")
    parser.add_argument("--peak", type=float, default=Assumptions().peak, help="FLOP/s of a GPU, dense bf16")
    parser.add_argument("--text-tokens", type=int, default=Assumptions().text_tokens)
    parser.add_argument("--latents", type=int, default=Assumptions().latents)
    arguments = parser.parse_args()
    given = Assumptions(
        samples=arguments.samples,
        latents=arguments.latents,
        text_tokens=arguments.text_tokens,
        peak=arguments.peak,
    )
    print(table(arguments.gpus, arguments.shares, given))


if __name__ == "__main__":
    main()
