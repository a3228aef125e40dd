"""Lists of addresses: img2dataset fetches them, and each becomes a record or is counted under the reason why it gave none.

CACHE/tables holds the addresses, CACHE/plan.json what they were made from, CACHE/shards what img2dataset writes: NNNNN.tar,
NNNNN.parquet (what became of every address) and, once a shard is whole, NNNNN_stats.json. A run that was cut off goes on with
the shards that lack the last of these. https://github.com/rom1504/img2dataset
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import struct
import subprocess
import sys
import tarfile
import tomllib
from collections.abc import Iterator
from contextlib import suppress
from functools import cache
from importlib.resources import files
from itertools import chain, count, islice
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

from PIL import Image

from skymm.curation.record import Picture, Record, Rejected
from skymm.curation.sources import source
from skymm.curation.sources.pictures import Unusable
from skymm.curation.sources.source import captions_of
from skymm.data.shard_writing import write_json
from skymm.data.shards import split_name, unsafe
from skymm.progress import say
from skymm.recipe.sources import UrlsSource
from skymm.tables import expect_names, kind_of, parquet_rows, parquet_types, stream_rows, tables_at

KINDS = (".csv", ".tsv", ".jsonl", ".parquet", ".csv.gz", ".tsv.gz", ".jsonl.gz")


class Source(source.Source):
    """A row is one of img2dataset's shards: its table says what became of each address, its tar has the pictures."""

    rows_per_part = 1

    def rows(self) -> Iterator[dict[str, Any]]:
        """Fetches first: hours for millions of addresses; a second run goes on, and is instant where all is there."""
        num_rows = fetch(self.recipe)
        per_shard = self.recipe.urls_per_shard
        for number in range(_num_shards(self.recipe, num_rows)):
            yield {"shard": number, "addresses": min(per_shard, num_rows - number * per_shard)}

    def records(self, row: dict[str, Any]) -> Iterator[Record | Rejected]:
        """In the order of the addresses. Raises ValueError where a shard is not what was fetched."""
        tar, table = shard_paths(self.recipe, row["shard"])
        pictures = _pictures_of(tar)
        outcomes = _outcomes(table)
        digits = len(str(self.recipe.urls_per_shard - 1)) if self.recipe.urls_per_shard > 1 else 0
        for index in range(row["addresses"]):
            key = f"{10**digits * row['shard'] + index:0{digits + 5}d}"
            yield _record(key, outcomes.get(key), pictures.get(key))


# --- addresses, out of tables in every public shape into the one that img2dataset reads ------------------------------------
# Turning them first is what makes tables without a header, in GB18030, with a byte order mark or with ragged lines work, and
# what keeps addresses out that a table from strangers must not ask for: `file:///etc/passwd` is an address as well.

# Marks that mean something in an address stay; all else that ASCII has no place for is percent-encoded.
_KEPT = "!#$%&'()*+,/:;=?@[]~"
_ADVICE = (
    "; name them in the recipe (url_column, caption_column, columns), or all of them in column_names where the file "
    "has no header"
)
_ROWS_PER_FILE = 100_000  # img2dataset holds a file whole, and so do we


