"""Pictures that tables name: only from below the given directories, and only what their bytes say they are."""

from __future__ import annotations

import os

import pytest
from curation.sources.miniatures import HTML, picture

from skymm.curation.record import Picture
from skymm.curation.sources.pictures import find, named, suffix_of
from skymm.curation.sources.rows import Unusable


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


@pytest.mark.parametrize(
    "name", ["../secret.jpg", "below/../../secret.jpg", "/etc/hostname", "..\\secret.jpg", "a\0.jpg", "C:\\x.jpg"]
)
def test_names_that_lead_out_are_refused(images, name):
    assert reason(name, images) == "picture is outside of its directory"
    assert reason(["below/a.jpg", name], images) == "picture is outside of its directory"


def test_links_are_followed(images, tmp_path):
    """Pictures are kept wherever there is room for them; a link on this disk is its owner's work, not the table's."""
    (images / "folder").symlink_to(tmp_path)
    (images / "in.jpg").symlink_to(images / "below" / "a.jpg")
    (tmp_path / "linked").symlink_to(images)
    assert find("in.jpg", str(images)).read() == picture(1)
    assert find("folder/secret.jpg", str(images)).path.endswith("secret.jpg")
    assert find("below/a.jpg", str(tmp_path / "linked")).read() == picture(1)


def test_directories_are_searched_in_order(images, tmp_path):
    other = tmp_path / "other"
    (other / "below").mkdir(parents=True)
    (other / "below" / "a.jpg").write_bytes(picture(4))
    assert find("below/a.jpg", [str(tmp_path / "none"), str(other), str(images)]).read() == picture(4)
    assert find(["no.jpg", "below/a.jpg"], [str(images), str(other)]).read() == picture(1)


def test_missing_empty_and_no_files(images):
    (images / "empty.jpg").touch()
    os.mkfifo(images / "pipe.jpg")
    assert reason("none.jpg", images) == "picture is missing"
    assert reason("below", images) == reason("", images) == reason("x" * 5000, images) == "picture is missing"
    assert reason("pipe.jpg", images) == "picture is missing", "a pipe would be waited for"
    assert reason("empty.jpg", images) == "picture is empty"


@pytest.mark.parametrize(
    ("form", "suffix"), [("JPEG", "jpg"), ("PNG", "png"), ("WEBP", "webp"), ("GIF", "gif"), ("TIFF", "tif")]
)
def test_suffixes_are_what_the_first_bytes_say(tmp_path, form, suffix):
    path = tmp_path / "picture.tiff"
    path.write_bytes(b"before" + picture(5, form) + b"behind")
    part = Picture(str(path), 6, len(picture(5, form)))
    assert suffix_of(part) == suffix and list(named([part])) == [suffix]
    assert list(named([part, Picture(data=picture(6))])) == [f"0.{suffix}", "1.jpg"]
    assert named([]) == {}


@pytest.mark.parametrize("data", [HTML, b"BM1234", b"\xff\xd8", b"RIFF1234WAVE"])
def test_other_bytes_are_no_pictures(data):
    with pytest.raises(Unusable) as error:
        suffix_of(Picture(data=data))
    assert error.value.reason == "no known picture format" and ("an HTML page" in error.value.detail) == (data == HTML)


def test_a_member_of_no_bytes_is_empty_whatever_comes_behind_it(tmp_path):
    path = tmp_path / "tar"
    path.write_bytes(picture(7))
    with pytest.raises(Unusable, match="picture is empty"):
        suffix_of(Picture(str(path), 0, 0))


def test_a_picture_that_went_away_is_unusable(tmp_path):
    with pytest.raises(Unusable, match="picture cannot be read"):
        suffix_of(Picture(str(tmp_path / "gone.jpg")))
