"""The search keeps A V = U B and orthonormal bases, through restarts, dependent blocks and exhausted spaces."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from onelip.spectral import AffineMap
from onelip.spectral.lanczos import BlockLanczos, orthonormal_rows, random_rows


def operator(weight: torch.Tensor) -> AffineMap:
    linear = nn.Linear(*reversed(weight.shape), dtype=weight.dtype)
    linear.weight = nn.Parameter(weight)
    return AffineMap(linear)


@pytest.mark.parametrize("rank", [0, 1, 4, 25])
@pytest.mark.parametrize("scale", [1e-60, 1.0, 1e60])
def test_invariants_through_restarts(rank, scale):
    torch.manual_seed(rank)
    weight = scale * torch.randn(30, rank, dtype=torch.float64) @ torch.randn(rank, 25, dtype=torch.float64)
    true = torch.linalg.svdvals(weight)
    generator = torch.Generator().manual_seed(0)
    search = BlockLanczos(operator(weight), random_rows(3, 25, generator).double(), generator, most=9)
    last = torch.zeros(3, dtype=torch.float64)
    for _ in range(60):
        ritz = search.step()
        left, right = search.vectors(ritz, 3)
        assert torch.allclose(right @ right.mT, torch.eye(3, dtype=torch.float64), atol=1e-12)
        assert torch.allclose(left @ left.mT, torch.eye(3, dtype=torch.float64), atol=1e-12)
        error = right @ weight.mT - ritz.values[:3, None] * left
        assert error.abs().max() <= 1e-12 * true[0]
        residuals = (left @ weight - ritz.values[:3, None] * right).norm(dim=1)
        assert (residuals - ritz.residuals[:3]).abs().max() <= 1e-12 * true[0]
        # Values rise, to the true ones.
        assert (ritz.values[:3] >= last - 1e-12 * true[0]).all()
        assert (ritz.values[:3] <= true[:3] + 1e-12 * true[0]).all()
        last = ritz.values[:3]
        assert len(search.right) <= 9 + 3
        if ritz.complete:
            break
        search.extend(ritz, 5)
    assert torch.allclose(last, true[:3], rtol=1e-6, atol=1e-12 * float(true[0]))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_rows_that_depend_on_each_other_and_on_the_basis(dtype):
    torch.manual_seed(0)
    eps = torch.finfo(dtype).eps
    basis = torch.linalg.qr(torch.randn(40, 3, dtype=dtype))[0].mT
    a, b, c = torch.randn(3, 40, dtype=dtype) / 40**0.5
    for gap in (1.0, 1e-3, 1e-5, 100 * eps):
        rows = torch.stack([a, a + gap * b, 1e-3 * c, 2 * basis[0] + gap * b + a, 0 * a])
        fresh, old, new = orthonormal_rows(rows, basis, 16 * eps)
        assert len(fresh) == 3
        assert torch.allclose(fresh @ fresh.mT, torch.eye(3, dtype=dtype), atol=50 * eps)
        assert (fresh @ basis.mT).abs().max() < 50 * eps
        again = old.to(dtype) @ basis + new.to(dtype) @ fresh
        assert (again - rows).norm() <= 100 * eps
    assert len(orthonormal_rows(basis, basis, 16 * eps)[0]) == 0
    assert len(orthonormal_rows(rows[:0], basis, 0.0)[0]) == 0


def test_random_rows_are_reproducible_and_of_length_about_1():
    first, second = (random_rows(4, 1000, torch.Generator().manual_seed(3)) for _ in range(2))
    assert torch.equal(first, second)
    assert torch.allclose(first.norm(dim=1), torch.ones(4), atol=0.1)
