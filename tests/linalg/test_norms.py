"""matrix_norm_bound is above the norm, always, and close."""

from __future__ import annotations

import math

import mpmath
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from tests.linalg.matrices import singular_values, with_singular_values

from onelip.linalg import matrix_norm_bound
from onelip.linalg.norms import power_of_two_scale, spectral_norms_up

TIGHT = 2e-8
"""Relative gap promised by the docstring, doubled."""

ENTRIES = st.floats(-1e3, 1e3, allow_subnormal=False) | st.sampled_from([0.0, 1.0, -1.0, 1e-30, 1e-200])


@given(hnp.arrays(np.float64, hnp.array_shapes(min_dims=2, max_dims=2, max_side=6), elements=ENTRIES))
@settings(max_examples=150)
def test_bound_is_above_the_svd_and_tight(w: np.ndarray) -> None:
    bound = matrix_norm_bound(torch.from_numpy(w))
    norm = np.linalg.norm(w, 2)
    assert bound.proved
    # NumPy's own value may be off by some units.
    assert bound.value >= norm * (1 - 1e-14)
    assert bound.value <= norm * (1 + TIGHT) + 1e-300


def test_bound_is_above_the_norm_to_fifty_digits() -> None:
    for seed in range(40):
        generator = torch.Generator().manual_seed(seed)
        m, n = 1 + seed % 4, 1 + seed % 3
        w = torch.randn(m, n, generator=generator, dtype=torch.float64)
        if seed % 2:
            w = torch.linalg.qr(w)[0]
        w = w.to([torch.float64, torch.float32, torch.bfloat16][seed % 3])
        with mpmath.workdps(50):
            exact = mpmath.matrix(w.double().tolist())
            norm = mpmath.sqrt(max(mpmath.eigsy(exact.T * exact, eigvals_only=True)))
            assert mpmath.mpf(matrix_norm_bound(w).value) >= norm


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
@pytest.mark.parametrize("shape", [(1, 1), (1, 9), (9, 1), (30, 20), (20, 130), (200, 200)])
def test_random_matrices(shape: tuple[int, int], dtype: torch.dtype) -> None:
    w = torch.randn(shape).to(dtype)
    norm = singular_values(w).max()
    assert norm * (1 - 1e-13) <= matrix_norm_bound(w).value <= norm * (1 + TIGHT)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("shape", [(8, 8), (64, 64), (200, 50), (50, 200)])
def test_near_isometries(shape: tuple[int, int], dtype: torch.dtype) -> None:
    q = with_singular_values(torch.ones(min(shape), dtype=torch.float64), *shape, dtype)
    norm = singular_values(q).max()
    assert norm * (1 - 1e-13) <= matrix_norm_bound(q).value <= norm * (1 + TIGHT)


def test_partial_isometries_and_clusters() -> None:
    values = torch.tensor([1.0] * 10 + [0.0] * 10 + [0.999999] * 10, dtype=torch.float64)
    w = with_singular_values(values, 40, 35)
    assert 1 - 1e-13 <= matrix_norm_bound(w).value <= 1 + TIGHT


@pytest.mark.parametrize("scale", [5e-324, 1e-320, 1e-310, 1e-300, 1e-160, 1e-30, 1.0, 1e30, 1e160, 1e300])
def test_extreme_scales(scale: float) -> None:
    w = torch.tensor([[3.0, -1.0], [0.0, 2.0], [1.0, 1.0]], dtype=torch.float64) * scale
    with mpmath.workdps(50):
        exact = mpmath.matrix(w.tolist())
        norm = mpmath.sqrt(max(mpmath.eigsy(exact.T * exact, eigvals_only=True)))
        bound = mpmath.mpf(matrix_norm_bound(w).value)
        assert bound >= norm
        assert bound <= norm * (1 + TIGHT) + 2 * mpmath.mpf(5e-324)


def test_entries_of_very_different_size() -> None:
    w = torch.diag(torch.tensor([1e300, 1.0, 1e-300, 5e-324], dtype=torch.float64))
    assert 1e300 <= matrix_norm_bound(w).value <= 1e300 * (1 + TIGHT)


def test_duplicated_rows_of_float32_tiny_weights_do_not_underflow() -> None:
    w = torch.full((50, 50), 1e-45)
    exact = 50 * float(w[0, 0].double())
    assert exact <= matrix_norm_bound(w).value <= exact * (1 + TIGHT)


def test_norms_beyond_float64_are_refused() -> None:
    with pytest.raises(ValueError, match="beyond the largest float64"):
        matrix_norm_bound(torch.full((4, 4), 1.7e308, dtype=torch.float64))


def test_zero_and_empty_matrices() -> None:
    for shape in ((3, 4), (0, 4), (4, 0), (0, 3, 3)):
        bound = matrix_norm_bound(torch.zeros(shape))
        assert (bound.value, bound.proved) == (0.0, True)


def test_batches_take_the_largest() -> None:
    w = torch.randn(2, 30, 6, 4)
    w[1, 17] *= 10
    one_by_one = max(matrix_norm_bound(x).value for x in w.flatten(0, 1))
    assert matrix_norm_bound(w).value == pytest.approx(one_by_one, rel=1e-3)
    assert matrix_norm_bound(w).value >= one_by_one * (1 - 1e-10)


def test_wrong_input_is_refused() -> None:
    with pytest.raises(ValueError, match=r"w of shape \(2, 2\) has a NaN or infinite entry"):
        matrix_norm_bound(torch.tensor([[1.0, float("nan")], [0.0, 1.0]]))
    with pytest.raises(ValueError, match="NaN or infinite"):
        matrix_norm_bound(torch.tensor([[1.0, float("-inf")]]))
    with pytest.raises(ValueError, match=r"w of shape \(3,\) is not a matrix"):
        matrix_norm_bound(torch.ones(3))
    with pytest.raises(ValueError, match=r"w of torch.complex64 has no proved norm"):
        matrix_norm_bound(torch.ones(2, 2, dtype=torch.complex64))


def test_weight_is_left_alone() -> None:
    w = torch.randn(7, 5, dtype=torch.float64, requires_grad=True)
    before = w.detach().clone()
    matrix_norm_bound(w)
    assert torch.equal(w, before)


@given(st.integers(-1074, 1023))
@settings(max_examples=60)
def test_scaling_by_powers_of_two_is_exact(exponent: int) -> None:
    x = torch.tensor([math.ldexp(1.0, exponent), 0.0], dtype=torch.float64)
    y, e = power_of_two_scale(x)
    assert y.tolist() == [0.5, 0.0]
    assert e == exponent + 1


@pytest.mark.parametrize("squarings", [0, 1, 2, 5])
def test_gram_iteration_bounds_each_matrix(squarings: int) -> None:
    x = torch.rand(2, 4, 9, 7, dtype=torch.float64) * torch.logspace(0, -200, 4, dtype=torch.float64)[:, None, None]
    norms = torch.linalg.matrix_norm(x, 2)
    bounds = spectral_norms_up(x, squarings)
    assert bool((bounds >= norms * (1 - 1e-14)).all())
    assert bool((bounds <= norms * 7 ** (1 / 2 ** (squarings + 1)) * (1 + 1e-12) + 1e-150).all())
