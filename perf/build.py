"""How fast do shards get built? Our engines against plain img2dataset on the same server, filters one by one, memory by size.

    python perf/build.py

Addresses: a server on this machine hands out the same JPEGs to plain img2dataset (what users run today: fetched, scaled and
put into tars, nothing else) and to `skymm data build`, which fetches them by img2dataset, too, and then filters, compares all
with all, makes conversations, balances, shuffles and writes them. Disk: the same pictures from a folder, by every engine.
Memory: the largest resident size of any process of a build, at two sizes. Filters: seconds per sample of each, alone.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import random
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw

WORDS = ("dog", "cat", "bus", "table", "chair", "tree", "boat", "horse", "kite", "bench", "bottle", "pizza", "clock")
COLOURS = ("red", "blue", "green", "yellow", "black", "white", "brown", "pink")
PLAIN = """
import json, sys
from img2dataset import download
if __name__ == "__main__":
    download(**json.loads(sys.argv[1]))
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=1000)
    parser.add_argument("--size", default="640x480")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--rounds", type=int, default=2, help="the best of them counts")
    parser.add_argument("--parts", nargs="+", default=["addresses", "disk", "memory", "filters"])
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        root = Path(directory)
        width, height = map(int, arguments.size.split("x"))
        pictures = root / "pictures"
        draw_pictures(pictures, arguments.images, width, height)
        for part in arguments.parts:
            PARTS[part](root, pictures, arguments)


# --- what is built ------------------------------------------------------------------------------------------------------


