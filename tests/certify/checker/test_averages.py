import math

import numpy as np
import pytest

from onelip.certify.checker import averages
from onelip.certify.checker.averages import averages_below
from onelip.certify.checker.refinement import Known


def positive_lags(n, reach_h, reach_w, seed=0):
    """Half of the lags of the autocorrelation of a random kernel."""
    kernel = np.random.default_rng(seed).standard_normal((reach_h + 1, reach_w + 1, n, n + 1))
    lags = {}
    for a in range(reach_h + 1):
        for b in range(-reach_w, reach_w + 1):
            if a > 0 or b >= 0:
                pairs = ((i, j) for i in range(reach_h + 1 - a) for j in range(reach_w + 1) if 0 <= j + b <= reach_w)
                lags[a, b] = sum(kernel[i, j] @ kernel[i + a, j + b].T for i, j in pairs)
    return lags


def values(lags, rows, columns):
    g = np.zeros((len(rows), *lags[0, 0].shape), dtype=complex) + lags[0, 0]
    for (a, b), m in lags.items():
        if (a, b) != (0, 0):
            part = np.exp(1j * (a * rows + b * columns))[:, None, None] * m
            g = g + part + part.conj().transpose(0, 2, 1)
    return np.linalg.eigvalsh(g)[:, -1]


def near_supremum(lags, n=60):
    rows, columns = (x.ravel() for x in np.meshgrid(*[np.arange(n) * (2 * math.pi / n)] * 2))
    return float(values(lags, rows, columns).max())


NOTHING = Known(-1.0, (math.inf, math.inf), 1e-11)


@pytest.mark.parametrize("shape", [(1, 1, 1), (3, 2, 1), (4, 2, 2), (2, 0, 3), (5, 1, 0), (2, 0, 0)])
def test_proved_a_little_above_the_supremum_and_never_below(shape):
    lags = positive_lags(*shape)
    top = near_supremum(lags)
    assert averages_below(lags, top * 1.01, NOTHING)
    assert not averages_below(lags, top * (1 - 1e-9), NOTHING)


@pytest.mark.parametrize("each", [6, 12, 32])
def test_no_grid_alone_proves_too_much(each, monkeypatch):
    # cos(L w) with its top halfway between two points of the grid: only an exact factor is enough.
    monkeypatch.setattr(averages, "_POINTS", (each,))
    for degree in (1, 2, 3):
        n = each * degree
        c, s = math.cos(degree * math.pi / n) / 2, math.sin(degree * math.pi / n) / 2
        lags = {(0, 0): np.eye(2), (0, degree): np.array([[c, s], [-s, c]])}
        assert not averages_below(lags, 2 - 1e-9, NOTHING)
        assert averages_below(lags, 2 + 10 * (degree / n) ** 2, NOTHING)


def test_a_constant_costs_nothing():
    lags = {(0, 0): np.diag([1.0, 3.0])}
    assert averages_below(lags, 3 + 1e-9, NOTHING)
    assert not averages_below(lags, 3.0, NOTHING)


def test_averages_are_the_symbol():
    n, degree = 12, 2
    growth = averages._growth(n, degree)
    wave = np.sin(np.pi * np.arange(1, n - degree + 1) / (n - degree + 1))
    grid = 2 * np.pi * np.arange(n) / n
    for w in (0.1, 2.0, 4.5):
        shares = np.abs(np.exp(1j * np.outer(w - grid, np.arange(len(wave)))) @ wave) ** 2 / (n * wave @ wave)
        assert shares.min() >= 0
        for lag in range(-degree, degree + 1):
            mean = (shares * np.exp(1j * lag * grid)).sum() * growth[abs(lag)]
            assert abs(mean - np.exp(1j * lag * w)) < 1e-13


def test_half_of_the_grid_is_one_of_each_pair():
    for shape in ((6, 8), (1, 6), (5, 5), (1, 1)):
        points = averages._half_grid(shape)
        both = np.concatenate([points, -points]) % np.array(shape)
        assert len(np.unique(both, axis=0)) == shape[0] * shape[1]
        assert len(points) <= shape[0] * shape[1] / 2 + 2


def test_too_dear_grids_are_not_tried(monkeypatch):
    lags = positive_lags(3, 1, 1)
    monkeypatch.setattr(averages, "_MOST", 3.0 * 27 * 10)
    assert not averages_below(lags, 2 * near_supremum(lags), NOTHING)
