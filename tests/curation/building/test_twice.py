"""One process, two builds at the same places, of other data: the second one knows nothing of the first."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from built import card, conversations, digests
from photos import pairs_of, photos

from skymm.curation.building.build import build
from skymm.curation.filters.leakage import LeakageIndex
from skymm.recipe import DataRecipe, parse


def recipe(place: Path, *tasks: str, **fields) -> DataRecipe:
    return parse({"sources": {"a": pairs_of(place / "in" / "table.tsv", *tasks)}, **fields}, DataRecipe)


def fresh(place: Path, count: int, first: int) -> Path:
    """Pictures of their own, where others were before."""
    shutil.rmtree(place, ignore_errors=True)
    photos(place / "in", count, first)
    return place


@pytest.fixture
def _unknown_to_others(monkeypatch):
    """Nothing that an earlier test left in this process."""
    from skymm.curation.building import converse, read

    converse._statistics.cache_clear()
    read._filters.cache_clear()


def test_statistics_are_those_of_the_build(tmp_path, _unknown_to_others):
    """Absent things are asked for by how often they are seen: with another build's statistics, others would be."""
    strategies = {"strategies": ["adversarial"], "kinds": {"existence": 1}}
    asked = [
        digests(build(recipe(fresh(place, 40, first), "negatives", negatives=strategies), place / "out"))
        for place, first in ((tmp_path / "one", 0), (tmp_path / "one", 100), (tmp_path / "two", 100))
    ]
    assert asked[0] != asked[1]
    assert {name: digest for name, digest in asked[1].items() if name.endswith(".tar")} == {
        name: digest for name, digest in asked[2].items() if name.endswith(".tar")
    }


def test_the_leakage_index_is_that_of_the_build(tmp_path, _unknown_to_others):
    place = fresh(tmp_path / "it", 12, 0)
    wanted = recipe(place, "captions", filters={"leakage": ["eval/mme.toml"], "duplicates": None})
    for leaked in ((2, 5, 7), (1,)):
        shutil.rmtree(place / "out", ignore_errors=True)
        (place / "out" / ".build").mkdir(parents=True)
        index = place / "out" / ".build" / "leakage.npz"  # where the command puts it
        LeakageIndex.build([("", [(place / "in" / f"{number}.jpg").read_bytes() for number in leaked])]).save(index)
        out = build(wanted, place / "out", leakage=index)
        assert card(out)["sources"]["a"]["left out"] == {"picture of an evaluation set": len(leaked)}
        assert len(conversations(out)) == 12 - len(leaked)


def test_a_changed_index_is_looked_at_when_a_stopped_build_goes_on(tmp_path, _unknown_to_others):
    place = fresh(tmp_path / "it", 12, 0)
    filters = {"leakage": ["eval/mme.toml"], "duplicates": None}
    index = tmp_path / "leakage.npz"
    for leaked, num_samples in (((2, 5, 7), 99), ((1,), 11)):
        LeakageIndex.build([("", [(place / "in" / f"{number}.jpg").read_bytes() for number in leaked])]).save(index)
        wanted = recipe(place, "captions", filters=filters, num_samples=num_samples)
        if num_samples == 99:
            with pytest.raises(ValueError, match=r"num_samples is 99, .* give 9 at most"):
                build(wanted, place / "out", leakage=index)
        else:
            assert len(conversations(build(wanted, place / "out", leakage=index))) == 11
