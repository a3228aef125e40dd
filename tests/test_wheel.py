"""The wheel owns one name, and brings the recipes along."""

import re
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """The sdist, and the wheel that is built out of it."""
    directory = tmp_path_factory.mktemp("build")
    # From a copy: a build leaves folders behind.
    files = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True).stdout.split()
    names = files or [str(path.relative_to(ROOT)) for path in ROOT.rglob("*") if path.is_file()]
    for name in names:
        if (ROOT / name).is_file():
            (directory / "source" / name).parent.mkdir(parents=True, exist_ok=True)
            (directory / "source" / name).write_bytes((ROOT / name).read_bytes())
    command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(directory), str(directory / "source")]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    return next(directory.glob("*.tar.gz")), next(directory.glob("*.whl"))


def test_one_top_level_name_and_every_recipe(built):
    inside = zipfile.ZipFile(built[1]).namelist()
    assert {name.split("/")[0] for name in inside if ".dist-info/" not in name} == {"skymm"}
    for folder in ("data_recipes", "training", "eval"):
        for recipe in (ROOT / folder).rglob("*.toml"):
            assert f"skymm/recipes/{recipe.relative_to(ROOT)}" in inside
    modules = {str(path.relative_to(ROOT)) for path in (ROOT / "skymm").rglob("*.py")}
    assert modules <= set(inside), "every package is listed in pyproject.toml"
    assert "skymm/py.typed" in inside and "skymm/recipes/eval/adapters/lmms_eval_skymm.py" in inside


def test_nothing_strays_into_what_is_published(built):
    sdist, wheel = built
    known = {".py", ".toml", ".tsv", ".yaml", ".md", ".jinja", ".css", ".js", ".typed"} | {".safetensors", ".json"}
    strays = [name for name in zipfile.ZipFile(wheel).namelist() if Path(name).suffix not in known]
    strays = [name for name in strays if ".dist-info/" not in name]
    assert sorted(strays) == [f"skymm/shipped/photos/{name}.jpg" for name in ("cat", "cup", "person")]
    with zipfile.ZipFile(wheel) as archive:
        sizes = {one.filename: one.compress_size for one in archive.infolist()}
    model = sum(size for name, size in sizes.items() if name.startswith("skymm/shipped/"))
    assert 8_000_000 < model < 20_000_000, "the model that comes along"
    assert sum(sizes.values()) - model < 1_500_000 and sdist.stat().st_size - model < 3_000_000
    weights = [name for name in sizes if name.endswith((".safetensors", ".json"))]
    assert all(name.startswith("skymm/shipped/") for name in weights), weights
    with tarfile.open(sdist) as archive:
        packed = {name.partition("/")[2] for name in archive.getnames()}
    assert {"pyproject.toml", "LICENSE", "README.md", "skymm/py.typed"} <= packed
    assert not [
        name for name in packed if name.startswith(("runs", ".git/", "build/", "dist/")) or "__pycache__" in name
    ]


def test_the_version_stands_in_one_place(built):
    (line,) = [
        line for line in (ROOT / "skymm" / "__init__.py").read_text("utf-8").splitlines() if "__version__" in line
    ]
    version = line.split('"')[1]
    with zipfile.ZipFile(built[1]) as wheel:
        name = next(one for one in wheel.namelist() if one.endswith(".dist-info/METADATA"))
        assert f"\nVersion: {version}\n" in wheel.read(name).decode()
    texts = [(ROOT / name).read_text("utf-8") for name in ("pyproject.toml", "CITATION.cff")]
    assert not any(f'version = "{version}"' in text or f"version: {version}" in text for text in texts)
    assert f"\n## {version}" in (ROOT / "CHANGELOG.md").read_text("utf-8")


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
