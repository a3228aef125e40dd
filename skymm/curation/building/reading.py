"""Second step: rows become records. What is kept out is counted here, sample by sample; readers do it (reader.py)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from skymm.curation.building.conversing import FACT_TASKS
from skymm.curation.building.manifest import entries, fingerprint
from skymm.curation.building.pieces import Piece, Workshop
from skymm.curation.building.reader import read_part
from skymm.recipe import DataRecipe

FIELDS = ("filters", "script", "translation")
"""What of a recipe decides about single records; the rest decides about their mixture, and comes later."""
LATER = ("duplicates", "max_uses")  # of the filters: they need all samples


def read_records(
    shop: Workshop, recipe: DataRecipe, parts: dict[str, list[tuple[str, str]]], leakage: Path | None
) -> dict[str, list[dict[str, Any]]]:
    """Source -> the manifest's lines of its parts. Raises ValueError where more than `max_rejected` of a source is lost."""
    found = {}
    settings = recipe.model_dump(include=set(FIELDS))
    deciding = {
        **settings,
        "filters": {name: settings["filters"][name] for name in settings["filters"] if name not in LATER},
    }
    index = entries(leakage.parent, [leakage]) if leakage else None
    for name, files in parts.items():
        source = recipe.sources[name]
        needs_facts = any(task in FACT_TASKS for task in source.tasks)
        pieces = [
            Piece(
                f"records of {name} {number:05d}",
                fingerprint(digest, deciding, source.model_dump(exclude={"tasks", "share"}), needs_facts, index),
                {
                    "directory": str(shop.directory),
                    "part": f"{name}-{number:05d}",
                    "rows": file,
                    "name": name,
                    "source": source.model_dump(),
                    "needs_facts": needs_facts,
                    "settings": settings,
                    "leakage": str(leakage) if leakage else None,
                },
            )
            for number, (file, digest) in enumerate(files)
        ]
        found[name] = shop.make(f"reading {name}", pieces, read_part, _note)
        _check_rejected(name, found[name], recipe.max_rejected)
    return found


def rejections(lines: Sequence[dict[str, Any]]) -> Counter[str]:
    total: Counter[str] = Counter()
    for line in lines:
        total.update(line["rejected"])
    return total


def _note(lines: Sequence[dict[str, Any]]) -> str:
    return f"{sum(line['records'] for line in lines)} kept, {rejections(lines).total()} left out"


def _check_rejected(name: str, lines: Sequence[dict[str, Any]], limit: float) -> None:
    lost, kept = rejections(lines), sum(line["records"] for line in lines)
    if lost.total() > limit * (lost.total() + kept) or not kept:
        reasons = ", ".join(f"{reason} {count}" for reason, count in lost.most_common(5))
        example = next((line["examples"] for line in lines if line["examples"]), {})
        raise ValueError(
            f"source {name}: {lost.total()} of {lost.total() + kept} samples cannot be used ({reasons}), more than "
            f"max_rejected = {limit}; for example {example}. Mend the source, or raise max_rejected"
        )
