"""Clips made on the fly: frame n is grey of 6 n, but for its upper left quarter, which is the other way round."""

from __future__ import annotations

import io
from fractions import Fraction
from pathlib import Path

import numpy as np
from PIL import Image


def write_clip(
    path: Path,
    count: int = 40,
    *,
    codec: str = "libx264",
    pts: list[int] | None = None,
    options: dict[str, str] | None = None,
) -> Path:
    """10 frames a second of 64 x 48, a key frame every 8; `pts`: when each is shown, in tenths of a second."""
    import av

    with av.open(str(path), "w", options=options or {}) as container:
        stream = container.add_stream(codec, rate=10, options={"g": "8"})
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        stream.codec_context.time_base, stream.bit_rate = Fraction(1, 10), 2_000_000
        for number in range(count):
            pixels = np.full((48, 64, 3), 6 * number, np.uint8)
            pixels[:24, :32] = 255 - 6 * number
            frame = av.VideoFrame.from_ndarray(pixels, format="rgb24")
            frame.pts, frame.time_base = pts[number] if pts else number, Fraction(1, 10)
            for packet in stream.encode(frame):
                container.mux(packet)
        for packet in stream.encode():
            container.mux(packet)
    return path


def write_sound(path: Path) -> Path:
    import av

    with av.open(str(path), "w") as container:
        stream = container.add_stream("pcm_s16le", rate=8000, layout="mono")
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 800), np.int16), format="s16", layout="mono")
        frame.sample_rate = 8000
        for packet in (*stream.encode(frame), *stream.encode()):
            container.mux(packet)
    return path


def number_of(data: bytes) -> float:
    """Which frame a picture is."""
    return Image.open(io.BytesIO(data)).convert("L").getpixel((60, 44)) / 6


def turned(data: bytes) -> bytes:
    """An MP4 that says: a quarter turn clockwise before it is shown (its track's matrix)."""
    upright = b"".join(value.to_bytes(4, "big") for value in (1 << 16, 0, 0, 0, 1 << 16, 0, 0, 0, 1 << 30))
    quarter = b"".join(
        (value % (1 << 32)).to_bytes(4, "big") for value in (0, 1 << 16, 0, -1 << 16, 0, 0, 48 << 16, 0, 1 << 30)
    )
    start = data.index(upright, data.index(b"tkhd"))
    return data[:start] + quarter + data[start + len(upright) :]
