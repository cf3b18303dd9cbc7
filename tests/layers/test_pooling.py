"""Pooling with fixed windows: dense Jacobians, padding, partial windows."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from onelip.layers import L2NormPool2d, ScaledAvgPool2d

ARGUMENTS = [
    (2, None, 0, False),
    ((2, 3), None, 0, True),
    (3, 2, 1, False),
    (3, 2, 1, True),
    (3, 1, 0, False),
    ((1, 2), (2, 3), 0, False),
    (4, 1, 2, True),
]


def _norm(layer: nn.Module, x: Tensor) -> float:
    jacobian = torch.func.jacrev(layer)(x)
    assert bool(torch.isfinite(jacobian).all())
    return float(torch.linalg.svdvals(jacobian.reshape(-1, x.numel()))[0])


@pytest.mark.parametrize("arguments", ARGUMENTS)
@pytest.mark.parametrize("cls", [ScaledAvgPool2d, L2NormPool2d])
def test_norm_is_at_most_one_and_not_far_below(cls: type[nn.Module], arguments: tuple[object, ...]) -> None:
    layer = cls(*arguments)
    points = [torch.randn(1, 1, 7, 9), torch.zeros(1, 1, 7, 9), torch.ones(1, 1, 7, 9)]
    norms = [_norm(layer, x.double()) for x in points]
    assert max(norms) <= 1 + 1e-14
    assert max(norms) > 0.7
    assert layer.lipschitz_bound().value == 1.0  # type: ignore[operator]


@pytest.mark.parametrize("arguments", ARGUMENTS)
def test_sizes_and_values_are_torchs(arguments: tuple[object, ...]) -> None:
    x = torch.rand(2, 3, 7, 9, dtype=torch.float64)
    kernel, stride, padding, ceil = arguments
    sums = F.avg_pool2d(x, kernel, stride, padding, ceil, divisor_override=1)  # type: ignore[arg-type]
    found = ScaledAvgPool2d(*arguments)(x)  # type: ignore[arg-type]
    assert found.shape == sums.shape
    assert float((found / sums).std()) < 1e-15
    squares = F.avg_pool2d(x**2, kernel, stride, padding, ceil, divisor_override=1)  # type: ignore[arg-type]
    ratio = L2NormPool2d(*arguments)(x) / squares.sqrt()  # type: ignore[arg-type]
    assert float(ratio.std()) < 1e-15


def test_disjoint_windows_keep_what_they_should() -> None:
    flat = torch.ones(1, 1, 6, 6)
    assert torch.equal(ScaledAvgPool2d(3)(flat), torch.full((1, 1, 2, 2), 3.0))
    x = torch.randn(2, 3, 8, 8, dtype=torch.float64)
    assert torch.allclose(L2NormPool2d(2)(x).norm(), x.norm(), rtol=1e-15)


@pytest.mark.parametrize("cls", [ScaledAvgPool2d, L2NormPool2d])
@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"kernel_size": 0}, "kernel_size=0"),
        ({"kernel_size": 2, "stride": 0}, "stride=0"),
        ({"kernel_size": 2, "padding": 2}, "padding=2 .* at most half"),
        ({"kernel_size": 2, "ceil_mode": 1}, "ceil_mode=1"),
    ],
)
def test_refusals(cls: type[nn.Module], options: dict[str, object], match: str) -> None:
    with pytest.raises(ValueError, match=match):
        cls(**options)