def write_tables(recipe: UrlsSource, directory: Path) -> int:
    """Write the rows, `limit` at most, as DIRECTORY/00000.parquet, ... and give their number. Columns: url ("" where it is
    refused), caption, and extra, JSON of {"url": as the table has it, "columns": {...}, "refused": reason}.

    A file has a whole number of shards (`urls_per_shard`) but for the last, so that row N is in shard N // urls_per_shard.
    Raises ValueError naming the file for what is no such table.
    """
    import pyarrow
    from pyarrow import parquet

    schema = pyarrow.schema([(name, pyarrow.string()) for name in ("url", "caption", "extra")])
    directory.mkdir(parents=True, exist_ok=True)
    rows = chain.from_iterable(_rows(path, recipe) for path in _table_files(recipe))
    lines = (_line(row, recipe) for row in islice(rows, recipe.limit))
    rows_per_file = recipe.urls_per_shard * max(1, _ROWS_PER_FILE // recipe.urls_per_shard)
    total = 0
    for number in count():
        if not (batch := list(islice(lines, rows_per_file))):
            break
        parquet.write_table(pyarrow.Table.from_pylist(batch, schema), directory / f"{number:05d}.parquet")
        total += len(batch)
    if total == 0:
        raise ValueError(f"{recipe.table}: found no rows")
    return total


def web_address(text: str) -> str:
    """The address as it goes over the wire: Chinese in path and query percent-encoded, and in the host's name as IDNA has it.

    Raises ValueError for all that is no http or https address.
    """
    text = text.strip()
    parts = urlsplit(text)
    if parts.scheme.lower() not in ("http", "https") or not parts.hostname:
        raise ValueError(f"{text[:80]!r} is no http or https address")
    _ = parts.port  # raises ValueError where it is no number
    host = parts.netloc if parts.netloc.isascii() else parts.netloc.encode("idna").decode("ascii")
    return quote(parts._replace(netloc=host).geturl(), safe=_KEPT)


def _table_files(recipe: UrlsSource) -> list[Path]:
    files = tables_at(recipe.table, KINDS)
    kind = kind_of(files[0]).removesuffix(".gz")
    if recipe.column_names and kind not in (".csv", ".tsv"):
        raise ValueError(f"{recipe.table}: column_names is for csv and tsv; a {kind} file names its columns itself")
    return files


def _rows(path: Path, recipe: UrlsSource) -> Iterator[dict[str, Any] | None]:
    """The cells of a table's rows; None for a row of another form."""
    wanted = list(dict.fromkeys([recipe.url_column, recipe.caption_column, *recipe.columns]))
    kind = kind_of(path)
    if kind == ".parquet":
        expect_names(parquet_types(path), wanted, str(path), advice=_ADVICE)
        yield from (cells for _, _, cells in parquet_rows(path, wanted))
        return
    needed = wanted[:2] if kind.startswith(".jsonl") else wanted  # further columns may be missing in some rows of JSON
    # Nothing is quoted in a tsv of addresses: quotation marks are the caption's own.
    for row in stream_rows(path, recipe.encoding, names=recipe.column_names, raw=True):
        if needed and not row.problem:
            expect_names([name[:40] for name in row.cells][:20], needed, str(path), advice=_ADVICE)
            needed = []  # the first row tells
        yield None if row.problem else row.cells


def _line(row: dict[str, Any] | None, recipe: UrlsSource) -> dict[str, str]:
    """What img2dataset reads, by column."""
    cells = row or {}
    url, caption = (_plain(cells.get(name)) or "" for name in (recipe.url_column, recipe.caption_column))
    columns = {name: value for name in recipe.columns if (value := _plain(cells.get(name))) is not None}
    address, refused = "", "row of another form" if row is None else ""
    if not refused and (not isinstance(caption, str) or not caption.strip()):
        caption, refused = "", "no caption"
    if not refused:
        try:
            address = web_address(str(url))
        except ValueError:
            refused = "no web address"
    extra = {"url": str(url), "columns": columns, "refused": refused}
    return {"url": address, "caption": caption, "extra": json.dumps(extra, ensure_ascii=False)}


def _plain(cell: Any) -> Any:
    """A cell as every JSON can hold it. Not-a-number is no value; half a surrogate pair, legal in JSON alone, is a `?`."""
    if cell is None or cell != cell:
        return None
    return cell if isinstance(cell, bool | int | float) else str(cell).encode("utf-8", "replace").decode()


# --- img2dataset, in a process of its own -----------------------------------------------------------------------------------

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
    if missing := missing_shards(recipe, num_rows):
        log = cache / "fetch.log"
        say(
            f"fetching {len(missing)} shards of {recipe.urls_per_shard} addresses of {recipe.table} into {cache}; see {log}"
        )
        _run(recipe, log)
        if missing := missing_shards(recipe, num_rows):
            raise ValueError(
                f"{cache}: {len(missing)} of {_num_shards(recipe, num_rows)} shards were not fetched ({missing[0]:05d}, ...); "
                f"see {log}, and run this again to go on"
            )
    return num_rows


def missing_shards(recipe: UrlsSource, num_rows: int) -> list[int]:
    """Numbers of the shards that are not whole."""
    shards = Path(recipe.cache) / "shards"
    return [n for n in range(_num_shards(recipe, num_rows)) if not (shards / f"{n:05d}_stats.json").exists()]


def _num_shards(recipe: UrlsSource, num_rows: int) -> int:
    return -(-num_rows // recipe.urls_per_shard)


def shard_paths(recipe: UrlsSource, number: int) -> tuple[Path, Path]:
    """The tar with the pictures, and the parquet that says what became of every address."""
    shards = Path(recipe.cache) / "shards"
    return shards / f"{number:05d}.tar", shards / f"{number:05d}.parquet"


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


def _plan(recipe: UrlsSource, cache: Path) -> int:
    """Number of addresses; the tables are turned once, and what they were is written down when all of them are."""
    plan = cache / "plan.json"
    tables = [[path.name, path.stat().st_size] for path in _table_files(recipe)]
    made_of = {"tables": tables, **recipe.model_dump(include=set(_SETTLED))}
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
    write_json(plan, {**made_of, "num_rows": num_rows})
    return num_rows


def _run(recipe: UrlsSource, log: Path) -> None:
    python, needed = recipe.python or sys.executable, _NEEDED[recipe.distributor]
    with log.open("ab") as output:
        try:
            process = subprocess.Popen(
                [python, "-c", _SCRIPT, json.dumps([needed, arguments(recipe)])],
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=subprocess.STDOUT,
                # It would ask the network whether there is a newer version of one of its libraries, and log in to a tracker.
                env={**os.environ, "NO_ALBUMENTATIONS_UPDATE": "1", "WANDB_MODE": "disabled"},
                start_new_session=True,
            )
        except OSError as error:
            raise ValueError(f"cannot start {python} ({error}); `python` in the recipe is a Python program") from error
        try:
            code = process.wait()
        finally:  # nothing of it outlives us, whatever ended the waiting
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
    if code == _NOT_INSTALLED:
        raise ValueError(f"{python} has no {' or no '.join(needed)}; {python} -m pip install {' '.join(needed)}")
    if code != 0:
        tail = log.read_text("utf-8", "replace").strip().splitlines()[-3:]
        raise ValueError(f"img2dataset failed (exit {code}): {' | '.join(tail)}; see {log}")


# --- what became of the addresses -------------------------------------------------------------------------------------------

_STATUS = re.compile(r"HTTP Error (\d{3})")


@cache
def _words() -> dict[str, dict[str, Any]]:
    """What img2dataset says, by sort."""
    return tomllib.loads(files(__package__).joinpath("urls.toml").read_text("utf-8"))


def _pictures_of(tar: Path) -> dict[str, Picture]:
    """Where the picture of each key lies in a tar of img2dataset's. Raises ValueError for what is no such tar."""
    found: dict[str, Picture] = {}
    try:
        size = tar.stat().st_size
        with tarfile.open(tar, "r:") as members:
            for info in members:
                split = split_name(info.name) if info.isreg() and not unsafe(info.name) else None
                if split and split[1] == "jpg" and info.offset_data + info.size <= size:
                    found[split[0]] = Picture(str(tar), info.offset_data, info.size)
    except tarfile.ReadError:
        pass  # a shard in which no address answered is an empty tar; what else is missing is told record by record
    except OSError as error:
        raise ValueError(f"{tar}: cannot be read ({error}); remove {tar.stem}_stats.json and run again") from error
    return found


def _outcomes(table: Path) -> dict[str, dict[str, Any]]:
    try:
        rows = parquet_rows(table, ["key", "caption", "extra", "status", "error_message", "exif"])
        return {cells["key"]: cells for _, _, cells in rows}
    except ValueError as error:
        name = f"{table.stem}_stats.json"
        raise ValueError(f"{table}: cannot be read ({error}); remove {name} beside it and run again") from error


def _record(key: str, outcome: dict[str, Any] | None, picture: Picture | None) -> Record | Rejected:
    if outcome is None:
        return Rejected(key, "lost while fetching")
    row = json.loads(outcome["extra"])
    if row["refused"]:
        return Rejected(key, row["refused"], row["url"])
    if outcome["status"] != "success":
        said = outcome["error_message"] or ""
        return Rejected(key, _reason(outcome["status"], said), f"{row['url']}: {said}")
    if picture is None:
        return Rejected(key, "lost while fetching", row["url"])
    try:
        captions = tuple(captions_of(outcome["caption"]))
    except Unusable as error:
        return Rejected(key, error.reason, error.detail)
    orientation = _words()["orientations"].get(json.loads(outcome["exif"] or "{}").get("Image Orientation", ""))
    if orientation:
        picture = Picture(data=_noting(picture.read(), orientation))
    extra = {"url": row["url"], **({"columns": row["columns"]} if row["columns"] else {})}
    return Record(key, {"jpg": picture}, captions, extra=extra)


def _noting(jpeg: bytes, orientation: int) -> bytes:
    """The JPEG with an EXIF segment that says how it is to be turned; its pixels stay as they were encoded."""
    exif = Image.Exif()
    exif[0x0112] = orientation
    segment = exif.tobytes()
    return jpeg[:2] + b"\xff\xe1" + struct.pack(">H", len(segment) + 2) + segment + jpeg[2:]


def _reason(status: str, said: str) -> str:
    if match := _STATUS.search(said):
        return f"address answers {match[1]}"
    known = next((reason for part, reason in _words()["reasons"].items() if part in said), None)
    return known or ("no picture there" if status == "failed_to_resize" else "address does not answer")
