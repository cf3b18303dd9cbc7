"""Curves of several runs on top of each other."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from onelip.pictures import OverlayCurves, mean_and_band, overlay_curves

curves = st.lists(
    st.lists(st.tuples(st.integers(0, 30), st.floats(-5, 5)), min_size=1, max_size=12, unique_by=lambda p: p[0]).map(
        sorted
    ),
    min_size=1,
    max_size=4,
)


@given(curves=curves)
def test_the_mean_is_that_of_the_curves_at_each_place(curves):
    x, mean, low, high = mean_and_band(curves)
    start, end = max(c[0][0] for c in curves), min(c[-1][0] for c in curves)
    assert x.tolist() == sorted({p[0] for c in curves for p in c if start <= p[0] <= end})
    for k, place in enumerate(x):
        at_place = []
        for curve in curves:
            before = [p for p in curve if p[0] <= place][-1]
            after = next(p for p in curve if p[0] >= place)
            part = 0.0 if after == before else (place - before[0]) / (after[0] - before[0])
            at_place.append(before[1] + part * (after[1] - before[1]))
        np.testing.assert_allclose(
            [mean[k], low[k], high[k]], [np.mean(at_place), min(at_place), max(at_place)], atol=1e-9
        )


def test_curves_with_no_place_in_common_have_no_mean():
    assert [len(part) for part in mean_and_band([[(0, 1.0), (1, 1.0)], [(2, 1.0), (3, 1.0)]])] == [0, 0, 0, 0]


@pytest.fixture
def drawn(monkeypatch, tmp_path):
    figures = []
    save = overlay_curves.save
    monkeypatch.setattr(overlay_curves, "save", lambda figure, path: (figures.append(figure), save(figure, path)))
    return lambda plot: (plot.save(tmp_path / "c.png"), figures[-1].axes[0])[1]


GROUPS = {"aoc": [[(1, 0.5), (2, 0.7)], [(1, 0.6), (2, 0.9)]], "aol": [[(1, 0.4), (2, 0.5)]]}


def test_means_are_in_per_cent_with_a_band_over_seeds(drawn):
    axes = drawn(OverlayCurves(GROUPS))
    assert [line.get_label() for line in axes.lines] == ["aoc (2)", "aol"]
    np.testing.assert_allclose(axes.lines[0].get_ydata(), [55, 80])
    assert len(axes.collections) == 1, "one band, as the other group is a single curve"
    assert axes.get_ylabel() == "accuracy (%)"


def test_every_curve_can_be_drawn(drawn):
    axes = drawn(OverlayCurves(GROUPS, y_label="loss", percent=False, mean=False, log_y=True))
    assert len(axes.lines) == 3
    assert len(axes.collections) == 0
    assert axes.lines[1].get_ydata().tolist() == [0.6, 0.9]
    assert (axes.get_ylabel(), axes.get_yscale()) == ("loss", "log")
    looks = [(line.get_color(), str(line.get_linestyle())) for line in axes.lines]
    assert looks[0] == looks[1]
    assert looks[0] != looks[2]


@pytest.mark.parametrize(
    ("groups", "message"),
    [
        ({}, "groups in OverlayCurves has no curve"),
        ({"a": []}, r"groups\['a'\] in OverlayCurves has no curve, or one without a point"),
        ({"a": [[]]}, r"groups\['a'\] in OverlayCurves has no curve, or one without a point"),
        ({"a": [[(2, 0.1), (1, 0.1)]]}, "has a curve whose x is not in ascending order"),
    ],
)
def test_curves_that_cannot_be_drawn_are_refused(groups, message):
    with pytest.raises(ValueError, match=message):
        OverlayCurves(groups)
