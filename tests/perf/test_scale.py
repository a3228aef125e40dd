"""The benchmark of scale runs as its README says, on sizes that take seconds, and calls flat what is flat only."""

import subprocess
import sys
from pathlib import Path

import scale

ROOT = Path(__file__).parent.parent.parent


def test_it_measures_every_size(tmp_path):
    small = ["--samples-per-shard", "20", "--image-bytes", "500", "--directory", str(tmp_path)]
    command = [sys.executable, str(ROOT / "perf/scale.py"), "--sizes", "200", *small]
    printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    lines = {line[:20].strip(): line[20:].split() for line in printed.splitlines()}
    assert lines["samples"][:1] == ["200"] and lines["shards"] == ["10"]
    for name, (unit, _) in scale.MEASURES.items():
        assert all(float(value) >= 0 for value in lines[f"{name}, {unit}"][:1])
    assert float(lines["1000 samples, s"][0]) > 0 and "ARITHMETIC, not measured" in printed
    assert not list(tmp_path.iterdir()), "ten thousand links are not left behind"


def test_what_grows_is_not_called_flat():
    costs = dict.fromkeys(scale.MEASURES, 1.0)
    text = scale.report({10: costs, 100: costs | {"peak memory": 2.0, "resume": 11.0}}, 10)
    lines = {line[:20].strip(): line for line in text.splitlines()}
    assert lines["1000 samples, s"].endswith("1.00x   flat")
    assert lines["peak memory, MiB"].endswith("2.00x   NOT FLAT (more than 1.5x)")
    assert "11.00 s, NOT BELOW the 10 s" in text
