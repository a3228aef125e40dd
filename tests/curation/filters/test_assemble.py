"""All filters together: the order, what each leaves to the next, and what a recipe switches off."""

from __future__ import annotations

import pytest
from filter_pictures import candidate, encoded, photo
from PIL import Image

from skymm.curation.filters.assemble import Filters, checks_of
from skymm.curation.filters.leakage import PICTURE, LeakageIndex
from skymm.curation.record import Record
from skymm.recipe.data import FiltersRecipe

INDEX = LeakageIndex.build([("Is there a dog?", [encoded(photo(7))])])


def test_every_outcome_has_its_candidates_place():
    candidates = [
        candidate(b"<html>", key="html"),
        candidate(encoded(photo(1)), key="good", captions=("a dog",)),
        candidate(encoded(Image.new("RGB", (64, 64))), key="blank"),
        candidate(encoded(photo(7)), key="leaked"),
        candidate(encoded(photo(2))[:900], key="cut"),
        candidate(key="text", captions=("a dog",)),
    ]
    outcomes = Filters(FiltersRecipe(leakage=["eval/mme.toml"]), INDEX).sift(candidates)
    assert [outcome.reason for outcome in outcomes] == [
        "no known picture format", None, "blank image", PICTURE, "unreadable image", None,
    ]  # fmt: skip
    assert [outcome.record for outcome in outcomes if outcome.record] == [candidates[1].record, candidates[5].record]


def test_what_a_header_refuses_is_not_decoded(monkeypatch):
    from skymm.curation import candidate as module

    monkeypatch.setattr(module, "decode_image", lambda *args: pytest.fail("decoded"))
    large = candidate(encoded(photo(1)))
    assert Filters(FiltersRecipe(max_pixels=100)).sift([large])[0].reason == "image too large"


def test_prune_is_told_by_the_recipe():
    bad = candidate(captions=("x",)).record
    assert Filters(FiltersRecipe()).prune(bad).reason == "too few words"
    assert Filters(FiltersRecipe(min_words=None)).prune(bad).record is bad
    assert Filters(FiltersRecipe()).prune(Record("a")).reason is None


def test_the_order_is_cheap_first():
    assert [name for name, _ in checks_of(FiltersRecipe(), INDEX)] == ["header", "pixels", "leakage"]
    assert [name for name, _ in checks_of(FiltersRecipe())] == ["header", "pixels"]


def test_evaluation_sets_without_an_index_are_refused():
    with pytest.raises(ValueError, match=r"filters\.leakage names .*mme\.toml"):
        Filters(FiltersRecipe(leakage=["eval/mme.toml"]))


def test_nothing_gives_nothing():
    assert Filters(FiltersRecipe()).sift([]) == []
