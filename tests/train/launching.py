"""Stages started as users start them: as a command, alone or by torch's launcher on several processes of this machine."""

import json
import os
import subprocess
import sys
from pathlib import Path

from skymm.recipe import StageRecipe
from skymm.train.runlog import read_log

TIMES = ("seconds", "data_seconds", "vision_seconds", "tokens_per_second", "samples_per_second", "mfu", "memory_gib")


def losses(directory: str | Path) -> list[dict]:
    """The log without what is another number each time."""
    return [{name: value for name, value in line.items() if name not in TIMES} for line in read_log(directory)]


def as_toml(recipe: StageRecipe, path: Path) -> Path:
    """The recipe as a file: JSON values are TOML values, once null ones are left out."""

    def lines(data: dict, prefix: str = "") -> list[str]:
        found = []
        for key, value in data.items():
            if isinstance(value, dict):
                found += lines(value, f"{prefix}{key}.")
            elif value is not None:
                found.append(f"{prefix}{key} = {json.dumps(value)}")
        return found

    path.write_text("\n".join(lines(recipe.model_dump())), "utf-8")
    return path


def command(recipe: StageRecipe, path: Path) -> list[str]:
    return [sys.executable, "-m", "skymm.cli", "train", str(as_toml(recipe, path))]


def launch(folder: Path, port: int, *recipes: StageRecipe, **environment: str) -> subprocess.CompletedProcess:
    """One after another on two processes, whose start takes longest. A hang is an error after two minutes."""
    launcher = [sys.executable, "-m", "torch.distributed.run", "--nproc_per_node=2", f"--master_port={port}"]
    files = [str(as_toml(recipe, folder / f"{number}.toml")) for number, recipe in enumerate(recipes)]
    variables = {**os.environ, "ACCELERATE_USE_CPU": "true", "OMP_NUM_THREADS": "1", **environment}
    return subprocess.run([*launcher, __file__, *files], capture_output=True, text=True, env=variables, timeout=120)


if __name__ == "__main__":
    from skymm.cli import app

    for file in sys.argv[1:]:
        app(["train", file], standalone_mode=False)
