"""What every chart and page has to be: well-formed, with no label over another or outside, alone, open in a browser."""

from __future__ import annotations

import html
import re
import shutil
import subprocess
import tempfile
import xml.etree.ElementTree as ElementTree
from itertools import combinations
from pathlib import Path

import pytest
from PIL import Image, ImageStat

from skymm.page.drawing import text_width

LONG = "an-extremely-long-model-name-of-seventy-billion-parameters-that-nobody-abbreviates"


def parsed(chart):
    return ElementTree.fromstring(str(chart))


def with_class(chart, style):
    return [one for one in parsed(chart).iter() if style in one.get("class", "").split()]


def numbers(found, *names):
    """These attributes of elements, as numbers; of one name: without lists around them."""
    rows = [[float(one.get(name)) for name in names] for one in found]
    return [row[0] for row in rows] if len(names) == 1 else rows


def places(element):
    """The points of a polyline or polygon."""
    return [tuple(map(float, place.split(","))) for place in element.get("points").split()]


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


def text_of(page):
    """What a reader sees: without style sheet and markup."""
    page = re.sub(r"<style>.*?</style>", " ", page, flags=re.S)
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", page)).split())


def assert_stands_alone(page):
    """Nothing is asked of anybody: no script, no address, pictures inside."""
    assert not re.findall(r"""(?:src|href|action|poster|data)\s*=\s*["']?(?!data:image/|#)[^"'\s>]""", page)
    assert not re.search(r"<script|<link|<iframe|@import|url\(|https?://", page, re.I)
    assert "default-src 'none'" in page and "Noto Sans SC" in page and "prefers-color-scheme: dark" in page
    assert len(page) < 1_000_000


def assert_fits(page: Path, width: int, dark: bool = False):
    """A browser shows it, and nothing sticks out at the right: tables scroll in themselves."""
    browser = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if browser is None:
        pytest.skip("no chromium, chromium-browser or google-chrome on this machine to open the page in")
    with tempfile.TemporaryDirectory() as directory:
        command = [browser, "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"]
        command += ["--disable-background-networking", "--disable-component-update", "--disable-sync"]
        command += ["--hide-scrollbars", f"--user-data-dir={directory}/profile", f"--window-size={width},4000"]
        command += [f"--blink-settings=preferredColorScheme={0 if dark else 1}"]
        shot = Path(directory) / "shot.png"
        subprocess.run([*command, f"--screenshot={shot}", page.as_uri()], capture_output=True, timeout=120)
        with Image.open(shot) as opened:
            grey = opened.convert("L")
    assert ImageStat.Stat(grey).stddev[0] > 10 and (ImageStat.Stat(grey).mean[0] < 128) == dark
    assert len(set(grey.crop((grey.width - 6, 0, grey.width, 4000)).tobytes())) == 1
