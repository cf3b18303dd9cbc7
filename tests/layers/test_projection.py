"""The choice of a projection and the random start."""

from __future__ import annotations

import pytest
import torch

from onelip.layers.projection import PROJECTIONS, orthogonal_parameter, projection, random_orthogonal


@pytest.mark.parametrize("name", PROJECTIONS)
def test_every_projection_returns_orthogonal_matrices_unchanged(name: str) -> None:
    q = torch.linalg.qr(torch.randn(5, 3, dtype=torch.float64)).Q
    torch.testing.assert_close(projection("Layer", name)(q).matrix, q, atol=1e-13, rtol=0)


def test_unknown_names_get_the_nearest() -> None:
    with pytest.raises(ValueError, match=r"orthogonaliser='polar_express' in Layer .* did you mean 'polar-express'"):
        projection("Layer", "polar_express")


@pytest.mark.parametrize("shape", [(3, 4, 7, 5), (2, 5, 7), (6, 6), (1, 1)])
def test_random_matrices_are_orthogonal(shape: tuple[int, ...]) -> None:
    q = random_orthogonal(torch.empty(shape))
    gram = q.mT @ q if shape[-2] >= shape[-1] else q @ q.mT
    torch.testing.assert_close(gram, torch.eye(gram.shape[-1]).double().expand_as(gram), atol=1e-13, rtol=0)


def test_random_matrices_are_uniform() -> None:
    # Signs and determinants of either kind are equally likely: 4000 draws, five standard deviations.
    q = random_orthogonal(torch.empty(4000, 3, 3))
    assert abs(float(torch.linalg.det(q).mean())) < 5 / 4000**0.5
    assert float(q.mean(0).abs().max()) < 5 / 4000**0.5


def test_parameters_are_seeded_and_typed() -> None:
    torch.manual_seed(3)
    first = orthogonal_parameter(4, 3, dtype=torch.float32)
    torch.manual_seed(3)
    assert torch.equal(first, orthogonal_parameter(4, 3, dtype=torch.float32))
    assert not torch.equal(first, orthogonal_parameter(4, 3, dtype=torch.float32))
    assert orthogonal_parameter(4, 3, dtype=torch.bfloat16).dtype is torch.bfloat16
    assert orthogonal_parameter(4, 3, device="meta").is_meta
