"""One epoch over the same samples: our loop against what users would pick instead, and our own parts switched off in turn.

    python perf/train_vs_peers.py --shards runs/quickstart/data/stage2

Same LLM, tower, images, texts, LoRA matrices and batch size: the embedded default. Sides run one after another in processes of
their own (so that peak memory is theirs), in the given number of rounds; the best round of each counts. Ratios are against
the HF Trainer. Compiling is told apart: it is paid once per machine and set of recipes, not per epoch.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from skymm.recipe import LoraRecipe, StageRecipe, parse

LORA_TARGETS = LoraRecipe().targets

PEERS = {"llava + HF Trainer": "llava_trainer", "llava + plain loop": "llava_loop"}
OURS = {
    "skymm, compiled": "ours,compile",
    "skymm": "ours",
    "skymm, epoch that fills the cache": "ours,fill",
    "skymm, no feature cache": "ours,no_cache",
    "skymm, padded rows in two buckets": "ours,padded",
    "skymm, padded rows, no buckets": "ours,padded,no_buckets",
    "skymm, full logits": "ours,full_logits",
    "skymm, fp32": "ours,fp32",
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shards", required=True, help="shards of conversations with one image each")
    parser.add_argument("--samples", type=int, default=64)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--llm", default="smollm2-135m-instruct")
    parser.add_argument("--tower", default="efficientnet-lite0")
    parser.add_argument("--image-size", type=int, default=320)
    parser.add_argument("--latents", type=int, default=64)
    parser.add_argument("--width", type=int, default=512)
    parser.add_argument("--rank", type=int, default=16)
    parser.add_argument("--only", nargs="*", help="names of sides, as the table has them")
    parser.add_argument("--side", help=argparse.SUPPRESS)
    parser.add_argument("--cache", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.side:
        print(json.dumps(run_side(arguments)))
        return
    sides = {name: side for name, side in (PEERS | OURS).items() if not arguments.only or name in arguments.only}
    results: dict[str, dict[str, float]] = {}
    with tempfile.TemporaryDirectory() as place:
        # Every side has the same samples, and the cache holds no more than them.
        write_epoch(arguments.shards, arguments.samples, f"{place}/epoch")
        common = [*sys.argv[1:], "--shards", f"{place}/epoch", "--cache", f"{place}/cache"]
        for _ in range(arguments.rounds):
            for name, side in sides.items():
                found = run_alone([*common, "--side", side])
                if name not in results or found["seconds"] < results[name]["seconds"]:
                    results[name] = found
                print(f"{name:36} {found['seconds']:7.1f} s", file=sys.stderr, flush=True)
    base = next(iter(results.values()))["seconds"]
    for name, found in results.items():
        share = f" {found['mfu']:4.0%} of the ceiling" if "mfu" in found else ""
        compiling = f", {found['compiling']:.0f} s of compiling before" if "compiling" in found else ""
        print(
            f"{name:36} {found['samples'] / found['seconds']:7.2f} samples/s {found['tokens'] / found['seconds']:8.0f} "
            f"tokens/s {found['gib']:6.2f} GiB {base / found['seconds']:6.2f}x{share}{compiling}"
        )


def write_epoch(shards: str, count: int, directory: str) -> None:
    """The samples of the epoch as a shard of their own."""
    from skymm.data.shard_writing import write_shards

    samples = samples_of(shards, count)
    write_shards(((conversation, {conversation.images[0]: data}) for conversation, data in samples), directory, "epoch")


def run_alone(arguments: list[str]) -> dict[str, float]:
    done = subprocess.run([sys.executable, __file__, *arguments], stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def run_side(arguments: argparse.Namespace) -> dict[str, float]:
    side, *switches = arguments.side.split(",")
    with tempfile.TemporaryDirectory() as out:
        found = ours(arguments, set(switches), Path(out)) if side == "ours" else peers(arguments, side, out)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    import torch

    return found | {"gib": torch.cuda.max_memory_allocated() / 2**30 if torch.cuda.is_available() else peak}


def ours(arguments: argparse.Namespace, switches: set[str], out: Path) -> dict[str, float]:
    import torch

    from skymm.data import batches
    from skymm.train import loop
    from skymm.train.runlog import read_log

    assert arguments.samples % arguments.batch == 0, "whole batches only"
    recipe = {
        "out": str(out / "run"),
        "model": {
            "llm": arguments.llm,
            "towers": [{"name": arguments.tower, "image_size": arguments.image_size}],
            "system": "",
            "resampler": {"num_latents": arguments.latents, "width": arguments.width},
            "lora": {"rank": arguments.rank, "targets": list(LORA_TARGETS)},
            "dtype": "float32" if "fp32" in switches else "auto",
        },
        "data": {"all": {"shards": arguments.shards}},
        "steps": arguments.samples // arguments.batch,
        "batch_size": arguments.batch,
        "compile": "compile" in switches,
        "save_every": 10**6,
        "warmup_steps": 1,
    }
    if "padded" in switches:
        # Two buckets of similar length, which is what there was before rows could be packed.
        recipe |= {"packing": False, "attention": "eager", "micro_batch_size": max(1, arguments.batch // 2)}
    seconds = 0.0
    if "no_cache" not in switches:
        recipe["features"] = str(out / "features") if switches & {"fill", "fp32"} else arguments.cache
        filling = fill(
            parse(recipe, StageRecipe)
        )  # before the clock starts, but where the filling is what is asked for
        seconds = filling if "fill" in switches else 0.0
    if "no_buckets" in switches:
        batches.sorted = lambda items, key: list(items)
    if "full_logits" in switches:
        from skymm.train.objectives import answers

        def full(hidden: torch.Tensor, head: torch.nn.Module, labels: torch.Tensor, positions: torch.Tensor):
            logits, wanted = head(hidden[:, :-1]).float(), labels[:, 1:]
            losses = torch.nn.functional.cross_entropy(logits.transpose(1, 2), wanted, reduction="none")
            return losses[wanted != -100]

        answers.gathered_cross_entropy = full
    log = read_log(loop.train(parse(recipe, StageRecipe), quiet=True))
    steps = [line["seconds"] for line in log]
    found = {"samples": arguments.samples, "tokens": sum(line["tokens"] for line in log)}
    found["mfu"] = sum(line["mfu"] for line in log[1:]) / max(1, len(log) - 1)
    if recipe["compile"]:
        # The first step compiles; the others say how long it would have taken.
        usual = sum(steps[1:]) / len(steps[1:])
        found["compiling"] = steps[0] - usual
        steps[0] = usual
    return found | {"seconds": seconds + sum(steps)}


def fill(recipe: StageRecipe) -> float:
    """Every image that the epoch can show, through the tower once; the seconds that the looking took."""
    from skymm.model.build import build_model
    from skymm.train.features import build_features

    model, _ = build_model(recipe.model)
    started = time.perf_counter()
    build_features(recipe, model)
    return time.perf_counter() - started


def samples_of(shards: str, count: int | None) -> list:
    from skymm.data.shards import conversation_of, expand, read_shard

    found = []
    for shard in expand(shards):
        for sample in read_shard(shard):
            conversation = conversation_of(sample)
            found.append((conversation, sample.members[conversation.images[0]]))
            if len(found) == count:
                return found
    return found


def peers(arguments: argparse.Namespace, side: str, out: str) -> dict[str, float]:
    import transformers
    from peers import Collator, llava_of, with_hf_trainer, with_plain_loop

    from skymm.model.language import load_llm, pick_dtype
    from skymm.model.named import resolve_llm
    from skymm.model.patch_encoder import load_tower

    source, dtype = resolve_llm(arguments.llm), pick_dtype()
    tokenizer = transformers.AutoTokenizer.from_pretrained(source)
    tower = load_tower(arguments.tower, image_size=arguments.image_size, dtype=dtype)
    llm = load_llm(source, dtype=dtype, attention="sdpa")
    model = llava_of(llm, tokenizer, tower, rank=arguments.rank, targets=LORA_TARGETS)
    del llm
    collator, samples = Collator(tokenizer, tower), samples_of(arguments.shards, arguments.samples)
    tokens = sum(len(collator._row(conversation)[0]) for conversation, _ in samples)
    if side == "llava_trainer":
        seconds = with_hf_trainer(model, collator, samples, arguments.batch, out)
    else:
        seconds = with_plain_loop(model, collator, samples, arguments.batch)
    return {"seconds": seconds, "samples": len(samples), "tokens": tokens}


if __name__ == "__main__":
    main()
