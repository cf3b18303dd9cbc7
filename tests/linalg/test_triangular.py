"""What is special to Cholesky and QR."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from tests.linalg.matrices import singular_values

from onelip.linalg import cholesky, qr


@pytest.mark.parametrize("f", [cholesky, qr])
def test_spans_of_leading_columns_are_kept(f: object) -> None:
    # Gram-Schmidt, the textbook way.
    w = torch.randn(9, 5, dtype=torch.float64)
    basis: list[np.ndarray] = []
    for column in w.mT.numpy():
        for b in basis:
            column = column - (b @ column) * b
        basis.append(column / np.linalg.norm(column))
    np.testing.assert_allclose(f(w).matrix, np.stack(basis, axis=1), atol=1e-12)


def test_qr_keeps_a_column_whose_pivot_is_zero() -> None:
    w = torch.tensor([[1.0, 1.0, 0.0], [0.0, 0.0, 0.0], [0.0, 0.0, 2.0]], dtype=torch.float64)
    np.testing.assert_allclose(singular_values(qr(w).matrix), 1.0, atol=1e-14)
    np.testing.assert_allclose(singular_values(qr(torch.zeros(4, 2)).matrix), 1.0, atol=1e-6)


def test_qr_gradient_is_that_of_torch() -> None:
    w = torch.randn(6, 4, dtype=torch.float64, requires_grad=True)
    weights = torch.randn(6, 4, dtype=torch.float64)
    q, r = torch.linalg.qr(w)
    (expected,) = torch.autograd.grad((q * r.diagonal().sign() * weights).sum(), w)
    (gradient,) = torch.autograd.grad((qr(w).matrix * weights).sum(), w)
    torch.testing.assert_close(gradient, expected, rtol=0, atol=1e-12)


def test_cholesky_once_is_already_below_one() -> None:
    for dtype in (torch.float32, torch.float64):
        q = cholesky(torch.randn(64, 64, dtype=dtype), max_steps=1).matrix
        assert singular_values(q).max() <= 1 + 20 * torch.finfo(dtype).eps


def test_cholesky_survives_condition_numbers_beyond_its_precision() -> None:
    w = torch.randn(200, 150) @ torch.diag(torch.logspace(0, -12, 150))
    q = cholesky(w).matrix
    assert torch.isfinite(q).all()
    assert singular_values(q).max() <= 1 + 1e-5
