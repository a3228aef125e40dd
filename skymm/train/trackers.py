"""The numbers of every step in a tracker, for those who look at many runs side by side; log.jsonl has them in any case.

A run that is resumed goes on as the same one: its identity lies beside its log. Steps between the last checkpoint and the
kill come twice with the same numbers; TensorBoard is told to drop the first ones, the others keep one value per step.
"""

from __future__ import annotations

import importlib.util
import json
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from accelerate import Accelerator

from skymm.recipe import StageRecipe, leaves
from skymm.train.runlog import is_number

PROJECT = "skymm"
DIRECTORY, IDENTITY = "trackers", "id"


def options_for(recipe: StageRecipe) -> dict[str, Any]:
    """What the Accelerator of a stage is opened with. Raises ValueError, before anything is loaded, for trackers that are
    not installed: accelerate itself leaves them out without a word.
    """
    missing = [name for name in recipe.trackers if importlib.util.find_spec(name) is None]
    if missing:
        raise ValueError(
            f"the recipe names trackers that are not installed: {', '.join(missing)}; "
            f"pip install {' '.join(missing)}, or take them out of `trackers`"
        )
    return {"log_with": list(recipe.trackers), "project_dir": str(_directory(recipe))} if recipe.trackers else {}


def start(accelerator: Accelerator, recipe: StageRecipe, *, step: int = 0) -> None:
    """Open the trackers of a run that has done `step` steps. Call it when the run's directory is this recipe's."""
    if not accelerator.log_with:
        return
    accelerator.init_trackers(
        PROJECT, config=settings(recipe), init_kwargs=options_of(recipe, identity(recipe, accelerator), step)
    )


def log(accelerator: Accelerator, line: Mapping[str, Any]) -> None:
    """A line of the log as one step of every tracker."""
    if accelerator.trackers:
        accelerator.log(numbers(line), step=line["step"])


def finish(accelerator: Accelerator) -> None:
    """Close the trackers. Not `end_training`, which also takes down the process group: stages may follow in this process."""
    for tracker in accelerator.trackers:
        tracker.finish()
    accelerator.trackers.clear()


def numbers(line: Mapping[str, Any]) -> dict[str, float]:
    """What of a log line can be drawn; skipped samples by reason as `skipped/REASON`."""
    flat = {**line, **{f"skipped/{reason}": count for reason, count in (line.get("skipped") or {}).items()}}
    return {name: value for name, value in flat.items() if name != "step" and is_number(value)}


def settings(recipe: StageRecipe) -> dict[str, str | int | float | bool]:
    """The recipe as flat plain values, which is all that trackers take."""
    flat = leaves(recipe.model_dump())
    return {
        name: value if isinstance(value, str | int | float) else json.dumps(value, ensure_ascii=False)
        for name, value in flat.items()
    }


def options_of(recipe: StageRecipe, run: str, step: int) -> dict[str, dict[str, Any]]:
    """What each tracker needs to go on with the run of that identity after `step`."""
    name, directory = Path(recipe.out).name, str(_directory(recipe))
    return {
        "tensorboard": {"purge_step": step + 1} if step else {},
        "trackio": {"name": f"{name}-{run[:6]}", "resume": "allow"},
        "swanlab": {"experiment_name": name, "id": run, "resume": "allow", "logdir": directory},
        "wandb": {"name": name, "id": run, "resume": "allow", "dir": directory},
    }


def identity(recipe: StageRecipe, accelerator: Accelerator) -> str:
    """Of the run, the same however often it is resumed; a directory that was removed and made anew is another run."""
    path = _directory(recipe) / IDENTITY
    if accelerator.is_main_process and not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(secrets.token_hex(11)[:21], "utf-8")  # SwanLab wants exactly 21 letters and digits
    accelerator.wait_for_everyone()
    return path.read_text("utf-8")


def _directory(recipe: StageRecipe) -> Path:
    return Path(recipe.out) / DIRECTORY
