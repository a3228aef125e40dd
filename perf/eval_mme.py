"""How fast is an MME run? Pairs (an image with its two questions) per second, every way against plain `generate`.

    python perf/eval_mme.py --model runs/quickstart/stage2 --root runs/quickstart/data/bench/en

Plain: two `generate` calls per image, each with a vision pass of its own, as model cards show it. All ways run in one
process, in turns, and the best of their rounds counts. The last lines say how far the ways agree in their verdicts.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import torch

from skymm.answering.opening import open_answerer
from skymm.answering.protocol import Ask
from skymm.answering.skymm_model import SkyMMAnswerer
from skymm.evaluation.run import ask_of, questions_of
from skymm.recipe import EvalRecipe
from skymm.train.features import cache_of
from skymm.verdict import yes_no


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", required=True, help="as for `skymm eval run`")
    parser.add_argument("--root", required=True, help="a directory in MME's layout")
    parser.add_argument("--pairs", type=int, default=48, help="images asked about")
    parser.add_argument("--plain-pairs", type=int, default=12, help="of these, how many are asked the plain way too")
    parser.add_argument("--batch", type=int, default=32, help="questions at a time")
    parser.add_argument("--max-new-tokens", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()

    recipe = EvalRecipe(benchmark="mme", root=arguments.root, official_suffix="Please answer yes or no.", suffix="")
    questions = questions_of(recipe)[: 2 * arguments.pairs]
    asks = [ask_of(question, recipe) for question in questions]
    answerer = open_answerer(arguments.model, max_new_tokens=arguments.max_new_tokens)
    answers: dict[str, list[str]] = {}

    def batched(mode: str, size: int, forget: bool) -> Callable[[list[Ask]], list[str]]:
        def answer(these: list[Ask]) -> list[str]:
            texts = []
            for start in range(0, len(these), size):
                if forget and isinstance(answerer, SkyMMAnswerer):
                    answerer.forget()
                replies = sorted(answerer.answer(these[start : start + size], mode), key=lambda one: one[0])
                texts += [reply.text for _, reply in replies]
            return texts

        return answer

    ways = {
        "two generate calls per image": batched("generate", 1, forget=True),
        "generate, batched, one vision pass per image": batched("generate", arguments.batch, forget=True),
        "logits, batched, one vision pass per image": batched("logits", arguments.batch, forget=True),
    }
    with tempfile.TemporaryDirectory() as directory:
        if isinstance(answerer, SkyMMAnswerer):
            ways["logits, batched, features cached"] = with_cache(answerer, batched, arguments.batch, Path(directory))
        best = dict.fromkeys(ways, float("inf"))
        for turn in range(arguments.rounds + 1):  # the first warms up, and fills the cache
            for name, way in ways.items():
                these = asks[: 2 * arguments.plain_pairs] if name.startswith("two") else asks
                started = time.perf_counter()
                answers[name] = way(these)
                seconds = (time.perf_counter() - started) / (len(these) / 2)
                best[name] = min(best[name], seconds) if turn else best[name]
    plain = best["two generate calls per image"]
    print(f"{len(asks) // 2} pairs, {torch.get_num_threads()} threads, {answerer.model.device}, {answerer.model.dtype}")
    for name, seconds in best.items():
        print(f"{name:48} {1 / seconds:8.2f} pairs/s {plain / seconds:6.1f}x")
    written = answers["generate, batched, one vision pass per image"]
    for name, texts in answers.items():
        equal = sum(yes_no(one) == yes_no(other) for one, other in zip(texts, written))
        print(f"{name:48} same verdict as batched generate on {equal} of {len(texts)} questions")


def with_cache(
    answerer: SkyMMAnswerer, batched: Callable, size: int, directory: Path
) -> Callable[[list[Ask]], list[str]]:
    """Logits with the towers' features read from disk."""
    cache = cache_of(answerer.model, directory)
    plain = batched("logits", size, forget=False)

    def answer(these: list[Ask]) -> list[str]:
        answerer.cache = cache
        try:
            return plain(these)
        finally:
            answerer.cache = None

    return answer


if __name__ == "__main__":
    main()
