"""Pictures: what is refused by its header, what by its pixels, what stays; and all filters together, the cheap ones first."""

from __future__ import annotations

import struct
import time

import pytest
from filter_pictures import candidate, encoded, photo, png_header
from PIL import Image, ImageDraw

from skymm.curation import record as records
from skymm.curation.filters import Filters
from skymm.curation.filters.duplicates import signatures
from skymm.curation.filters.leakage import PICTURE, LeakageIndex
from skymm.curation.filters.pictures import header_reason, is_blank, pixel_reason
from skymm.curation.record import Record
from skymm.recipe.data import FiltersRecipe

PHOTO = encoded(photo(1))


def header(*pictures: bytes, **recipe) -> str | None:
    return header_reason(candidate(*pictures), FiltersRecipe(**recipe))


def pixels(*pictures: bytes, **recipe) -> str | None:
    return pixel_reason(candidate(*pictures), FiltersRecipe(**recipe))


def test_pictures_of_every_kind_stay():
    image, frames = photo(1), [photo(index, (64, 64)) for index in range(3)]
    good = {kind: encoded(image, kind) for kind in ("JPEG", "PNG", "WEBP", "BMP", "TIFF")}
    good |= {mode: encoded(image.convert(mode)) for mode in ("CMYK", "L")}
    good |= {"RGBA": encoded(image.convert("RGBA"), "PNG"), "palette": encoded(image.quantize(16), "PNG")}
    good |= {"moving": encoded(frames[0], "GIF", save_all=True, append_images=frames[1:])}
    for name, data in good.items():
        assert header(data) is None and pixels(data) is None, name


