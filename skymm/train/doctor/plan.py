"""A stage that has not run yet: its recipe, and what of the disk it refers to, as plain data."""

from __future__ import annotations

import json
import shutil
import tarfile
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from skymm.data.shards import CARD, ShardError, expand
from skymm.recipe import StageRecipe
from skymm.train.doctor.machine import Machine


@dataclass(frozen=True, slots=True)
class Plan:
    """What the findings about a recipe need to know.

    Args:
        refusal: what the start says instead of starting. samples: in all sources together, by their cards or estimated from
            the first shard of each; None where nothing is there to count.
        free_gib: where `out` will lie. checkpoint_gib: of one checkpoint, estimated; None where nothing tells.
    """

    recipe: StageRecipe
    machine: Machine = field(default_factory=Machine)
    refusal: str | None = None
    samples: int | None = None
    free_gib: float = 1000.0
    checkpoint_gib: float | None = None


def plan_of(recipe: StageRecipe, machine: Machine) -> Plan:
    """Look up what a recipe refers to, and try to start it: the model is loaded and one batch read, nothing is written."""
    refusal, samples = _refusal(recipe), None
    with suppress(ValueError, OSError):  # told by the start, where it matters
        samples = sum(_num_samples(expand(source.shards)) for source in recipe.data.values())
    out = Path(recipe.out)
    free = shutil.disk_usage(_existing(out)).free / 2**30
    return Plan(recipe, machine, refusal, samples or None, free, _checkpoint_gib(recipe, out))


def _refusal(recipe: StageRecipe) -> str | None:
    try:
        from skymm.train.loop import check

        check(recipe)
    except Exception as error:  # a broken environment or a mistake of ours: told as it is, and the other findings stay
        return str(error) if isinstance(error, ValueError | OSError) else f"{type(error).__name__}: {error}"
    return None


def _num_samples(paths: Sequence[Path]) -> int:
    """By the cards beside the shards; shards without one are taken to be as dense as the first of them."""
    known: dict[Path, int] = {}
    for directory in {path.parent for path in paths}:
        card = directory / CARD
        entries = json.loads(card.read_text("utf-8")).get("shards", []) if card.exists() else []
        known |= {directory / one["name"]: one["num_samples"] for one in entries}
    uncounted = [path for path in paths if path not in known]
    total = sum(known.get(path, 0) for path in paths)
    if uncounted:
        first = uncounted[0]
        try:
            with tarfile.open(first) as tar:
                count = sum(name.endswith(".json") for name in tar.getnames())
        except (tarfile.TarError, OSError) as error:
            raise ShardError(f"{first} cannot be read: {error}; it is no tar, or damaged") from error
        total += round(count * sum(path.stat().st_size for path in uncounted) / max(1, first.stat().st_size))
    return total


def _checkpoint_gib(recipe: StageRecipe, out: Path) -> float | None:
    """The newest one there is; else from the model to start with, whose weights the optimizer keeps three times in fp32."""
    found = sorted((out / "checkpoints").glob("step-*"))
    if found:
        return _size(found[-1]) / 2**30
    if recipe.init is not None and Path(recipe.init).is_dir():
        weights = sum(path.stat().st_size for path in Path(recipe.init).glob("**/*.safetensors"))
        # Weights in bf16 are 2 bytes each; master and two moments are 12.
        return (_size(Path(recipe.init)) + 6 * weights) / 2**30
    return None


def _size(directory: Path) -> int:
    return sum(path.stat().st_size for path in directory.iterdir() if path.is_file()) + sum(
        _size(path) for path in directory.iterdir() if path.is_dir() and path.name != "checkpoints"
    )


def _existing(path: Path) -> Path:
    """The path, or the nearest directory above it that is there."""
    path = path.resolve()
    return next(one for one in (path, *path.parents) if one.exists())
