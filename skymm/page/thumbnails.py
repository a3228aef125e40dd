"""Pictures small enough to travel inside a page."""

from __future__ import annotations

import base64
import io

from PIL import Image


def data_url(image: Image.Image, longest_side: int = 320) -> str:
    """The picture as a JPEG in a data URL, scaled down; transparent parts become white, for a page may be dark."""
    image = image.convert("RGBA")
    image.thumbnail((longest_side, longest_side))
    ground = Image.new("RGBA", image.size, "white")
    ground.alpha_composite(image)
    stored = io.BytesIO()
    ground.convert("RGB").save(stored, "JPEG", quality=80)
    return "data:image/jpeg;base64," + base64.b64encode(stored.getvalue()).decode()
