"""RKO: the norm is at most 1 for every overlap of patches, and the claim of orthogonality is exact."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from tests.layers.dense import dense_matrix, singular_values, train

from onelip.layers import RKOConv2d, RKOConvTranspose2d
from onelip.layers.rko import patch_overlap

CASES: list[tuple[tuple[Any, ...], dict[str, Any], tuple[int, ...], bool]] = [
    ((2, 8, 2), {"stride": 2}, (2, 4, 6), True),
    ((4, 4, 2), {"stride": 2}, (4, 4, 6), True),
    ((1, 9, 3), {"stride": 3}, (1, 6, 6), True),
    ((4, 8, 2), {"stride": 2, "groups": 2}, (4, 4, 4), True),
    ((4, 4, 2), {"stride": 2, "groups": 4}, (4, 4, 4), True),
    ((3, 5, (2, 3)), {"stride": (2, 3)}, (3, 4, 6), True),
    ((3, 5, 2), {"stride": 2, "dilation": 3, "padding": 1}, (3, 8, 8), True),
    ((4, 4, 1), {"stride": 2}, (4, 4, 4), True),
    ((3, 6, 1), {}, (3, 3, 3), True),
    ((1, 9, 3), {"padding": 1}, (1, 5, 5), True),
    ((1, 16, 4), {"stride": 2, "padding": 1}, (1, 6, 6), True),
    ((4, 4, 3), {"padding": 1}, (4, 5, 5), False),
    ((4, 8, 3), {"padding": 1, "stride": 2}, (4, 6, 6), False),
    ((1, 8, 1), {"stride": 2}, (1, 4, 4), False),
    ((2, 3, 2), {"stride": 2, "dilation": 2, "padding": 1}, (2, 8, 8), False),
    ((1, 16, 3), {"stride": 2, "padding": 1}, (1, 6, 6), False),
    ((4, 4, 3), {"padding": 2, "dilation": 2}, (4, 6, 6), False),
]


@pytest.mark.parametrize(("sizes", "options", "shape", "orthogonal"), CASES, ids=str)
def test_claim_is_exact_and_the_norm_at_most_one(sizes, options, shape, orthogonal) -> None:  # type: ignore[no-untyped-def]
    layer = RKOConv2d(*sizes, **options, padding_mode="circular")
    assert layer.orthogonal is orthogonal
    train(layer, torch.randn(4, *shape), 3, 0.1)
    values = singular_values(layer, shape)
    assert values[0] <= 1 + 1e-5
    assert bool(values[-1] >= 0.9999) is orthogonal


@pytest.mark.parametrize(("sizes", "options", "shape", "orthogonal"), CASES, ids=str)
def test_transposed_is_the_adjoint(sizes, options, shape, orthogonal) -> None:  # type: ignore[no-untyped-def]
    into, out, *rest = sizes
    layer = RKOConvTranspose2d(out, into, *rest, **options, padding_mode="circular", bias=False)
    forth = RKOConv2d(*sizes, **options, padding_mode="circular", bias=False)
    forth.load_state_dict(layer.state_dict())
    assert layer.orthogonal is orthogonal
    matrix = dense_matrix(forth, shape)
    small = (out, matrix.shape[0] // out)
    stride = options.get("stride", 1)
    sh, sw = (stride, stride) if isinstance(stride, int) else stride
    assert small[1] == shape[1] // sh * (shape[2] // sw)
    torch.testing.assert_close(dense_matrix(layer, (out, shape[1] // sh, shape[2] // sw)), matrix.T)


@pytest.mark.parametrize("stride", [1, 2, 3, 4])
@pytest.mark.parametrize("dilation", [1, 2, 3, 4])
@pytest.mark.parametrize("kernel", [1, 2, 3, 5])
def test_overlap_is_counted_right(kernel: int, stride: int, dilation: int) -> None:
    layer = RKOConv2d(1, 1, (kernel, 1), (stride, 1), dilation=(dilation, 1))
    length = 24 * stride
    uses = torch.zeros(length, dtype=torch.int64)
    for patch in range(24):
        for tap in range(kernel):
            uses[(patch * stride + tap * dilation) % length] += 1
    assert patch_overlap(layer.arguments) == int(uses.max())


def test_assigned_kernel_becomes_the_nearest() -> None:
    layer = RKOConv2d(3, 4, 3, dtype=torch.float64)
    target = torch.randn(4, 3, 3, 3, dtype=torch.float64)
    layer.weight = target
    u, _, vh = torch.linalg.svd(target.flatten(1), full_matrices=False)
    torch.testing.assert_close(layer.weight.detach().flatten(1), u @ vh / 3)
    kept = layer.weight.detach().clone()
    layer.weight = kept
    torch.testing.assert_close(layer.weight.detach(), kept)


def test_zero_weights_stay_finite_and_short() -> None:
    layer = RKOConv2d(2, 3, 3)
    with torch.no_grad():
        layer.raw_weight.zero_()
    layer.weight.sum().backward()
    assert layer.raw_weight.grad is not None
    assert layer.raw_weight.grad.isfinite().all()
    assert layer.lipschitz_bound().value <= 1
