"""AMBER's descriptions: what counts as a noun, as being there, and as a likely invention."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from skymm.evaluation.reading.amber_nouns import description_scores

RELATION = {
    "man": ["person", "boy"],
    "person": ["man", "people"],
    "forest": ["tree"],
    "boy": [],
    "dog": ["puppy"],
    "lamp": [],
    "bus": [],
}
TRUTH, HALLU = ["man", "person", "forest"], ["dog", "bus"]


@pytest.fixture
def lists(tmp_path: Path) -> tuple[Path, Path]:
    (tmp_path / "relation.json").write_text(json.dumps(RELATION), "utf-8")
    (tmp_path / "safe_words.txt").write_text("lamp\nsign", "utf-8")
    return tmp_path / "relation.json", tmp_path / "safe_words.txt"


@pytest.mark.parametrize(
    ("text", "invented", "nouns", "covered", "guessed"),
    [
        ("a man in a forest", 0, 2, 2, 0),
        ("trees, trees, trees", 0, 3, 1, 0),
        ("two dogs and a puppy", 2, 3 - 1, 0, 1),
        ("a lamp", 0, 1, 0, 0),
        ("the bus", 1, 1, 0, 1),
        ("a cathedral, a boat", 0, 0, 0, 0),
        ("Trees. Dogs", 0, 0, 0, 0),  # officially too, a noun with a capital is none of the list
        ("the man's dog.", 1, 2, 1, 1),
        # Associations come first: a man is what "person" is associated with, and covers that.
        ("a man", 0, 1, 1, 0),
        ("a man and a person", 0, 2, 2, 0),
    ],
)
def test_a_description_by_hand(lists, text, invented, nouns, covered, guessed):
    scores = description_scores([(text, {"truth": TRUTH, "hallu": HALLU})], *lists)
    assert scores["chair"] == invented / (nouns + 0.001)
    assert scores["cover"] == covered / 3.001
    assert scores["cog"] == guessed / 2.001
    assert scores["hal"] == 1 - (not invented) / 1.001


def test_a_word_covers_one_thing_only(lists):
    """Two things of one name: the first is covered, as officially."""
    scores = description_scores([("a lamp, a dog, a dog", {"truth": ["dog", "dog"], "hallu": ["man"]})], *lists)
    assert scores["cover"] == 1 / 2.001 and scores["chair"] == 0


def test_what_is_associated_goes_before_what_is_named(lists):
    """A boy is what a man is associated with, so that both words cover the man, as officially."""
    scores = description_scores([("a boy and a person", {"truth": ["man", "boy"], "hallu": ["dog"]})], *lists)
    assert scores["cover"] == 1 / 2.001 and scores["chair"] == 0


def test_counts_add_up_over_descriptions(lists):
    annotation = {"truth": TRUTH, "hallu": HALLU}
    scores = description_scores([("a dog", annotation), ("a man and a tree", annotation)], *lists)
    assert scores["chair"] == 1 / 3.001 and scores["hal"] == 1 - 1 / 2.001 and scores["num_descriptions"] == 2
    assert description_scores([], *lists)["chair"] == 0
    with pytest.raises(ValueError, match="no file at"):
        description_scores([("a", annotation)], lists[0].parent / "missing.json", lists[1])
