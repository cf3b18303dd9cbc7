"""Distributions: what they draw, list and store, and the sentence for each bad list."""

import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from onelip.experiments.config_distributions import (
    Choice,
    LogUniform,
    RandInt,
    Uniform,
    distributions_in,
    read_distribution,
)

MIXED = Choice(("adam", 3, 0.5, None, [64, 64], {"name": "sgd", "momentum": 0.9}))


def drawn(distribution, n):
    return [distribution.draw(random.Random(f"x/{k}")) for k in range(n)]


@pytest.mark.parametrize(
    ("distribution", "expected"),
    [
        (MIXED, [None, [64, 64], 0.5, 0.5]),
        (RandInt(-3, 100), [59, 66, 40, 33]),
        (Uniform(-1.0, 3.0), [0.9561412874373421, 1.1822745327056619, 2.2999212545859744, 0.1271268929343483]),
    ],
)
def test_what_a_text_draws_never_changes(distribution, expected):
    assert drawn(distribution, 4) == expected


def test_what_a_text_draws_from_a_logarithm_changes_by_rounding_at_most():
    expected = [0.0029316084550953083, 0.0043321740794534476, 0.029849766687796993, 0.0007003984393451675]
    assert drawn(LogUniform(1e-4, 1e-1), 4) == pytest.approx(expected, rel=1e-13)


@given(st.integers(-1000, 1000), st.integers(1, 1000), st.text())
def test_draws_stay_in_range(low, width, text):
    integer, uniform, log = RandInt(low, low + width), Uniform(low, low + width), LogUniform(width, width + 0.1)
    values = [d.draw(random.Random(text)) for d in (integer, uniform, log)]
    assert low <= values[0] <= low + width
    assert low <= values[1] <= low + width
    assert width <= values[2] <= width + 0.1
    assert type(values[0]) is int


def test_both_ends_of_integers_are_drawn():
    assert set(drawn(RandInt(2, 4), 60)) == {2, 3, 4}


@pytest.mark.parametrize(
    ("distribution", "scale", "low", "high"),
    [(Uniform(-2.0, 6.0), float, -2.0, 6.0), (LogUniform(1e-5, 10.0), math.log, math.log(1e-5), math.log(10.0))],
)
def test_numbers_are_uniform_on_their_scale(distribution, scale, low, high):
    values = [scale(value) for value in drawn(distribution, 500)]
    assert stats.kstest(values, stats.uniform(low, high - low).cdf).pvalue > 0.05


def test_options_are_equally_likely():
    counts = [drawn(Choice(("a", "b", "c")), 600).count(option) for option in "abc"]
    assert stats.chisquare(counts).pvalue > 0.05


@pytest.mark.parametrize(
    ("distribution", "points", "expected"),
    [
        (MIXED, None, MIXED.options),
        (MIXED, 2, MIXED.options),
        (RandInt(3, 6), None, (3, 4, 5, 6)),
        (RandInt(3, 6), 9, (3, 4, 5, 6)),
        (RandInt(0, 10), 3, (0, 5, 10)),
        (RandInt(0, 10), 1, (0,)),
        (Uniform(0.0, 1.0), None, None),
        (Uniform(0.0, 1.0), 1, (0.0,)),
        (Uniform(0.0, 1.0), 5, (0.0, 0.25, 0.5, 0.75, 1.0)),
        (LogUniform(1.0, 100.0), None, None),
        (LogUniform(1.0, 100.0), 1, (1.0,)),
        (LogUniform(1.0, 100.0), 2, (1.0, 100.0)),
    ],
)
def test_a_grid_has_both_ends_and_even_steps(distribution, points, expected):
    assert distribution.grid(points) == expected


def test_the_grid_of_a_logarithm_rises_by_a_factor():
    grid = LogUniform(1e-4, 1.0).grid(5)
    assert (grid[0], grid[-1]) == (1e-4, 1.0)
    assert grid == pytest.approx((1e-4, 1e-3, 1e-2, 1e-1, 1.0), rel=1e-12)


