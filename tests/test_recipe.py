"""Recipes: every mistake is told at once, with its path and what would have been right."""

import re
import tomllib
from pathlib import Path
from typing import get_args

import pytest

from skymm.recipe import DataRecipe, EvalRecipe, StageRecipe, differences, leaves, load, load_data, parse
from skymm.recipe.sources import Source
from skymm.recipe.study import StudyRecipe
from skymm.recipe.suite import SuiteRecipe

ROOT = Path(__file__).parent.parent
KINDS = {"training": StageRecipe, "eval": EvalRecipe}
OTHERS = {"remedies.toml": StudyRecipe, "shipped.toml": StudyRecipe, "suite.toml": SuiteRecipe}
SHIPPED = [path for folder in ("data_recipes", *KINDS) for path in sorted((ROOT / folder).glob("*.toml"))]
STAGE = {"out": "runs/x", "steps": 5, "data": {"a": {"shards": "s"}}}


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_every_shipped_recipe_is_valid_and_says_what_it_is_for(path):
    kind = OTHERS.get(path.name, KINDS.get(path.parent.name))
    assert load(path, kind) if kind else load_data(path)
    assert path.read_text("utf-8").startswith("# ")


def test_every_stage_of_the_shipped_study_can_be_read():
    found = load(ROOT / "eval" / "remedies.toml", StudyRecipe)
    for stage in found.stages.values():
        load(ROOT / stage.recipe, StageRecipe, [*stage.set, *(["init=x"] if stage.after else [])])
    for one in found.arms.values():
        for benchmark in found.benchmarks.values():
            load(ROOT / benchmark.recipe, EvalRecipe, [*benchmark.set, *one.set])


def test_there_are_recipes_in_every_folder():
    assert {path.parent.name for path in SHIPPED} == {"data_recipes", *KINDS}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"epochs": 2}, r"expected one of them, found steps = 5 and epochs = 2"),
        ({"zzz": 1}, r"unknown key 'zzz'\. Allowed here: "),
        ({"learning_rat": 1}, r"unknown key 'learning_rat'; did you mean 'learning_rate'\? Allowed here: .*batch_size"),
        (
            {"model": {"resampler": {"latents": 3}}},
            r"unknown key 'model.resampler.latents'; did you mean 'num_latents'",
        ),
        ({"model": {"towers": [{"name": "a", "size": 3}]}}, r"unknown key 'model.towers.0.size'.*image_size"),
        ({"model": {"towers": [3]}}, r"'model.towers.0' is 3: input should be a valid string"),
        ({"model": {"resampler": {"mixing": "additive"}}}, r'mixing = "additive" is of several towers, found one'),
        (
            {"model": {"towers": ["a", "b", "c"], "resampler": {"mixing": "interleaved"}}},
            r"64 latents cannot be dealt out evenly to 3 towers .* such as 66",
        ),
        ({"model": {"towers": ["a", "b"], "resampler": {"weights": [1, 2]}}}, 'weights are for mixing = "additive"'),
        (
            {"model": {"towers": ["a", "b"], "resampler": {"mixing": "additive", "weights": [1, 0]}}},
            r"found weights = \[1.0, 0.0\], expected one above 0 for each of the 2 towers",
        ),
        ({"data": {"a": {"shards": "s", "wieght": 2}}}, r"unknown key 'data.a.wieght'; did you mean 'weight'"),
        ({"steps": 0}, r"'steps' is 0: input should be greater than or equal to 1"),
        ({"trains": ["head"]}, r"'trains.0' is 'head': input should be 'resampler', 'lora', 'towers' or 'llm'"),
        ({"negative_share": 1.5}, r"'negative_share' is 1.5"),
        ({"trains": ["lora"], "model": {"lora": False}}, r'"lora"\] with lora = false'),
        ({"data": None}, r"'data' is None"),
    ],
)
def test_mistakes_are_named_with_their_path(change, message):
    with pytest.raises(ValueError, match=message):
        parse({**STAGE, **change}, StageRecipe, "my.toml")


def test_no_lora_can_be_said():
    stage = parse({**STAGE, "model": {"lora": False}}, StageRecipe)
    assert stage.model.lora is None and stage.trains == ["resampler"]
    assert parse(stage.model_dump(), StageRecipe) == stage, "as it is written down beside the run"
    assert parse({**STAGE, "model": {"lora": True}}, StageRecipe).model.lora.targets is None


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ({"format": "coca"}, r"'sources.a.format' is 'coca'; did you mean 'coco'\? There are pairs, .*cedict"),
        ({}, r"'sources.a' says no 'format'"),
        ({"format": "coco", "tasks": ["turns"]}, r"'sources.a.images' is missing"),
        (
            {"format": "coco", "tasks": ["turns"], "images": "x", "instance": "y"},
            r"unknown key 'sources.a.instance'; did you mean 'instances'\? Allowed here: captions, complete, format, images",
        ),
        ({"format": "coco", "tasks": ["sing"], "images": "x"}, r"'sources.a.tasks.0' is 'sing': input should be 'cap"),
    ],
)
def test_a_source_is_told_by_its_format(source, message):
    with pytest.raises(ValueError, match=message):
        parse({"sources": {"a": source}}, DataRecipe)


