"""Does the data side cost the same for 10 thousand samples and for 10 million? Time and memory at every size, and a plan.

    python perf/scale.py
    python perf/scale.py --sizes 10000 100000

Ten million samples are not written. The shards are hard links to a few real ones, so every shard has a name, a size and
readable samples of its own, and what depends on their number is real; what they hold is read from the page cache, so the
times are the program's and not a disk's. Keys of the feature cache are all real and random; the features are a file of
holes. Each size runs in a process of its own. The plan at the end is arithmetic (perf/plan.py), not a measurement.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from itertools import islice
from pathlib import Path

from plan import table

# Name, unit, and how much more the largest size may cost than the smallest and still be called flat (None: no such claim).
MEASURES: dict[str, tuple[str, float | None]] = {
    "start-up": ("s", None),
    "1000 samples": ("s", 1.5),
    "resume": ("s", None),
    "peak memory": ("MiB", 1.5),
    "cache open": ("s", None),
    "cache memory": ("MiB", None),
    "cache mapped": ("MiB", None),
    "cache look-up": ("µs", None),
    "cache sort": ("s", None),
}
EXPLANATIONS = """\
start-up: a rank finds, sizes and permutes all shards, and each of its workers delivers its first sample, one after another;
1000 samples: encoded bytes to conversations, nothing decoded; resume: from a cursor in the middle of a shard of a later
epoch, finding all shards again; peak memory: of the process that did these; cache open, memory: of a cache of that many
images, on top of what the process had; the newest 262,144 keys at most are in its memory, all others in files; mapped:
pages of these files after 1000 look-ups, which all processes share and the system may take back, 28 bytes an image at
most; sort: how long filling the cache stops, once in 262,144 images, at that size."""
SHAPE = (49, 320)  # patches and width of the cache's one tower
REAL_SHARDS, START_UP_LIMIT = 8, 10.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", type=int, nargs="+", default=[10**4, 10**5, 10**6, 10**7], help="samples")
    parser.add_argument("--samples-per-shard", type=int, default=1000)
    parser.add_argument("--image-bytes", type=int, default=20_000)
    parser.add_argument("--ranks", type=int, default=2)
    parser.add_argument("--workers", type=int, default=4, help="of each rank")
    parser.add_argument("--directory", help="where to write, 200 MB as a default; a temporary directory if not given")
    parser.add_argument("--part", nargs="+", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.part:
        name, *rest = arguments.part
        print(json.dumps(PARTS[name](arguments, *rest)))
        return
    with tempfile.TemporaryDirectory(dir=arguments.directory) as directory:
        results = measure(arguments.sizes, Path(directory))
    print(report(results, arguments.samples_per_shard))
    print(f"\n{table([8, 64], [0.4, 0.5])}")


def measure(sizes: list[int], directory: Path) -> dict[int, dict[str, float]]:
    """All measures by number of samples."""
    run_alone("write", directory / "real")
    results = {}
    for size in sizes:
        results[size] = run_alone("stream", directory / "real", directory / f"shards-{size}", size)
        filled = run_alone("fill", directory / f"cache-{size}", size)
        results[size] |= filled | run_alone("cache", directory / f"cache-{size}", size)
        print(f"{size:,} samples done", file=sys.stderr, flush=True)
    return results


def report(results: dict[int, dict[str, float]], samples_per_shard: int) -> str:
    """A line per measure, a column per size, and what the sizes say about each other."""
    sizes = sorted(results)
    first, last = results[sizes[0]], results[sizes[-1]]
    lines = [
        f"{'samples':20}" + "".join(f"{size:14,}" for size in sizes) + "   largest/smallest",
        f"{'shards':20}" + "".join(f"{-(-size // samples_per_shard):14,}" for size in sizes),
    ]
    for name, (unit, most) in MEASURES.items():
        ratio = last[name] / first[name] if first[name] else float("inf")
        verdict = "" if most is None else "   flat" if ratio <= most else f"   NOT FLAT (more than {most:g}x)"
        values = "".join(f"{results[size][name]:14.4g}" for size in sizes)
        lines.append(f"{f'{name}, {unit}':20}{values}{ratio:10.2f}x{verdict}")
    slowest = max(found[name] for found in results.values() for name in ("start-up", "resume", "cache open"))
    within = "below" if slowest < START_UP_LIMIT else "NOT BELOW"
    lines.append(
        f"slowest start-up, resume or cache open: {slowest:.2f} s, {within} the {START_UP_LIMIT:g} s a run may wait"
    )
    return "\n".join([*lines, "", EXPLANATIONS])


def run_alone(*part: object) -> dict[str, float]:
    own = sys.argv[1:]  # before the part's own: of an option given twice, the last counts
    command = [sys.executable, __file__, *own, "--part", *map(str, part)]
    return json.loads(subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout.splitlines()[-1])


def write(arguments: argparse.Namespace, directory: str) -> dict[str, float]:
    """A few real shards: images of random bytes, which nothing here decodes."""
    from skymm.conversation import Conversation, Turn
    from skymm.data.shard_writing import write_shards

    turns = (Turn("user", "What is in this picture?", ("jpg",)), Turn("assistant", "A panda with a red balloon."))
    count = REAL_SHARDS * arguments.samples_per_shard
    bytes_of = random.Random(0).randbytes
    samples = ((Conversation(f"{i:09d}", turns), {"jpg": bytes_of(arguments.image_bytes)}) for i in range(count))
    write_shards(samples, directory, "real", arguments.samples_per_shard)
    return {}


def link(real: Path, directory: Path, count: int) -> None:
    """`count` shards, each a hard link to one of the real ones."""
    directory.mkdir()
    sources = sorted(real.glob("*.tar"))
    for index in range(count):
        os.link(sources[index % len(sources)], directory / f"shard-{index:06d}.tar")


def stream(arguments: argparse.Namespace, real: str, directory: str, size: str) -> dict[str, float]:
    from skymm.data.stream import Cursor, Position, Stream

    link(Path(real), Path(directory), -(-int(size) // arguments.samples_per_shard))
    ranks, workers = arguments.ranks, arguments.workers

    def start(rank: int) -> None:
        own = Stream(directory, rank=rank, ranks=ranks, workers=workers)
        for worker in range(workers):
            next(iter(own.for_worker(worker)))

    start_up = max(seconds(lambda rank=rank: start(rank)) for rank in range(ranks))
    one = Stream(directory)
    walk = iter(one)
    next(walk)
    per_thousand = min(seconds(lambda: exhaust(islice(walk, 5000))) / 5 for _ in range(3))

    # Where a run would stand after a while, without walking there: that the walk from the shard's start agrees is checked.
    turn, sample = len(one.shards) // 2, arguments.samples_per_shard // 2
    expected = next(islice(one.walk(Position(3, turn, 0)), sample, None))
    saved = json.dumps(one.cursor.to_dict() | {"positions": {one.place: [3, turn, sample]}})

    def resume() -> None:
        found = next(iter(Stream(directory, cursor=Cursor.from_dict(json.loads(saved)))))
        assert (found.key, found.position) == (expected.key, expected.position), "resumed is never having stopped"

    resumed = min(seconds(resume) for _ in range(2))
    return {"start-up": start_up, "1000 samples": per_thousand, "resume": resumed, "peak memory": memory("VmHWM")}


def fill(arguments: argparse.Namespace, directory: str, size: str) -> dict[str, float]:
    """A cache's index, written as filling it writes it, in larger parts; and its features, a file that is all hole."""
    from skymm.data.key_index import KEY_BYTES, KeyIndex

    Path(directory).mkdir()
    index, longest = KeyIndex(directory), 0.0
    while len(index) < int(size):
        data = random.Random(len(index)).randbytes(KEY_BYTES * min(10**6, int(size) - len(index)))
        keys = [data[start : start + KEY_BYTES] for start in range(0, len(data), KEY_BYTES)]
        longest = max(longest, seconds(lambda keys=keys: index.append(keys)))
    with (Path(directory) / "tower-0.bf16").open("wb") as file:
        file.truncate(int(size) * SHAPE[0] * SHAPE[1] * 2)
    return {"cache sort": longest}


