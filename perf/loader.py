"""How fast do samples come? JPEGs per second out of shards, every way to read them against a plain loop over the same bytes.

    python perf/loader.py

Raw: decode and resize, nothing else, by as many processes as the way beside it has. All ways read the same pictures, in
turns, and the best of their rounds counts; a round starts when the queues are empty. Features are random numbers of the
tower's shape, which read as slowly as real ones. Peak memory is of one worker process, by what the kernel says.
"""

from __future__ import annotations

import argparse
import io
import multiprocessing
import resource
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import cycle, islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from skymm.conversation import Conversation, Turn
from skymm.data.batches import Prepare
from skymm.data.features import FeatureCache, FeatureMembers, image_key
from skymm.data.shard_writing import write_shards
from skymm.data.shards import read_shard
from skymm.data.stream import Stream
from skymm.data.workers import PREFETCH, Loader
from skymm.encoded import Encoded
from skymm.images import decode_image
from skymm.model.vision import Preprocessing

TOWER = "a"


@dataclass(frozen=True)
class See:
    """One tower's preprocessing, as a processor would do it."""

    preprocess: Preprocessing

    def __call__(self, images: Sequence[Image.Image]) -> list[torch.Tensor]:
        return [torch.stack([self.preprocess(image) for image in images])]


