"""Bars are as long as their numbers say, and their names can be read."""

import base64
import io

import pytest
from PIL import Image
from readable import LONG, assert_readable, parsed

from skymm.page.bars import Bins, histogram_chart, number_bars, paired_bars, share_bars, two_marks
from skymm.page.curves import axis_of
from skymm.page.drawing import Axis
from skymm.page.thumbnails import data_url

PERCENT = Axis(0, 1, (0, 0.25, 0.5, 0.75, 1), lambda value: f"{value * 100:g}%")


def widths(chart, style=""):
    return [
        float(one.get("width")) for one in parsed(chart).iter("rect") if style in one.get("class").split() or not style
    ]


def test_shares_fill_the_line():
    rows = [("one", (3, 1, 0)), ("two", (0, 0, 12_345_678)), ("none", (0, 0, 0)), (LONG, (999, 1, 1))]
    chart = share_bars("share", rows, ("pos", "neg", "unk"), lambda value: f"{value:.0%}")
    assert_readable(chart)
    first, second, whole = widths(chart)[:3]
    assert first == pytest.approx(3 * second, abs=0.2) and first + second == pytest.approx(whole, abs=0.2)
    assert "75%" in str(chart) and "12,345,678" in str(chart)


def test_pairs_stand_back_to_back():
    chart = paired_bars("pairs", [("panda", 10, 5), ("熊猫" * 20, 0, 0), ("much", 1_000_000, 1)], ("neg", "pos"))
    assert_readable(chart)
    assert widths(paired_bars("p", [("a", 10, 5)], ("neg", "pos")), "neg")[0] == pytest.approx(
        2 * widths(paired_bars("p", [("a", 10, 5)], ("neg", "pos")), "pos")[0], abs=0.2
    )


def test_numbers_beside_bars():
    chart = number_bars("numbers", [("a", 40), (LONG, 10), ("<b>", 0)])
    assert_readable(chart)
    assert widths(chart)[0] == pytest.approx(4 * widths(chart)[1], abs=0.3) and "<b>" not in str(chart)


def test_marks_lie_at_their_values():
    chart = two_marks("marks", [("a", 0.5, 1.0), (LONG, 0.0, 0.25)], PERCENT)
    assert_readable(chart)
    places = [float(one.get("cx")) for one in parsed(chart).iter("circle")]
    ticks = sorted({float(one.get("x1")) for one in parsed(chart).iter("line") if one.get("class") == "grid"})
    assert places == [ticks[2], ticks[4], ticks[0], ticks[1]]


def test_bins_take_everything():
    bins = Bins((0, 10, 100), ("0", "10", "100"))
    assert bins.shares({0: 1, 9: 1, 10: 2, 99: 1, 100: 1, 10**6: 4}) == [0.2, 0.3, 0.5]
    assert bins.shares({}) == [0, 0, 0]


def test_histograms_are_shares_and_readable():
    bins = Bins((1, 2, 4, 129, 257), ("1", "2", "4", "129", "257"))
    chart = histogram_chart(
        "words",
        bins,
        [({1: 1, 3: 3}, "s0"), ({300: 5000, 1: 1}, "s1")],
        lambda top: axis_of([0, top], PERCENT.show, zero=True),
    )
    assert_readable(chart)
    heights = [float(one.get("height")) for one in parsed(chart).iter("rect")]
    assert heights[1] == pytest.approx(0.8), "one of five thousand can still be seen"
    assert heights[0] * 3 == pytest.approx(heights[2], abs=0.2)


def test_thumbnails_are_small_and_white_behind():
    image = Image.new("RGBA", (900, 300), (0, 0, 0, 0))
    stored = base64.b64decode(data_url(image, 90).removeprefix("data:image/jpeg;base64,"))
    with Image.open(io.BytesIO(stored)) as thumbnail:
        assert (
            thumbnail.size == (90, 30) and thumbnail.format == "JPEG" and thumbnail.getpixel((5, 5)) == (255, 255, 255)
        )
