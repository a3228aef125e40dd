"""Singulars: right ones, and the ones behind published numbers with their mistakes."""

from __future__ import annotations

import json

import pytest
from official import oracle

from skymm.evaluation.reading.singular import singular, singular_as_published

WORDS = (
    "person people man woman child children bus tennis glass glas skis ski scissors knife calf tie puppy mouse "
    "goose ox oxen couch vase sandwich bench potty thief canoe buffalo policeman"
)
KNOWN = frozenset(WORDS.split())


@pytest.mark.parametrize(
    ("word", "right", "published"),
    [
        ("dogs", "dogs", "dogs"),  # not in the list
        ("bus", "bus", "bu"),
        ("buses", "bus", "bus"),
        ("tennis", "tennis", "tenni"),
        ("glass", "glass", "glas"),
        ("glasses", "glass", "glass"),
        ("skis", "skis", "ski"),
        ("skies", "skies", "skies"),
        ("scissors", "scissors", "scissors"),
        ("knives", "knife", "knife"),
        ("calves", "calf", "calf"),
        ("puppies", "puppy", "puppy"),
        ("potties", "potty", "potty"),
        ("ties", "tie", "ties"),
        ("thieves", "thief", "thieves"),
        ("canoes", "canoe", "canoes"),
        ("buffaloes", "buffalo", "buffalo"),
        ("women", "woman", "woman"),
        ("policemen", "policeman", "policeman"),
        ("grandchildren", "grandchildren", "grandchildren"),
        ("mice", "mouse", "mouse"),
        ("geese", "goose", "goose"),
        ("oxen", "oxen", "oxen"),
        ("couches", "couch", "couch"),
        ("vases", "vase", "vase"),
        ("sandwiches", "sandwich", "sandwich"),
        ("people", "people", "people"),
        ("this", "this", "this"),
    ],
)
def test_singulars(word, right, published):
    assert singular(word, KNOWN) == right
    assert singular_as_published(word, KNOWN) == published


def test_irregular_words_need_their_singular_in_the_list():
    assert singular("people", {"person"}) == "person" and singular("people", {"dog"}) == "people"
    assert singular("children", {"child"}) == "child" and singular("oxen", {"ox"}) == "ox"


def test_the_published_table_comes_out_by_rule():
    """Every entry of the official singulariser's table, as far as it makes a difference to what is counted."""
    table = json.loads(oracle("chair/singularize_table.json").read_text("utf-8"))
    vocabulary = json.loads(oracle("chair/chair_vocab.json").read_text("utf-8"))
    classes, pairs = vocabulary["inverse_synonym_dict"], vocabulary["double_word_dict"]
    known = frozenset(part for name in (*classes, *pairs) for part in name.split())
    assert len(table) == 199

    def meant(word: str) -> str | None:
        return classes.get(word, word if word in known else None)

    wrong = {
        word: (mine, single)
        for word, single in table.items()
        if meant(mine := singular_as_published(word, known)) != meant(single)
    }
    assert not wrong
