"""Real ray, started here, as the engine of builds: every shipped recipe gives the same bytes as without it."""

import logging
import os
import shutil
import sys
from pathlib import Path

import jobs
import pytest
import shipped
from built import card, conversations, digests

from skymm.curation.building.build import build
from skymm.curation.building.workers import Local, Ray
from skymm.curation.emoji_scenes.dataset import build as build_scenes
from skymm.recipe import DataRecipe

JOBS = [{"x": x} for x in range(6)]


@pytest.fixture(scope="module")
def fetcher(tmp_path_factory):
    """Processes that are started from here find the stand-in for img2dataset."""
    modules = tmp_path_factory.mktemp("modules")
    shutil.copy(Path(__file__).with_name("img2dataset_stand_in.py"), modules / "img2dataset.py")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", os.pathsep.join([str(modules), str(Path(__file__).parents[2])]))
        yield


@pytest.fixture(scope="module")
def processes(fetcher):
    """Started once for all recipes: they import what they need once, too."""
    return Local(2)


@pytest.fixture(scope="module")
def local_ray():
    """Its workers find the tests' modules."""
    ray = pytest.importorskip("ray", reason="ray is not installed: pip install 'skymm[ray]'")
    paths = {"env_vars": {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}}
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False, logging_level=logging.ERROR, runtime_env=paths)
    yield
    ray.shutdown()


def test_ray_on_this_machine(local_ray):
    """Real ray, started here: results with fields of their own stay as they are, and mistakes keep their words."""
    results = dict(Ray(2).run(jobs.square, JOBS))
    assert [results[index]["square"] for index in range(6)] == [0, 1, 4, 9, 16, 25]
    assert [sorted(results[index]) for index in (0, 1)] == [["pid", "square"], ["odd", "pid", "square"]]
    assert os.getpid() not in {result["pid"] for result in results.values()}
    with pytest.raises(ValueError, match="three is not to be squared"):
        list(Ray(2).run(jobs.refuse, JOBS))
    with pytest.raises(OSError) as missing:
        list(Ray(2).run(jobs.look_for_nothing, JOBS[:1]))
    assert (missing.value.errno, missing.value.filename) == (2, "/nowhere/0")
    assert list(Ray().run(jobs.square, [])) == []


@pytest.mark.parametrize("name", shipped.NAMES)
def test_every_shipped_recipe_builds_and_gives_the_same_bytes_by_every_way(name, tmp_path, processes, local_ray):
    recipe = shipped.recipe(name, tmp_path / "in")
    run = build if isinstance(recipe, DataRecipe) else build_scenes
    engines = {"one": Local(1)}
    if not name.startswith("photos"):  # the ways are the same for all of them, and each takes its time
        engines["two"] = processes
    if name in ("quickstart", "preference"):  # scenes, and a recipe of few sources: ray takes seconds for each step
        engines["ray"] = Ray(2)
    built = {told: digests(run(recipe, tmp_path / told, engine)) for told, engine in engines.items()}
    first = built.pop("one")
    assert any(file.endswith(".tar") for file in first)
    for told, files in built.items():
        assert files == first, told
    if isinstance(recipe, DataRecipe):
        found = card(tmp_path / "one")
        assert all(told["records"] for told in found["sources"].values())
        assert {one.extra["source"] for one in conversations(tmp_path / "one")} == set(recipe.sources)
