"""Between reading and conversing: what is there twice over all sources, and what is frequent in all of them."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from skymm.curation.building.pieces import Workshop
from skymm.curation.facts.co_occurrence import Statistics
from skymm.curation.filters.duplicates import SIGNATURE, placeholders, repeated
from skymm.files import whole_file
from skymm.progress import say
from skymm.recipe import DataRecipe

FOLDER = ".build/compared"
KEY_TWICE, DUPLICATE, PLACEHOLDER = "key is there twice", "duplicate", "placeholder picture"

Lines = Mapping[str, Sequence[Mapping[str, Any]]]
"""Source -> the manifest's lines of its parts of records."""


def find_repeated(
    shop: Workshop, recipe: DataRecipe, records: Lines
) -> tuple[dict[str, Path], dict[str, Counter[str]]]:
    """(part -> a table that says which of its records go, source -> how many go and why).

    Sources come in the recipe's order, records in their source's: of several alike the first one stays.
    """
    parts = [line for lines in records.values() for line in lines]
    starts = np.cumsum([0, *(line["records"] for line in parts)])
    gone = np.zeros(starts[-1], dtype=bool)
    reasons: dict[str, Counter[str]] = {name: Counter() for name in records}
    for reason, mask in _reasons(shop.directory, recipe, records, starts):
        new = mask & ~gone
        for line, begin, end in zip(parts, starts, starts[1:]):
            if count := int(new[begin:end].sum()):
                reasons[line["source"]][reason] += count
        gone |= mask
    tables = {}
    for line, begin, end in zip(parts, starts, starts[1:]):
        path = tables[line["part"]] = shop.directory / FOLDER / f"{line['part']}.npy"
        with whole_file(path) as file:
            np.save(file, gone[begin:end])
    return tables, reasons


def _reasons(
    directory: Path, recipe: DataRecipe, records: Lines, starts: np.ndarray
) -> Iterator[tuple[str, np.ndarray]]:
    yield KEY_TWICE, np.concatenate([np.zeros(0, bool), *(_keys_twice(directory, lines) for lines in records.values())])
    if recipe.filters.duplicates is None and recipe.filters.max_uses is None:
        return
    if starts[-1] >= 100_000:
        say(f"comparing {starts[-1]} samples")
    path = directory / FOLDER / "signatures.npy"
    path.parent.mkdir(parents=True, exist_ok=True)
    everything = np.lib.format.open_memmap(path, "w+", SIGNATURE, (int(starts[-1]),))
    parts = [line for lines in records.values() for line in lines]
    for line, begin, end in zip(parts, starts, starts[1:]):
        everything[begin:end] = np.load(_file(directory, line, ".signatures.npy"), allow_pickle=False)
    if recipe.filters.max_uses is not None:
        yield PLACEHOLDER, placeholders(everything, recipe.filters.max_uses)
    if recipe.filters.duplicates is not None:
        yield DUPLICATE, repeated(everything, recipe.filters.duplicates)


def _keys_twice(directory: Path, lines: Sequence[Mapping[str, Any]]) -> np.ndarray:
    keys = np.concatenate([np.load(_file(directory, line, ".keys.npy"), allow_pickle=False) for line in lines])
    first = np.unique(keys, return_index=True)[1]
    twice = np.ones(len(keys), dtype=bool)
    twice[first] = False
    return twice


def gather_statistics(shop: Workshop, records: Lines) -> Path:
    """One file with the frequencies of things in all records."""
    total = Statistics()
    for line in (line for lines in records.values() for line in lines):
        text = _file(shop.directory, line, ".statistics.json").read_text("utf-8")
        total.merge(Statistics.from_json(json.loads(text)))
    path = shop.directory / FOLDER / "statistics.json"
    with whole_file(path, "w", encoding="utf-8") as file:
        json.dump(total.to_json(), file, ensure_ascii=False, sort_keys=True)
    return path


def _file(directory: Path, line: Mapping[str, Any], suffix: str) -> Path:
    return directory / next(name for name in line["files"] if name.endswith(suffix))
