"""Charts put numbers where they belong, hide nothing when they are thinned, stay small, and can be read."""

import base64
import io
from dataclasses import dataclass

import pytest
from PIL import Image
from readable import LONG, assert_readable, boxes, numbers, parsed, places, with_class

from skymm.page.charts import (
    NUM_STRETCHES,
    Curve,
    calibration_chart,
    curve_chart,
    interval_chart,
    paired_bars,
    share_bars,
    share_chart,
    smoothed,
    thinned,
    two_marks,
    window_of,
)
from skymm.page.document import data_url
from skymm.page.drawing import NUM_STYLES, PERCENT, Axis, axis_of, shortened, step_axis, swatch, text_width
from skymm.page.numbers import bounds, brief, difference, duration, p_value, percent, probability, score

POINTS = Axis(0, 200, (0, 50, 100, 150, 200), lambda value: f"{value:g}")
EVIL = '<script>x</script>"&'


@dataclass
class Interval:
    value: float
    low: float | None = None
    high: float | None = None


@dataclass
class Bin:
    low: float
    high: float
    count: int
    confidence: float
    correct: float


TEN = [Bin(one / 10, (one + 1) / 10, 500 - one, one / 10 + 0.05, one / 10 + 0.05) for one in range(10)]


def ramp(count, spike=None):
    return [(step, 100.0 if step == spike else 1.0) for step in range(1, count + 1)]


def grid(chart, name):
    return sorted(set(numbers(with_class(chart, "grid"), name)))


def test_every_chart_is_readable_and_names_are_text():
    names = [["accuracy"], ["计数", "位置", LONG], [f"category {n}" for n in range(30)], [EVIL]]
    charts = [
        interval_chart(
            EVIL, [(n, [Interval(0.1, 0, 0.2)] * series) for n in rows], [f"{EVIL}{n}" for n in range(series)], PERCENT
        )
        for rows in names
        for series in (1, 2, 6, 9)
    ]
    for rows in names:
        charts += [
            two_marks("looks", [(name, 0.3, 0.9) for name in rows], PERCENT, series=True),
            paired_bars("pairs", [(name, 1_000_000, 1) for name in rows], ("neg", "pos")),
            share_bars("share", [(name, (999, 1, 12_345_678)) for name in rows], ("pos", "neg", "unk"), percent),
        ]
    charts += [
        calibration_chart("c", TEN, 1, across, up, PERCENT) for across, up in (("它给“是”的概率", "比例"), (EVIL, EVIL))
    ]
    for chart in charts:
        assert_readable(chart)
        assert "<script" not in chart
    assert len(with_class(charts[11], "mark")) == 30 * 9
    shown = {name for _, name in boxes(charts[4])}
    assert {"计数", "位置"} <= shown and LONG not in shown, "short names stand in full"


def test_intervals_lie_where_their_numbers_are():
    chart = interval_chart("scores", [("count", [Interval(100, 50, 150), None])], ["a", "b"], POINTS)
    ticks = grid(chart, "x1")
    assert numbers(with_class(chart, "whisker"), "x1", "x2") == [[ticks[1], ticks[3]]]
    (mark,) = parsed(chart).iter("circle")
    assert float(mark.get("cx")) == ticks[2] and mark.find("title").text == "a: 100"
    assert not list(parsed(chart).iter("polygon")), "there is no number of b"
    assert not with_class(interval_chart("s", [("a", [Interval(100)])], ["a"], POINTS), "whisker")


def test_two_marks_lie_at_their_values():
    chart = two_marks("marks", [("a", 0.5, 1.0), ("blind", 0.25, 0.25)], PERCENT)
    ticks = grid(chart, "x1")
    assert numbers(with_class(chart, "span"), "x1", "x2") == [[ticks[2], ticks[4]], [ticks[1], ticks[1]]]
    assert numbers(with_class(chart, "open"), "cx") == [ticks[2], ticks[1]]