def cache(arguments: argparse.Namespace, directory: str, size: str) -> dict[str, float]:
    from skymm.data.features import FeatureCache
    from skymm.data.key_index import KEY_BYTES, KEYS

    rows = random.Random(0).choices(range(int(size)), k=1000)
    with (Path(directory) / KEYS).open("rb") as file:
        keys = [os.pread(file.fileno(), KEY_BYTES, row * KEY_BYTES) for row in rows]
    own, mapped, started = memory("RssAnon"), memory("RssFile"), time.perf_counter()
    features = FeatureCache(directory, fingerprints=["scale"], shapes=[SHAPE])
    opened = time.perf_counter() - started
    looked_up = min(seconds(lambda: exhaust(key in features for key in keys)) for _ in range(3))
    grown = {"cache memory": memory("RssAnon") - own, "cache mapped": memory("RssFile") - mapped}
    assert len(features) == int(size) and all(features.get(key)[0].shape == SHAPE for key in keys[:10])
    return {"cache open": opened, "cache look-up": looked_up / len(keys) * 1e6} | grown


def exhaust(items: object) -> None:
    for _ in items:
        pass


def seconds(work: Callable[[], None]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def memory(name: str) -> float:
    """MiB of this process by their name in Linux: VmHWM (the peak; getrusage's may be that of a parent), RssAnon, RssFile."""
    lines = Path("/proc/self/status").read_text("utf-8").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{name}:")) / 1024


PARTS: dict[str, Callable[..., dict[str, float]]] = {"write": write, "stream": stream, "fill": fill, "cache": cache}


if __name__ == "__main__":
    main()
