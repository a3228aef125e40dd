"""The wheel owns one name, and brings the recipes along."""

import re
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

ROOT = Path(__file__).parent.parent


def test_one_top_level_name_and_every_recipe(tmp_path):
    # Built from a copy: a build leaves folders behind.
    files = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True).stdout.split()
    names = files or [str(path.relative_to(ROOT)) for path in ROOT.rglob("*") if path.is_file()]
    for name in names:
        if (ROOT / name).is_file():
            (tmp_path / "source" / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / "source" / name).write_bytes((ROOT / name).read_bytes())
    subprocess.run(
        [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "-w", str(tmp_path), str(tmp_path / "source")],
        check=True,
        capture_output=True,
    )
    inside = zipfile.ZipFile(next(tmp_path.glob("*.whl"))).namelist()
    assert {name.split("/")[0] for name in inside if ".dist-info/" not in name} == {"skymm"}
    for folder in ("data_recipes", "training", "eval"):
        for recipe in (ROOT / folder).glob("*.toml"):
            assert f"skymm/recipes/{folder}/{recipe.name}" in inside
    modules = {str(path.relative_to(ROOT)) for path in (ROOT / "skymm").rglob("*.py")}
    assert modules <= set(inside), "every package is listed in pyproject.toml"


def test_dependencies_hold_nothing_that_breaks_transformers_or_needs_a_compiler():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    required = " ".join(project["dependencies"])
    assert not any(name in required for name in ("torchvision", "timm", "flash"))


def test_constraints_pin_every_dependency_exactly():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    pins = dict(
        line.split("==")
        for line in (ROOT / "constraints.txt").read_text("utf-8").splitlines()
        if line and line[0] != "#"
    )
    pins = {name.lower().replace("_", "-"): version for name, version in pins.items()}
    assert pins["torch"] == "2.13.0"
    for requirement in [*project["dependencies"], *project["optional-dependencies"]["test"]]:
        name = re.split("[<>=[]", requirement)[0].lower().replace("_", "-")
        assert name in pins, name
