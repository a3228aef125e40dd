"""A directory in which an earlier build was stopped: what it left goes, what is the user's stays, what is finished is kept."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from built import digests

from skymm.curation.emoji_scenes import dataset as building
from skymm.curation.emoji_scenes.dataset import build
from skymm.recipe import EmojiScenesRecipe


class Killed(BaseException):
    """As a kill: nothing catches it."""


def killed(*args):
    raise Killed


@pytest.fixture(scope="module")
def recipe(tiny_data_recipe) -> EmojiScenesRecipe:
    return tiny_data_recipe.model_copy(update={"num_images": 8, "images_per_shard": 4, "bench_images": 1})


@pytest.fixture(scope="module")
def whole(recipe, tmp_path_factory) -> Path:
    return build(recipe, tmp_path_factory.mktemp("whole"))


def test_what_a_larger_recipe_left_when_it_was_stopped_is_gone(recipe, whole, tmp_path, monkeypatch):
    larger = recipe.model_copy(update={"num_images": 11, "bench_images": 2})
    with monkeypatch.context() as patch, pytest.raises(Killed):
        patch.setattr(building, "write_card", killed)
        build(larger, tmp_path)
    before = set(digests(tmp_path))
    assert {"stage1/stage1-00002.tar", "bench/en/count/001.jpg", "bench/zh/existence/009.txt"} <= before
    assert {"stage1/stage1-00001.tar", "bench/en/count/000.jpg", "bench/zh/existence/004.txt"} <= digests(whole).keys()
    others = ["stage1/train-00002.tar", "bench/notes.txt", "bench/en/count/notes.txt", "bench/zh/mine/001.jpg"]
    for name in others:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(name.encode())
    found = digests(build(recipe, tmp_path))
    assert sorted(found.keys() - digests(whole).keys()) == sorted(others)
    assert all((tmp_path / name).read_bytes() == name.encode() for name in others)
    assert {name: digest for name, digest in found.items() if name not in others} == digests(whole)


def test_a_benchmark_that_has_no_questions_any_more_is_empty(recipe, tmp_path, monkeypatch):
    """Without the butterfly, no concept is left that is never trained on."""
    with monkeypatch.context() as patch, pytest.raises(Killed):
        patch.setattr(building, "write_card", killed)
        build(recipe, tmp_path / "out")
    assert any((tmp_path / "out" / "bench_new_concept").rglob("*.jpg"))
    fewer = recipe.model_copy(update={"concepts": [char for char in recipe.concepts if char != "🦋"]})
    build(fewer, tmp_path / "out")
    assert [path.name for path in (tmp_path / "out" / "bench_new_concept").iterdir()] == ["card.json"]
    assert digests(tmp_path / "out") == digests(build(fewer, tmp_path / "new"))


@pytest.mark.parametrize("num_cards", range(2))
def test_killed_between_the_cards(recipe, whole, tmp_path, monkeypatch, num_cards):
    cards = []

    def write(directory, *args):
        if len(cards) == num_cards:
            raise Killed
        cards.append(directory)
        write_card(directory, *args)

    write_card = building.write_card
    with monkeypatch.context() as patch, pytest.raises(Killed):
        patch.setattr(building, "write_card", write)
        build(recipe, tmp_path)
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.tar")}
    assert before and (tmp_path / "manifest.jsonl").exists()
    assert digests(build(recipe, tmp_path)) == digests(whole)
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.tar")} == before


def test_killed_between_the_last_card_and_the_cleaning_up(recipe, whole, tmp_path):
    out = Path(shutil.copytree(whole, tmp_path / "out"))
    before = {path: path.stat().st_mtime_ns for path in out.rglob("*") if path.is_file()}
    (out / "manifest.jsonl").write_text('{"piece": "stage1 0 0", "inputs": "", "files": {}}\n')
    build(recipe, out)
    assert {path: path.stat().st_mtime_ns for path in out.rglob("*") if path.is_file()} == before
