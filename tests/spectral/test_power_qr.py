"""PowerQR: the defects of the published code are gone, and the laws of subspace iteration hold."""

from __future__ import annotations

import itertools

import pytest
import torch
from tests.spectral.operators import dense
from torch import nn

from onelip.spectral import AffineMap, power_qr


def diagonal(*entries: float) -> nn.Linear:
    linear = nn.Linear(len(entries), len(entries))
    linear.weight = nn.Parameter(torch.diag(torch.tensor(entries)))
    return linear


def test_diagonals_that_the_signs_of_qr_got_wrong():
    for n_iter in (5, 10, 50, 51, 100, 300):
        assert power_qr(diagonal(0.0, 2.0), n_iter=n_iter).values.tolist() == pytest.approx([2.0], abs=1e-5)
        assert power_qr(diagonal(1.0, 2.0), k=2, n_iter=n_iter).values.tolist() == pytest.approx([2.0, 1.0], abs=1e-5)
    assert power_qr(diagonal(0.0, 2.0), k=2, n_iter=1).values.tolist() == pytest.approx([2.0, 0.0], abs=1e-5)


def test_estimates_are_never_above_and_rise():
    for seed in range(20):
        torch.manual_seed(seed)
        operator = AffineMap(nn.Conv2d(2, 3, 3, padding=1, dtype=torch.float64), (2, 5, 5))
        true = torch.linalg.svdvals(dense(operator))[:3]
        # A start of any length: the first estimate of the published code is above in all cases.
        start = 100.0 * torch.randn(3, 2, 5, 5, dtype=torch.float64)
        values = [power_qr(operator, k=3, n_iter=n, start=start).values for n in (1, 2, 5, 40)]
        for before, after in itertools.pairwise(values):
            assert (before <= after + 1e-12).all()
        assert (values[-1] <= true + 1e-12).all()


def test_vectors_residuals_and_convergence():
    torch.manual_seed(0)
    operator = AffineMap(nn.Conv2d(2, 3, 3, padding=1, stride=2, dtype=torch.float64), (2, 7, 7))
    matrix = dense(operator)
    found = power_qr(operator, k=2, n_iter=400)
    left, right = found.left.flatten(1), found.right.flatten(1)
    assert torch.allclose(found.values, torch.linalg.svdvals(matrix)[:2], rtol=1e-4)
    assert torch.allclose(right @ matrix.mT, found.values[:, None] * left, atol=1e-12)
    assert torch.allclose(left @ left.mT, torch.eye(2, dtype=torch.float64), atol=1e-12)
    assert torch.allclose((left @ matrix - found.values[:, None] * right).norm(dim=1), found.residuals, atol=1e-12)
    assert found.converged
    assert found.n_iter == 400
    assert not power_qr(operator, k=2, n_iter=1).converged
    again = power_qr(operator, k=2, n_iter=1, start=found.right)
    assert torch.allclose(again.values, found.values, rtol=1e-4)


def test_bad_arguments():
    linear = nn.Linear(3, 2)
    with pytest.raises(ValueError, match="k=3 must be from 1 to 2"):
        power_qr(linear, k=3)
    with pytest.raises(ValueError, match="n_iter=0"):
        power_qr(linear, n_iter=0)
    with pytest.raises(ValueError, match="at most k=1"):
        power_qr(linear, start=torch.zeros(2, 3))
