from __future__ import annotations

import pytest
import torch
from torch import Tensor

from onelip.linalg.dense_chain import Factors, Keep, Matrix, Slopes, chain_image
from onelip.linalg.ellipsoids import radius_bound


def slopes(n: int) -> Slopes:
    half = torch.full((n,), 0.5, dtype=torch.float64)
    return Slopes(half, half, torch.arange(n))


def norm(x: Tensor) -> float:
    return float(torch.linalg.matrix_norm(x, 2))


def test_matrices_factors_and_ranges_are_composed_exactly() -> None:
    torch.manual_seed(0)
    a, b, f = torch.randn(5, 4).double(), torch.randn(6, 5).double(), torch.randn(5).double()
    image = chain_image([Matrix(a), Factors(f, 0), Matrix(b), Keep(1, 4)], [])
    assert image is not None
    reference = norm((b @ torch.diag(f) @ a)[1:4])
    assert reference <= radius_bound(image).value <= reference * (1 + 1e-9)


def test_a_chain_must_start_with_a_matrix() -> None:
    with pytest.raises(ValueError, match="must be a Matrix"):
        chain_image([slopes(3), Matrix(torch.eye(3, dtype=torch.float64))], [torch.ones(3).double()])


def test_radii_are_made_constant_within_groups() -> None:
    # Lengths are kept in the pair alone: a change (1, 0) may come out as (0, 1), so unequal radii would be wrong.
    w = torch.diag(torch.tensor([1.0, 0.1], dtype=torch.float64))
    zero, one = torch.zeros(2, dtype=torch.float64), torch.ones(2, dtype=torch.float64)
    pair = Slopes(zero, one, torch.zeros(2, dtype=torch.int64))
    head = Matrix(torch.tensor([[0.0, 1.0]], dtype=torch.float64))
    image = chain_image([Matrix(w), pair, head], [torch.tensor([1.01, 0.2], dtype=torch.float64)])
    assert image is not None
    assert radius_bound(image).value >= 1.0


def test_useless_radii_give_nothing() -> None:
    one = torch.ones(2, dtype=torch.float64)
    chain = [Matrix(torch.eye(2, dtype=torch.float64)), slopes(2), Matrix(torch.eye(2, dtype=torch.float64))]
    assert chain_image(chain, [0.1 * one]) is None
    assert chain_image(chain, [one]) is not None
