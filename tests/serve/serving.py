"""What the tests of the server send: pictures, and limits that are small enough to be met."""

import base64
import io

from PIL import Image

from skymm.serve.limits import Limits

LIMITS = Limits(
    num_bytes=600_000,
    num_pixels=1 << 20,
    num_images=4,
    num_messages=40,
    num_characters=3_000,
    num_tokens=24,
    seconds=20,
    body_seconds=1.0,
    fetch_seconds=2.0,
    hosts=frozenset({"pictures.example", "internal.example:8080", "127.0.0.1", "::1", "0x7f.1", "2130706433"}),
)


def picture(colour: str = "red", size: tuple[int, int] = (40, 30), kind: str = "PNG") -> bytes:
    data = io.BytesIO()
    Image.new("RGB", size, colour).save(data, kind)
    return data.getvalue()


def data_url(data: bytes, kind: str = "image/png") -> str:
    return f"data:{kind};base64,{base64.b64encode(data).decode()}"
