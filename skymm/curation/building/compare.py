"""Between reading and conversing: what is there twice over all sources, and what is frequent in all of them."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from skymm.curation.building.manifest import Files, entries, file_of
from skymm.curation.building.read import TABLE
from skymm.curation.facts.co_occurrence import Statistics
from skymm.curation.filters.duplicates import placeholders, repeated
from skymm.files import whole_file
from skymm.progress import say
from skymm.recipe import DataRecipe

FOLDER = ".build/compared"
KEY_TWICE, DUPLICATE, PLACEHOLDER = "key is there twice", "duplicate", "placeholder picture"

Lines = Mapping[str, Sequence[Mapping[str, Any]]]
"""Source -> the manifest's lines of its parts of records."""


def find_repeated(
    directory: Path, recipe: DataRecipe, records: Lines
) -> tuple[dict[str, list[int]], dict[str, Counter[str]]]:
    """(part -> numbers of its records that go, source -> how many go and why).

    Sources come in the recipe's order, records in their source's: of several alike the first one stays.
    """
    parts = [line for lines in records.values() for line in lines]
    starts = np.cumsum([0, *(line["records"] for line in parts)])
    places = list(zip(parts, starts, starts[1:]))
    path = directory / FOLDER / "samples.npy"
    path.parent.mkdir(parents=True, exist_ok=True)
    table = np.lib.format.open_memmap(path, "w+", TABLE, (int(starts[-1]),))
    source_of = np.zeros(len(table), np.uint16)
    names = list(records)
    for line, begin, end in places:
        table[begin:end] = np.load(file_of(directory, line["files"], ".samples.npy"), allow_pickle=False)
        source_of[begin:end] = names.index(line["source"])
    gone = np.zeros(len(table), bool)
    reasons: dict[str, Counter[str]] = {name: Counter() for name in records}
    for reason, mask in _reasons(recipe, table, source_of):
        for number, count in enumerate(np.bincount(source_of[mask & ~gone], minlength=len(names))):
            if count:
                reasons[names[number]][reason] += int(count)
        gone |= mask
    return {line["part"]: np.flatnonzero(gone[begin:end]).tolist() for line, begin, end in places}, reasons


def _reasons(recipe: DataRecipe, table: np.ndarray, source_of: np.ndarray) -> Iterator[tuple[str, np.ndarray]]:
    twice = np.ones(len(table), bool)
    for source in np.unique(source_of):
        rows = np.flatnonzero(source_of == source)
        twice[rows[np.unique(table["key"][rows], return_index=True)[1]]] = False
    yield KEY_TWICE, twice
    filters = recipe.filters
    if len(table) >= 100_000 and (filters.duplicates is not None or filters.max_uses is not None):
        say(f"comparing {len(table)} samples")
    if filters.max_uses is not None:
        yield PLACEHOLDER, placeholders(table["signature"], filters.max_uses)
    if filters.duplicates is not None:
        yield DUPLICATE, repeated(table["signature"], filters.duplicates)


def gather_statistics(directory: Path, records: Lines) -> Files:
    """One file with the frequencies of things in all records."""
    total = Statistics()
    for line in (line for lines in records.values() for line in lines):
        text = file_of(directory, line["files"], ".statistics.json").read_text("utf-8")
        total.merge(Statistics.from_json(json.loads(text)))
    path = directory / FOLDER / "statistics.json"
    with whole_file(path, "w", encoding="utf-8") as file:
        json.dump(total.to_json(), file, ensure_ascii=False, sort_keys=True)
    return entries(directory, [path])
