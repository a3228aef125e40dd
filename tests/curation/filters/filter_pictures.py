"""Pictures for the tests of filters: photographs of noise and shapes, and bytes that are none."""

from __future__ import annotations

import struct
import zlib
from io import BytesIO

import numpy as np
from PIL import Image, ImageDraw

from skymm.curation.record import Candidate, Caption, Picture, Record


def photo(seed: int, size: tuple[int, int] = (160, 120)) -> Image.Image:
    """Soft light, shapes and noise, different for every seed."""
    rng = np.random.default_rng(seed)
    light = Image.fromarray(rng.integers(0, 256, (5, 7, 3), np.uint8)).resize(size, Image.Resampling.BICUBIC)
    draw = ImageDraw.Draw(light)
    for _ in range(6):
        x, y = rng.integers(0, size[0]), rng.integers(0, size[1])
        side = int(rng.integers(size[0] // 10, size[0] // 3))
        draw.ellipse((x, y, x + side, y + side), fill=tuple(map(int, rng.integers(0, 256, 3))))
    noise = rng.integers(-12, 13, (size[1], size[0], 3))
    return Image.fromarray(np.clip(np.asarray(light, np.int16) + noise, 0, 255).astype(np.uint8))


def encoded(image: Image.Image, kind: str = "JPEG", **options) -> bytes:
    buffer = BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def png_header(width: int, height: int) -> bytes:
    """A PNG that claims a size and has no pixels."""

    def chunk(name: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", b"x")


def candidate(
    *pictures: bytes, captions: tuple[str, ...] = (), language: str = "en", key: str = "a", **fields
) -> Candidate:
    """One picture is "jpg", several are "0.jpg", "1.jpg", ..."""
    names = ["jpg"] if len(pictures) == 1 else [f"{index}.jpg" for index in range(len(pictures))]
    data = dict(zip(names, pictures))
    record = Record(
        key,
        {name: Picture(data=each) for name, each in data.items()},
        tuple(Caption(text, language) for text in captions),
        **fields,
    )
    return Candidate(record, data)
