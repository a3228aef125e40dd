"""The evaluation commands that need no model."""

import json

import pytest
from test_cli import skymm

from skymm.evaluation import benchmark as registry


def test_everything_that_can_be_asked_is_listed_with_what_to_get():
    listed = json.loads(skymm("eval", "list", "--json").stdout)
    assert [one["name"] for one in listed] == registry.names()
    assert {"mme", "pope", "chair", "mmstar", "mmvp", "mmbench", "mmmu", "hallusionbench", "amber"} <= set(
        registry.names()
    )
    for one in listed:
        assert all(len(one[field]) >= 3 for field in ("title", "size", "licence", "download", "layout")), one
    shown = skymm("eval", "list", "mmvp-vlm")
    assert shown.returncode == 0 and "download:" in shown.stdout and "root holds:" in shown.stdout


@pytest.mark.parametrize("name", registry.names())
def test_every_benchmark_says_what_it_shows(name):
    one = registry.benchmark(name)
    assert one.name == name and one.metrics and len({metric.key for metric in one.metrics}) == len(one.metrics)


@pytest.mark.parametrize("name", registry.names())
def test_files_that_are_missing_get_a_sentence(name, tmp_path):
    from skymm.recipe import EvalRecipe, load

    recipe = load(f"eval/{name}.toml", EvalRecipe, [f"root={tmp_path / 'nowhere'}", f"images={tmp_path}"])
    if name == "chinese_scenes":
        pytest.skip("draws what is missing")
    with pytest.raises(ValueError, match=r"nowhere|no file at"):
        registry.benchmark(name).load(recipe)


def test_a_name_that_is_nearly_right():
    result = skymm("eval", "score", "mmstarr", "x")
    assert result.returncode == 1 and "did you mean 'mmstar'?" in result.stderr


def test_gain_from_three_numbers_and_from_too_few():
    printed = json.loads(skymm("eval", "gain", "--sv", 53.6, "--swv", 45.1, "--st", 41.2, "--json").stdout)
    assert (printed["mg"], printed["ml"]) == (8.5, 3.9)
    shown = skymm("eval", "gain", "--sv", 53.6, "--swv", 45.1, "--st", 48.2)
    assert "MG 8.5" in shown.stdout and "ML 0.0" in shown.stdout
    for arguments in (["--sv", 1], ["eval/mme.toml", "--sv", 1], ["eval/mme.toml", "--model", "m"]):
        result = skymm("eval", "gain", *arguments)
        assert result.returncode == 1 and "--out" in result.stderr and "Traceback" not in result.stderr


def test_an_export_that_is_not_complete_is_refused(tmp_path, tiny_data):
    from parrot import Parrot

    from skymm.evaluation.run import run
    from skymm.recipe import EvalRecipe

    recipe = EvalRecipe(benchmark="mme", root=str(tiny_data / "bench" / "en"))
    path = run(recipe, Parrot(lambda ask: "yes\tor no"), tmp_path / "run")
    exported = skymm("eval", "export", "mme", tmp_path / "run", "--out", tmp_path / "official")
    assert exported.returncode == 0 and "existence.txt" in exported.stdout
    ours, theirs = (
        json.loads(skymm("eval", "score", "mme", tmp_path / name, "--json").stdout) for name in ("run", "official")
    )
    # The made-up release is a part of MME, and says so where nobody knows what was asked.
    assert ours.pop("expected") == ours["answered"] < theirs.pop("expected") == 2374 and ours == theirs
    path.write_text("".join(path.read_text("utf-8").splitlines(keepends=True)[:-2]), "utf-8")
    refused = skymm("eval", "export", "mme", tmp_path / "run", "--out", tmp_path / "other")
    assert refused.returncode == 1 and "2 of" in refused.stderr and not (tmp_path / "other").exists()
    scored = json.loads(skymm("eval", "score", "mme", path, "--json").stdout)
    assert scored["expected"] - scored["answered"] == 2
