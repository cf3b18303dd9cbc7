"""complex_norm_bound is above the norm, always, and close."""

import mpmath
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from onelip.linalg import complex_norm_bound, complex_norms

TIGHT = 6e-7
"""Relative gap promised by the docstring, and a little."""

PARTS = st.floats(-1e3, 1e3, allow_subnormal=False) | st.sampled_from([0.0, 1.0, -1.0, 1e-30, 1e-200])
SHAPES = hnp.array_shapes(min_dims=3, max_dims=3, max_side=5)


def random_complex(*shape, seed=0):
    return torch.randn(shape, dtype=torch.complex128, generator=torch.Generator().manual_seed(seed))


def near_unitary(batch, m, n, dtype):
    q = torch.linalg.qr(random_complex(batch, max(m, n), min(m, n)))[0]
    return (q if m >= n else q.mH).to(dtype)


def norm_of(w):
    return float(torch.linalg.matrix_norm(w.to(torch.complex128), ord=2).max())


@given(SHAPES.flatmap(lambda shape: hnp.arrays(np.float64, (*shape, 2), elements=PARTS)))
@settings(max_examples=150)
def test_bound_is_above_the_svd_and_tight(pairs):
    w = pairs[..., 0] + 1j * pairs[..., 1]
    bound = complex_norm_bound(torch.from_numpy(w))
    norm = np.linalg.norm(w, 2, axis=(-2, -1)).max()
    assert bound.proved
    assert norm * (1 - 1e-14) <= bound.value <= norm * (1 + TIGHT) + 1e-300


def test_bound_is_above_the_norm_to_fifty_digits():
    for seed in range(24):
        w = random_complex(1 + seed % 4, 1 + seed % 3, seed=seed)
        if seed % 2:
            w = torch.linalg.qr(w)[0]
        w = w.to([torch.complex128, torch.complex64][seed % 2])
        with mpmath.workdps(50):
            exact = mpmath.matrix(w.to(torch.complex128).tolist())
            norm = mpmath.sqrt(max(mpmath.eighe(exact.H * exact, eigvals_only=True)))
            assert mpmath.mpf(complex_norm_bound(w).value) >= norm


@pytest.mark.parametrize("dtype", [torch.complex64, torch.complex128])
@pytest.mark.parametrize("shape", [(1, 1, 1), (3, 1, 9), (40, 8, 8), (3, 70, 30), (3, 30, 70), (2, 200, 200)])
def test_near_isometries(shape, dtype):
    w = near_unitary(*shape, dtype)
    assert norm_of(w) * (1 - 1e-14) <= complex_norm_bound(w).value <= norm_of(w) * (1 + TIGHT)


@pytest.mark.parametrize("shape", [(5, 1, 9), (40, 8, 8), (3, 70, 30), (6, 130, 130)])
def test_matrices_far_from_isometries(shape):
    w = random_complex(*shape)
    assert norm_of(w) * (1 - 1e-14) <= complex_norm_bound(w).value <= norm_of(w) * (1 + TIGHT)


@pytest.mark.parametrize("make", [near_unitary, lambda b, m, n, dtype: random_complex(b, m, n).to(dtype)])
def test_a_large_matrix_in_any_part_of_a_batch_is_seen(make, monkeypatch):
    monkeypatch.setattr(complex_norms, "_CHUNK", 200)
    for place in (0, 5, 10):
        w = make(11, 8, 8, torch.complex64)
        w[place] *= 1.5
        assert norm_of(w) * (1 - 1e-14) <= complex_norm_bound(w).value <= norm_of(w) * (1 + TIGHT)


def test_without_the_cheap_proofs_it_is_as_tight_as_promised(monkeypatch):
    monkeypatch.setattr(complex_norms, "_CHEAP", 0.0)
    w = near_unitary(6, 40, 40, torch.complex64)
    assert norm_of(w) * (1 - 1e-14) <= complex_norm_bound(w).value <= norm_of(w) * (1 + TIGHT)


@pytest.mark.parametrize("scale", [2.0**-1000, 2.0**-600, 2.0**900])
def test_scales_exactly_by_powers_of_two(scale):
    w = random_complex(3, 4, 5)
    assert complex_norm_bound(w * scale).value == pytest.approx(complex_norm_bound(w).value * scale, rel=1e-15)


def test_entries_that_underflow_when_squared_count():
    w = torch.full((1, 2, 2), 2.0**-1060, dtype=torch.complex128)
    assert complex_norm_bound(w).value >= 2 * 2.0**-1060


def test_zero_and_empty_are_zero():
    assert complex_norm_bound(torch.zeros(2, 3, 4, dtype=torch.complex64)).value == 0.0
    assert complex_norm_bound(torch.zeros(0, 3, 4, dtype=torch.complex64)).value == 0.0
    assert complex_norm_bound(torch.zeros(4, 4, dtype=torch.complex64)).proved


@pytest.mark.parametrize("entry", [float("nan"), float("inf"), complex(0, float("nan")), complex(0, -float("inf"))])
def test_numbers_that_are_none_are_refused(entry):
    w = random_complex(2, 3, 3)
    w[1, 2, 0] = entry
    with pytest.raises(ValueError, match="NaN or infinite"):
        complex_norm_bound(w)


def test_other_tensors_are_refused():
    with pytest.raises(ValueError, match="not a complex matrix"):
        complex_norm_bound(torch.ones(3, 3))
    with pytest.raises(ValueError, match="not a complex matrix"):
        complex_norm_bound(torch.ones(3, dtype=torch.complex64))
