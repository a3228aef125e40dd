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
    settings = recipe.model_dump(include=set(FIELDS))
    filters = {name: value for name, value in settings["filters"].items() if name not in LATER}
    index = entries(leakage.parent, [leakage]) if leakage else None
    pieces = []
    for name, files in parts.items():
        source = recipe.sources[name]
        job = {
            "directory": str(shop.directory),
            "name": name,
            "source": source.model_dump(),
            "needs_facts": any(task in FACT_TASKS for task in source.tasks),
            "settings": settings,
            "leakage": [str(leakage), fingerprint(index)] if leakage else None,
        }
        described = source.model_dump(exclude={"tasks", "share"})
        inputs = (name, described, job["needs_facts"], {**settings, "filters": filters}, index)
        for number, (file, digest) in enumerate(files):
            part = f"{name}-{number:05d}"
            pieces.append(
                Piece(f"records of {part}", fingerprint(digest, *inputs), {**job, "part": part, "rows": file})
            )
    found: dict[str, list[dict[str, Any]]] = {name: [] for name in parts}
    for line in shop.make("reading", pieces, read_part, _Note()):
        found[line["source"]].append(line)
    for name, lines in found.items():
        _check_rejected(name, lines, recipe.max_rejected)
    return found


def rejections(lines: Sequence[dict[str, Any]]) -> Counter[str]:
    """Samples that were left out, by reason."""
    return sum((Counter(line["rejected"]) for line in lines), Counter())


class _Note:
    """Beside the progress bar: what is kept and left out so far."""

    def __init__(self) -> None:
        self.kept = self.lost = 0

    def __call__(self, line: dict[str, Any]) -> str:
        self.kept += line["records"]
        self.lost += sum(line["rejected"].values())
        return f"{self.kept} kept, {self.lost} left out"


def _check_rejected(name: str, lines: Sequence[dict[str, Any]], limit: float) -> None:
    lost, kept = rejections(lines), sum(line["records"] for line in lines)
    if lost.total() > limit * (lost.total() + kept) or not kept:
        reasons = ", ".join(f"{reason} {count}" for reason, count in lost.most_common(5))
        example = next((line["examples"] for line in lines if line["examples"]), {})
        raise ValueError(
            f"source {name}: {lost.total()} of {lost.total() + kept} samples cannot be used ({reasons}), more than "
            f"max_rejected = {limit}; for example {example}. Mend the source, or raise max_rejected"
        )
