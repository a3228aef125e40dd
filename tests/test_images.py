"""Image bytes: what decodes, what is refused, and with which words."""

from __future__ import annotations

import itertools
import pickle
import struct
import zlib
from io import BytesIO

import pytest
from PIL import Image, ImageChops

from skymm.images import Header, UnreadableImage, decode_image, open_image, read_header


def encoded(image: Image.Image, kind: str, **options) -> bytes:
    buffer = BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def png_header(width: int, height: int) -> bytes:
    """A PNG that claims a size and has next to no pixels."""
    body = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + struct.pack(">I", 13)
        + body
        + struct.pack(">I", zlib.crc32(body))
        + struct.pack(">I", 9)
        + b"IDATx"
    )


KINDS = ["JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF"]
RED, BLUE = (Image.new("RGB", (30, 20), colour) for colour in ((200, 10, 10), (10, 10, 200)))


def test_formats_decode_to_rgb_and_of_several_frames_the_first_is_shown():
    for kind in KINDS:
        frames = {"save_all": True, "append_images": [BLUE]} if kind in ("PNG", "WEBP", "GIF", "TIFF") else {}
        data = encoded(RED, kind, **frames)
        image = decode_image(data, "a")
        assert (image.size, frames or image.mode) == ((30, 20), frames or "RGB"), kind
        assert image.convert("RGB").getpixel((3, 3))[0] > 180, kind
        assert read_header(data, "a") == Header({"WEBP": "WebP"}.get(kind, kind), 30, 20)


def palette(**options) -> bytes:
    image = Image.new("P", (8, 8), 3)
    image.putpalette([value for level in range(256) for value in (level, 0, 0)])
    return encoded(image, "PNG", **options)


def clear_sixteen_bits() -> bytes:
    """A grey PNG of 16 bits, in which one value means that there is nothing (a tRNS chunk, which Pillow does not write)."""
    data = encoded(Image.new("I;16", (4, 4), 0x8000), "PNG")
    chunk = b"tRNS" + struct.pack(">H", 0x8000)
    at = data.index(b"IDAT") - 4
    return data[:at] + struct.pack(">I", 2) + chunk + struct.pack(">I", zlib.crc32(chunk)) + data[at:]


WHITE, GREY = (255, 255, 255), (128, 128, 128)


@pytest.mark.parametrize(
    ("data", "colour", "kept"),
    [
        (encoded(Image.new("RGBA", (4, 4), (9, 0, 0, 0)), "PNG"), WHITE, "RGBA"),
        (encoded(Image.new("RGBA", (4, 4), (0, 0, 0, 128)), "PNG"), (127, 127, 127), "RGBA"),
        (encoded(Image.new("LA", (4, 4), (10, 0)), "PNG"), WHITE, "RGBA"),
        (palette(), (3, 0, 0), "RGB"),
        (palette(transparency=3), WHITE, "RGBA"),
        (encoded(Image.new("RGB", (4, 4), (9, 8, 7)), "PNG", transparency=(9, 8, 7)), WHITE, "RGBA"),
        (encoded(Image.new("I;16", (4, 4), 0x8000), "PNG"), GREY, "RGB"),
        (clear_sixteen_bits(), WHITE, "RGBA"),
        (encoded(Image.new("L", (4, 4), 77), "PNG"), (77, 77, 77), "RGB"),
        (encoded(Image.new("1", (4, 4), 1), "PNG"), WHITE, "RGB"),
        (encoded(Image.new("CMYK", (8, 8)), "JPEG"), WHITE, "RGB"),
    ],
)
def test_transparency_lies_on_white_and_grey_keeps_its_depth(data, colour, kept, tmp_path):
    assert decode_image(data, "a").mode == kept
    (tmp_path / "a.png").write_bytes(data)
    for source in (data, tmp_path / "a.png", Image.open(BytesIO(data)), decode_image(data, "a"), open_image(data)):
        image = open_image(source)
        assert image.mode == "RGB" and image.getpixel((0, 0)) == colour


def test_floating_point_pixels_are_refused():
    with pytest.raises(UnreadableImage, match=r"a depth map: a picture that cannot be read .*floating point"):
        open_image(Image.new("F", (4, 4)), "a depth map")


def turned() -> Image.Exif:
    exif = Image.Exif()
    exif[0x0112] = 6  # by 90 degrees
    return exif


