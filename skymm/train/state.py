"""What a run leaves on disk, written so that a kill at any moment costs at most the steps since the last checkpoint.

RUN/recipe.json               the resolved recipe; another recipe in the same directory is refused
RUN/log.jsonl                 one line per step
RUN/checkpoints/step-000100/  a complete model directory + optimizer.safetensors + state.json
RUN/*                         the finished model, and DONE as the last file
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

from safetensors.torch import load_file, save_file

from skymm.recipe import StageRecipe, differences

RECIPE, CHECKPOINTS, STATE, OPTIMIZER, DONE = (
    "recipe.json",
    "checkpoints",
    "state.json",
    "optimizer.safetensors",
    "DONE",
)


def claim(out: Path, recipe: StageRecipe) -> None:
    """Make the directory this recipe's. Raises ValueError, showing what differs, when it is another's."""
    out.mkdir(parents=True, exist_ok=True)
    path = out / RECIPE
    if path.exists():
        _refuse_other(out, recipe)
        return
    _write(path, recipe.model_dump_json(indent=2))


def is_finished(out: Path, recipe: StageRecipe) -> bool:
    """Whether this very recipe has run to its end here. Raises ValueError when another has."""
    if not (out / DONE).exists():
        return False
    _refuse_other(out, recipe)
    return True


def latest(out: Path) -> Path | None:
    """The newest complete checkpoint, or None."""
    found = sorted((out / CHECKPOINTS).glob("step-*")) if (out / CHECKPOINTS).is_dir() else []
    return found[-1] if found else None


def save(
    out: Path, model: Any, processor: Any, optimizer: Any, cursor: dict[str, Any], step: int, *, keep: int
) -> None:
    """Written beside, then renamed: a directory under its final name is complete. Only the newest `keep` stay."""
    final = out / CHECKPOINTS / f"step-{step:06d}"
    partial = out / f".{final.name}.partial"
    shutil.rmtree(partial, ignore_errors=True)
    model.save_pretrained(partial)
    processor.save_pretrained(partial)
    save_file(optimizer.state(), partial / OPTIMIZER)
    _write(partial / STATE, json.dumps({"version": 1, "step": step, "cursor": cursor}))
    final.parent.mkdir(exist_ok=True)
    shutil.rmtree(final, ignore_errors=True)
    partial.rename(final)
    for old in sorted(final.parent.glob("step-*"))[:-keep]:
        shutil.rmtree(old)


def load(checkpoint: Path, optimizer: Any) -> dict[str, Any]:
    """Put the optimizer where it was; returns step and cursor."""
    optimizer.load_state(load_file(checkpoint / OPTIMIZER))
    return json.loads((checkpoint / STATE).read_text("utf-8"))


def finish(out: Path, model: Any, processor: Any) -> None:
    """The finished model into the run directory, then DONE; the last checkpoints have done their service."""
    model.save_pretrained(out)
    processor.save_pretrained(out)
    _write(out / DONE, "")
    shutil.rmtree(out / CHECKPOINTS, ignore_errors=True)


def _refuse_other(out: Path, recipe: StageRecipe) -> None:
    path = out / RECIPE
    before = StageRecipe.model_validate_json(path.read_text("utf-8")) if path.exists() else None
    if before is None or before == recipe:
        return
    changes = "\n  ".join(differences(before, recipe))
    raise ValueError(f"{out} holds a run of another recipe:\n  {changes}\nGive another `out`, or remove {out}.")


def _write(path: Path, text: str) -> None:
    partial = path.with_name(f".{path.name}.partial")
    partial.write_text(text, "utf-8")
    partial.rename(path)
