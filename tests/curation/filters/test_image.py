"""Pictures: what is refused by its header, what by its pixels, and what stays."""

from __future__ import annotations

import struct
import time
from io import BytesIO

import pytest
from filter_pictures import candidate, encoded, photo, png_header
from PIL import Image, ImageDraw

from skymm.curation.filters.image import header_check, is_blank, pixel_check
from skymm.recipe.data import FiltersRecipe

RECIPE = FiltersRecipe()
PHOTO = encoded(photo(1))
FRAMES = [photo(index, (64, 64)) for index in range(3)]


def header(*pictures: bytes, **recipe) -> str | None:
    return header_check(FiltersRecipe(**recipe))([candidate(*pictures)])[0]


def pixels(*pictures: bytes, **recipe) -> str | None:
    return pixel_check(FiltersRecipe(**recipe))([candidate(*pictures)])[0]


@pytest.mark.parametrize(
    "data",
    [
        PHOTO,
        encoded(photo(1), "PNG"),
        encoded(photo(1), "WEBP"),
        encoded(photo(1).quantize(16), "PNG"),
        encoded(photo(1).convert("CMYK")),
        encoded(photo(1).convert("L")),
        encoded(photo(1).convert("RGBA"), "PNG"),
        encoded(FRAMES[0], "GIF", save_all=True, append_images=FRAMES[1:]),
        encoded(photo(1), "BMP"),
        encoded(photo(1), "TIFF"),
    ],
    ids=["jpeg", "png", "webp", "palette", "cmyk", "grey", "rgba", "moving gif", "bmp", "tiff"],
)
def test_pictures_stay(data):
    assert header(data) is None and pixels(data) is None


@pytest.mark.parametrize(
    "data",
    [
        b"<!DOCTYPE html><html><body>Not found</body></html>",
        b'<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg"><script>x</script></svg>',
        b"%PDF-1.7\n",
        b'{"error": "forbidden"}',
        b"PK\x03\x04",
    ],
    ids=["html", "svg", "pdf", "json", "zip"],
)
def test_the_first_bytes_tell_and_not_the_name(data):
    assert header(data) == "no known picture format"  # all of them are called jpg


@pytest.mark.parametrize("data", [b"", PHOTO[:3], b"\x89PNG\r\n\x1a\n", b"RIFF\x00\x00\x00\x00WEBP"])
def test_bytes_without_a_header_are_unreadable(data):
    assert header(data) == "unreadable image"


def test_damage_behind_the_header_shows_in_the_pixels():
    cut = PHOTO[: len(PHOTO) // 2]
    assert header(cut) is None and pixels(cut) == "unreadable image"
    assert header(png_header(100, 100)) is None and pixels(png_header(100, 100)) == "unreadable image"


def test_a_hundred_megapixels_are_refused_at_once():
    """Files that say so of themselves; the bytes behind the header are those of a small picture, or none."""
    jpeg, webp = bytearray(PHOTO), bytearray(encoded(photo(1), "WEBP"))
    frame = jpeg.index(b"\xff\xc0")
    jpeg[frame + 5 : frame + 9] = struct.pack(">HH", 10000, 10000)
    frame = webp.index(b"\x9d\x01\x2a")
    webp[frame + 3 : frame + 7] = struct.pack("<HH", 10000, 10000)
    for data in (png_header(10000, 10000), bytes(jpeg), bytes(webp)):
        start = time.perf_counter()
        assert header(data) == "image too large"
        assert time.perf_counter() - start < 0.05
        assert header(data, max_pixels=10**8) is None


def test_a_whole_picture_of_a_hundred_megapixels():
    data = encoded(Image.new("1", (10000, 10000), 1), "PNG", compress_level=1)
    start = time.perf_counter()
    assert header(data) == "image too large"
    assert time.perf_counter() - start < 0.05


@pytest.mark.parametrize(
    ("size", "recipe", "reason"),
    [
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
    ],
)
def test_sizes(size, recipe, reason):
    assert header(encoded(photo(1, size)), **recipe) == reason


def test_turned_pictures_are_judged_alike():
    image = photo(1, (40, 190))
    exif = Image.Exif()
    exif[0x0112] = 6
    data = encoded(image, exif=exif)
    assert header(data) is None and pixels(data) is None
    assert candidate(data).image("jpg").size == (190, 40)


@pytest.mark.parametrize("colour", ["white", "black", (200, 10, 10)])
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_pictures_of_one_colour_are_blank(colour, kind):
    data = encoded(Image.new("RGB", (64, 64), colour), kind)
    assert pixels(data) == "blank image" and pixels(data, blank=False) is None


def test_little_is_not_blank():
    image = Image.new("RGB", (64, 64), "white")
    ImageDraw.Draw(image).line((10, 10, 20, 20), fill="black")
    assert not is_blank(image)
    assert not is_blank(Image.linear_gradient("L").convert("RGB"))
    dot = Image.new("RGB", (640, 480), "white")
    dot.putpixel((101, 103), (0, 0, 0))
    assert not is_blank(dot)


def test_transparent_pictures_are_seen_on_white():
    drawing = Image.new("RGBA", (64, 64), (255, 0, 0, 0))  # red that nobody sees
    assert is_blank(drawing)
    ImageDraw.Draw(drawing).rectangle((10, 10, 30, 30), fill=(255, 255, 255, 255))
    assert is_blank(drawing)
    ImageDraw.Draw(drawing).rectangle((10, 10, 30, 30), fill=(255, 0, 0, 255))
    assert not is_blank(drawing)


def test_one_bad_picture_of_several_is_enough_and_none_is_no_fault():
    assert header(PHOTO, b"<html>", PHOTO) == "no known picture format"
    assert pixels(PHOTO, encoded(Image.new("RGB", (64, 64)))) == "blank image"
    assert header() is None and pixels() is None


def test_each_picture_is_decoded_once(monkeypatch):
    from skymm.curation import candidate as module
    from skymm.curation.filters.signature import signatures

    decoded = []
    true_decode = module.decode_image
    monkeypatch.setattr(module, "decode_image", lambda *args: decoded.append(args[1]) or true_decode(*args))
    one = candidate(PHOTO, encoded(photo(2)), captions=("a dog",))
    pixel_check(RECIPE)([one])
    signatures([one])
    assert decoded == ["a.0.jpg", "a.1.jpg"]


def test_headers_cost_no_decoding(monkeypatch):
    monkeypatch.setattr(Image.Image, "load", lambda self: pytest.fail("pixels were read"))
    with BytesIO(PHOTO) as data:
        assert header(data.read()) is None
