"""Addresses to shards: img2dataset, run in a process of its own, and what it left on disk.

CACHE/tables holds the addresses, CACHE/plan.json what they were made from, CACHE/shards what img2dataset writes: NNNNN.tar,
NNNNN.parquet (what became of every address) and, once a shard is whole, NNNNN_stats.json. A run that was cut off goes on with
the shards that lack the last of these. https://github.com/rom1504/img2dataset
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from skymm.curation.sources.address_tables import table_files, write_tables
from skymm.progress import say
from skymm.recipe.sources import UrlsSource

_SECONDS_BETWEEN_LINES = 60.0
_NOT_INSTALLED = 3
_NEEDED = {
    "multiprocessing": ["img2dataset"],
    "pyspark": ["img2dataset", "pyspark"],
    "ray": ["img2dataset", "ray"],
}
# It reads its standard input, which stays silent and ends when we do: without that, pictures would be fetched for nobody
# after we were killed. Its workers are in its group and end with it.
_SCRIPT = f"""
import importlib.util, json, os, signal, sys, threading
def end_with_parent():
    os.read(0, 1)
    os.killpg(0, signal.SIGKILL)
if __name__ == "__main__":
    needed, arguments = json.loads(sys.argv[1])
    if not all(importlib.util.find_spec(name) for name in needed):
        sys.exit({_NOT_INSTALLED})
    threading.Thread(target=end_with_parent, daemon=True).start()
    from img2dataset import download
    download(**arguments)
"""
# What decides about the pictures and the order of the rows; threads, timeouts and the like may change between two runs.
_SETTLED = (
    *("encoding", "column_names", "url_column", "caption_column", "columns", "limit", "urls_per_shard"),
    *("image_size", "min_side", "max_pixels", "max_aspect", "refused_directives"),
)


def fetch(recipe: UrlsSource) -> int:
    """Fetch what is not there yet and give the number of addresses. Safe to repeat: what is whole stays, and when all is,
    nothing is started.

    Raises ValueError where the cache was made from something else, where img2dataset is missing, and where it fails.
    """
    cache = Path(recipe.cache)
    num_rows = _plan(recipe, cache)
    missing = missing_shards(recipe, num_rows)
    if missing:
        say(f"fetching {len(missing)} shards of {recipe.urls_per_shard} addresses of {recipe.table} into {cache}")
        _run(recipe, cache, num_rows)
        missing = missing_shards(recipe, num_rows)
    if missing:
        total, log = num_shards(recipe, num_rows), cache / "fetch.log"
        raise ValueError(
            f"{cache}: {len(missing)} of {total} shards were not fetched ({_name(missing[0])}, ...); see {log}, and run this "
            "again to go on"
        )
    return num_rows


def num_shards(recipe: UrlsSource, num_rows: int) -> int:
    return -(-num_rows // recipe.urls_per_shard)


def missing_shards(recipe: UrlsSource, num_rows: int) -> list[int]:
    """Numbers of the shards that are not whole."""
    done = {path.name for path in (Path(recipe.cache) / "shards").glob("*_stats.json")}
    return [number for number in range(num_shards(recipe, num_rows)) if f"{_name(number)}_stats.json" not in done]


def shard_paths(recipe: UrlsSource, number: int) -> tuple[Path, Path]:
    """The tar with the pictures, and the parquet that says what became of every address."""
    shards = Path(recipe.cache) / "shards"
    return shards / f"{_name(number)}.tar", shards / f"{_name(number)}.parquet"


def arguments(recipe: UrlsSource) -> dict[str, Any]:
    """What img2dataset.download is called with."""
    cache = Path(recipe.cache).absolute()
    return {
        "url_list": str(cache / "tables"),
        "input_format": "parquet",
        "url_col": "url",
        "caption_col": "caption",
        "save_additional_columns": ["extra"],
        "output_folder": str(cache / "shards"),
        "output_format": "webdataset",
        "incremental_mode": "incremental",
        "number_sample_per_shard": recipe.urls_per_shard,
        "image_size": recipe.image_size,
        "resize_mode": "keep_ratio",  # the shorter side becomes image_size
        "resize_only_if_bigger": True,
        "min_image_size": recipe.min_side,
        "max_image_area": recipe.max_pixels,
        "max_aspect_ratio": recipe.max_aspect,
        "disallowed_header_directives": recipe.refused_directives,
        "distributor": recipe.distributor,
        "processes_count": recipe.processes,
        "thread_count": recipe.threads,
        "timeout": recipe.timeout,
        "retries": recipe.retries,
        "enable_wandb": False,
    }


def _name(number: int) -> str:
    return f"{number:05d}"


def _plan(recipe: UrlsSource, cache: Path) -> int:
    """Number of addresses; the tables are turned once, and what they were is written down when all of them are."""
    plan = cache / "plan.json"
    made_of = {
        "tables": [[path.name, path.stat().st_size] for path in table_files(recipe)],
        **{name: getattr(recipe, name) for name in _SETTLED},
    }
    if plan.exists():
        found = json.loads(plan.read_text("utf-8"))
        changed = [name for name, value in made_of.items() if found.get(name) != value]
        if changed:
            raise ValueError(
                f"{cache} was fetched with other {', '.join(changed)}; name another directory as cache, or remove this one"
            )
        return found["num_rows"]
    for leftover in ("tables", "shards"):
        shutil.rmtree(cache / leftover, ignore_errors=True)
    num_rows = write_tables(recipe, cache / "tables")
    partial = cache / "plan.json.partial"
    partial.write_text(json.dumps({**made_of, "num_rows": num_rows}, ensure_ascii=False, indent=2) + "\n", "utf-8")
    partial.rename(plan)
    return num_rows


def _run(recipe: UrlsSource, cache: Path, num_rows: int) -> None:
    python = recipe.python or sys.executable
    log = cache / "fetch.log"
    # It would ask the network whether there is a newer version of one of its libraries, and log in to a tracker.
    environment = {**os.environ, "NO_ALBUMENTATIONS_UPDATE": "1", "WANDB_MODE": "disabled"}
    needed = _NEEDED[recipe.distributor]
    command = [python, "-c", _SCRIPT, json.dumps([needed, arguments(recipe)])]
    with log.open("ab") as output:
        try:
            process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=environment,
                start_new_session=True,
            )
        except OSError as error:
            raise ValueError(f"cannot start {python} ({error}); `python` in the recipe is a Python program") from error
        try:
            code = _wait(process, recipe, num_rows)
        finally:
            _end(process)
    if code == _NOT_INSTALLED:
        raise ValueError(f"{python} has no {' or no '.join(needed)}; {python} -m pip install {' '.join(needed)}")
    if code != 0:
        tail = log.read_text("utf-8", "replace").strip().splitlines()[-3:]
        raise ValueError(f"img2dataset failed (exit {code}): {' | '.join(tail)}; see {log}")


def _wait(process: subprocess.Popen, recipe: UrlsSource, num_rows: int) -> int:
    """Exit code; a line for people once in a while."""
    told = time.monotonic()
    while True:
        try:
            return process.wait(timeout=1.0)
        except subprocess.TimeoutExpired:
            if time.monotonic() - told < _SECONDS_BETWEEN_LINES:
                continue
        told, total = time.monotonic(), num_shards(recipe, num_rows)
        say(f"{recipe.cache}: {total - len(missing_shards(recipe, num_rows))} of {total} shards fetched")


def _end(process: subprocess.Popen) -> None:
    """Nothing of it outlives us, whatever ended the waiting."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    if process.stdin:
        process.stdin.close()
