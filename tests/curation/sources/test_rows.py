"""Keys that never meet, ids as published, and texts that can be written."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skymm.curation.record import Caption, Rejected
from skymm.curation.sources.join import Join
from skymm.curation.sources.rows import Unusable, captions_of, identity, key_of, record_of, refused, text_of

NAMES = st.text(st.characters(codec="utf-8"), max_size=120) | st.from_regex(r"[a-z_./-]{0,6}", fullmatch=True)


@settings(max_examples=60, deadline=None)
@given(st.lists(NAMES, max_size=10))
def test_two_ids_never_become_one_key(names):
    keys = {name: key_of(name) for name in names}
    assert len(set(keys.values())) == len(keys)
    assert all(re.fullmatch(r"[A-Za-z0-9_-]{1,113}", key) for key in keys.values())


def test_keys_of_names_that_were_made_to_meet():
    names = ["a/b", "a_b", "a.b", "a b", "", "_", "中", "文", "x" * 97, "x" * 98]
    names += [key_of(name) for name in names]
    assert len({key_of(name) for name in names}) == len(set(names))
    assert key_of("000000033471") == "000000033471" and key_of("a/b.jpg").startswith("a_b_jpg-")


def test_ids_are_numbers_where_they_are_written_as_numbers():
    assert [identity(value) for value in (7, "7", " 7 ", "007", "a7", 0, "٣")] == [7, 7, 7, "007", "a7", 0, "٣"]
    assert [identity(value) for value in (None, "", "  ", True, [7], 7.5, "\ud83d")] == [None] * 7
    assert identity("9" * 30) == "9" * 30


def test_texts_that_cannot_be_written_are_refused():
    assert text_of(" 一 ", "r") == "一"
    for value, reason in (("\ud83d", "text is not Unicode"), (" ", "r"), (None, "r"), (3, "r")):
        with pytest.raises(Unusable, match=reason):
            text_of(value, "r")


def test_captions_have_languages_and_come_once():
    assert captions_of(["A dog.", "一只狗", "A dog.", "", None, " "]) == [
        Caption("A dog.", "en"),
        Caption("一只狗", "zh"),
    ]
    assert captions_of("A dog.", "zh") == [Caption("A dog.", "zh")] and captions_of(None) == []
    assert captions_of('["A dog.", "A cat."]') == [Caption("A dog.", "en"), Caption("A cat.", "en")]
    assert captions_of("[Photo] a dog")[0].text == "[Photo] a dog"
    for cell in ([3], '{"question": "What?", "chosen": "A dog."}', "[1, 2]"):
        with pytest.raises(Unusable, match="caption is no text"):
            captions_of(cell)


def test_refused_rows_are_rejected_without_a_look():
    row = refused("a/b", "row is broken", "why")
    assert record_of(row, lambda row: pytest.fail("made")) == Rejected(key_of("a/b"), "row is broken", "why")


def test_a_join_gives_images_in_order_and_what_was_said_as_it_came(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with Join() as join:
        for image, kind, value in ((10, "a", 1), ("x", "a", "中"), (9, "b", [None]), (10, "b", {}), (10, "a", 2)):
            join.add(image, kind, value)
        assert list(join.images()) == [(9, {"b": [[None]]}), (10, {"a": [1, 2], "b": [{}]}), ("x", {"a": ["中"]})]
        assert list(tmp_path.iterdir())
    assert not list(tmp_path.iterdir()), "nothing is left behind"
