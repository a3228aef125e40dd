"""Fourth step: which conversations are kept, in which order they lie, and in which shard."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from skymm.curation.building.order import scatter, shuffled
from skymm.curation.building.shares import Shares, Sort, keep
from skymm.recipe import DataRecipe

Pick = tuple[str, list[int], list[int]]
"""A part, numbers of its lines, and their places within the shard."""


def choose(directory: Path, recipe: DataRecipe, lines: Sequence[Mapping[str, Any]]) -> Iterator[list[Pick]]:
    """For each shard, what lies in it. `lines`: the manifest's, of all parts of conversations.

    Raises ValueError where the shares cannot be met. Memory: some 30 bytes per conversation.
    """
    names = list(recipe.sources)
    if not any(line["conversations"] for line in lines):
        raise ValueError(
            f"no sample came out of any source. {'; '.join(_why_none(recipe, name, lines) for name in names)}"
        )
    sorts = np.concatenate([_sorts(directory, line, names.index(line["source"])) for line in lines])
    kinds, kind_of, counts = np.unique(sorts, axis=0, return_inverse=True, return_counts=True)
    wanted = keep(
        [Sort(names[source], int(a), int(zh), int(no), int(n)) for (source, a, zh, no), n in zip(kinds, counts)],
        Shares(
            {name: source.share for name, source in recipe.sources.items() if source.share is not None},
            recipe.chinese_share,
            recipe.negative_share,
            recipe.num_samples,
        ),
    )
    chosen = _chosen(kind_of.reshape(-1), np.array(wanted), f"{recipe.seed}/keep")
    order = shuffled(chosen, f"{recipe.seed}/order")
    starts = np.cumsum([0, *(line["conversations"] for line in lines)])
    for first in range(0, len(order), recipe.samples_per_shard):
        yield _picks(order[first : first + recipe.samples_per_shard], starts, lines)


def _why_none(recipe: DataRecipe, name: str, lines: Sequence[Mapping[str, Any]]) -> str:
    """What became of the records of a source that gave no sample."""
    of_it = [line for line in lines if line["source"] == name]
    dropped = sum((Counter(line["dropped"]) for line in of_it), Counter())
    tasks = recipe.sources[name].tasks
    told = [f"{sum(line['silent'] for line in of_it)} records gave nothing for tasks = {list(tasks)}"]
    told += [f"{count} captions or conversations were left out: {reason}" for reason, count in dropped.most_common(5)]
    needs = {
        "captions": "captions need a source with captions",
        "turns": "turns need one with conversations",
        "negatives": "negatives and preferences need boxes, or captions that name things",
        "preferences": "negatives and preferences need boxes, or captions that name things",
    }
    return f"{name}: {', '.join(told)} ({', '.join(dict.fromkeys(needs[task] for task in tasks))})"


def _sorts(directory: Path, line: Mapping[str, Any], source: int) -> np.ndarray:
    """(conversations, 4): source, answers, Chinese, negative."""
    file = next(file for file in line["files"] if file.endswith(f"{line['part']}.npy"))
    table = np.load(directory / file, allow_pickle=False)
    return np.column_stack([np.full(len(table), source, dtype=np.uint16), table])


def _chosen(kind_of: np.ndarray, wanted: np.ndarray, seed: str) -> np.ndarray:
    """Numbers of the kept conversations: of each kind as many as wanted, those that the seed puts first."""
    indices = np.arange(len(kind_of), dtype=np.uint64)
    order = np.lexsort((scatter(indices, seed), kind_of))
    begins = np.searchsorted(kind_of[order], np.arange(len(wanted)))
    rank = np.arange(len(order)) - begins[kind_of[order]]
    return np.sort(indices[order[rank < wanted[kind_of[order]]]])


def _picks(order: np.ndarray, starts: np.ndarray, lines: Sequence[Mapping[str, Any]]) -> list[Pick]:
    part_of = np.searchsorted(starts, order, side="right") - 1
    picks = []
    for part in np.unique(part_of):
        places = np.flatnonzero(part_of == part)
        numbers = order[places].astype(np.int64) - int(starts[part])
        picks.append((lines[part]["part"], numbers.tolist(), places.tolist()))
    return picks
