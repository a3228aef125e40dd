"""What is judged is not trained on: from an evaluation recipe to a build that leaves its pictures out, through the command."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from curation.sources import miniatures

from skymm.data.shards import expand, read_shard
from skymm.evaluation.run import write_leakage_index

MME = Path(__file__).parents[2] / "eval" / "mme.toml"


def benchmark(directory: Path, pictures: list[bytes]) -> str:
    """In MME's layout; how a data recipe names it."""
    (directory / "existence").mkdir(parents=True)
    for number, data in enumerate(pictures):
        (directory / "existence" / f"{number}.jpg").write_bytes(data)
        lines = (
            "Is there a dog in this image? Please answer yes or no.\tYes",
            "Is there a cat? Please answer yes or no.\tNo",
        )
        (directory / "existence" / f"{number}.txt").write_text("\n".join(lines) + "\n")
    return f"'{MME}' 'root={directory}'"


def test_a_build_leaves_out_what_a_benchmark_shows(tmp_path):
    fields = miniatures.pairs(tmp_path / "in", broken=False)
    named = benchmark(tmp_path / "a benchmark", [miniatures.picture(3), miniatures.picture(7)])
    recipe = tmp_path / "recipe.toml"
    lines = [f"{name} = {json.dumps(value)}" for name, value in fields.items() if not isinstance(value, dict)]
    columns = ", ".join(f"{name} = {json.dumps(value)}" for name, value in fields["caption_column"].items())
    lines = ["[sources.a]", 'tasks = ["captions"]', f"caption_column = {{{columns}}}", *lines]
    recipe.write_text("\n".join([*lines, "[filters]", f"leakage = [{json.dumps(named)}]"]) + "\n", "utf-8")
    command = [sys.executable, "-m", "skymm.cli", "data", "build", recipe, "--out", tmp_path / "out", "--workers", "1"]
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    card = json.loads((tmp_path / "out" / "card.json").read_text("utf-8"))
    assert card["sources"]["a"]["left out"] == {"picture of an evaluation set": 2}
    keys = {sample.key for shard in expand(tmp_path / "out") for sample in read_shard(shard)}
    assert len(keys) == miniatures.GOOD - 2


def test_a_benchmark_that_is_not_there_is_said(tmp_path):
    with pytest.raises(ValueError, match="nowhere"):
        write_leakage_index([f"{MME} root={tmp_path / 'nowhere'}"], tmp_path / "index.npz")