def test_all_mistakes_come_at_once_with_the_file():
    with pytest.raises(ValueError) as error:
        parse({"out": "x", "steps": 0, "typo": 1}, StageRecipe, "my.toml")
    assert str(error.value).count("my.toml: ") == 3 and "'data' is missing" in str(error.value)


def test_overrides_are_toml_values_or_words(tmp_path):
    path = tmp_path / "stage.toml"
    path.write_text('out = "a"\nsteps = 5\n[data.a]\nshards = "s"\n')
    stage = load(
        path, StageRecipe, ["steps=7", "out=runs/new", "model.lora.rank=4", 'languages=["zh"]', "data.a.weight=2.5"]
    )
    assert (stage.steps, stage.out, stage.model.lora.rank, stage.languages) == (7, "runs/new", 4, ["zh"])
    assert stage.data["a"].weight == 2.5


@pytest.mark.parametrize("override", ["steps", "=3", "steps.more=3", "model.towers=[a, b]"])
def test_senseless_overrides_are_refused(tmp_path, override):
    path = tmp_path / "stage.toml"
    path.write_text('out = "a"\nsteps = 5\n[data.a]\nshards = "s"\n')
    with pytest.raises(ValueError, match=r"^override "):
        load(path, StageRecipe, [override])


def test_absent_and_broken_files_are_named(tmp_path):
    with pytest.raises(ValueError, match=r"no recipe at .*nowhere.toml"):
        load(tmp_path / "nowhere.toml", StageRecipe)
    (tmp_path / "broken.toml").write_text("steps = = 3")
    with pytest.raises(ValueError, match=r"broken.toml is not TOML"):
        load(tmp_path / "broken.toml", StageRecipe)


def test_differences_name_every_leaf():
    old = parse(STAGE, StageRecipe)
    new = parse({**STAGE, "steps": 6, "data": {"a": {"shards": "t"}}}, StageRecipe)
    assert differences(old, new) == ["data.a.shards: 's' -> 't'", "steps: 5 -> 6"]
    assert differences(old, old) == []


def test_paths_may_begin_at_home_and_look_like_numbers(monkeypatch):
    monkeypatch.setenv("HOME", "/home/me")
    asked = {"benchmark": "mme", "root": 2024, "images": "~/x", "files": {"labels": "~/b"}, "split": ""}
    recipe = parse(asked, EvalRecipe)
    assert (recipe.root, recipe.images, recipe.files) == ("2024", "/home/me/x", {"labels": "/home/me/b"})
    assert recipe.split is None and parse({**asked, "images": ""}, EvalRecipe).images is None, "as `split=` says it"
    coco = {"format": "coco", "images": "~/coco", "tasks": ["captions"]}
    assert parse({"sources": {"a": coco}}, DataRecipe).sources["a"].images == "/home/me/coco"


def test_keys_are_those_that_recipes_take():
    """Every key of every shipped recipe is listed, with what it means where one cannot guess it."""
    from skymm.recipe.keys import KINDS, keys

    listed = {name: list(keys(kind)) for name, kind in KINDS.items()}
    for name, pattern in (("stage", "training/*.toml"), ("data", "data_recipes/*.toml"), ("eval", "eval/*.toml")):
        known = {re.sub(r"\bNAME\b", "*", path) for path, *_ in listed[name]}
        for recipe in ROOT.glob(pattern):
            data = tomllib.loads(recipe.read_text("utf-8"))
            if recipe.name in OTHERS or "source" in data:
                continue
            found = {re.sub(r"^(sources|data|files)\.[^.]+", r"\1.*", path) for path in leaves(data)}
            found = {re.sub(r"^(negatives\.kinds|files)\..*", r"\1", path) for path in found}
            assert {re.sub(r"\.(en|zh)$", "", path) for path in found} <= known, recipe
    rows = {path: (values, meaning) for path, values, meaning in listed["stage"]}
    assert rows["model.lora.rank"][0] == "int = 16" and rows["out"][0] == "str, required"
    assert (
        rows["schedule"][0] == '"wsd" | "cosine" | "constant" = "wsd"' and rows["data.NAME.weight"][0] == "float = 1.0"
    )
    assert not [path for path, (_, meaning) in rows.items() if not meaning and path != "model.resampler"]
    paths = [path for path, *_ in listed["data"]]
    assert paths.count("sources.NAME.tasks") == 1 and paths.count("sources.NAME.format") == len(
        get_args(Source.__origin__)
    )