def test_bars_are_as_long_as_their_numbers():
    chart = share_bars(
        "s", [("one", (3, 1, 0)), ("two", (0, 0, 7)), ("none", (0, 0, 0))], ("pos", "neg", "unk"), percent
    )
    first, second, whole = numbers(parsed(chart).iter("rect"), "width")
    assert first == pytest.approx(3 * second, abs=0.2) and first + second == pytest.approx(whole, abs=0.2)
    assert "75%" in chart
    chart = paired_bars("pairs", [("panda", 10, 5), ("熊猫", 0, 0)], ("neg", "pos"))
    (negative,), (positive,) = (numbers(with_class(chart, style), "width") for style in ("neg", "pos"))
    assert negative == pytest.approx(2 * positive, abs=0.2)


def test_perfect_calibration_lies_on_the_diagonal():
    chart = calibration_chart("calibration", TEN, 0, "across", "up", PERCENT)
    ((x1, y1, x2, y2),) = numbers(with_class(chart, "diagonal"), "x1", "y1", "x2", "y2")
    for x, y in places(next(parsed(chart).iter("polyline"))):
        assert y == pytest.approx(y1 + (y2 - y1) * (x - x1) / (x2 - x1), abs=0.15)
    bars = numbers(parsed(chart).iter("rect"), "height")
    assert len(bars) == 10 and bars == sorted(bars, reverse=True)


def test_thinning_keeps_extremes_and_means():
    stretches = thinned(ramp(100_003, spike=77_777))
    assert len(stretches) == NUM_STRETCHES and [one.high for one in stretches].count(100.0) == 1, "a spike of one step"
    assert sum(one.mean for one in stretches) / NUM_STRETCHES == pytest.approx(1 + 99 / 100_003, abs=1e-5)
    assert thinned(ramp(3)) == thinned(ramp(3), 1000) and len(thinned(ramp(3))) == 3 and thinned([]) == []


def test_smoothing_is_centred_and_keeps_a_straight_line():
    line = [(step, 2.0 * step) for step in range(200)]
    assert window_of(line) == 11
    assert [y for _, y in smoothed(line)] == pytest.approx([y for _, y in line])
    step = [(index, float(index >= 100)) for index in range(200)]
    assert smoothed(step)[99][1] == pytest.approx(5 / 11) and smoothed(step)[93][1] == 0


