"""Paths and ticks."""

import json
import math
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from onelip.experiments.report.charts import SIZE, Axis, Series, make_chart, round_ratios, round_values, step_corners

UNIT = Axis("x", 0.0, 1.0), Axis("y", 0.0, 1.0)


@given(low=st.floats(-1e6, 1e6), width=st.floats(1e-3, 1e6))
def test_ticks_are_few_round_and_inside(low, width):
    high = low + width
    values = round_values(low, high)
    assert 2 <= len(values) <= 10
    slack = 1e-6 * width
    assert all(low - slack <= v <= high + slack for v in values)
    if len(values) > 1:
        digit = float(f"{values[1] - values[0]:.3e}".split("e")[0])
        assert digit == pytest.approx(round(digit), abs=0.02)
        assert round(digit) in (1, 2, 5, 10)


def test_ticks_of_the_unit_interval_in_per_cent():
    ticks = Axis("accuracy", 0.0, 1.0, percent=True).ticks()
    assert [place for place, _ in ticks] == [0, 20, 40, 60, 80, 100]
    assert ticks[-1][1].startswith("100")
    assert ticks[-1][1].endswith("%")


def numbers(path: str) -> list[float]:
    return [float(n) for n in re.findall(r"-?[\d.]+(?:e-?\d+)?", path)]


def test_y_grows_upwards():
    chart = make_chart("t", "d", UNIT, [Series("a", "look", [(0.0, 0.0), (1.0, 1.0)])])
    assert numbers(chart.drawings[0].line) == [0, SIZE, SIZE, 0]
    assert chart.drawings[0].dots == ()
    assert chart.drawings[0].area == ""


def test_steps_hold_their_value_until_the_next():
    assert step_corners([(0, 3), (1, 2), (4, 0)]) == [(0, 3), (1, 3), (1, 2), (4, 2), (4, 0)]


def test_a_value_that_is_not_finite_interrupts_the_line():
    points = [(0.0, 0.5), (0.25, 0.5), (0.5, math.nan), (0.75, 0.5), (1.0, 0.5)]
    chart = make_chart("t", "d", UNIT, [Series("a", "look", points)])
    assert chart.drawings[0].line.count("M") == 2
    assert "nan" not in chart.drawings[0].line
    assert len(json.loads(chart.readout)["lines"][0]["points"]) == 4


def test_a_single_point_is_marked_and_named():
    chart = make_chart("t", "d", UNIT, [Series("loss", "look", [(0.5, 0.25)])])
    ((path, text),) = chart.drawings[0].dots
    assert path == f"M{SIZE // 2} {3 * SIZE // 4}h0"
    assert text == "loss: 0.25 at x 0.5"


def test_an_area_reaches_the_bottom_and_a_band_lies_between_its_lines():
    upper, lower = Series("a", "l", [(0.0, 0.9), (1.0, 0.8)], area=True), Series("b", "l", [(0.0, 0.4), (1.0, 0.2)])
    chart = make_chart("t", "d", UNIT, [upper, lower], band=(upper, lower))
    assert numbers(chart.drawings[0].area) == [0, SIZE, 0, 100, SIZE, 200, SIZE, SIZE]
    assert numbers(chart.band) == [0, 100, SIZE, 200, SIZE, 800, 0, 600]
    assert chart.band.endswith("Z")


def test_an_axis_of_whole_numbers_has_no_halves():
    assert [text for _, text in Axis("epoch", 1.0, 3.0, whole=True).ticks()] == ["1", "2", "3"]


@given(low=st.floats(1e-6, 1e3), ratio=st.floats(3.0, 1e6))
def test_ticks_of_a_logarithmic_axis_are_few_and_inside(low, ratio):
    values = round_ratios(low, low * ratio)
    assert 1 <= len(values) <= 7
    assert all(low * (1 - 1e-6) <= v <= low * ratio * (1 + 1e-6) for v in values)
    assert values == sorted(set(values))


def test_equal_ratios_are_equally_long():
    axis = Axis("variance", 0.01, 100.0, log=True)
    assert [axis.position(v) for v in (0.01, 0.1, 1.0, 100.0)] == pytest.approx([0, 0.25, 0.5, 1])
    assert [text for _, text in axis.ticks()] == ["0.01", "0.1", "1", "10", "100"]
    assert axis.position(0.0) < 0


def test_rules_stand_at_their_values():
    chart = make_chart("t", "d", UNIT, [], rules=("radii", [0.25, 0.5, 7.0]))
    assert chart.rules == ((25.0, "0.25"), (50.0, "0.5"))
    assert chart.rule_name == "radii"