@pytest.mark.filterwarnings("ignore:Corrupt EXIF data")
def test_orientation_is_applied_and_a_broken_note_about_it_does_not_cost_the_image():
    for kind in ("JPEG", "PNG", "WEBP", "TIFF"):
        assert decode_image(encoded(RED, kind, exif=turned()), "a").size == (20, 30), kind
    broken = (b"II*\x00\xff\xff\xff\xff", b"no header", b"MM\x00*\x00\x00")
    for kind, exif in itertools.product(("JPEG", "PNG", "WEBP"), broken):
        assert decode_image(encoded(RED, kind, exif=b"Exif\x00\x00" + exif), "a").size == (30, 20), (kind, exif)


def test_size_is_refused_from_the_header_alone():
    with pytest.raises(UnreadableImage, match=r"s\.tar: k\.png: 30000 x 30000 pixels, the limit is 67108864"):
        decode_image(png_header(30000, 30000), "s.tar: k.png")
    # Within the limit the same file is read further, and only then found to have no pixels.
    with pytest.raises(UnreadableImage, match="cannot be decoded"):
        decode_image(png_header(300, 300), "a")

    data = encoded(RED, "PNG")
    assert decode_image(data, "a", max_pixels=600).size == (30, 20)
    with pytest.raises(UnreadableImage, match="30 x 20 pixels, the limit is 599"):
        decode_image(data, "a", max_pixels=599)


PHOTO = Image.radial_gradient("L").resize((800, 600)).convert("RGB")


def test_a_large_jpeg_is_decoded_at_a_fraction_that_keeps_both_sides():
    for side, size in ((75, (100, 75)), (76, (200, 150)), (300, (400, 300)), (301, (800, 600)), (9000, (800, 600))):
        image = decode_image(encoded(PHOTO, "JPEG", quality=95), "a", min_side=side)
        assert (image.mode, image.size) == ("RGB", size)
        difference = ImageChops.difference(image, PHOTO.resize(size, Image.Resampling.BOX)).convert("L")
        assert sum(difference.histogram()[8:]) == 0, "the same picture, smaller"
    for kind in ("PNG", "WEBP"):
        data = encoded(PHOTO, kind)
        assert decode_image(data, "a", min_side=32).tobytes() == decode_image(data, "a").tobytes()
    for mode, progressive in itertools.product(("L", "CMYK", "RGB"), (False, True)):
        data = encoded(PHOTO.convert(mode), "JPEG", exif=turned(), progressive=progressive)
        image = decode_image(data, "a", min_side=150)
        assert (image.mode, image.size) == ("RGB", (150, 200)), "upright, whatever it is made of"
    data = encoded(PHOTO, "JPEG")  # scaling forgives no damage and lifts no limit
    with pytest.raises(UnreadableImage, match="cannot be decoded"):
        decode_image(data[: len(data) // 2], "a", min_side=32)
    with pytest.raises(UnreadableImage, match="800 x 600 pixels, the limit is 9999"):
        decode_image(data, "a", max_pixels=9999, min_side=32)


NOISE = Image.effect_noise((64, 64), 90).convert("RGB")


@pytest.mark.filterwarnings("ignore:Corrupt EXIF data")
def test_every_cut_is_refused_by_name():
    for kind in KINDS:
        data = encoded(NOISE, kind)
        for length in [1, 4, 11, 20, 40, len(data) // 2, len(data) * 9 // 10]:
            with pytest.raises(UnreadableImage, match=r"s\.tar: k\.jpg"):
                decode_image(data[:length], "s.tar: k.jpg")


def test_what_is_no_image_is_named_and_the_error_travels_between_processes():
    cases = {
        b"": "no bytes",
        b"  <!DOCTYPE html><html>404</html>": "an HTML page",
        b"<html><body>moved": "an HTML page",
        b"GIF89a" + bytes(40): "a GIF that cannot be decoded",
        b"BMW is a maker of cars": "beginning b'BMW is a",
        b"II*\0" + bytes(40): "a TIFF that cannot be decoded",
        b"hello": "5 bytes beginning b'hello'",
        b"\xff\xd8\xff" + bytes(200): "a JPEG that cannot be decoded",
        b"\x89PNG\r\n\x1a\n" + bytes(200): "a PNG that cannot be decoded",
        b"RIFF\x10\x00\x00\x00WEBP" + bytes(200): "a WebP that cannot be decoded",
    }
    for data, found in cases.items():
        with pytest.raises(UnreadableImage, match=f"somewhere.tar: 0001.jpg.*{found}") as caught:
            decode_image(data, "somewhere.tar: 0001.jpg")
        error = pickle.loads(pickle.dumps(caught.value))
        assert isinstance(error, ValueError) and error.reason == "unreadable image" and str(error) == str(caught.value)
    for data in (b"", b"<html>", b"GIF89a", b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"RIFF1234WEBP"):
        with pytest.raises(UnreadableImage, match="where it is"):
            read_header(data, "where it is")
