"""Curves put numbers where they belong, hide nothing when they are thinned, and stay small."""

import pytest
from readable import assert_readable, parsed

from skymm.page.curves import (
    NUM_STRETCHES,
    Curve,
    axis_of,
    brief,
    curve_chart,
    share_chart,
    smoothed,
    step_axis,
    thinned,
    window_of,
)
from skymm.page.drawing import Axis

PERCENT = Axis(0, 1, (0, 0.25, 0.5, 0.75, 1), lambda value: f"{value * 100:.0f}%")


def ramp(count, spike=None):
    return [(step, 100.0 if step == spike else 1.0) for step in range(1, count + 1)]


def polylines(chart, style):
    lines = [one for one in parsed(chart).iter() if style in one.get("class", "").split()]
    return [[tuple(map(float, place.split(","))) for place in one.get("points").split()] for one in lines]


def test_thinning_keeps_every_point_in_count_mean_and_extremes():
    stretches = thinned(ramp(100_003, spike=77_777))
    assert len(stretches) == NUM_STRETCHES and sum(one.count for one in stretches) == 100_003
    assert sum(one.mean * one.count for one in stretches) == pytest.approx(100_003 + 99)
    assert max(one.high for one in stretches) == 100.0, "a spike of a single step"
    assert [one.high for one in stretches].count(100.0) == 1
    assert thinned(ramp(3)) == thinned(ramp(3), 1000) and len(thinned(ramp(3))) == 3
    assert thinned([]) == []


def test_smoothing_is_centred_and_keeps_a_straight_line():
    line = [(step, 2.0 * step) for step in range(200)]
    assert window_of(line) == 11
    for (_, before), (_, after) in zip(line, smoothed(line)):
        assert after == pytest.approx(before)
    step = [(index, float(index >= 100)) for index in range(200)]
    assert smoothed(step)[99][1] == pytest.approx(5 / 11) and smoothed(step)[93][1] == 0


def test_short_series_are_drawn_step_by_step():
    values = [(1, 3.0), (2, 1.0), (3, 2.0)]
    chart = curve_chart("loss", [Curve(values, 0, raw=True)], step_axis(1, 3), Axis(0, 4, (0, 2, 4), str))
    (raw,) = polylines(chart, "raw")
    grid = sorted({float(one.get("y1")) for one in parsed(chart).iter("line") if one.get("class") == "grid"})
    assert raw[0][1] == pytest.approx((grid[0] + grid[1]) / 2, abs=0.1), "3 lies between 2 and 4"
    assert raw[2][1] == pytest.approx(grid[1], abs=0.1)
    assert raw[0][0] < raw[1][0] < raw[2][0]
    assert not polylines(chart, "band")


def test_long_series_have_a_band_that_reaches_the_spike_and_a_size_that_does_not_grow():
    def drawn(count):
        up = axis_of([1, 100], str, zero=True)
        return curve_chart("loss", [Curve(ramp(count, count // 2), 0, raw=True)], step_axis(1, count), up)

    chart = drawn(50_000)
    (band,) = polylines(chart, "band")
    top = min(float(one.get("y1")) for one in parsed(chart).iter("line") if one.get("class") == "grid")
    assert min(y for _, y in band) == pytest.approx(top, abs=0.1)
    assert len(str(chart)) < 1.1 * len(str(drawn(1_000))) < 12_000


def test_levels_lie_at_their_value():
    chart = curve_chart("share", [Curve([(1, 0.2), (9, 0.4)], 0)], step_axis(1, 9), PERCENT, [(0.5, "recipe 50%")])
    assert_readable(chart)
    (level,) = (one for one in parsed(chart).iter("line") if one.get("class") == "diagonal")
    grid = [float(one.get("y1")) for one in parsed(chart).iter("line") if one.get("class") == "grid"]
    assert float(level.get("y1")) == grid[2]


def test_rare_points_are_marks_and_curves_end_with_the_mark_of_their_legend():
    rare = [(step, 1.0) for step in (100, 200, 300)]
    chart = curve_chart(
        "loss", [Curve(ramp(300), 0), Curve(rare, 1, rare=True)], step_axis(1, 300), axis_of([0, 2], str)
    )
    marks = [one for one in parsed(chart).iter() if {"mark", "open"} & set(one.get("class", "").split())]
    assert [one.get("class") for one in marks] == ["s0 mark", "s1 open", "s1 open", "s1 open"]


@pytest.mark.parametrize(
    "values", [[0.0], [5.0, 5.0], [0.2221, 0.2222], [1e-7, 3e-7], [12.0, 9e6], [-3.0, 4.0], [1.0, 1.0 + 1e-15]]
)
@pytest.mark.parametrize("zero", [True, False])
def test_axes_span_their_values_with_few_round_numbers(values, zero):
    axis = axis_of(values, lambda value: f"{value:.6g}", zero=zero)
    assert axis.low - 1e-9 <= min(values) and max(values) <= axis.high + 1e-9 and axis.low < axis.high
    assert 2 <= len(axis.ticks) <= 8
    assert not zero or axis.low <= 0 <= axis.high
    chart = curve_chart("x", [Curve([(1, one) for one in values], 0)], step_axis(1, 1), axis)
    assert_readable(chart)


@pytest.mark.parametrize("last", [1, 2, 7, 104, 999, 30_000, 1_500_000])
def test_step_axes_are_readable(last):
    axis = step_axis(1, last)
    assert_readable(curve_chart("x", [Curve([(1, 0.1), (last, 0.2)], 0)], axis, PERCENT))
    assert all(1 <= tick <= max(2, last) and tick == int(tick) for tick in axis.ticks)


def test_shares_are_stacked_to_the_whole():
    rows = [(step, [0.25, 0.25, 0.5]) for step in range(1, 2001)]
    chart = share_chart("time", rows, step_axis(1, 2000), PERCENT)
    grid = [float(one.get("y1")) for one in parsed(chart).iter("line") if one.get("class") == "grid"]
    heights = [sorted({y for _, y in area}) for area in polylines(chart, "area")]
    assert heights == [[grid[1], grid[0]], [grid[2], grid[1]], [grid[4], grid[2]]]
    assert polylines(share_chart("time", rows[:1], step_axis(1, 1), PERCENT), "area"), "one step is a block"


def test_counts_are_brief():
    assert [brief(value) for value in (0, 7, 950, 1000, 2500, 20_000, 1_500_000)] == [
        *("0", "7", "950", "1k", "2.5k", "20k", "1.5M")
    ]
