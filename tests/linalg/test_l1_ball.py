"""Projection onto the L1 ball: the nearest point, rows inside left alone, and proved sums."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import minimize

from onelip.linalg.l1_ball import l1_norm_bound, project_onto_l1_ball


def _nearest(row: np.ndarray) -> np.ndarray:
    # A quadratic programme in the positive and negative parts.
    n = len(row)

    def gap(parts: np.ndarray) -> float:
        return float(((parts[:n] - parts[n:] - row) ** 2).sum())

    def slope(parts: np.ndarray) -> np.ndarray:
        half = 2 * (parts[:n] - parts[n:] - row)
        return np.concatenate([half, -half])

    ball = {"type": "ineq", "fun": lambda parts: 1 - parts.sum(), "jac": lambda parts: -np.ones(2 * n)}
    found = minimize(
        gap,
        np.full(2 * n, 0.1 / n),
        jac=slope,
        bounds=[(0, None)] * (2 * n),
        constraints=[ball],
        method="SLSQP",
        options={"ftol": 1e-14, "maxiter": 500},
    )
    return found.x[:n] - found.x[n:]


@pytest.mark.parametrize("n", [1, 2, 3, 8])
@pytest.mark.parametrize("scale", [0.05, 0.3, 1.0, 10.0])
@pytest.mark.parametrize("seed", range(3))
def test_projection_solves_the_quadratic_programme(n, scale, seed):
    row = scale * np.random.default_rng(seed).standard_normal(n)
    found = project_onto_l1_ball(torch.from_numpy(row)).numpy()
    np.testing.assert_allclose(found, _nearest(row), atol=2e-6)


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=12))
def test_optimality_conditions(entries):
    # v - p is in the normal cone of the ball at p: |v - p| <= theta, with equality and equal signs where p is not 0.
    v = torch.tensor(entries, dtype=torch.float64)
    p = project_onto_l1_ball(v)
    assert float(p.abs().sum()) <= 1 + 1e-12
    if float(v.abs().sum()) <= 1:
        assert torch.equal(p, v)
        return
    assert float(p.abs().sum()) >= 1 - 1e-9
    slack = 1e-9 * max(1.0, float(v.abs().max()))
    normal = v - p
    theta = float(normal.abs().max())
    alive = p.abs() > slack
    assert bool(((normal * v.sign())[alive] - theta).abs().le(slack).all())


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("scale", [1e-3, 1.0, 1e3, 1e9, 1e30])
@pytest.mark.parametrize("n", [1, 7, 5000])
def test_sums_stay_within_rounding_at_every_scale(dtype, scale, n):
    rows = scale * torch.randn(4, n, generator=torch.Generator().manual_seed(0), dtype=dtype)
    found = project_onto_l1_ball(rows).double().abs().sum(-1)
    outside = rows.double().abs().sum(-1) > 1
    eps = torch.finfo(dtype).eps
    assert bool((found <= 1 + 8 * eps).all())
    assert bool((found[outside] >= 1 - 1000 * eps).all())


def test_rows_inside_are_kept_to_the_bit():
    rows = torch.rand(5, 4) / 4
    rows[2] = 10
    found = project_onto_l1_ball(rows)
    kept = torch.tensor([0, 1, 3, 4])
    assert torch.equal(found[kept], rows[kept])
    torch.testing.assert_close(found[2], torch.full((4,), 0.25))


def test_gradient_is_that_of_the_projection():
    rows = torch.randn(5, 6, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(project_onto_l1_ball, (rows,))
    inside = (torch.rand(3, 4, dtype=torch.float64) / 10).requires_grad_()
    assert torch.autograd.gradcheck(project_onto_l1_ball, (inside,))
    for edge in (torch.zeros(2, 3), torch.ones(2, 3), torch.full((2, 3), 1e9)):
        x = edge.requires_grad_()
        (gradient,) = torch.autograd.grad(project_onto_l1_ball(x).sum(), x)
        assert gradient.isfinite().all()


@pytest.mark.parametrize("scale", [1e-300, 1.0, 1e300])
def test_bound_is_above_the_exact_sum(scale):
    rows = scale * torch.randn(3, 40, dtype=torch.float64)
    exact = max(sum(Fraction(abs(v)) for v in row) for row in rows.tolist())
    bound = l1_norm_bound(rows)
    assert bound.proved
    assert exact <= Fraction(bound.value) <= exact * (1 + Fraction(1, 10**13))


def test_bound_of_zero_and_of_bad_rows():
    assert l1_norm_bound(torch.zeros(2, 3)).value == 0
    with pytest.raises(ValueError, match="rows of shape"):
        l1_norm_bound(torch.tensor([[1.0, float("nan")]]))