def test_the_first_bytes_tell_and_not_the_name():
    strangers = [
        b"<!DOCTYPE html><html><body>Not found</body></html>",
        b'<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg"><script>x</script></svg>',
        *(b"%PDF-1.7\n", b'{"error": "forbidden"}', b"PK\x03\x04"),
    ]
    assert {header(data) for data in strangers} == {"no known picture format"}  # all of them are called jpg
    cut = (b"", PHOTO[:3], b"\x89PNG\r\n\x1a\n", b"RIFF\x00\x00\x00\x00WEBP")
    assert {header(data) for data in cut} == {"unreadable image"}
    for data in (PHOTO[: len(PHOTO) // 2], png_header(100, 100)):  # the damage is behind the header
        assert header(data) is None and pixels(data) == "unreadable image"


def test_a_hundred_megapixels_are_refused_at_once():
    """Files that say so of themselves, with the bytes of a small picture behind the header, or none; and a whole one."""
    jpeg, webp = bytearray(PHOTO), bytearray(encoded(photo(1), "WEBP"))
    frame = jpeg.index(b"\xff\xc0")
    jpeg[frame + 5 : frame + 9] = struct.pack(">HH", 10000, 10000)
    frame = webp.index(b"\x9d\x01\x2a")
    webp[frame + 3 : frame + 7] = struct.pack("<HH", 10000, 10000)
    whole = encoded(Image.new("1", (10000, 10000), 1), "PNG", compress_level=1)
    for data in (png_header(10000, 10000), bytes(jpeg), bytes(webp), whole):
        start = time.perf_counter()
        assert header(data) == "image too large"
        assert time.perf_counter() - start < 0.05
        assert header(data, max_pixels=10**8) is None


SIZES = [
    ((32, 100), {}, None),
    ((31, 100), {}, "image too small"),
    ((100, 31), {}, "image too small"),
    ((100, 31), {"min_side": None}, None),
    ((40, 200), {}, None),
    ((40, 201), {}, "image too narrow"),
    ((201, 40), {}, "image too narrow"),
    ((201, 40), {"max_aspect": None}, None),
    ((100, 100), {"max_pixels": 10000}, None),
    ((100, 101), {"max_pixels": 10000}, "image too large"),
]


def test_sizes():
    for size, recipe, reason in SIZES:
        assert header(encoded(photo(1, size)), **recipe) == reason, (size, recipe)
    exif = Image.Exif()
    exif[0x0112] = 6
    turned = encoded(photo(1, (40, 190)), exif=exif)
    assert header(turned) is None and pixels(turned) is None and candidate(turned).image("jpg").size == (190, 40)


def test_pictures_of_one_colour_are_blank_and_little_is_not():
    for colour in ("white", "black", (200, 10, 10)):
        for kind in ("JPEG", "PNG", "WEBP"):
            data = encoded(Image.new("RGB", (64, 64), colour), kind)
            assert pixels(data) == "blank image" and pixels(data, blank=False) is None, (colour, kind)
    line, dot = Image.new("RGB", (64, 64), "white"), Image.new("RGB", (640, 480), "white")
    ImageDraw.Draw(line).line((10, 10, 20, 20), fill="black")
    dot.putpixel((101, 103), (0, 0, 0))
    assert not any(map(is_blank, (line, dot, Image.linear_gradient("L").convert("RGB"))))


def test_a_film_may_begin_in_the_dark():
    dark, light = encoded(Image.new("RGB", (64, 64))), encoded(photo(1))
    for names, data, reason in (
        (("0.frame.jpg", "1.frame.jpg"), (dark, light), None),
        (("0.frame.jpg", "1.frame.jpg"), (dark, dark), "blank image"),
        (("0.frame.jpg", "1.jpg"), (light, dark), "blank image"),
    ):
        shown = records.Candidate(Record("a"), dict(zip(names, data)))
        assert pixel_reason(shown, FiltersRecipe()) == reason, names


def test_one_bad_picture_of_several_is_enough_and_none_is_no_fault():
    assert header(PHOTO, b"<html>", PHOTO) == "no known picture format"
    assert pixels(PHOTO, encoded(Image.new("RGB", (64, 64)))) == "blank image"
    assert header() is None and pixels() is None


def test_each_picture_is_decoded_once_and_not_for_its_header(monkeypatch):
    decoded, true_decode = [], records.decode_image
    monkeypatch.setattr(records, "decode_image", lambda *args: decoded.append(args[1]) or true_decode(*args))
    one = candidate(PHOTO, encoded(photo(2)), captions=("a dog",))
    header_reason(one, FiltersRecipe())
    assert decoded == []
    pixel_reason(one, FiltersRecipe())
    signatures([one])
    assert decoded == ["a.0.jpg", "a.1.jpg"]
    monkeypatch.setattr(Image.Image, "load", lambda self: pytest.fail("pixels were read"))
    assert header(PHOTO) is None


def test_all_filters_together_the_cheap_ones_first(monkeypatch):
    index = LeakageIndex.build([("Is there a dog?", [encoded(photo(7))])])
    named = FiltersRecipe(leakage=["eval/mme.toml"])
    candidates = {
        "html": (candidate(b"<html>"), "no known picture format"),
        "good": (candidate(PHOTO, captions=("a dog",)), None),
        "blank": (candidate(encoded(Image.new("RGB", (64, 64)))), "blank image"),
        "leaked": (candidate(encoded(photo(7))), PICTURE),
        "cut": (candidate(encoded(photo(2))[:900]), "unreadable image"),
        "text": (candidate(captions=("a dog",)), None),
    }
    outcomes = Filters(named, index).sift([each for each, _ in candidates.values()])
    for (name, (each, reason)), outcome in zip(candidates.items(), outcomes, strict=True):
        assert (outcome.reason, outcome.record) == (reason, None if reason else each.record), name
    with pytest.raises(ValueError, match=r"filters\.leakage names .*mme\.toml"):
        Filters(named)
    filters = Filters(FiltersRecipe())
    bad = candidate(captions=("x",)).record
    assert filters.sift([]) == [] and filters.prune(Record("a")).reason is None
    assert filters.prune(bad).reason == "too few words"
    assert Filters(FiltersRecipe(min_words=None)).prune(bad).record is bad
    monkeypatch.setattr(records, "decode_image", lambda *args: pytest.fail("decoded"))
    assert Filters(FiltersRecipe(max_pixels=100)).sift([candidate(PHOTO)])[0].reason == "image too large"
