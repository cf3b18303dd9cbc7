"""Unit-norm rows: each row is proved, and so is the norm of all together."""

from __future__ import annotations

import math

import torch

from onelip.layers import UnitNormLinear


def test_rows_are_normalised_and_proved() -> None:
    layer = UnitNormLinear(6, 4)
    raw = torch.randn(4, 6) * torch.logspace(-30, 30, 4)[:, None]
    with torch.no_grad():
        layer.raw_weight.copy_(raw)
    exact = raw.double() / raw.double().norm(dim=1, keepdim=True)
    torch.testing.assert_close(layer.weight.double(), exact, atol=1e-6, rtol=0)
    norms = layer.eval_weight().double().norm(dim=1)
    for norm, bound in zip(norms.tolist(), layer.row_norm_bounds(), strict=True):
        assert bound.proved
        assert norm <= bound.value * (1 + 1e-15)
        assert bound.value <= 1 + 1e-6


def test_bound_is_that_of_the_whole_weight_and_may_exceed_one() -> None:
    layer = UnitNormLinear(6, 4)
    with torch.no_grad():
        layer.raw_weight.copy_(torch.ones(4, 6))
    bound = layer.lipschitz_bound()
    assert bound.proved
    assert math.isclose(bound.value, 2.0, rel_tol=1e-6)
    assert not layer.orthogonal


def test_start_has_orthogonal_rows_where_there_is_room() -> None:
    weight = UnitNormLinear(6, 4).weight.detach()
    torch.testing.assert_close(weight @ weight.T, torch.eye(4), atol=1e-6, rtol=0)


def test_zero_rows_stay_zero_with_finite_gradients() -> None:
    layer = UnitNormLinear(3, 2)
    with torch.no_grad():
        layer.raw_weight[0] = 0
    layer.weight.sum().backward()
    assert not layer.weight[0].any()
    assert layer.raw_weight.grad is not None
    assert layer.raw_weight.grad.isfinite().all()


def test_assignment_normalises_rows() -> None:
    layer = UnitNormLinear(3, 2)
    layer.weight = torch.tensor([[3.0, 0.0, 4.0], [0.0, 2.0, 0.0]])
    torch.testing.assert_close(layer.weight.detach(), torch.tensor([[0.6, 0.0, 0.8], [0.0, 1.0, 0.0]]))
