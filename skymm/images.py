"""Pictures to pixels, one at a time; whatever is no readable image becomes one kind of error.

Whatever a model looks at comes through `open_image`: in training, in `skymm ask`, in evaluation and through transformers.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import (
    BmpImagePlugin,
    ExifTags,
    GifImagePlugin,
    Image,
    ImageOps,
    JpegImagePlugin,
    PngImagePlugin,
    TiffImagePlugin,
    WebPImagePlugin,
)

MAX_PIXELS = 64 * 1024 * 1024
"""Pixels that an image may have by default: 8192 x 8192, 192 MiB as RGB."""

# The classes, not Image.open: that one applies its own limit and tells no size, and reads dozens of other formats.
_READERS = {
    "JPEG": JpegImagePlugin.JpegImageFile,
    "PNG": PngImagePlugin.PngImageFile,
    "WebP": WebPImagePlugin.WebPImageFile,
    "GIF": GifImagePlugin.GifImageFile,
    "BMP": BmpImagePlugin.BmpImageFile,
    "TIFF": TiffImagePlugin.TiffImageFile,
}
FORMATS = tuple(_READERS)
"""As `format_of` names them. Of those with several frames or pages the first is read."""
EXPECTED = f"expected one of {', '.join(FORMATS)}"
_BEGINNINGS = {
    "JPEG": b"\xff\xd8\xff",
    "PNG": b"\x89PNG\r\n\x1a\n",
    "GIF": (b"GIF87a", b"GIF89a"),
    "TIFF": (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"),
}
_BMP_HEADERS = (12, 40, 52, 56, 64, 108, 124)  # bytes of the header behind the file's own
# What PIL raises on damaged data, format by format; anything else is a mistake of ours and must not look like bad data.
_DAMAGED = (OSError, SyntaxError, ValueError, EOFError, IndexError, KeyError, TypeError, struct.error, zlib.error)


class UnreadableImage(ValueError):
    """Bytes that are no usable image. `reason` is the short name under which the sample is counted."""

    reason = "unreadable image"


@dataclass(frozen=True, slots=True)
class Header:
    """What an image says of itself before any of its pixels is read. Width and height are as stored (EXIF may turn them)."""

    kind: str
    width: int
    height: int


def read_header(data: bytes, where: str) -> Header:
    """Size and kind of an image in well under a millisecond, whatever size it claims: nothing is decompressed.

    Raises UnreadableImage.
    """
    with _opened(data, where, "whose header is damaged") as (kind, image):
        return Header(kind, *image.size)


def open_image(
    source: bytes | str | Path | Image.Image,
    where: str = "image",
    max_pixels: int = MAX_PIXELS,
    *,
    min_side: int | None = None,
) -> Image.Image:
    """A picture as a model sees it: upright, RGB, transparency laid on white as a page would show it, 16 bits scaled to 8.

    Args:
        source: encoded bytes, a file, or a picture of Pillow's. A JPEG that Pillow has opened and not yet read is read here
            as its file would be; pixels that are there already are taken as they are.
        where, max_pixels, min_side: see `decode_image`.

    Raises UnreadableImage.
    """
    if isinstance(source, str | Path):
        source = Path(source).expanduser().read_bytes()
    elif isinstance(source, Image.Image) and min_side is not None:
        source = _bytes_of_unread_jpeg(source) or source
    if isinstance(source, bytes):
        return on_white(decode_image(source, where, max_pixels, min_side=min_side))
    try:
        return on_white(_pixels(source))
    except _DAMAGED as error:
        raise UnreadableImage(f"{where}: a picture that cannot be read ({error})") from error


def on_white(image: Image.Image) -> Image.Image:
    """What `decode_image` gives -> RGB, with its transparency laid on white."""
    if image.mode == "RGB":
        return image
    return Image.alpha_composite(Image.new("RGBA", image.size, "white"), image.convert("RGBA")).convert("RGB")


def _bytes_of_unread_jpeg(image: Image.Image) -> bytes | None:
    if not isinstance(image, JpegImagePlugin.JpegImageFile) or image.fp is None or not image.tile:
        return None
    place = image.fp.tell()
    image.fp.seek(0)
    data = image.fp.read()
    image.fp.seek(place)
    return data


def decode_image(data: bytes, where: str, max_pixels: int = MAX_PIXELS, *, min_side: int | None = None) -> Image.Image:
    """Pixels of an image (see FORMATS), upright (EXIF orientation applied), as RGB, or RGBA where it has transparency.

    With `min_side` a large JPEG is decoded at 1/2, 1/4 or 1/8 of its size, as long as both sides keep that many pixels: two
    times faster on photos of today, with slightly other pixels than scaling afterwards. So it belongs to the model
    (`config.min_side`): whatever its towers look at goes through here with that value, in training as in answering.

    `where` names the image in errors. Width x height is compared with `max_pixels` before anything is decompressed.
    Raises UnreadableImage: too large, cut short, damaged, empty, or no image at all.
    """
    with _opened(data, where, "that cannot be decoded") as (kind, image):
        width, height = image.size
        if width * height > max_pixels:
            raise UnreadableImage(
                f"{where}: {width} x {height} pixels, the limit is {max_pixels} in all; scale it down "
                "before packing, or raise max_pixels"
            )
        if min_side is not None and kind == "JPEG":
            image.draft(None, (min_side, min_side))
        return _pixels(image)


@contextmanager
def _opened(data: bytes, where: str, problem: str) -> Iterator[tuple[str, Image.Image]]:
    """Its format, and the image before any of its pixels is read; whatever goes wrong inside is an UnreadableImage."""
    kind = format_of(data)
    if kind not in _READERS:
        raise UnreadableImage(f"{where}: found {kind}, {EXPECTED}")
    try:
        with _READERS[kind](BytesIO(data)) as image:
            yield kind, image
    except UnreadableImage:
        raise
    except (*_DAMAGED, Image.DecompressionBombError) as error:
        raise UnreadableImage(f"{where}: a {kind} {problem} ({len(data)} bytes; {error})") from error


def format_of(data: bytes) -> str:
    """What the first bytes say; names are lies (an error page saved as photo.jpg is the most common one)."""
    if not data:
        return "no bytes"
    for kind, beginnings in _BEGINNINGS.items():
        if data.startswith(beginnings):
            return kind
    if data.startswith(b"RIFF") and data[8:12] == b"WEBP":
        return "WebP"
    if data.startswith(b"BM") and int.from_bytes(data[14:18], "little") in _BMP_HEADERS:
        return "BMP"
    if data[:256].lstrip().lower().startswith((b"<!doctype html", b"<html")):
        return "an HTML page"
    return f"{len(data)} bytes beginning {data[:8]!r}"


def _pixels(image: Image.Image) -> Image.Image:
    """Upright, RGB, or RGBA where anything may be transparent."""
    image.load()  # damage must show here, and not in what follows, which forgives
    try:
        if image.getexif().get(ExifTags.Base.Orientation, 1) != 1:  # it copies all pixels where nothing is to be turned
            image = ImageOps.exif_transpose(image)
    except _DAMAGED:
        pass  # the pixels are fine, only the note about them is broken
    if image.mode == "RGB" and not image.has_transparency_data:
        return image
    if image.mode.startswith("I"):
        image = _eight_bits(image)
    elif image.mode == "F":
        raise ValueError("its pixels are floating point numbers, and nothing says which of them is white")
    elif image.mode == "La":
        image = image.convert("LA")
    clear = image.info.get("transparency")
    if image.mode == "RGB" and isinstance(clear, tuple) and max(clear) > 255:  # told in 16 bits, as its pixels were
        image = image.copy()
        image.info["transparency"] = tuple(value >> 8 for value in clear)
    return image.convert("RGBA" if image.has_transparency_data else "RGB")


def _eight_bits(image: Image.Image) -> Image.Image:
    """Grey of 16 bits, which Pillow would cut off at 255, as L, or LA where one value means transparent."""
    deep = np.asarray(image.convert("I"))
    grey = Image.fromarray((deep >> 8).clip(0, 255).astype(np.uint8))
    clear = image.info.get("transparency")
    if clear is None:
        return grey
    return Image.merge("LA", (grey, Image.fromarray(np.where(deep == clear, 0, 255).astype(np.uint8))))
