"""A directory in which an earlier run was stopped: what it left goes, what is the user's stays, what is finished is kept."""

from __future__ import annotations

from pathlib import Path

import pytest
from built import conversations, digests
from photos import pairs_of, photos

from skymm.curation.building import build as building
from skymm.curation.building.build import build
from skymm.recipe import DataRecipe, parse


class Killed(BaseException):
    """As a kill: nothing catches it."""


def killed(*args):
    raise Killed


@pytest.fixture(scope="module")
def table(tmp_path_factory) -> Path:
    return photos(tmp_path_factory.mktemp("photos") / "in", 24)


def recipe(table: Path, samples_per_shard: int) -> DataRecipe:
    return parse(
        {"sources": {"a": pairs_of(table, "captions")}, "samples_per_shard": samples_per_shard, "filters": {}},
        DataRecipe,
    )


def test_shards_of_a_longer_recipe_that_was_stopped_are_gone(table, tmp_path, monkeypatch):
    out = tmp_path / "out"
    with monkeypatch.context() as patch, pytest.raises(Killed):
        patch.setattr(building, "write_card", killed)
        build(recipe(table, 6), out)
    assert (out / "train-00003.tar").exists(), "all four are there, and no card"
    (out / "train-00004.tar.partial").write_bytes(b"half")
    others = ["train-notes.tar", "val-00003.tar", "train-00003.tar.txt"]
    for name in others:
        (out / name).write_bytes(name.encode())
    build(recipe(table, 12), out)
    shards = ["train-00000.tar", "train-00001.tar"]
    assert sorted(path.name for path in out.iterdir()) == sorted(["card.json", *shards, *others])
    assert all((out / name).read_bytes() == name.encode() for name in others)
    found = digests(out)
    assert {name: found[name] for name in ("card.json", *shards)} == digests(build(recipe(table, 12), tmp_path / "new"))
    for name in others:
        (out / name).unlink()
    assert len(conversations(out)) == 24


def test_killed_between_the_card_and_the_cleaning_up(table, tmp_path, monkeypatch):
    out = tmp_path / "out"
    with monkeypatch.context() as patch, pytest.raises(Killed):
        patch.setattr(building, "_tidy", killed)
        build(recipe(table, 12), out)
    assert (out / "card.json").exists() and (out / "manifest.jsonl").exists() and any((out / ".build").iterdir())
    finished = [out / name for name in ("card.json", "train-00000.tar", "train-00001.tar")]
    before = [(path.stat().st_mtime_ns, path.read_bytes()) for path in finished]
    build(recipe(table, 12), out)
    assert sorted(out.iterdir()) == finished
    assert [(path.stat().st_mtime_ns, path.read_bytes()) for path in finished] == before


@pytest.mark.parametrize("left", ["manifest.jsonl", ".build"])
def test_killed_while_cleaning_up(table, tmp_path, left):
    """Either of the two may be gone already."""
    out = build(recipe(table, 12), tmp_path / "out")
    before = digests(out)
    if left == ".build":
        (out / left / "rows").mkdir(parents=True)
    (out / left / "rows" / "a.jsonl" if left == ".build" else out / left).write_text("{}\n")
    build(recipe(table, 12), out)
    assert digests(out) == before and not (out / left).exists()


def test_another_recipe_cleans_up_nothing(table, tmp_path, monkeypatch):
    """It is refused before: what lies there may be of use to whoever made it."""
    out = tmp_path / "out"
    with monkeypatch.context() as patch, pytest.raises(Killed):
        patch.setattr(building, "_tidy", killed)
        build(recipe(table, 12), out)
    before = digests(out)
    with pytest.raises(ValueError, match="holds shards of another recipe"):
        build(recipe(table, 6), out)
    assert digests(out) == before
