"""What all sources share: keys that never meet, texts that can be written, pictures from below the given directories only."""

from __future__ import annotations

import os
import re

import pytest
from curation.sources.miniatures import HTML, picture
from hypothesis import given, settings
from hypothesis import strategies as st

from skymm.curation.record import Caption, Picture, Rejected
from skymm.curation.sources.pictures import Unusable, find, named, suffix_of
from skymm.curation.sources.source import Join, Source, captions_of, identity, key_of, refused, text_of
from skymm.recipe.sources import parse_source

NAMES = st.text(st.characters(codec="utf-8"), max_size=120) | st.from_regex(r"[a-z_./-]{0,6}", fullmatch=True)


# --- keys and texts -------------------------------------------------------------------------------------------------------


@settings(max_examples=60, deadline=None)
@given(st.lists(NAMES, max_size=10))
def test_two_ids_never_become_one_key(names):
    names += ["a/b", "a_b", "a.b", "a b", "", "_", "中", "文", "x" * 97, "x" * 98]
    names += [key_of(name) for name in names]
    keys = {name: key_of(name) for name in names}
    assert len(set(keys.values())) == len(keys)
    assert all(re.fullmatch(r"[A-Za-z0-9_-]{1,113}", key) for key in keys.values())
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
    source = Source(parse_source({"format": "hsk", "tasks": ["turns"]}))  # it cannot make records
    assert list(source.records(refused("a/b", "row is broken", "why"))) == [
        Rejected(key_of("a/b"), "row is broken", "why")
    ]


def test_a_join_gives_images_in_order_and_what_was_said_as_it_came(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with Join() as join:
        for image, kind, value in ((10, "a", 1), ("x", "a", "中"), (9, "b", [None]), (10, "b", {}), (10, "a", 2)):
            join.add(image, kind, value)
        assert list(join.images()) == [(9, {"b": [[None]]}), (10, {"a": [1, 2], "b": [{}]}), ("x", {"a": ["中"]})]
        assert list(tmp_path.iterdir())
    assert not list(tmp_path.iterdir()), "nothing is left behind"


# --- pictures that tables name --------------------------------------------------------------------------------------------


@pytest.fixture
def images(tmp_path):
    (tmp_path / "images" / "below").mkdir(parents=True)
    (tmp_path / "images" / "below" / "a.jpg").write_bytes(picture(1))
    (tmp_path / "secret.jpg").write_bytes(picture(2))
    return tmp_path / "images"


def reason(names, *directories) -> str:
    with pytest.raises(Unusable) as error:
        find(names, [str(directory) for directory in directories])
    return error.value.reason


def test_names_that_lead_out_are_refused(images):
    for name in ("../secret.jpg", "below/../../secret.jpg", "/etc/hostname", "..\\secret.jpg", "a\0.jpg", "C:\\x.jpg"):
        assert reason(name, images) == "picture is outside of its directory", name
        assert reason(["below/a.jpg", name], images) == "picture is outside of its directory", name


def test_links_are_followed_and_directories_searched_in_order(images, tmp_path):
    """Pictures are kept wherever there is room for them; a link on this disk is its owner's work, not the table's."""
    (images / "folder").symlink_to(tmp_path)
    (images / "in.jpg").symlink_to(images / "below" / "a.jpg")
    (tmp_path / "linked").symlink_to(images)
    assert find("in.jpg", str(images)).read() == picture(1)
    assert find("folder/secret.jpg", str(images)).path.endswith("secret.jpg")
    assert find("below/a.jpg", str(tmp_path / "linked")).read() == picture(1)
    other = tmp_path / "other"
    (other / "below").mkdir(parents=True)
    (other / "below" / "a.jpg").write_bytes(picture(4))
    assert find("below/a.jpg", [str(tmp_path / "none"), str(other), str(images)]).read() == picture(4)
    assert find(["no.jpg", "below/a.jpg"], [str(images), str(other)]).read() == picture(1)


def test_missing_empty_and_no_files(images, tmp_path):
    (images / "empty.jpg").touch()
    os.mkfifo(images / "pipe.jpg")
    for name in ("none.jpg", "below", "", "x" * 5000, "pipe.jpg"):
        assert reason(name, images) == "picture is missing", name
    assert reason("empty.jpg", images) == "picture is empty"
    with pytest.raises(Unusable, match="picture is empty"):
        suffix_of(Picture(str(images / "below" / "a.jpg"), 0, 0))
    with pytest.raises(Unusable, match="picture cannot be read"):
        suffix_of(Picture(str(tmp_path / "gone.jpg")))


def test_suffixes_are_what_the_first_bytes_say(tmp_path):
    path = tmp_path / "picture.tiff"
    for form, suffix in (("JPEG", "jpg"), ("PNG", "png"), ("WEBP", "webp"), ("GIF", "gif"), ("TIFF", "tif")):
        path.write_bytes(b"before" + picture(5, form) + b"behind")
        part = Picture(str(path), 6, len(picture(5, form)))
        assert suffix_of(part) == suffix and list(named([part])) == [suffix]
        assert list(named([part, Picture(data=picture(6))])) == [f"0.{suffix}", "1.jpg"]
    assert named([]) == {}
    for data in (HTML, b"BM1234", b"\xff\xd8", b"RIFF1234WAVE"):
        with pytest.raises(Unusable) as error:
            suffix_of(Picture(data=data))
        assert error.value.reason == "no known picture format" and ("an HTML page" in error.value.detail) == (
            data == HTML
        )
