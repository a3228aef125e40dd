"""Charts are well-formed, put numbers where they belong, and no label lies over another or outside."""

from __future__ import annotations

import math

import pytest
from readable import LONG, assert_readable, boxes, parsed

from skymm.evaluation.report.charts import calibration_chart, interval_chart, radar, yes_chart
from skymm.evaluation.report.labels import named
from skymm.evaluation.report.leaderboard import PUBLISHED, SUBTASKS
from skymm.evaluation.report.words import WORDS
from skymm.evaluation.statistics import Interval, calibration
from skymm.page.drawing import Axis

PERCENT = Axis(0, 1, (0, 0.25, 0.5, 0.75, 1), lambda value: f"{value * 100:.0f}%")
POINTS = Axis(0, 200, (0, 50, 100, 150, 200), lambda value: f"{value:g}")


def intervals(rows, series):
    return [
        (name, [Interval(0.1 * row + 0.02 * one, 0.05 * row, 0.1 * row + 0.2) for one in range(series)])
        for row, name in enumerate(rows)
    ]


@pytest.mark.parametrize("series", [1, 2, 6, 9])
@pytest.mark.parametrize("rows", [["accuracy"], ["计数", "位置", LONG], [f"category {n}" for n in range(30)]])
def test_interval_charts_are_readable(rows, series):
    chart = interval_chart("scores", intervals(rows, series), [f"m{n}" for n in range(series)], PERCENT)
    assert_readable(chart)
    marks = [one for one in parsed(chart).iter() if "mark" in one.get("class", "").split()]
    assert len(marks) == len(rows) * series
    shown = {name for _, name in boxes(chart)}
    assert all(name in shown for name in rows if name != LONG), "short names stand in full"


def test_an_interval_lies_where_its_numbers_are():
    chart = parsed(interval_chart("scores", [("count", [Interval(100, 50, 150), None])], ["a", "b"], POINTS))
    grid = [float(line.get("x1")) for line in chart.iter("line") if line.get("class") == "grid"]
    whisker = next(line for line in chart.iter("line") if "whisker" in line.get("class"))
    assert [float(whisker.get(name)) for name in ("x1", "x2")] == [grid[1], grid[3]]
    mark = next(chart.iter("circle"))
    assert float(mark.get("cx")) == grid[2]
    assert mark.find("title").text == "a: 100"
    assert not list(chart.iter("polygon")), "there is no number of b"


def test_an_interval_without_bounds_is_a_mark_alone():
    chart = parsed(interval_chart("scores", [("count", [Interval(100)])], ["a"], POINTS))
    assert not [line for line in chart.iter("line") if "whisker" in line.get("class")]
    assert len(list(chart.iter("circle"))) == 1


@pytest.mark.parametrize("names", [["a"], [LONG, "模型"], [f"model {n}" for n in range(8)]])
def test_yes_charts_are_readable(names):
    assert_readable(yes_chart("looks", [(name, 0.3, 0.9) for name in names], PERCENT))


def test_a_model_that_does_not_look_has_both_marks_in_one_place():
    chart = parsed(yes_chart("looks", [("blind", 0.8, 0.8), ("sees", 0.0, 1.0)], PERCENT))
    blind, sees = (line for line in chart.iter("line") if "span" in line.get("class"))
    assert blind.get("x1") == blind.get("x2")
    grid = [float(line.get("x1")) for line in chart.iter("line") if line.get("class") == "grid"]
    assert (float(sees.get("x1")), float(sees.get("x2"))) == (grid[0], grid[-1])


@pytest.mark.parametrize(("across", "up"), [("probability it gives to yes", "share right"), ("它给“是”的概率", "比例")])
def test_calibration_charts_are_readable(across, up):
    confidence = [(index % 100 + 0.5) / 100 for index in range(5000)]
    found = calibration(confidence, [index % 3 == 0 for index in range(5000)])
    chart = calibration_chart("calibration", found, 1, across, up, PERCENT)
    assert_readable(chart)
    assert len(list(parsed(chart).iter("rect"))) == 10


