"""A stage that has not run yet: its recipe, and what of the disk it refers to, as plain data."""

from __future__ import annotations

import json
import shutil
import tarfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from pydantic import ValidationError

from skymm.data.shards import CARD, ShardError, expand
from skymm.recipe import StageRecipe, differences
from skymm.train.doctor.machine import Machine
from skymm.train.history import RECIPE

Cache = Literal["none", "empty", "built"]


@dataclass(frozen=True, slots=True)
class Plan:
    """What the findings about a recipe need to know.

    Args:
        shards: their number by source. missing: why there are none, by source. samples: in all sources together, by their
            cards or estimated from the first shard of each; None where nothing is there to count.
        features: the recipe's cache. init_found: whether the directory to start from is there.
        free_gib: where `out` will lie. checkpoint_gib: of one checkpoint, estimated; None where nothing tells.
        changes: in which this recipe differs from the one whose run lies in `out`.
    """

    recipe: StageRecipe
    machine: Machine = field(default_factory=Machine)
    shards: Mapping[str, int] = field(default_factory=dict)
    missing: Mapping[str, str] = field(default_factory=dict)
    samples: int | None = None
    features: Cache = "none"
    init_found: bool = True
    free_gib: float = 1000.0
    checkpoint_gib: float | None = None
    changes: Sequence[str] = ()

    @property
    def workers(self) -> int:
        """Readers of data per process, where recipes have them."""
        return int(self.recipe.model_dump().get("workers") or 0)


def plan_of(recipe: StageRecipe, machine: Machine) -> Plan:
    """Look up what a recipe refers to. Reads headers and sizes, never whole shards."""
    shards, missing, samples = {}, {}, 0
    for name, source in recipe.data.items():
        try:
            paths = expand(source.shards)
        except ValueError as error:
            missing[name] = str(error)
            continue
        shards[name] = len(paths)
        samples += _num_samples(paths)
    out = Path(recipe.out)
    return Plan(
        recipe,
        machine,
        shards,
        missing,
        samples or None,
        _cache(recipe),
        recipe.init is None or Path(recipe.init).is_dir(),
        shutil.disk_usage(_existing(out)).free / 2**30,
        _checkpoint_gib(recipe, out),
        _changes(out, recipe),
    )


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


def _cache(recipe: StageRecipe) -> Cache:
    from skymm.data.features import META
    from skymm.data.key_index import KEYS
    from skymm.train.features import BESIDE

    if recipe.features == BESIDE:
        return "built"  # each sample has its own; the first that lacks them is told by name
    if recipe.features is None or not (Path(recipe.features) / META).exists():
        return "none"
    keys = Path(recipe.features) / KEYS
    return "built" if keys.exists() and keys.stat().st_size else "empty"


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


def _changes(out: Path, recipe: StageRecipe) -> list[str]:
    path = out / RECIPE
    if not path.exists():
        return []
    try:
        return differences(StageRecipe.model_validate_json(path.read_text("utf-8")), recipe)
    except ValidationError:
        return [f"{path} is not a recipe of this version"]


def _existing(path: Path) -> Path:
    """The path, or the nearest directory above it that is there."""
    path = path.resolve()
    return next(one for one in (path, *path.parents) if one.exists())
