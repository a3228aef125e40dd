"""What a run leaves on disk, written so that a kill at any moment costs at most the steps since the last checkpoint.

RUN/recipe.json               the resolved recipe; another recipe in the same directory is refused
RUN/log.jsonl                 one line per step
RUN/run.json                  the run card: what ran on what, and how fast; also in every directory with a model
RUN/checkpoints/step-000100/  a complete model directory + optimizer.safetensors + state.json
RUN/best/                     the model with the lowest held-out loss, where the recipe has held-out shards
RUN/*                         the finished model, and DONE as the last file
"""

from __future__ import annotations

import json
import platform
import shutil
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

from safetensors.torch import load_file, save_file

from skymm.data.stream import Mixture
from skymm.model import lora
from skymm.recipe import StageRecipe, differences
from skymm.train.doctor.machine import this_machine
from skymm.train.runlog import CARD, DONE, RECIPE

STATE, OPTIMIZER = "state.json", "optimizer.safetensors"
# What changes nothing of what is learned may be changed while a run goes on.
MAY_CHANGE = ("save_every", "keep_checkpoints", "trackers")
CHECKPOINTS, BEST = "checkpoints", "best"
PACKAGES = ("torch", "transformers", "peft", "accelerate", "skymm")


def claim(out: Path, recipe: StageRecipe) -> None:
    """Make the directory this recipe's. Raises ValueError, showing what differs, when it is another's."""
    refuse_other(out, recipe)
    out.mkdir(parents=True, exist_ok=True)
    if not (out / BEST).exists() and _previous(out / BEST).exists():
        _previous(out / BEST).rename(out / BEST)  # a kill came between the two renames of `_whole`
    if not (out / RECIPE).exists():
        _write(out / RECIPE, recipe.model_dump_json(indent=2))


def refuse_other(out: Path, recipe: StageRecipe) -> None:
    """Raises ValueError, showing what differs, where the directory holds a run of another recipe."""
    path = out / RECIPE
    before = StageRecipe.model_validate_json(path.read_text("utf-8")) if path.exists() else None
    unimportant = {name: getattr(recipe, name) for name in MAY_CHANGE}
    if before is None or before.model_copy(update=unimportant) == recipe:
        return
    changes = "\n  ".join(differences(before, recipe))
    raise ValueError(f"{out} holds a run of another recipe:\n  {changes}\nGive another `out`, or remove {out}.")


def is_finished(out: Path, recipe: StageRecipe) -> bool:
    """Whether this very recipe has run to its end here. Raises ValueError when another has."""
    if not (out / DONE).exists():
        return False
    refuse_other(out, recipe)
    return True


def latest(out: Path) -> Path | None:
    """The newest complete checkpoint, or None."""
    found = _checkpoints(out)
    return found[-1] if found else None


def save(
    out: Path,
    model: Any,
    processor: Any,
    optimizer: Any,
    card: dict[str, Any],
    saved: dict[str, Any],
    *,
    keep: int,
) -> None:
    """A checkpoint to go on from, `saved` beside the model: step, cursor, flops, best. Only the newest `keep` stay."""

    def write(directory: Path) -> None:
        _write_model(directory, model, processor, card)
        save_file(optimizer.state(), directory / OPTIMIZER)
        _write(directory / STATE, json.dumps({"version": 2, **saved}))

    _whole(out, out / CHECKPOINTS / f"step-{saved['step']:06d}", write)
    for old in _checkpoints(out)[:-keep]:
        shutil.rmtree(old)


def save_best(out: Path, model: Any, processor: Any, card: dict[str, Any]) -> None:
    """The model with the lowest held-out loss so far, in the place of the one before."""
    _whole(out, out / BEST, lambda directory: _write_model(directory, model, processor, card))


def load(checkpoint: Path, optimizer: Any) -> dict[str, Any]:
    """Put the optimizer where it was; returns step, cursor, FLOPs and the best held-out measurement so far."""
    optimizer.load_state(load_file(checkpoint / OPTIMIZER))
    return {"best": None, "flops": {}} | json.loads((checkpoint / STATE).read_text("utf-8"))


def finish(out: Path, model: Any, processor: Any, card: dict[str, Any]) -> None:
    """The finished model into the run directory, then DONE; the last checkpoints have done their service."""
    _write_model(out, model, processor, card)
    _write(out / DONE, "")
    shutil.rmtree(out / CHECKPOINTS, ignore_errors=True)


def run_card(recipe: StageRecipe, model: Any, mixture: Mixture, **measured: Any) -> dict[str, Any]:
    """What ran on what, as it is known before the first step; `measured` goes in as it is."""
    return {
        "recipe": recipe.model_dump(mode="json"),
        "data": {
            name: {"fingerprint": stream.cursor.fingerprint, "shards": len(stream.shards)}
            for name, stream in mixture.streams.items()
        },
        "versions": {"python": platform.python_version()} | {name: version(name) for name in PACKAGES},
        "device": this_machine().device,
        "attention": model.language_model.config._attn_implementation,
        "dtype": str(model.dtype).removeprefix("torch."),
        "compiled": recipe.compile,
        "lora_matrices": lora.num_adapted(model.language_model),
        **measured,
        "throughput": None,
        "best": None,
    }


def write_card(out: Path, card: dict[str, Any]) -> None:
    """The run card beside the log, from the first step on."""
    _write(out / CARD, json.dumps(card, ensure_ascii=False, indent=2) + "\n")


def _write_model(directory: Path, model: Any, processor: Any, card: dict[str, Any]) -> None:
    model.save_pretrained(directory)
    processor.save_pretrained(directory)
    write_card(directory, card)


def _whole(out: Path, final: Path, write: Callable[[Path], None]) -> None:
    """Written beside, then renamed: a directory under its final name is complete, whatever happened on the way.

    Raises OSError naming what is still good when the disk is full.
    """
    partial = out / f".{final.name}.partial"
    shutil.rmtree(partial, ignore_errors=True)
    try:
        partial.mkdir(parents=True)
        write(partial)
    except Exception as error:
        # safetensors has an error type of its own for a full disk, so the kind of error tells nothing here.
        shutil.rmtree(partial, ignore_errors=True)
        good = latest(out)
        raise OSError(
            f"{final} could not be written: {error}. "
            + (f"{good} is whole" if good else "no checkpoint had been written before")
            + "; make room and run the same command, it goes on from there"
        ) from error
    final.parent.mkdir(exist_ok=True)
    previous = _previous(final)
    if final.exists():
        shutil.rmtree(previous, ignore_errors=True)
        final.rename(previous)
    partial.rename(final)
    shutil.rmtree(previous, ignore_errors=True)


def _previous(final: Path) -> Path:
    """Where the one before waits while another takes its place."""
    return final.with_name(f".{final.name}.previous")


def _checkpoints(out: Path) -> list[Path]:
    found = (out / CHECKPOINTS).glob("step-*") if (out / CHECKPOINTS).is_dir() else []
    return sorted(found, key=lambda path: int(path.name.removeprefix("step-")))


def _write(path: Path, text: str) -> None:
    partial = path.with_name(f".{path.name}.partial")
    partial.write_text(text, "utf-8")
    partial.replace(path)
