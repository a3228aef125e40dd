"""What every chart has to be: well-formed, and with no label over another or outside."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from itertools import combinations

from skymm.page.drawing import text_width

LONG = "an-extremely-long-model-name-of-seventy-billion-parameters-that-nobody-abbreviates"


def parsed(chart):
    return ElementTree.fromstring(str(chart))


def boxes(chart):
    """(left, top, right, bottom) of every text, from its anchor and estimated width."""
    found = {}
    for number, text in enumerate(parsed(chart).iter("text")):
        size, x, y = (float(text.get(name)) for name in ("font-size", "x", "y"))
        wide = text_width(text.text or "", size)
        left = x - {"start": 0, "middle": wide / 2, "end": wide}[text.get("text-anchor")]
        found[number, text.text] = (left, y - 0.75 * size, left + wide, y + 0.1 * size)
    return found


def assert_readable(chart):
    _, _, width, height = map(float, parsed(chart).get("viewBox").split())
    assert width <= 400
    found = boxes(chart)
    for name, (left, top, right, bottom) in found.items():
        assert left >= -2 and top >= -2 and right <= width + 2 and bottom <= height + 2, f"{name} reaches outside"
    for (one, a), (other, b) in combinations(found.items(), 2):
        apart = a[2] <= b[0] or b[2] <= a[0] or a[3] <= b[1] or b[3] <= a[1]
        assert apart, f"{one} and {other} overlap"
