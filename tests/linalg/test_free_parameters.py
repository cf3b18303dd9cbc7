"""What is special to Cayley, exponential and Householder: their closed forms."""

from __future__ import annotations

import mpmath
import numpy as np
import pytest
import scipy.linalg
import torch
from tests.linalg.matrices import singular_values

from onelip.linalg import cayley, exponential, householder


@pytest.mark.parametrize("m", [1, 4, 130])
def test_square_cayley_is_the_textbook_formula(m: int) -> None:
    w = torch.randn(m, m, dtype=torch.float64)
    a = (w - w.mT).numpy()
    np.testing.assert_allclose(cayley(w).matrix, (np.eye(m) - a) @ np.linalg.inv(np.eye(m) + a), atol=1e-11)


def test_tall_cayley_is_the_textbook_formula() -> None:
    w = torch.randn(9, 4, dtype=torch.float64)
    u, v = w[:4].numpy(), w[4:].numpy()
    a = u - u.T + v.T @ v
    inverse = np.linalg.inv(np.eye(4) + a)
    np.testing.assert_allclose(cayley(w).matrix, np.vstack([(np.eye(4) - a) @ inverse, -2 * v @ inverse]), atol=1e-12)


@pytest.mark.parametrize("shape", [(1, 1), (5, 5), (140, 140), (8, 3)])
@pytest.mark.parametrize("scale", [1e-8, 0.1, 1.0, 30.0])
def test_exponential_is_that_of_scipy(shape: tuple[int, int], scale: float) -> None:
    w = scale * torch.randn(shape, dtype=torch.float64)
    padded = np.pad(w.numpy(), ((0, 0), (0, shape[0] - shape[1])))
    expected = scipy.linalg.expm((padded - padded.T) / 2)[:, : shape[1]]
    np.testing.assert_allclose(exponential(w).matrix, expected, atol=1e-11 * max(1.0, scale))


def test_exponential_to_thirty_digits() -> None:
    w = torch.tensor([[0.0, 2.5, -1.25], [0.5, 0.0, 3.0], [1.0, -2.0, 0.0]], dtype=torch.float64)
    with mpmath.workdps(30):
        exact = mpmath.expm(mpmath.matrix(((w - w.mT) / 2).tolist()))
        for i in range(3):
            for j in range(3):
                assert abs(exact[i, j] - float(exponential(w).matrix[i, j])) < 1e-14


def test_exponential_is_a_rotation() -> None:
    assert np.linalg.det(exponential(torch.randn(6, 6, dtype=torch.float64)).matrix.numpy()) == pytest.approx(1.0)


@pytest.mark.parametrize("shape", [(1, 1), (6, 6), (9, 4), (140, 140)])
def test_householder_is_the_product_of_reflections(shape: tuple[int, int]) -> None:
    w = torch.randn(shape, dtype=torch.float64)
    w[:, shape[1] // 2] = 0
    product = np.eye(shape[0])
    for v in w.mT.numpy():
        if v.any():
            product = product @ (np.eye(shape[0]) - 2 * np.outer(v, v) / (v @ v))
    np.testing.assert_allclose(householder(w).matrix, product[:, : shape[1]], atol=1e-12)


@pytest.mark.parametrize("f", [cayley, exponential, householder])
def test_zero_gives_the_identity(f: object) -> None:
    for shape in ((3, 3), (5, 2), (2, 5)):
        torch.testing.assert_close(f(torch.zeros(shape)).matrix, torch.eye(*shape))


@pytest.mark.parametrize("f", [cayley, exponential, householder])
def test_huge_parameters_stay_orthogonal(f: object) -> None:
    for scale in (1e3, 1e6, 1e30):
        for m, n in ((7, 7), (64, 64), (20, 6)):
            np.testing.assert_allclose(singular_values(f(scale * torch.randn(m, n)).matrix), 1.0, atol=1e-6)
