"""The branch and bound is above the supremum and reaches it, also where the budget ends it."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.linalg.convolution.supremum import symbol_supremum

from onelip.linalg.convolution import refinement
from onelip.linalg.convolution.frequencies import Frequencies
from onelip.linalg.convolution.kernels import autocorrelation
from onelip.linalg.convolution.refinement import Range, low_bound, top_bound


def _taps(*shape: int, seed: int = 0) -> torch.Tensor:
    kernel = torch.randn(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
    return autocorrelation(kernel, side="out")[None]


@given(st.integers(1, 5), st.integers(1, 4), st.integers(1, 4), st.integers(0, 999))
@settings(max_examples=40)
def test_bound_is_at_most_two_millionths_above_the_supremum(c: int, k_h: int, k_w: int, seed: int) -> None:
    taps = _taps(c, 2, k_h, k_w, seed=seed)
    top = symbol_supremum(taps[0])
    assert top * (1 - 1e-12) <= top_bound(Frequencies(taps), Range(-1e-12)) <= top * (1 + 2e-6)


@given(st.integers(1, 4), st.integers(0, 999), st.sampled_from([0.0, 1e-6, 1e-3, 0.1, 1.0]))
@settings(max_examples=30)
def test_nearly_constant_symbols_between_their_ends(c: int, seed: int, size: float) -> None:
    taps = size * _taps(c, 2, 3, 2, seed=seed)
    taps[0, :, :, 2, 1] += torch.eye(c, dtype=torch.float64)
    high, low = 1 + float(taps.abs().sum()), -1e-9
    bottom, top = -symbol_supremum(-taps[0]), symbol_supremum(taps[0])
    found = low_bound(Frequencies(taps), high, low)
    assert found <= bottom * (1 + 1e-12)
    assert found >= bottom - 0.7 * (top - bottom) - 1e-9
    bound = top_bound(Frequencies(taps), Range(found))
    assert top * (1 - 1e-12) <= bound <= top * (1 + 2e-6)


@pytest.mark.parametrize("peak", [0.0, 0.1, 1 / 12, 1 / 36, 0.31415])
@pytest.mark.parametrize("most", [1, 10**9])
def test_worst_polynomial_between_corners(peak: float, most: int, monkeypatch: pytest.MonkeyPatch) -> None:
    # 1 + cos(L (w - peak)) attains Bernstein's inequality at its top.
    monkeypatch.setattr(refinement, "_OPERATIONS", (0.0, most * 1e4))
    degree = 3
    taps = torch.zeros(1, 2, 2, 1, 2 * degree + 1, dtype=torch.float64)
    taps[0, :, :, 0, degree] = torch.eye(2)
    # exp(-i L peak) / 2 as a real 2x2 block: the embedding of complex numbers in rotations.
    c, s = math.cos(2 * math.pi * degree * peak) / 2, math.sin(2 * math.pi * degree * peak) / 2
    block = torch.tensor([[c, s], [-s, c]], dtype=torch.float64)
    taps[0, :, :, 0, -1], taps[0, :, :, 0, 0] = block, block.mT
    excess = 1e-6 if most > 1 else math.pi**2 / 4 / 36 / (1 - math.pi**2 / 4 / 36)
    for curvature in (math.inf, degree**2 * (1 + 1e-9)):
        bound = top_bound(Frequencies(taps), Range(0.0, (0.0, curvature)))
        assert 2.0 - 1e-14 <= bound <= 2.0 * (1 + excess + 2e-6)


@pytest.mark.parametrize("size", [4, 40])
def test_flat_top_ends_within_the_budget(size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    # The top eigenvalue is 1 at every frequency, and each cell would be split for ever.
    taps = 0.02 / size * _taps(size, size, 3, 3)
    taps[:, 0], taps[:, :, 0] = 0.0, 0.0
    taps[0, 0, 0, 2, 2] = 1.0
    spent = []
    original = refinement.all_below
    monkeypatch.setattr(refinement, "all_below", lambda g, t: spent.append(len(g)) or original(g, t))
    bound = top_bound(Frequencies(taps), Range(-1e-12))
    assert 1.0 <= bound <= 1.02
    assert sum(spent) <= 2 * max(40 * 75, 3e8 / (size**3 + 1e4))


def test_ceiling_ends_the_search() -> None:
    taps = _taps(3, 4, 3, 3)
    top = symbol_supremum(taps[0])
    assert top_bound(Frequencies(taps), Range(0.0), top * (1 + 1e-9)) == top * (1 + 1e-9)
    assert top_bound(Frequencies(taps), Range(0.0), top * 1.1) <= top * (1 + 2e-6)


def test_largest_group_counts() -> None:
    taps = torch.cat([scale * _taps(3, 4, 3, 2, seed=seed) for seed, scale in enumerate((1.0, 0.9, 1.1, 0.2))])
    top = max(symbol_supremum(t) for t in taps)
    assert top * (1 - 1e-12) <= top_bound(Frequencies(taps), Range(-1e-12)) <= top * (1 + 2e-6)


@pytest.mark.parametrize("flat", [False, True])
def test_wide_kernels_whose_cells_are_not_affordable_are_bounded_by_means(
    flat: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    taps = _taps(24, 24, 3, 3, seed=1)
    if flat:
        taps = 0.002 * taps
        taps[0, :, :, 2, 2] += torch.eye(24, dtype=torch.float64)
    top = symbol_supremum(taps[0], points=24)
    monkeypatch.setattr(refinement, "_OPERATIONS", (0.0, 1.0))
    monkeypatch.setattr(refinement, "_AVERAGED_OPERATIONS", 0.0)
    coarse = top_bound(Frequencies(taps), Range(-1e-12))
    monkeypatch.setattr(refinement, "_AVERAGED_OPERATIONS", 1e11)
    fine = top_bound(Frequencies(taps), Range(-1e-12))
    # The largest excess of a cell on the first level is 0.16.
    assert top * (1 - 1e-12) <= fine <= top * (1 + 4e-3) < coarse <= top * 1.16


def test_grids_end_where_they_are_fine_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    taps = _taps(16, 16, 3, 3)
    used: list[int] = []
    original = refinement._Search._over_grid
    monkeypatch.setattr(refinement._Search, "_over_grid", lambda self, r: used.append(r) or original(self, r))
    monkeypatch.setattr(refinement, "_OPERATIONS", (0.0, 1.0))
    top = symbol_supremum(taps[0])
    for slack, rungs in ((0.5, []), (0.1, [6]), (0.03, [6, 12]), (1e-6, [6, 32])):
        used.clear()
        bound = top_bound(Frequencies(taps), Range(-1e-12), aim=refinement.Aim(slack=slack))
        assert used == rungs
        assert top * (1 - 1e-12) <= bound <= top * (1 + max(2 * slack, 5e-3))
    # A claim that is easy needs none, one that is out of reach is answered by what can be proved.
    assert top_bound(Frequencies(taps), Range(-1e-12), aim=refinement.Aim(at_least=2 * top)) == 2 * top