def draw_pictures(folder: Path, count: int, width: int, height: int) -> None:
    """JPEGs of a photo's size and detail, no two alike, each with a caption in a table."""
    folder.mkdir()
    rows = []
    for index in range(count):
        rng = random.Random(index)
        noise = np.random.default_rng(index).integers(0, 256, (height // 8, width // 8, 3), dtype=np.uint8)
        image = Image.fromarray(noise).resize((width, height), Image.Resampling.BICUBIC)
        draw = ImageDraw.Draw(image)
        for _ in range(12):
            x, y = rng.randrange(width), rng.randrange(height)
            colour = tuple(rng.randrange(256) for _ in range(3))
            draw.ellipse((x, y, x + rng.randrange(20, 200), y + rng.randrange(20, 200)), fill=colour)
        image.save(folder / f"{index:06d}.jpg", "JPEG", quality=85)
        one, other = rng.sample(WORDS, 2)
        rows.append(
            (f"{index:06d}.jpg", f"a {rng.choice(COLOURS)} {one} beside a {rng.choice(COLOURS)} {other} number {index}")
        )
    with (folder / "table.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("image", "caption"), *rows])


def recipe(directory: Path, source: dict[str, Any]) -> Path:
    path = directory / "recipe.toml"
    lines = [
        "samples_per_shard = 1000",
        "[sources.it]",
        *(f"{name} = {json.dumps(value)}" for name, value in source.items()),
    ]
    path.write_text("\n".join(lines) + "\n")
    return path


def from_disk(pictures: Path, limit: int | None = None) -> dict[str, Any]:
    source = {"format": "pairs", "table": str(pictures / "table.csv"), "images": str(pictures)}
    return {**source, "tasks": ["captions", "negatives"], **({"limit": limit} if limit else {})}


def from_addresses(table: Path, cache: Path, workers: int) -> dict[str, Any]:
    settings = {"processes": workers, "threads": 16, "urls_per_shard": 250, "image_size": 384}
    return {"format": "urls", "table": str(table), "cache": str(cache), "tasks": ["captions", "negatives"], **settings}


@contextmanager
def serve(folder: Path) -> Iterator[str]:
    """A server in a process of its own; gives its address."""
    command = [sys.executable, "-m", "http.server", "0", "--bind", "127.0.0.1", "--directory", str(folder)]
    environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=environment)
    try:
        assert process.stdout is not None
        yield process.stdout.readline().split("(")[1].split(")")[0].rstrip("/")
    finally:
        process.kill()
        process.wait()


# --- measurements -------------------------------------------------------------------------------------------------------


def addresses(root: Path, pictures: Path, arguments: argparse.Namespace) -> None:
    with serve(pictures) as address:
        table = root / "addresses.csv"
        rows = list(csv.DictReader((pictures / "table.csv").open()))
        with table.open("w", newline="") as file:
            csv.writer(file).writerows(
                [("url", "caption"), *((f"{address}/{row['image']}", row["caption"]) for row in rows)]
            )
        sides: dict[str, Callable[[Path], None]] = {
            "plain img2dataset": lambda out: plain(table, out, arguments.workers),
            "skymm, local": lambda out: build(
                out, from_addresses(table, out / "cache", arguments.workers), "local", arguments
            ),
            "skymm, ray": lambda out: build(
                out, from_addresses(table, out / "cache", arguments.workers), "ray", arguments
            ),
        }
        report("addresses", root, sides, arguments)


def disk(root: Path, pictures: Path, arguments: argparse.Namespace) -> None:
    sides: dict[str, Callable[[Path], None]] = {
        "local, 1 worker": lambda out: build(out, from_disk(pictures), "local", arguments, 1),
        f"local, {arguments.workers} workers": lambda out: build(out, from_disk(pictures), "local", arguments),
        f"ray, {arguments.workers} workers": lambda out: build(out, from_disk(pictures), "ray", arguments),
    }
    report("disk", root, sides, arguments)


def memory(root: Path, pictures: Path, arguments: argparse.Namespace) -> None:
    print(f"\n{'memory: images':<28}{'largest process, MiB':>22}")
    for count in (arguments.images // 4, arguments.images):
        out = root / f"memory-{count}"
        out.mkdir()
        with largest_process() as peak:
            build(out, from_disk(pictures, count), "local", arguments)
        print(f"{count:<28}{peak[0] / 2**20:>22.0f}")


def plain(table: Path, out: Path, workers: int) -> None:
    settings = {
        **{"url_list": str(table), "input_format": "csv", "url_col": "url", "caption_col": "caption"},
        **{"output_folder": str(out / "plain"), "output_format": "webdataset", "number_sample_per_shard": 250},
        **{"processes_count": workers, "thread_count": 16, "image_size": 384, "resize_mode": "keep_ratio"},
        **{"resize_only_if_bigger": True, "enable_wandb": False},
    }
    run([sys.executable, "-c", PLAIN, json.dumps(settings)])


def build(
    out: Path, source: dict[str, Any], engine: str, arguments: argparse.Namespace, workers: int | None = None
) -> None:
    command = [sys.executable, "-m", "skymm.cli", "data", "build", recipe(out, source), "--out", out / "shards"]
    run([*command, "--engine", engine, "--workers", workers or arguments.workers])


def run(command: list[Any]) -> None:
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{' '.join(map(str, command[:6]))} ... failed:\n{done.stderr[-2000:]}")


def report(title: str, root: Path, sides: dict[str, Callable[[Path], None]], arguments: argparse.Namespace) -> None:
    best: dict[str, float] = {}
    for number in range(arguments.rounds):
        for name, side in sides.items():
            out = root / f"{title}-{number}-{len(name)}-{name.split()[0].strip(',')}"
            out.mkdir()
            began = time.perf_counter()
            side(out)
            best[name] = min(best.get(name, float("inf")), time.perf_counter() - began)
    first = next(iter(best.values()))
    print(f"\n{title + ': ' + str(arguments.images) + ' images':<28}{'seconds':>10}{'images/s':>10}{'ratio':>8}")
    for name, seconds in best.items():
        print(f"{name:<28}{seconds:>10.1f}{arguments.images / seconds:>10.1f}{first / seconds:>7.2f}x")


@contextmanager
def largest_process() -> Iterator[list[int]]:
    """Bytes of the largest resident set that any descendant of this process had, looked at ten times a second."""
    import psutil

    peak, stop = [0], threading.Event()

    def watch() -> None:
        while not stop.wait(0.1):
            for process in psutil.Process().children(recursive=True):
                try:
                    peak[0] = max(peak[0], process.memory_info().rss)
                except psutil.Error:
                    continue

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield peak
    finally:
        stop.set()
        thread.join()


def filters(root: Path, pictures: Path, arguments: argparse.Namespace) -> None:
    """Milliseconds per sample of each step that looks at single samples, in one process, on the first 200 pictures."""
    from skymm.curation.facts.picture_facts import caption_facts
    from skymm.curation.filters.duplicates import signatures
    from skymm.curation.filters.leakage import LeakageIndex
    from skymm.curation.filters.pictures import header_reason, pixel_reason
    from skymm.curation.filters.text import prune
    from skymm.curation.record import Candidate, Caption, Picture, Record
    from skymm.curation.script import to_script
    from skymm.recipe.data import FiltersRecipe

    rows = list(csv.DictReader((pictures / "table.csv").open()))[:200]
    records = [
        Record(str(number), {"jpg": Picture(str(pictures / row["image"]))}, (Caption(row["caption"], "en"),))
        for number, row in enumerate(rows)
    ]
    candidates = [Candidate(record, {"jpg": record.pictures["jpg"].read()}) for record in records]
    recipe = FiltersRecipe()
    index = LeakageIndex.build(("", [candidate.encoded["jpg"]]) for candidate in candidates[:50])
    steps: dict[str, Callable[[], Any]] = {
        "script and tidying": lambda: [to_script(record, "simplified") for record in records],
        "words": lambda: [prune(record, recipe) for record in records],
        "header": lambda: [header_reason(candidate, recipe) for candidate in candidates],
        "decoding, blank": lambda: [pixel_reason(candidate, recipe) for candidate in candidates],
        "leakage": lambda: [index.reason(candidate) for candidate in candidates],
        "signature": lambda: signatures(candidates),
        "facts of captions": lambda: [caption_facts(record.captions[0].text, "en") for record in records],
    }
    print(f"\n{'one process':<28}{'ms per sample':>14}")
    for name, step in steps.items():  # in the order of a build, since each picture is decoded and hashed once for all
        began = time.perf_counter()
        step()
        print(f"{name:<28}{1000 * (time.perf_counter() - began) / len(records):>14.3f}")


PARTS = {"addresses": addresses, "disk": disk, "memory": memory, "filters": filters}


if __name__ == "__main__":
    main()
