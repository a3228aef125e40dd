"""A step of preference learning against the way it is usually written: four forward passes for a pair.

    python perf/preference.py --shards runs/quickstart/data/stage2

The plain way reads chosen and rejected answers in rows of their own, the question and its picture each time, with the model
that learns and with the one that it is compared with. Both ways have the same model (the embedded default), the same gathered
loss, the same pairs and the same optimizer; rounds take turns, and the best of each counts. What is computed once before the
first step is told apart, and counted into a run of one and of three epochs. Pairs are first questions of the shards, each with
its answer and, as the rejected one, another's answer in the same language.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from itertools import islice
from typing import Any

import torch
import torch.nn.functional as F
from accelerate import Accelerator

from skymm.conversation import Conversation
from skymm.data.shard_writing import write_shards
from skymm.data.shards import conversation_of, expand, read_shard
from skymm.encoded import pad
from skymm.model import language
from skymm.model.build import build_model, open_model
from skymm.recipe import ModelRecipe, StageRecipe, parse
from skymm.train import reference
from skymm.train.parts import cutter, mixture_of, optimizer_for, preparation
from skymm.train.step import take_step


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shards", required=True, help="shards of conversations with one image each")
    parser.add_argument("--pairs", type=int, default=32)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--llm", default="smollm2-135m-instruct")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        write_shards(islice(pairs_of(arguments.shards), arguments.pairs), f"{place}/pairs", "pairs")
        for part in build_model(ModelRecipe(llm=arguments.llm)):
            part.save_pretrained(f"{place}/init")
        sides = Sides(place, arguments.pairs, arguments.batch)
        seconds: dict[str, list[float]] = {"plain": [], "skymm": []}
        for number in range(arguments.rounds + 1):
            for name, epoch in (("plain", sides.plain), ("skymm", sides.ours)):
                began = time.perf_counter()
                epoch()
                seconds[name].append((time.perf_counter() - began) / arguments.pairs)
                print(f"round {number}, {name:6} {seconds[name][-1]:8.4f} s a pair", file=sys.stderr, flush=True)
    best = {name: min(found[1:]) for name, found in seconds.items()}  # the first round warms up
    once = sides.seconds_before / arguments.pairs
    print(f"{sides.lengths}; {arguments.pairs} pairs, batches of {arguments.batch}")
    print(f"plain, four passes           {best['plain']:8.4f} s a pair   1.00x")
    for name, each in (
        ("skymm, a step", best["skymm"]),
        ("skymm, a run of one epoch", best["skymm"] + once),
        ("skymm, of three epochs", best["skymm"] + once / 3),
    ):
        print(f"{name:28} {each:8.4f} s a pair   {each / best['plain']:.2f}x")


def pairs_of(shards: str) -> Iterator[tuple[Conversation, dict[str, bytes]]]:
    latest: dict[str | None, str] = {}
    for sample in (sample for shard in expand(shards) for sample in read_shard(shard)):
        conversation = conversation_of(sample).with_pairs([0])
        answer = conversation.targets[0]
        other = latest.get(answer.language)
        if len(conversation.images) == 1 and other not in (None, answer.text):
            paired = replace(conversation, extra={"rejected": other})
            yield paired, {name: sample.image(name) for name in conversation.images}
        latest[answer.language] = answer.text


class Sides:
    """Both ways to take one epoch's steps over the same pairs, each with a model of its own."""

    def __init__(self, place: str, pairs: int, batch: int):
        data = {
            "out": f"{place}/run",
            "init": f"{place}/init",
            "objective": "preference",
            "data": {"pairs": {"shards": f"{place}/pairs"}},
            "steps": pairs // batch,
            "batch_size": batch,
            "learning_rate": 1e-6,
        }
        self.recipe = recipe = parse(data, StageRecipe)
        self.accelerator = accelerator = Accelerator()
        language.fast_float32(accelerator.device)
        self.learners = [self._learner() for _ in range(2)]
        (model, processor), _ = self.learners[0]
        self.compared_with = open_model(recipe.init, device=str(accelerator.device))[0].requires_grad_(False)
        prepare, known = preparation(recipe, model, processor), {}
        cut = cutter(recipe, processor, packing=True, reference=known)
        began = time.perf_counter()
        reference.fill(known, recipe, model, accelerator, prepare, cut, [], begun=False, quiet=True)
        self.seconds_before = time.perf_counter() - began
        walk = iter(mixture_of(recipe, prepare, accelerator, None, None))
        items = [[next(walk) for _ in range(batch)] for _ in range(recipe.steps)]
        self.batches = [cut(block) for block in items]
        self.examples = [[item.value for item in block] for block in items]
        self.pad_id = processor.pad_id
        whole, shared, answers = (
            sum(found) / pairs
            for found in zip(
                *(
                    (
                        sum(len(one.ids) for one in example.segments),
                        example.segments[1].shared,
                        sum(label != -100 for one in example.segments for label in one.labels),
                    )
                    for block in self.examples
                    for example in block
                )
            )
        )
        self.lengths = f"{whole:.0f} positions in two rows, {shared:.0f} of them shared, {answers:.0f} in answers"

    def _learner(self) -> tuple[tuple[Any, Any], Any]:
        model, processor = open_model(self.recipe.init, device=str(self.accelerator.device))
        model.train().freeze_for(self.recipe.trains)
        return (model, processor), optimizer_for(model, self.recipe)

    def ours(self) -> None:
        (model, _), optimizer = self.learners[0]
        for step, batches in enumerate(self.batches, 1):
            take_step(model, optimizer, self.accelerator, self.recipe, batches, step)

    def plain(self) -> None:
        (model, _), optimizer = self.learners[1]
        for examples in self.examples:
            said = [self._log_probs(model, examples, which) for which in (0, 1)]
            with torch.no_grad():
                before = [self._log_probs(self.compared_with, examples, which) for which in (0, 1)]
            margins = (said[0] - before[0]) - (said[1] - before[1])
            (-F.logsigmoid(self.recipe.preference.beta * margins).mean()).backward()
            optimizer.step(1.0)

    def _log_probs(self, model: Any, examples: list[Any], which: int) -> torch.Tensor:
        segments = [example.segments[which] for example in examples]
        inputs = pad(segments, pad_id=self.pad_id, side="right")
        inputs["pixel_values"] = [torch.cat(tower) for tower in zip(*(example.pixels for example in examples))]
        moved = {
            name: [one.to(model.device) for one in value] if isinstance(value, list) else value.to(model.device)
            for name, value in inputs.items()
        }
        losses = model(**moved).token_losses
        lengths = [sum(label != -100 for label in segment.labels) for segment in segments]
        return torch.stack([-part.sum() for part in losses.split(lengths)])


if __name__ == "__main__":
    main()