def test_short_series_are_drawn_step_by_step_and_long_ones_with_a_band():
    curve = Curve([(1, 3.0), (2, 1.0), (3, 2.0)], 0, raw=True)
    chart = curve_chart("loss", [curve], step_axis([1, 3]), Axis(0, 4, (0, 2, 4), str))
    (raw,) = map(places, with_class(chart, "raw"))
    ticks = grid(chart, "y1")
    assert [y for _, y in raw] == pytest.approx(
        [(ticks[0] + ticks[1]) / 2, (ticks[1] + ticks[2]) / 2, ticks[1]], abs=0.1
    )
    assert raw[0][0] < raw[1][0] < raw[2][0] and not with_class(chart, "band")

    def drawn(count):
        up = axis_of([1, 100], str, zero=True)
        return curve_chart("loss", [Curve(ramp(count, count // 2), 0, raw=True)], step_axis([1, count]), up)

    (band,) = map(places, with_class(drawn(50_000), "band"))
    assert min(y for _, y in band) == pytest.approx(grid(drawn(50_000), "y1")[0], abs=0.1), "it reaches the spike"
    assert len(drawn(50_000)) < 1.1 * len(drawn(1_000)) < 12_000


def test_levels_and_rare_points():
    chart = curve_chart("share", [Curve([(1, 0.2), (9, 0.4)], 0)], step_axis([1, 9]), PERCENT, [(0.5, "recipe 50%")])
    assert_readable(chart)
    assert numbers(with_class(chart, "diagonal"), "y1") == [grid(chart, "y1")[2]]
    rare = Curve([(step, 1.0) for step in (100, 200, 300)], 1, rare=True)
    chart = curve_chart("loss", [Curve(ramp(300), 0), rare], step_axis([1, 300]), axis_of([0, 2], str))
    assert [one.get("class") for one in with_class(chart, "mark") + with_class(chart, "open")] == ["s0 mark"] + [
        "s1 open"
    ] * 3


def test_axes_span_their_values_with_few_round_numbers():
    for values in ([0.0], [5.0, 5.0], [0.2221, 0.2222], [1e-7, 3e-7], [12.0, 9e6], [-3.0, 4.0], [1.0, 1.0 + 1e-15]):
        for zero in (True, False):
            axis = axis_of(values, lambda value: f"{value:.6g}", zero=zero)
            assert axis.low - 1e-9 <= min(values) and max(values) <= axis.high + 1e-9 and axis.low < axis.high, values
            assert 2 <= len(axis.ticks) <= 8 and (not zero or axis.low <= 0 <= axis.high), values
            assert_readable(curve_chart("x", [Curve([(1, one) for one in values], 0)], step_axis([1]), axis))
    for last in (1, 2, 7, 104, 999, 30_000, 1_500_000):
        axis = step_axis([1, last])
        assert_readable(curve_chart("x", [Curve([(1, 0.1), (last, 0.2)], 0)], axis, PERCENT))
        assert all(1 <= tick <= max(2, last) and tick == int(tick) for tick in axis.ticks), last


def test_shares_are_stacked_to_the_whole():
    rows = [(step, [0.25, 0.25, 0.5]) for step in range(1, 2001)]
    chart = share_chart("time", rows, step_axis([1, 2000]), PERCENT)
    ticks = grid(chart, "y1")[::-1]
    heights = [sorted({y for _, y in places(area)}, reverse=True) for area in with_class(chart, "area")]
    assert heights == [[ticks[0], ticks[1]], [ticks[1], ticks[2]], [ticks[2], ticks[4]]]
    assert with_class(share_chart("time", rows[:1], step_axis([1]), PERCENT), "area"), "one step is a block"


def test_pieces():
    outlines = {parsed(swatch(index))[0].get("points") for index in range(NUM_STYLES)}
    assert len(outlines) == NUM_STYLES, "two series have the same outline"
    cut = shortened(LONG, 100)
    assert cut.endswith("…") and text_width(cut) <= 100 and shortened("short", 100) == "short"
    assert text_width("汉字", 10) == 20
    image = Image.new("RGBA", (900, 300), (0, 0, 0, 0))
    stored = base64.b64decode(data_url(image, 90).removeprefix("data:image/jpeg;base64,"))
    with Image.open(io.BytesIO(stored)) as small:
        assert small.size == (90, 30) and small.format == "JPEG" and small.getpixel((5, 5)) == (255, 255, 255)


def test_numbers_are_written_plainly():
    for told, expected in {
        percent(0): "0%",
        percent(1): "100%",
        percent(0.004): "0.4%",
        percent(0.996): "99.6%",
        percent(0.634): "63%",
        percent(0.0101): "1%",
        score(0.9034, "rate"): "90.3%",
        score(1419.08, "points"): "1419.08",
        bounds(0.4, 0.6, "rate"): "[40.0, 60.0]",
        bounds(-6.0, -0.001, "points"): "[−6.00, 0.00]",
        bounds(None, None, "rate"): "",
        difference(-0.06, "rate"): "−6.0",
        difference(0.06, "rate", sign=False): "6.0",
        difference(12.5, "points"): "+12.50",
        p_value(0.0009): "< 0.001",
        p_value(0.03125): "0.031",
        probability(0.9999): "> 99.9%",
        probability(1.0): "100.0%",
    }.items():
        assert told == expected
    assert [duration(one) for one in (5, 65, 3723, 360_000)] == ["0:00:05", "0:01:05", "1:02:03", "100:00:00"]
    counts = (0, 7, 950, 1000, 2500, 20_000, 1_500_000)
    assert [brief(value) for value in counts] == ["0", "7", "950", "1k", "2.5k", "20k", "1.5M"]
