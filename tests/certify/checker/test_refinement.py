import math

import numpy as np
import pytest

from onelip.certify.checker import refinement
from onelip.certify.checker.refinement import Known, symbol_below, symbols


def lags_of(n, reach_h, reach_w, seed=0):
    """Half of the lags of a random Hermitian symbol, made positive by its diagonal."""
    rng = np.random.default_rng(seed)
    lags = {
        (a, b): rng.standard_normal((n, n))
        for a in range(reach_h + 1)
        for b in range(-reach_w, reach_w + 1)
        if a > 0 or b >= 0
    }
    lags[0, 0] = lags[0, 0] + lags[0, 0].T
    return lags


def values(lags, rows, columns):
    g = sum(m * np.exp(1j * (a * rows + b * columns))[:, None, None] for (a, b), m in lags.items() if (a, b) != (0, 0))
    g = g + np.conj(np.transpose(g, (0, 2, 1))) if not np.isscalar(g) else np.zeros((len(rows), 1, 1))
    return np.linalg.eigvalsh(g + lags[0, 0])


def supremum(lags):
    """Grid, then finer grids around its best point: attained values only."""
    side = np.arange(96) * (2 * math.pi / 96)
    rows, columns = (x.ravel() for x in np.meshgrid(side, side))
    tops = values(lags, rows, columns)[:, -1]
    best, width = float(tops.max()), 2 * math.pi / 96
    for start in np.argsort(tops)[-3:]:
        row, column, step = rows[start], columns[start], width
        for _ in range(12):
            offsets = np.linspace(-step, step, 9)
            near = [x.ravel() for x in np.meshgrid(row + offsets, column + offsets)]
            found = values(lags, *near)[:, -1]
            row, column, step = near[0][found.argmax()], near[1][found.argmax()], step / 3
            best = max(best, float(found.max()))
    return best


def known(lags, curved):
    norms = {lag: 2 * np.linalg.norm(m, 2) for lag, m in lags.items()}
    curvature = tuple(sum(lag[axis] ** 2 * norm for lag, norm in norms.items()) for axis in (0, 1))
    return Known(-sum(norms.values()), curvature if curved else (math.inf, math.inf), 1e-11)


@pytest.mark.parametrize("curved", [False, True])
@pytest.mark.parametrize("shape", [(1, 1, 1), (3, 2, 1), (4, 2, 2), (2, 0, 3), (5, 1, 0), (2, 4, 4)])
def test_proved_from_a_millionth_above_the_supremum(shape, curved):
    lags = lags_of(*shape)
    top = supremum(lags)
    assert symbol_below(lags, top * (1 + 1e-6), known(lags, curved))
    assert not symbol_below(lags, top * (1 - 1e-7), known(lags, curved))


def test_a_constant_symbol():
    lags = {(0, 0): np.diag([1.0, 3.0])}
    assert symbol_below(lags, 3 + 1e-9, Known(0.0, (0.0, 0.0), 1e-12))
    assert not symbol_below(lags, 3.0, Known(0.0, (0.0, 0.0), 1e-12))
    assert not symbol_below(lags, 2.0, Known(2.5, (0.0, 0.0), 1e-12))


def test_peaks_between_the_corners_are_not_missed():
    # cos(L (w - peak)) attains Bernstein's inequality.
    for peak in np.linspace(0, 0.3, 7):
        c, s = math.cos(3 * peak) / 2, math.sin(3 * peak) / 2
        lags = {(0, 0): np.eye(2), (0, 3): np.array([[c, s], [-s, c]])}
        for curvature in ((0.0, 9.0), (math.inf, math.inf)):
            assert symbol_below(lags, 2 + 1e-6, Known(0.0, curvature, 1e-14))
            assert not symbol_below(lags, 2 - 1e-9, Known(0.0, curvature, 1e-14))


def test_a_flat_top_is_given_up_in_time(monkeypatch):
    lags = lags_of(3, 1, 1)
    lags = {lag: np.pad(0.01 * m, (0, 1)) for lag, m in lags.items()}
    lags[0, 0][3, 3] = 1.0
    spent = []
    original = refinement.each_below
    monkeypatch.setattr(refinement, "_BUDGET", 1e6)
    monkeypatch.setattr(refinement, "each_below", lambda g, s: spent.append(len(g)) or original(g, s))
    wide = Known(-1.0, (math.inf, math.inf), 1e-12)
    assert not symbol_below(lags, 1 + 1e-6, wide)
    assert sum(spent) <= 1e6 / (3 * 4**3)
    assert symbol_below(lags, 1.1, wide)


def test_wide_symbols_with_a_flat_top_are_given_up_at_once(monkeypatch):
    lags = {lag: 0.01 * m for lag, m in lags_of(3, 1, 1).items()}
    lags[0, 0] = lags[0, 0] + np.eye(3)
    spent = []
    original = refinement.each_below
    monkeypatch.setattr(refinement, "_DEAR", 0.0)
    monkeypatch.setattr(refinement, "each_below", lambda g, s: spent.append(len(g)) or original(g, s))
    assert not symbol_below(lags, supremum(lags) * (1 + 1e-4), Known(-1.0, (math.inf, math.inf), 1e-12))
    assert sum(spent) <= 6 * 6 / 2 + 2


def test_symbols_are_those_of_the_fft():
    lags = lags_of(3, 2, 1)
    shape = (8, 6)
    image = np.zeros((*shape, 3, 3))
    for (a, b), m in lags.items():
        image[a % 8, b % 6] += m
        if (a, b) != (0, 0):
            image[-a % 8, -b % 6] += m.T
    expected = np.fft.fft2(image, axes=(0, 1)).conj().reshape(-1, 3, 3)
    points = np.stack(np.divmod(np.arange(48), 6), -1)
    assert np.abs(np.concatenate(list(symbols(lags, points, shape))) - expected).max() < 1e-12
