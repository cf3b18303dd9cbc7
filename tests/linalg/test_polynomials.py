"""What is special to the polynomial iterations."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from tests.linalg.matrices import conditioned, singular_values, with_singular_values

from onelip.linalg import bjorck, newton_schulz, polar_express
from onelip.linalg.polynomials import _BJORCK, _POLAR_EXPRESS, _spectral_norm_bound


@pytest.mark.parametrize("order", [1, 2, 3, 4])
def test_every_order_finds_the_polar_factor(order: int) -> None:
    w = conditioned(9, 6, 1e3)
    u, _, vt = np.linalg.svd(w.numpy(), full_matrices=False)
    np.testing.assert_allclose(bjorck(w, order=order).matrix, u @ vt, atol=1e-11)


def test_higher_orders_take_fewer_steps() -> None:
    w = conditioned(30, 20, 100.0)
    steps = [bjorck(w, order=order).steps for order in (1, 2, 3, 4)]
    assert steps == sorted(steps, reverse=True)
    assert steps[0] > steps[3]


def test_unknown_order_is_refused() -> None:
    with pytest.raises(ValueError, match="order=5 is not an order of Bjorck's iteration"):
        bjorck(torch.eye(3), order=5)


@pytest.mark.parametrize("order", [1, 2, 3, 4])
def test_coefficients_are_the_series_of_the_inverse_root(order: int) -> None:
    # p(1 - e) must agree with (1 - e)^(-1/2) up to e^order, so s p(s^2) - 1 shrinks like e^(order + 1).
    e = 1e-2
    value = sum(c * (1 - e) ** k for k, c in enumerate(_BJORCK[order]))
    assert abs(value - (1 - e) ** -0.5) < e ** (order + 1)


@pytest.mark.parametrize("order", [1, 2, 3, 4])
def test_no_polynomial_leaves_the_unit_interval(order: int) -> None:
    s = np.linspace(0, 1, 20001)
    value = s * sum(c * s ** (2 * k) for k, c in enumerate(_BJORCK[order]))
    assert value.min() >= 0
    assert value.max() <= 1 + 1e-15


def test_polar_express_never_finishes_above_one_however_few_the_steps() -> None:
    assert len(_POLAR_EXPRESS) == 8
    s = np.concatenate([np.geomspace(1e-6, 1, 20001), [0.0]])
    for done in range(9):
        value = s
        for a, b, c in _POLAR_EXPRESS[:done]:
            value = value * (a + b * value**2 + c * value**4)
        finished = value * (1.5 - 0.5 * value**2)
        assert np.abs(finished).max() <= 1 + 1e-15
    for max_steps in range(1, 13):
        q = polar_express(conditioned(40, 30, 1e3), max_steps=max_steps).matrix
        assert singular_values(q).max() <= 1 + 1e-12


def test_polar_express_needs_half_the_steps_of_bjorck() -> None:
    w = conditioned(64, 64, 1e3, torch.float32)
    assert 2 * polar_express(w).steps <= bjorck(w).steps


def test_few_steps_stay_below_one_for_any_spectrum() -> None:
    for f in (bjorck, newton_schulz):
        for max_steps in range(1, 8):
            q = f(torch.randn(33, 20, dtype=torch.float64), max_steps=max_steps).matrix
            assert singular_values(q).max() <= 1 + 1e-12


@pytest.mark.parametrize("order", [1, 2, 3, 4])
def test_near_orthogonal_input_does_not_overshoot(order: int) -> None:
    # Not scaled, as the residual is below 1/2; one quintic step alone would end at 1.013.
    w = with_singular_values(torch.tensor([1.17, 1.1, 1.0, 1.0], dtype=torch.float64), 6, 4)
    for max_steps in (1, 2, 3):
        assert singular_values(bjorck(w, order=order, max_steps=max_steps).matrix).max() <= 1 + 1e-12


def test_near_orthogonal_input_takes_one_or_two_steps() -> None:
    q = torch.linalg.qr(torch.randn(64, 64))[0]
    assert bjorck(q).steps == 1
    assert bjorck(q + 1e-3 * torch.randn(64, 64)).steps <= 3


def test_predicted_residual_is_not_optimistic() -> None:
    for order in (1, 2, 3, 4):
        for tol in (0.5, 1e-1, 1e-3, 1e-6, 1e-10):
            result = bjorck(torch.randn(15, 10, dtype=torch.float64), tol=tol, order=order)
            gram = result.matrix.mT @ result.matrix
            measured = float(torch.linalg.matrix_norm(gram - torch.eye(10, dtype=torch.float64)))
            assert measured <= result.residual + 1e-13
            assert result.residual <= tol


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_scale_is_a_bound_and_not_loose(dtype: torch.dtype) -> None:
    for m, n in ((1, 1), (5, 5), (64, 64), (256, 100), (300, 2)):
        x = torch.randn(1, m, n, dtype=dtype)
        x = x / x.abs().max()
        bound = float(_spectral_norm_bound(x.mT @ x, m))
        norm = singular_values(x[0]).max()
        assert norm <= bound <= 1.01 * n ** (1 / 16) * norm


@pytest.mark.parametrize("adaptive", [True, False])
@pytest.mark.parametrize("function", [bjorck, newton_schulz, polar_express])
def test_near_orthogonal_matrices_may_share_a_batch_with_others(function, adaptive: bool) -> None:  # type: ignore[no-untyped-def]
    # The first has singular values above 1, near enough to need no scaling; the second does need it.
    batch = torch.stack([with_singular_values(torch.tensor([1.2, 1.1]).double(), 4, 2), conditioned(4, 2, 30.0)])
    find = (lambda w: function(w).matrix) if adaptive else torch.func.vmap(lambda w: function(w).matrix)
    for w, q in zip(batch, find(batch), strict=True):
        u, _, vt = np.linalg.svd(w.numpy(), full_matrices=False)
        np.testing.assert_allclose(q, u @ vt, atol=1e-11)
