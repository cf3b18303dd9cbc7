"""Pooling to a given size, where windows may overlap or repeat."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from onelip.layers import AdaptiveL2NormPool2d, AdaptiveScaledAvgPool2d

SIZES = [(1, (5, 7)), ((2, None), (6, 3)), (3, (5, 7)), ((4, 5), (7, 6)), (5, (3, 2)), ((None, None), (3, 4))]


@pytest.mark.parametrize(("output_size", "image"), SIZES)
@pytest.mark.parametrize("cls", [AdaptiveScaledAvgPool2d, AdaptiveL2NormPool2d])
def test_norm_is_at_most_one(cls: type[nn.Module], output_size: object, image: tuple[int, int]) -> None:
    layer = cls(output_size)
    expected = nn.AdaptiveAvgPool2d(output_size)(torch.zeros(1, 1, *image)).shape  # type: ignore[arg-type]
    norms = []
    for x in (torch.randn(1, 1, *image), torch.zeros(1, 1, *image), torch.ones(1, 1, *image)):
        assert layer(x).shape == expected
        jacobian = torch.func.jacrev(layer)(x.double())
        assert bool(torch.isfinite(jacobian).all())
        norms.append(float(torch.linalg.svdvals(jacobian.reshape(-1, x.numel()))[0]))
    assert 0.7 < max(norms) <= layer.lipschitz_bound().value  # type: ignore[operator]


def test_windows_that_divide_match_fixed_windows() -> None:
    x = torch.randn(2, 3, 6, 8, dtype=torch.float64)
    ones = torch.ones_like(x)
    assert torch.allclose(AdaptiveScaledAvgPool2d((3, 2))(ones), torch.full((2, 3, 3, 2), 8.0).sqrt().double())
    assert torch.allclose(AdaptiveL2NormPool2d(1)(x)[..., 0, 0], x.flatten(2).norm(dim=2), rtol=1e-14)


@pytest.mark.parametrize("size", [0, (1, 2, 3), 1.5, (2, -1)])
def test_refusals(size: object) -> None:
    with pytest.raises(ValueError, match=r"output_size=.* in AdaptiveL2NormPool2d must be"):
        AdaptiveL2NormPool2d(size)  # type: ignore[arg-type]
