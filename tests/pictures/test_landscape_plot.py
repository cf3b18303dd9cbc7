"""Drawings of critics."""

import numpy as np
import pytest

from onelip.pictures.landscape_plot import _levels, draw_curve, draw_surface


@pytest.mark.parametrize(("low", "high"), [(-3.034, 0.5), (0.0, 0.0), (1e-6, 2e-6), (-5.0, 900.0)])
def test_levels_are_round_rise_and_span_the_values(low, high):
    levels = _levels(low, high)
    assert levels[0] <= low
    assert levels[-1] >= high
    assert (np.diff(levels) > 0).all()
    assert 8 <= len(levels) <= 19


def test_constant_functions_are_drawn(tmp_path):
    x, nothing = np.linspace(0, 1, 5), np.zeros(5)
    draw_curve(x, nothing, nothing, x, x, tmp_path / "curve.svg", dual_of="these samples")
    assert "best potential of these samples" in _texts(tmp_path / "curve.svg")
    flat = np.zeros((5, 5))
    points = np.array([[0.2, 0.3], [0.8, 0.7]])
    draw_surface((x, x), flat, flat, flat, (points, points), tmp_path / "surface.svg", dual_of="the distributions")
    found = _texts(tmp_path / "surface.svg")
    for name in ("critic / proved constant", "best potential of the distributions", "samples of p", "samples of q"):
        assert name in found


def _texts(path):
    # Letters are drawn as shapes, and what they spell stands in comments.
    return path.read_text("utf-8")
