"""First step: every source lists its rows once, in order, into parts that processes can take."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from itertools import chain, islice
from pathlib import Path
from typing import Any

from skymm.curation.building.engines import Job, Local
from skymm.curation.building.jsonl import write_lines
from skymm.curation.building.manifest import entries, fingerprint
from skymm.curation.building.pieces import Piece, Workshop
from skymm.curation.sources.source import open_source
from skymm.recipe import DataRecipe
from skymm.recipe.sources import Source, parse_source

FOLDER = ".build/rows"
# What is made of a source's records, and how many of them are chosen, does not change its rows.
_LATER = ("tasks", "share", "licence")


def list_rows(
    shop: Workshop, recipe: DataRecipe
) -> tuple[dict[str, list[tuple[str, str]]], dict[str, str], dict[str, dict[str, int]]]:
    """Source -> its parts, as (file of rows relative to the build's directory, sha256); source -> its licence; and source ->
    how many rows it has of which form, where its format has several.
    """
    found, licences, forms = {}, {}, {}
    shop = replace(
        shop, engine=Local()
    )  # in this process: tables are read in order, and img2dataset has its own workers
    for name, source in recipe.sources.items():
        line = shop.make(f"listing {name}", [_piece(shop.directory, name, source)], list_source)[0]
        found[name] = [(file, digest) for file, (_, digest) in line["files"].items() if file.endswith(".jsonl")]
        licences[name] = source.licence or line["licence"]
        forms[name] = line["forms"]
    return found, licences, forms


def list_source(job: Job) -> dict[str, Any]:
    """Worker: the rows of one source. Raises ValueError where there are none."""
    directory, name, recipe = Path(job["directory"]), job["name"], parse_source(job["source"])
    source = open_source(recipe)
    rows = iter(islice(source.rows(), recipe.limit))
    paths: list[Path] = []
    num_rows = 0
    for first in rows:
        path = directory / FOLDER / f"{name}-{len(paths):05d}.jsonl"
        num_rows += write_lines(path, chain([first], islice(rows, source.rows_per_part - 1)))
        paths.append(path)
    if not paths:
        raise ValueError(f"source {name} ({recipe.format}) has no rows; expected at least one in {_named(recipe)}")
    forms = dict(Counter(getattr(source, "forms", {})).most_common())
    return {"files": entries(directory, paths), "rows": num_rows, "licence": source.licence, "forms": forms}


def _piece(directory: Path, name: str, source: Source) -> Piece:
    fields = {key: value for key, value in source.model_dump().items() if key not in _LATER}
    inputs = fingerprint(name, fields, [_state(path) for path in _paths(fields)])
    job = {"directory": str(directory), "name": name, "source": source.model_dump()}
    return Piece(f"rows of {name}", inputs, job)


def _named(recipe: Source) -> str:
    return ", ".join(
        _paths({key: value for key, value in recipe.model_dump().items() if key not in ("format", *_LATER)})
    )


def _paths(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for part in value.values() if isinstance(value, dict) else value:
            yield from _paths(part)


def _state(path: str) -> Any:
    """A table that was changed since is listed again. Of a directory, its own entry tells when files came or went."""
    try:
        state = Path(path).stat()
    except (OSError, ValueError):
        return path
    return path, state.st_size, state.st_mtime_ns