def test_perfect_calibration_lies_on_the_diagonal():
    found = calibration([0.25] * 4 + [0.75] * 4, [True] + [False] * 3 + [True] * 3 + [False])
    chart = parsed(calibration_chart("calibration", found, 0, "across", "up", PERCENT))
    diagonal = next(line for line in chart.iter("line") if line.get("class") == "diagonal")
    x1, y1, x2, y2 = (float(diagonal.get(name)) for name in ("x1", "y1", "x2", "y2"))
    for point in next(chart.iter("polyline")).get("points").split():
        x, y = map(float, point.split(","))
        assert y == pytest.approx(y1 + (y2 - y1) * (x - x1) / (x2 - x1), abs=0.15)
    bars = [float(bar.get("height")) for bar in chart.iter("rect")]
    assert bars[0] == bars[1] > 0


@pytest.mark.parametrize("language", ["en", "zh"])
def test_the_radar_of_mme_is_readable(language):
    axes = [named(subtask, WORDS[language]) for subtask in SUBTASKS]
    values = [200.0 - 10 * index for index in range(14)]
    chart = radar("mme", axes, values, 0, [row.scores for row in PUBLISHED[:2]])
    assert_readable(chart)
    labels = {name: box for (_, name), box in boxes(chart).items() if name in axes}
    assert list(labels) == axes, "every axis has its whole name"
    rings = [one for one in parsed(chart).iter("polygon") if one.get("class") == "ring"]
    outline = [tuple(map(float, point.split(","))) for point in rings[-1].get("points").split()]
    middle = [sum(place) / len(outline) for place in zip(*outline)]
    for left, top, right, bottom in labels.values():
        nearest = min(max(left, middle[0]), right), min(max(top, middle[1]), bottom)
        assert math.dist(nearest, middle) > math.dist(outline[0], middle), "a name lies inside the chart"


def test_a_radar_draws_scores_at_their_share_of_the_radius():
    chart = parsed(radar("mme", ["a", "b", "c", "d"], [200.0, 100.0, 0.0, 50.0], 0, [[200.0, 200.0, 200.0, 200.0]]))
    polygons = {one.get("class").split()[-1]: one.get("points") for one in chart.iter("polygon")}
    corners = [tuple(map(float, point.split(","))) for point in polygons["profile"].split()]
    full = [tuple(map(float, point.split(","))) for point in polygons["published"].split()]
    centre = corners[2]  # a score of 0
    shares = [math.dist(corner, centre) / math.dist(whole, centre) for corner, whole in zip(corners, full)]
    assert shares == pytest.approx([1.0, 0.5, 0.0, 0.25], abs=0.01)
    assert corners[0][0] == centre[0] and corners[0][1] < centre[1], "the first axis points up"
    assert corners[1][0] > centre[0], "the second to the right"


def test_a_radar_with_a_gap_claims_no_area():
    chart = parsed(radar("mme", ["a", "b", "c", "d"], [200.0, None, 100.0, 50.0], 0))
    assert not [one for one in chart.iter("polygon") if "profile" in one.get("class")]
    assert len([line for line in chart.iter("line") if "whisker" in line.get("class")]) == 2
    assert len(list(chart.iter("circle"))) == 3


@pytest.mark.parametrize(
    "draw",
    [
        lambda name: interval_chart(name, [(name, [Interval(0.5)])], [name], PERCENT),
        lambda name: yes_chart(name, [(name, 0.1, 0.2)], PERCENT),
        lambda name: calibration_chart(name, calibration([0.5], [True]), 0, name, name, PERCENT),
        lambda name: radar(name, [name, "b", "c"], [1.0, 2.0, 3.0], 0),
    ],
    ids=["interval", "yes", "calibration", "radar"],
)
def test_names_are_text_and_never_markup(draw):
    chart = str(draw('<script>x</script>"&'))
    assert "<script" not in chart
    parsed(chart)