@pytest.mark.parametrize("option", MIXED.options)
def test_options_are_stored_as_scalars_and_read_back(option):
    label = MIXED.label(option)
    assert label is None or isinstance(label, str | int | float)
    assert MIXED.value(label) == option


def test_lists_are_stored_as_json():
    assert MIXED.label([64, 64]) == "[64, 64]"
    assert (RandInt(1, 5).label(3), Uniform(0.0, 1.0).value(0.5)) == (3, 0.5)


@pytest.mark.parametrize(
    ("tag", "items", "distribution"),
    [
        ("!choice", ["a", 1], Choice(("a", 1))),
        ("!choice", [None], Choice((None,))),
        ("!randint", [1, 3], RandInt(1, 3)),
        ("!uniform", [0, 1.5], Uniform(0, 1.5)),
        ("!loguniform", [1e-3, 1], LogUniform(1e-3, 1)),
    ],
)
def test_a_tag_and_a_list_make_a_distribution(tag, items, distribution):
    made = read_distribution(tag, items)
    assert made == distribution
    assert made.items == items


@pytest.mark.parametrize(
    ("tag", "items", "sentence"),
    [
        ("!choice", [], r"!choice \[\] must be a list of at least one value, all different"),
        ("!choice", ["a", "b", "a"], "all different"),
        ("!choice", [1, True], "all different"),
        ("!choice", [[1], "[1]"], "all different"),
        ("!choice", [{"a": [1]}, {"a": [1]}], "all different"),
        ("!choice", [math.inf, 1], "finite numbers"),
        ("!choice", [[math.nan]], "finite numbers"),
        ("!choice", [b"bytes"], "must have texts, finite numbers"),
        ("!choice", [Uniform(0.0, 1.0)], "!choice has !uniform inside of it"),
        ("!choice", [{"lr": LogUniform(0.1, 1.0)}, 1], "!choice has !loguniform inside of it"),
        ("!randint", [1, 2.5], r"!randint \[1, 2.5\] must have two whole numbers, \[low, high\]"),
        ("!randint", [1, True], "two whole numbers"),
        ("!randint", [1], "two whole numbers"),
        ("!randint", [3, 3], "low < high"),
        ("!randint", [0, 2**60], r"within -2\^53 and 2\^53"),
        ("!randint", [-(10**400), 0], r"within -2\^53"),
        ("!uniform", ["a", 1], r"!uniform \['a', 1\] must have two numbers, \[low, high\]"),
        ("!uniform", [1, 2, 3], "two numbers"),
        ("!uniform", [2.0, 1.0], "low < high, both finite"),
        ("!uniform", [0.0, math.inf], "low < high, both finite"),
        ("!uniform", [math.nan, 1.0], "low < high, both finite"),
        ("!loguniform", [0, 1], "0 < low"),
        ("!loguniform", [-1, 1], "0 < low"),
    ],
)
def test_each_bad_list_is_one_sentence(tag, items, sentence):
    with pytest.raises(ValueError, match=sentence):
        read_distribution(tag, items)


def test_distributions_are_found_by_path():
    tree = {"seed": 1, "optimizer": {"lr": Uniform(0.0, 1.0), "name": "sgd"}, "layer": Choice(("a", "b")), "x": [1]}
    assert dict(distributions_in(tree)) == {"optimizer.lr": Uniform(0.0, 1.0), "layer": Choice(("a", "b"))}


@pytest.mark.parametrize(
    "value", [[1, Uniform(0.0, 1.0)], [[Uniform(0.0, 1.0)]], [{"steps": Uniform(0.0, 1.0)}]], ids=str
)
def test_a_distribution_inside_of_a_list_is_refused(value):
    with pytest.raises(ValueError, match=r"attack\.attacks has !uniform inside of a list; draw the whole list"):
        dict(distributions_in({"attack": {"attacks": value}}))
