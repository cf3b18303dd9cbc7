"""Tangent spaces by their definition, retractions by dense exponentials and polar factors."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from onelip.linalg.manifold_steps import (
    exponential_step,
    geodesic_step,
    nearer_orthogonal,
    orthogonality_defect,
    skew_gradient,
    tangent_projection,
)
from onelip.linalg.polar import polar_factor

SIZES = st.tuples(st.integers(1, 6), st.integers(0, 4)).map(lambda s: (s[0] + s[1], s[0]))
SEEDS = st.integers(0, 10**6)


def random(*shape, seed):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def stiefel(p, q, seed, batch=2):
    return polar_factor(random(batch, p, q, seed=seed))


def skew(n, seed, norm):
    a = random(2, n, n, seed=seed)
    a = a - a.mT
    return a * norm / torch.linalg.matrix_norm(a, keepdim=True).clamp_min(1e-30)


@settings(max_examples=20, deadline=None)
@given(SIZES, SEEDS)
def test_projection_is_tangent_idempotent_and_self_adjoint(size, seed):
    x, g, h = stiefel(*size, seed), random(2, *size, seed=seed + 1), random(2, *size, seed=seed + 2)
    pg, ph = tangent_projection(x, g), tangent_projection(x, h)
    torch.testing.assert_close(tangent_projection(x.mT, g.mT), pg.mT, atol=1e-12, rtol=0)
    inner = x.mT @ pg
    torch.testing.assert_close(inner, -inner.mT, atol=1e-12, rtol=0)
    torch.testing.assert_close(tangent_projection(x, pg), pg, atol=1e-12, rtol=0)
    torch.testing.assert_close((pg * h).sum(), (g * ph).sum(), atol=1e-11, rtol=1e-11)


@settings(max_examples=20, deadline=None)
@given(st.integers(1, 6), SEEDS)
def test_square_gradients_are_skew_and_agree_with_the_projection(n, seed):
    x, g = stiefel(n, n, seed), random(2, n, n, seed=seed + 1)
    a = skew_gradient(x, g)
    torch.testing.assert_close(a, -a.mT, atol=0, rtol=0)
    torch.testing.assert_close(x @ a, tangent_projection(x, g), atol=1e-12, rtol=0)


@pytest.mark.parametrize(("norm", "atol"), [(0.04, 2e-5), (0.2, 1e-4), (0.9, 6e-3), (7.0, 1e-11)])
def test_exponential_step_is_the_exponential(norm, atol):
    x, s = stiefel(5, 5, 0), skew(5, 1, norm)
    y = exponential_step(x, s)
    torch.testing.assert_close(y, x @ torch.linalg.matrix_exp(s), atol=atol, rtol=0)
    assert orthogonality_defect(y) < {0.04: 2e-6, 0.2: 4e-4, 0.9: 2e-2, 7.0: 1e-12}[norm]


@pytest.mark.parametrize(("norm", "atol"), [(0.03, 2e-5), (0.15, 1e-4), (0.6, 6e-3), (5.0, 1e-11)])
@pytest.mark.parametrize(("p", "q"), [(7, 3), (6, 6)])
def test_geodesic_step_is_the_exponential_of_the_skew_generator(p, q, norm, atol):
    x = stiefel(p, q, 0)
    d = tangent_projection(x, random(2, p, q, seed=3))
    d = d * norm / torch.linalg.matrix_norm(d, keepdim=True)
    half = (torch.eye(p, dtype=x.dtype) - x @ x.mT / 2) @ d @ x.mT
    expected = torch.linalg.matrix_exp(half - half.mT) @ x
    torch.testing.assert_close(geodesic_step(x, d), expected, atol=atol, rtol=0)
    torch.testing.assert_close((half - half.mT) @ x, d, atol=1e-12, rtol=0)


@settings(max_examples=10, deadline=None)
@given(st.integers(2, 6), SEEDS)
def test_exponential_and_polar_agree_to_third_order(n, seed):
    """Halving the step divides the difference by eight, so both retractions are of second order."""
    x, s = stiefel(n, n, seed), skew(n, seed + 1, 1.0)
    gaps = [float((x @ torch.linalg.matrix_exp(t * s) - polar_factor(x + t * x @ s)).norm()) for t in (0.02, 0.01)]
    assert 7.8 < gaps[0] / gaps[1] < 8.2
    close = polar_factor(x + 0.01 * x @ s)
    nearer, _ = nearer_orthogonal(x + 0.01 * x @ s, 1e-10)
    torch.testing.assert_close(nearer, close, atol=1e-10, rtol=0)


@pytest.mark.parametrize("size", [1e-4, 0.1, 0.6, 30.0])
@pytest.mark.parametrize(("p", "q"), [(6, 6), (7, 3)])
def test_nearer_is_the_polar_factor_to_the_tolerance(p, q, size):
    x = stiefel(p, q, 0) + size * random(2, p, q, seed=5) / 4
    y, drift = nearer_orthogonal(x, 1e-6)
    gram = x.mT @ x - torch.eye(q, dtype=x.dtype)
    assert drift == pytest.approx(float(torch.linalg.matrix_norm(gram).max()) / q**0.5)
    assert orthogonality_defect(y) <= 1e-6
    wide, of_wide = nearer_orthogonal(x.mT, 1e-6)
    torch.testing.assert_close(wide.mT, y, atol=1e-9, rtol=0)
    assert of_wide == pytest.approx(drift)
    torch.testing.assert_close(y, polar_factor(x), atol=1e-5, rtol=0)


def test_defect_is_of_the_smaller_side():
    assert orthogonality_defect(2 * torch.eye(2, 5)) == pytest.approx(3.0)
    assert orthogonality_defect(2 * torch.eye(5, 2)) == pytest.approx(3.0)
