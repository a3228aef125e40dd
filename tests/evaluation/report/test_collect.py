"""Runs are found where they lie, and called by names that fit into a table."""

import pytest
from parrot import Parrot

from skymm.evaluation.gain import PASSES
from skymm.evaluation.report.collect import collect, short_names
from skymm.evaluation.run import run
from skymm.recipe import EvalRecipe


@pytest.mark.parametrize(
    ("models", "names"),
    [
        (["runs/a/stage2", "runs/a/positives"], ["stage2", "positives"]),
        (["runs/a/stage2", "runs/b/stage2"], ["a/stage2", "b/stage2"]),
        (["hf:Qwen/Qwen2-VL-2B", "stage2/"], ["Qwen2-VL-2B", "stage2"]),
        (["openai:http://h/v1#org/m", "hf:other/m"], ["org/m", "other/m"]),
        (["openai:http://h/v1#m", "openai:http://g/v1#m"], ["openai:http://h/v1#m", "openai:http://g/v1#m"]),
    ],
)
def test_names_are_as_short_as_tells_them_apart(models, names):
    assert list(short_names(models).values()) == names


@pytest.fixture
def recipe(tiny_data):
    return EvalRecipe(benchmark="mme", root=str(tiny_data / "bench" / "en"))


def test_directories_are_searched_and_passes_make_a_gain(recipe, tmp_path):
    run(recipe, Parrot(name="runs/one"), tmp_path / "all" / "one")
    for name, images in zip(PASSES, (True, False, False)):
        run(recipe, Parrot(name="runs/two"), tmp_path / "all" / "two" / name, images=images)
    runs, gains = collect([tmp_path / "all", tmp_path / "all" / "one"])
    assert [(one.name, one.model) for one in runs] == [("one", "one"), ("with_images", "two")]
    assert [(one.benchmark, one.model, one.mg) for one in gains] == [("mme", "two", 0.0)]
    assert all(one.expected == len(one.answers) for one in runs)
    with pytest.raises(ValueError, match="half of a gain"):
        collect([tmp_path / "all" / "two" / "without_images"])
    with pytest.raises(ValueError, match=r"no predictions\.jsonl at or below"):
        collect([tmp_path / "nowhere"])
