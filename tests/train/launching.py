"""Stages started in processes of their own: as a command, or on two processes as a launcher starts them."""

import json
from pathlib import Path

from elsewhere import Elsewhere, cli

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


def command(recipe: StageRecipe, path: Path) -> str:
    return cli("train", as_toml(recipe, path))


def launch(folder: Path, port: int, *recipes: StageRecipe, **environment: str) -> None:
    """One after another on two processes, which are told what torch's launcher tells. A hang is an error after two minutes."""
    files = [str(as_toml(recipe, folder / f"{number}.toml")) for number, recipe in enumerate(recipes)]
    code = f"from skymm.cli import app\nfor file in {files!r}: app(['train', file], standalone_mode=False)"
    told = {"WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    told |= {"ACCELERATE_USE_CPU": "true", "OMP_NUM_THREADS": "1", **environment}
    both = [Elsewhere(code, RANK=rank, LOCAL_RANK=rank, **told) for rank in "01"]
    codes = [one.wait() for one in both]
    assert codes == [0, 0], "\n".join(one.err[-3000:] for one in both)