def no_words(conversation: Conversation) -> list[Encoded]:
    """Words cost next to nothing beside pixels, and a tokenizer is not what is measured."""
    return [Encoded(conversation.key, [1], [1], conversation.images)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=160, help="samples per picture size, in eight shards")
    parser.add_argument("--sizes", nargs="+", default=["640x480", "2048x1536"])
    parser.add_argument("--workers", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--image-size", type=int, default=336, help="side of the tower's square, in pixels")
    parser.add_argument("--shape", nargs=2, type=int, default=[577, 1024], help="patches and width of the tower")
    parser.add_argument("--seconds", type=float, default=1.5, help="per round")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--training", type=float, help="samples/s that a training eats; adds how often that is met")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    see = See(Preprocessing(arguments.image_size, (0.48, 0.46, 0.41), (0.27, 0.26, 0.28)))
    for size in arguments.sizes:
        with tempfile.TemporaryDirectory() as directory:
            measure(size, Path(directory), see, arguments)


def measure(size: str, directory: Path, see: See, arguments: argparse.Namespace) -> None:
    width, height = map(int, size.split("x"))
    shards = write_photos(directory / "photos", width, height, arguments.images)
    pictures = [sample.members["jpg"] for sample in read_shard(shards[0])]
    shapes = [tuple(arguments.shape)]
    cache, members = store_features(directory, shards, shapes)
    copies = sorted((directory / "copies").glob("*.tar"))
    ways: dict[str, tuple[list[Path], Prepare, Callable[[bytes], Any] | None]] = {}
    for name, min_side in (("decoded in full", None), ("scaled decode", arguments.image_size)):
        ways[name] = shards, Prepare(no_words, see, min_side=min_side), partial(raw_one, see=see, min_side=min_side)
    ways["features, memory-mapped"] = shards, Prepare(no_words, see, cache=cache), None
    ways["features, in shards"] = copies, Prepare(no_words, see, cache=members), None
    print(
        f"\n{size}: {sum(map(len, pictures)) // len(pictures):,} bytes per JPEG, tower {arguments.image_size} px {shapes}"
    )
    print(f"{'way':<26}{'workers':>8}{'samples/s':>11}{'raw/s':>9}{'of raw':>8}{'x training':>12}{'peak MiB':>10}")
    options = {"seconds": arguments.seconds, "rounds": arguments.rounds}
    for name, (paths, prepare, raw) in ways.items():
        for workers in arguments.workers:
            found, peak = loader_rate(paths, prepare, workers, **options)
            plain = raw_rate(raw, pictures, max(1, workers), **options) if raw else None
            columns = [f"{plain:9.1f}{found / plain:8.0%}" if plain else f"{'':17}"]
            columns.append(f"{found / arguments.training:12.1f}" if arguments.training else f"{'':12}")
            print(f"{name:<26}{workers:>8}{found:11.1f}{''.join(columns)}{peak:10.0f}", flush=True)


def write_photos(directory: Path, width: int, height: int, count: int) -> list[Path]:
    """Eight shards of pictures about as hard to compress as photos."""
    random = np.random.default_rng(0)
    encoded = []
    for _ in range(8):
        coarse = Image.fromarray(random.integers(0, 255, (height // 32, width // 32, 3), dtype=np.uint8))
        grain = random.normal(0, 6, (height, width, 1))
        picture = np.asarray(coarse.resize((width, height), Image.Resampling.BICUBIC), np.float32) + grain
        data = io.BytesIO()
        Image.fromarray(picture.clip(0, 255).astype(np.uint8)).save(data, "JPEG", quality=88)
        encoded.append(data.getvalue())
    turns = (Turn("user", "q", ("jpg",)), Turn("assistant", "a"))
    samples = ((Conversation(f"{i:06d}", turns), {"jpg": encoded[i % len(encoded)]}) for i in range(count))
    return write_shards(samples, directory, "photos", max_samples=-(-count // 8))


def store_features(
    directory: Path, shards: list[Path], shapes: list[tuple[int, int]]
) -> tuple[FeatureCache, FeatureMembers]:
    def encode(images: list[Image.Image]) -> list[torch.Tensor]:
        return [torch.randn(len(images), *shape) for shape in shapes]

    cache = FeatureCache(directory / "features", fingerprints=[TOWER], shapes=shapes)
    members = FeatureMembers((TOWER,), tuple(shapes))
    blank = Image.new("RGB", (1, 1))
    for shard in shards:
        images = ((image_key(sample.members["jpg"]), blank) for sample in read_shard(shard))
        sum(cache.add(images, encode))
        members.copy_shard(shard, directory / "copies" / shard.name, encode, min_side=1)
    return cache, members


def raw_one(data: bytes, *, see: See, min_side: int | None) -> Any:
    return see([decode_image(data, "picture", min_side=min_side)])


def best_rate(items: Iterator[Any], seconds: float, rounds: int) -> float:
    """Items per second, in the best of the rounds."""
    best = 0.0
    for _ in range(rounds):
        count, start = 0, time.perf_counter()
        while (elapsed := time.perf_counter() - start) < seconds:
            next(items)
            count += 1
        best = max(best, count / elapsed)
    return best


def loader_rate(
    shards: list[Path], prepare: Prepare, workers: int, *, seconds: float, rounds: int
) -> tuple[float, float]:
    """Samples per second, and the peak memory in MiB of the largest process that reads."""
    loader = Loader(Stream(shards, workers=max(1, workers), prepare=prepare), workers=workers)
    items = iter(loader)
    for _ in islice(items, 4 * PREFETCH * max(1, workers)):  # what was ready before the clock starts
        pass
    rate = best_rate(items, seconds, rounds)
    peaks = [peak_of(child.pid) for child in multiprocessing.active_children()]
    items.close()
    return rate, max(peaks, default=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)


def peak_of(pid: int) -> float:
    status = Path(f"/proc/{pid}/status").read_text("ascii").splitlines()
    return int(next(line for line in status if line.startswith("VmHWM")).split()[1]) / 1024


def raw_rate(
    one: Callable[[bytes], Any], pictures: list[bytes], processes: int, *, seconds: float, rounds: int
) -> float:
    """The same work in a plain loop of as many processes, without shards, queues or anybody to give it to."""
    if processes == 1:
        return best_rate(map(one, cycle(pictures)), seconds, rounds)
    with multiprocessing.get_context("forkserver").Pool(processes) as pool:
        work = partial(raw_loop, one, pictures, rounds)
        pool.map(work, [0.1] * processes, chunksize=1)  # imports and first pages
        return sum(pool.map(work, [seconds] * processes, chunksize=1))


def raw_loop(one: Callable[[bytes], Any], pictures: list[bytes], rounds: int, seconds: float) -> float:
    torch.set_num_threads(1)
    return best_rate(map(one, cycle(pictures)), seconds, rounds)


if __name__ == "__main__":
    main()
